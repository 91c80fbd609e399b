/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The part of the table that is the same for every ruleset: base chains, the dispatch by address, the sets, and what
 * happens to a connection that no rule allows: it is counted exactly, sampled at a limited rate, and, in "block" alone,
 * refused. docs/enforcement.md shows it as nft lists it, with what each line is for.
 */
#include "config.h"
#include "segment/nft_build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "common/timefmt.h"
#include "segment/nft_expr.h"

#define STATE_BIT(ctinfo) (1u << ((ctinfo) % IP_CT_IS_REPLY + 1))
#define STATE_INVALID 1u

/* Samples a second. What is refused is answered by the enforcer from its sample, hence the higher figure there. */
#define SAMPLES 50
#define SAMPLES_BURST 100
#define ANSWERS 1000
#define ANSWERS_BURST 1000
/* Behind the IP header the first 8 bytes, which have ports or ICMP type and are what an ICMP error must quote; of
 * TCP the whole fixed header, which a reset is made from. Never payload. */
#define IP4_HEADER 20
#define IP6_HEADER 40
#define SNAP_ANY 8
#define SNAP_TCP 20

#define CONCAT(a, b, c, d) ((uint32_t)(a) << 18 | (b) << 12 | (c) << 6 | (d))

const struct nft_shape nft_shape_addr4 = {.key_type = NFT_TYPE_IPADDR, .key_len = 4, .ours = true};
const struct nft_shape nft_shape_addr6 = {.key_type = NFT_TYPE_IP6ADDR, .key_len = 16, .ours = true};
const struct nft_shape nft_shape_armed4 = {
	.key_type = NFT_TYPE_IPADDR, .key_len = 4, .flags = NFT_SET_TIMEOUT, .ours = true};
const struct nft_shape nft_shape_armed6 = {.key_type = NFT_TYPE_IP6ADDR, .key_len = 16, .flags = NFT_SET_TIMEOUT,
					   .ours = true};
const struct nft_shape nft_shape_map4 = {
	.key_type = NFT_TYPE_IPADDR, .key_len = 4, .flags = NFT_SET_MAP, .verdicts = true, .ours = true};
const struct nft_shape nft_shape_map6 = {.key_type = NFT_TYPE_IP6ADDR, .key_len = 16, .flags = NFT_SET_MAP,
					 .verdicts = true, .ours = true};
#define MISS_SHAPE .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT, .size = NFT_MISS_SET_SIZE, .timeout_ms = NFT_MISS_TIMEOUT_MS
const struct nft_shape nft_shape_miss4 = {
	.key_type = CONCAT(NFT_TYPE_IPADDR, NFT_TYPE_IPADDR, NFT_TYPE_PROTO, NFT_TYPE_SERVICE),
	.key_len = 16,
	MISS_SHAPE};
const struct nft_shape nft_shape_miss6 = {
	.key_type = CONCAT(NFT_TYPE_IP6ADDR, NFT_TYPE_IP6ADDR, NFT_TYPE_PROTO, NFT_TYPE_SERVICE),
	.key_len = 40,
	MISS_SHAPE};
const struct nft_shape nft_shape_miss_icmp4 = {
	.key_type = CONCAT(0, NFT_TYPE_IPADDR, NFT_TYPE_IPADDR, NFT_TYPE_ICMP), .key_len = 12, MISS_SHAPE};
const struct nft_shape nft_shape_miss_icmp6 = {
	.key_type = CONCAT(0, NFT_TYPE_IP6ADDR, NFT_TYPE_IP6ADDR, NFT_TYPE_ICMP6), .key_len = 36, MISS_SHAPE};
#define NEWCOMERS .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT, .size = NFT_NEWCOMERS_SIZE, .timeout_ms = NFT_NEWCOMER_MS
#define STRANGERS .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT, .size = NFT_STRANGERS_SIZE, .timeout_ms = NFT_STRANGER_MS
const struct nft_shape nft_shape_newcomers4 = {.key_type = NFT_TYPE_IPADDR, .key_len = 4, NEWCOMERS};
const struct nft_shape nft_shape_newcomers6 = {.key_type = NFT_TYPE_IP6ADDR, .key_len = 16, NEWCOMERS};
const struct nft_shape nft_shape_strangers4 = {.key_type = NFT_TYPE_IPADDR, .key_len = 4, STRANGERS};
const struct nft_shape nft_shape_strangers6 = {.key_type = NFT_TYPE_IP6ADDR, .key_len = 16, STRANGERS};
const struct nft_shape nft_shape_settling = {.key_type = NFT_TYPE_NFPROTO, .key_len = 1, .flags = NFT_SET_TIMEOUT};
const struct nft_shape nft_shape_bridges = {.key_type = NFT_TYPE_IFNAME, .key_len = 16, .host_order = true,
					    .ours = true};

struct nft_set *nft_build_set(struct nft_model *m, const char *base, const char *suffix, const struct nft_shape *shape,
			      const char *comment)
{
	char name[NFT_NAME_LEN];
	struct nft_set *s;

	snprintf(name, sizeof(name), "%s%s", base, suffix);
	s = nft_model_set(m, name, shape);
	if (s)
		nft_name_comment(s->comment, sizeof(s->comment), comment);
	return s;
}

static int build_sets(struct nft_model *m)
{
	static const struct {
		const char *base, *suffix;
		const struct nft_shape *shape;
		const char *comment;
	} sets[] = {
		{NFT_SET_WORKLOADS, "_4", &nft_shape_addr4, "all workloads"},
		{NFT_SET_WORKLOADS, "_6", &nft_shape_addr6, "all workloads"},
		{NFT_SET_ARMED, "_4", &nft_shape_armed4, "addresses whose refusals are real now"},
		{NFT_SET_ARMED, "_6", &nft_shape_armed6, "addresses whose refusals are real now"},
		{NFT_MAP_INBOUND, "_4", &nft_shape_map4, "to a workload: the inbound list of its group"},
		{NFT_MAP_INBOUND, "_6", &nft_shape_map6, "to a workload: the inbound list of its group"},
		{NFT_MAP_OUTBOUND, "_4", &nft_shape_map4, "from a workload: the outbound list of its group"},
		{NFT_MAP_OUTBOUND, "_6", &nft_shape_map6, "from a workload: the outbound list of its group"},
		{NFT_SET_WOULD_BLOCK, "_4", &nft_shape_miss4, "let through, but no rule allows it: packets counted"},
		{NFT_SET_WOULD_BLOCK, "_6", &nft_shape_miss6, "let through, but no rule allows it: packets counted"},
		{NFT_SET_WOULD_BLOCK NFT_SET_ICMP, "_4", &nft_shape_miss_icmp4, "the same for ICMP"},
		{NFT_SET_WOULD_BLOCK NFT_SET_ICMP, "_6", &nft_shape_miss_icmp6, "the same for ICMPv6"},
		{NFT_SET_BLOCK, "_4", &nft_shape_miss4, "refused: packets counted"},
		{NFT_SET_BLOCK, "_6", &nft_shape_miss6, "refused: packets counted"},
		{NFT_SET_BLOCK NFT_SET_ICMP, "_4", &nft_shape_miss_icmp4, "the same for ICMP"},
		{NFT_SET_BLOCK NFT_SET_ICMP, "_6", &nft_shape_miss_icmp6, "the same for ICMPv6"},
		{NFT_SET_NEWCOMERS, "_4", &nft_shape_newcomers4, "on a bridge, no name yet: not refused for now"},
		{NFT_SET_NEWCOMERS, "_6", &nft_shape_newcomers6, "on a bridge, no name yet: not refused for now"},
		{NFT_SET_STRANGERS, "_4", &nft_shape_strangers4, "have had their time as newcomers: refused"},
		{NFT_SET_STRANGERS, "_6", &nft_shape_strangers6, "have had their time as newcomers: refused"},
		{NFT_SET_SETTLING, "", &nft_shape_settling, "connections older than the table are taken as they are"},
		{NFT_SET_BRIDGES, "", &nft_shape_bridges, "bridges made to pass their frames through here"},
	};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		if (!nft_build_set(m, sets[i].base, sets[i].suffix, sets[i].shape, sets[i].comment))
			return -ENOMEM;
	return 0;
}

static struct nft_chain *chain(struct nft_model *m, const char *name, int hook, const char *comment)
{
	struct nft_chain *c = nft_model_chain(m, name);

	if (c) {
		c->hook = (int8_t)hook;
		snprintf(c->comment, sizeof(c->comment), "%s", comment);
	}
	return c;
}

static int end(struct nft_builder *b, int verdict, const char *to, const char *comment)
{
	nft_verdict(b, verdict, to);
	return nft_rule_finish(b, 0, NFT_TAG_NONE, comment);
}

/* Accepts services (all of one protocol) whoever sends them. */
static int accept_services(struct nft_chain *c, const struct service *s, size_t n, const char *comment)
{
	struct nft_builder b;

	nft_rule_start(&b, c);
	nft_match_services(&b, s, n);
	return end(&b, NF_ACCEPT, NULL, comment);
}

/* Neighbour discovery and multicast listeners: without them no IPv6 address works. RFC 4861, 2710, 3810. */
static const struct service housekeeping[] = {{130, 130, PROTO_ICMP6}, {131, 131, PROTO_ICMP6}, {132, 132, PROTO_ICMP6},
					      {133, 133, PROTO_ICMP6}, {134, 134, PROTO_ICMP6}, {135, 135, PROTO_ICMP6},
					      {136, 136, PROTO_ICMP6}, {143, 143, PROTO_ICMP6}};
static const struct service errors4[] = {{3, 3, PROTO_ICMP}, {11, 11, PROTO_ICMP}, {12, 12, PROTO_ICMP}};
static const struct service errors6[] = {
	{1, 1, PROTO_ICMP6}, {2, 2, PROTO_ICMP6}, {3, 3, PROTO_ICMP6}, {4, 4, PROTO_ICMP6}};
#define N(a) (sizeof(a) / sizeof((a)[0]))

static int build_base(struct nft_model *m, const char *name, int hook)
{
	struct nft_chain *c = chain(m, name, hook, "");
	struct nft_builder b;
	int rc;

	nft_rule_start(&b, c);
	nft_match_ct_state(&b, STATE_BIT(IP_CT_ESTABLISHED) | STATE_BIT(IP_CT_RELATED));
	nft_counter(&b);
	rc = end(&b, NF_ACCEPT, NULL, "decided before, at the first packet");
	if (rc < 0)
		return rc;
	nft_rule_start(&b, c);
	nft_match_not_syn(&b);
	nft_match_ct_state(&b, STATE_BIT(IP_CT_NEW) | STATE_INVALID);
	nft_match_family_set(&b, NFT_SET_SETTLING);
	nft_counter(&b);
	rc = end(&b, NF_ACCEPT, NULL, "connections older than the table");
	if (rc < 0)
		return rc;
	rc = accept_services(c, housekeeping, N(housekeeping), "neighbour discovery and multicast membership");
	/* An error of the host itself, among them the answers to what is refused here, belongs to no connection. */
	if (rc == 0 && hook == NF_INET_LOCAL_OUT)
		rc = accept_services(c, errors4, N(errors4), "the host's own errors");
	if (rc == 0 && hook == NF_INET_LOCAL_OUT)
		rc = accept_services(c, errors6, N(errors6), "the host's own errors");
	if (rc < 0)
		return rc;
	nft_rule_start(&b, c);
	return end(&b, NFT_GOTO, "decide", "");
}

static int build_decide(struct nft_model *m)
{
	struct nft_chain *c = chain(m, "decide", -1, "a new connection: whose list is it?");
	struct nft_builder b;
	int rc = 0;

	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		nft_rule_start(&b, c);
		nft_vmap(&b, v4, false, v4 ? NFT_MAP_INBOUND "_4" : NFT_MAP_INBOUND "_6");
		rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
	}
	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		nft_rule_start(&b, c);
		nft_match_addr_set(&b, v4, false, v4 ? NFT_SET_WORKLOADS "_4" : NFT_SET_WORKLOADS "_6", false);
		nft_counter(&b);
		rc = end(&b, NF_ACCEPT, NULL, "to a workload without a policy");
	}
	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		nft_rule_start(&b, c);
		nft_vmap(&b, v4, true, v4 ? NFT_MAP_OUTBOUND "_4" : NFT_MAP_OUTBOUND "_6");
		rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
	}
	return rc;
}

/* Samples for the program: header bytes only. TCP apart, since its header is longer. */
static int build_samples(struct nft_chain *c, uint32_t rate, uint32_t burst, const char *prefix, uint16_t group)
{
	static const uint8_t tcp[] = {PROTO_TCP};
	struct nft_builder b;
	int rc = 0;

	for (int step = 0; rc == 0 && step < 4; step++) {
		bool v4 = step % 2 == 0, is_tcp = step < 2;

		nft_rule_start(&b, c);
		nft_match_family(&b, v4);
		nft_match_proto_set(&b, tcp, 1, !is_tcp);
		nft_limit(&b, rate, burst);
		nft_log(&b, group, prefix, (v4 ? IP4_HEADER : IP6_HEADER) + (is_tcp ? SNAP_TCP : SNAP_ANY));
		rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
	}
	return rc;
}

/* Every packet that comes here ends in exactly one of the counters. An update of a full set fails, which ends its
 * rule. */
static int build_counting(struct nft_chain *c, const char *base, int verdict, const char *to, uint8_t overflow_tag)
{
	static const uint8_t ports[] = {PROTO_TCP, PROTO_UDP, PROTO_SCTP};
	static const uint8_t special[] = {PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_ICMP6, PROTO_SCTP};
	char set[NFT_NAME_LEN];
	struct nft_builder b;
	int rc = 0;

	for (int step = 0; rc == 0 && step < 6; step++) {
		bool v4 = step % 2 == 0;
		enum nft_miss_key key = step < 2 ? NFT_MISS_PORT : step < 4 ? NFT_MISS_ICMP : NFT_MISS_NONE;

		snprintf(set, sizeof(set), "%s%s_%d", base, key == NFT_MISS_ICMP ? NFT_SET_ICMP : "", v4 ? 4 : 6);
		nft_rule_start(&b, c);
		nft_match_family(&b, v4);
		if (key == NFT_MISS_PORT)
			nft_match_proto_set(&b, ports, sizeof(ports), false);
		else if (key == NFT_MISS_ICMP)
			nft_match_proto(&b, v4 ? PROTO_ICMP : PROTO_ICMP6);
		else
			nft_match_proto_set(&b, special, sizeof(special), true);
		nft_update_miss(&b, v4, key, set);
		rc = end(&b, verdict, to, "");
	}
	if (rc < 0)
		return rc;
	nft_rule_start(&b, c);
	nft_counter(&b);
	nft_verdict(&b, verdict, to);
	return nft_rule_finish(&b, 0, overflow_tag, "more than the sets hold, or too short to tell");
}

/*
 * Who speaks on a bridge and is no workload may be a container that started a moment ago, whose name has not come yet.
 * A refusal would be an error in a program that did nothing wrong; a packet that is lost is sent again, and then the
 * name is there. So for its first seconds it is lost, uncounted as a refusal since none was made; whoever has had that
 * time is refused as anybody. Full sets mean: no such time. What the host itself sends came in by no interface and is
 * not meant.
 */
static int build_newcomer(struct nft_model *m)
{
	struct nft_chain *c = chain(m, NFT_CHAIN_NEWCOMER, -1, "may be a container that is too new to have a name");
	struct nft_builder b;
	int rc = 0;

	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		const char *newcomers = v4 ? NFT_SET_NEWCOMERS "_4" : NFT_SET_NEWCOMERS "_6";
		const char *strangers = v4 ? NFT_SET_STRANGERS "_4" : NFT_SET_STRANGERS "_6";

		nft_rule_start(&b, c);
		nft_match_addr_set(&b, v4, true, newcomers, false);
		nft_counter(&b);
		rc = end(&b, NF_DROP, NULL, "newcomer, within its 3 seconds: dropped, so that it tries again");
		if (rc < 0)
			return rc;
		nft_rule_start(&b, c);
		nft_match_addr_set(&b, v4, true, strangers, false);
		nft_note_source(&b, v4, true, strangers);
		rc = end(&b, NFT_RETURN, NULL, "known to have no name: refused");
		if (rc < 0)
			return rc;
		nft_rule_start(&b, c);
		nft_match_family(&b, v4);
		nft_note_source(&b, v4, false, strangers);
		nft_note_source(&b, v4, false, newcomers);
		nft_counter(&b);
		rc = end(&b, NF_DROP, NULL, "newcomer, its first packet: dropped, so that it tries again");
	}
	return rc;
}

static int build_newcomer_test(struct nft_chain *c)
{
	struct nft_builder b;
	int rc = 0;

	for (int v4 = 1; rc == 0 && v4 >= 0; v4--) {
		nft_rule_start(&b, c);
		nft_match_in_kind(&b, "bridge");
		nft_match_addr_set(&b, v4, true, v4 ? NFT_SET_WORKLOADS "_4" : NFT_SET_WORKLOADS "_6", true);
		rc = end(&b, NFT_JUMP, NFT_CHAIN_NEWCOMER, "");
	}
	return rc;
}

/*
 * A segment in the middle of a connection that connection tracking has forgotten, or takes for a stray. It opens
 * nothing, so nothing is decided by it, and it may well be the answer in a connection that is allowed: a reset would
 * cut that. Lost, it is sent again, and the first segment the allowed way makes the connection known.
 */
static int build_midstream(struct nft_chain *c, int verdict)
{
	struct nft_builder b;

	nft_rule_start(&b, c);
	nft_match_not_syn(&b);
	nft_counter(&b);
	return end(&b, verdict, NULL, "opens no connection: no refusal, not told of as one");
}

static int build_misses(struct nft_model *m, uint64_t generation, uint16_t log_group)
{
	struct nft_chain *c;
	struct nft_builder b;
	char prefix[64];
	int rc;

	c = chain(m, NFT_SET_WOULD_BLOCK, -1, "no rule allows it: counted, sampled, let through");
	snprintf(prefix, sizeof(prefix), "weir would-block %llu ", (unsigned long long)generation);
	rc = build_midstream(c, NF_ACCEPT);
	if (rc == 0)
		rc = build_samples(c, SAMPLES, SAMPLES_BURST, prefix, log_group);
	if (rc == 0)
		rc = build_counting(c, NFT_SET_WOULD_BLOCK, NF_ACCEPT, NULL, NFT_TAG_OVERFLOW_WOULD_BLOCK);
	if (rc < 0)
		return rc;
	c = chain(m, NFT_SET_BLOCK, -1, "no rule allows it: counted, sampled, refused");
	snprintf(prefix, sizeof(prefix), "weir block %llu ", (unsigned long long)generation);
	rc = build_newcomer_test(c);
	if (rc == 0)
		rc = build_midstream(c, NF_DROP);
	if (rc == 0)
		rc = build_samples(c, ANSWERS, ANSWERS_BURST, prefix, log_group);
	if (rc == 0)
		rc = build_counting(c, NFT_SET_BLOCK, NFT_GOTO, "refuse", NFT_TAG_OVERFLOW_BLOCK);
	if (rc < 0)
		return rc;
	c = chain(m, "refuse", -1, "an answer at once, and not one that a dead service gives");
	nft_rule_start(&b, c);
	nft_match_proto(&b, PROTO_TCP);
	nft_reject(&b, true);
	rc = nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
	if (rc < 0)
		return rc;
	nft_rule_start(&b, c);
	nft_reject(&b, false);
	return nft_rule_finish(&b, 0, NFT_TAG_NONE, "");
}

static int build_about(struct nft_model *m, const struct nft_about *a)
{
	struct nft_chain *c = chain(m, NFT_CHAIN_ABOUT, -1, "what this table is; no packet comes here");
	uint64_t now = time_now_ns(), mono = time_mono_ns();
	char when[TIME_STRLEN], text[NFT_COMMENT_LEN];
	struct nft_builder b;

	if (a->armed == NFT_ARMED_UNTIL && a->deadline_ns > mono)
		snprintf(text, sizeof(text), "weir generation %llu; enforcement ends %.19sZ unless confirmed",
			 (unsigned long long)a->generation, time_format_utc(now + (a->deadline_ns - mono), when));
	else
		snprintf(text, sizeof(text), "weir generation %llu%s", (unsigned long long)a->generation,
			 a->armed == NFT_ARMED_UNTIL ? "; enforcement ended, nobody confirmed it" : "");
	nft_rule_start(&b, c);
	nft_verdict(&b, NFT_RETURN, NULL);
	return nft_rule_finish_about(&b, a, text);
}

int nft_build_fixed(struct nft_model *m, const struct nft_about *about, uint16_t log_group)
{
	int rc = build_sets(m);

	if (rc == 0)
		rc = build_base(m, "forward", NF_INET_FORWARD);
	if (rc == 0)
		rc = build_base(m, "input", NF_INET_LOCAL_IN);
	if (rc == 0)
		rc = build_base(m, "output", NF_INET_LOCAL_OUT);
	if (rc == 0)
		rc = build_decide(m);
	if (rc == 0)
		rc = build_newcomer(m);
	if (rc == 0)
		rc = build_misses(m, about->generation, log_group);
	return rc < 0 ? rc : build_about(m, about);
}
