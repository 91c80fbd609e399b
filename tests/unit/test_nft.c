/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table without a kernel: names, userdata and answers by decoding what was encoded; the built table by walking
 * it; the check for dry run by breaking what it must notice. The difference is tested on the kernel itself, in
 * tests/netns.
 */
#include "config.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "common/rule.h"
#include "common/verdict.h"
#include "segment/nft_anon.h"
#include "segment/nft_answer.h"
#include "segment/nft_build.h"
#include "segment/nft_elems.h"
#include "segment/nft_expr.h"
#include "segment/nft_send.h"
#include "tests/tap.h"

static void test_names(void)
{
	static const struct {
		const char *group, *base;
	} good[] = {{"shop/web", "shop_web"}, {"web", "web"}, {"a.b-c_d", "a.b-c_d"}, {"1st", "g_1st"}};
	static const char *const lossy[] = {"shop web", "caf\xc3\xa9", "a\"b", "\xff", "x_0123abcd"};
	char base[NFT_BASE_LEN], other[NFT_BASE_LEN], longest[GROUP_STRLEN];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		nft_name_base(base, good[i].group, true);
		CHECK_STR(base, good[i].base);
		nft_name_base(base, good[i].group, false);
		CHECK(strlen(base) == strlen(good[i].base) + 9);
	}
	for (size_t i = 0; i < sizeof(lossy) / sizeof(lossy[0]); i++) {
		nft_name_base(base, lossy[i], true);
		CHECK(strlen(base) > 9 && base[strlen(base) - 9] == '_');
		CHECK(strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		      strlen(base));
	}
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	nft_name_base(base, longest, false);
	longest[sizeof(longest) - 2] = 'y';
	nft_name_base(other, longest, false);
	CHECK(strcmp(base, other) != 0);
	CHECK(strlen(base) + strlen("out_") < NFT_NAME_LEN);
}

static void test_comments(void)
{
	char out[32], tight[10];

	nft_name_comment(out, sizeof(out), "say \"hi\"\n\x7f\xff ok");
	CHECK_STR(out, "say 'hi'??? ok");
	nft_name_comment(tight, sizeof(tight), "123456789");
	CHECK_STR(tight, "123456789");
	nft_name_comment(tight, sizeof(tight), "1234567890");
	CHECK_STR(tight, "123456...");
	nft_name_comment(tight, sizeof(tight),
			 "12345\xc3\xa9\xc3\xa9\xc3\xa9"); /* cut before a character, not inside */
	CHECK_STR(tight, "12345...");
	nft_name_comment(out, sizeof(out),
			 "\xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80"); /* surrogate, overlong, too high */
	CHECK_STR(out, "??? ?? ????");
}

static void test_notes(void)
{
	struct nft_note n = {
		.list = NFT_LIST_OUT,
		.stage = STAGE_ENFORCE,
		.tag = NFT_TAG_ABOUT,
		.id = 0xdeadbeef,
		.hash = 0x0123456789abcdefull,
		.has_about = true,
		.about = {.generation = UINT64_MAX, .layout = 3, .armed = NFT_ARMED_UNTIL, .deadline_ns = 77}};
	struct nft_note back;
	uint8_t data[NFT_USERDATA_LEN];
	uint64_t rnd = tap_seed();
	size_t len;

	memset(n.group, 'G', sizeof(n.group) - 1);
	memset(n.comment, 'c', sizeof(n.comment) - 1);
	len = nft_note_encode(data, 0, &n);
	CHECK(len <= NFT_USERDATA_LEN);
	CHECK(nft_note_decode(&back, 0, data, len));
	CHECK_STR(back.group, n.group);
	CHECK(back.hash == n.hash && back.id == n.id && back.tag == n.tag && back.list == n.list &&
	      back.stage == n.stage);
	CHECK(back.about.generation == UINT64_MAX && back.about.deadline_ns == 77 &&
	      back.about.armed == NFT_ARMED_UNTIL);
	CHECK(strncmp(back.comment, "cccccccc", 8) == 0 && strcmp(back.comment + strlen(back.comment) - 3, "...") == 0);
	/* Other people's userdata, cut and garbled: no, or at least no overrun. */
	CHECK(!nft_note_decode(&back, 0, "\0\4foo", 6));
	CHECK_STR(back.comment, "foo");
	for (size_t n_bytes = 0; n_bytes < len; n_bytes++)
		nft_note_decode(&back, 0, data, n_bytes);
	for (unsigned i = 0; i < 5000; i++) {
		data[tap_random(&rnd) % len] = (uint8_t)tap_random(&rnd);
		nft_note_decode(&back, 0, data, len);
		CHECK(memchr(back.group, '\0', sizeof(back.group)) && memchr(back.comment, '\0', sizeof(back.comment)));
	}
}

/* Membership in an interval set as the kernel understands its elements. */
static bool anon_contains(const struct nft_anon *set, uint16_t port)
{
	bool in = false;

	for (size_t i = 0; i < set->n; i++) {
		uint16_t key = (uint16_t)(set->keys[2 * i] << 8 | set->keys[2 * i + 1]);
		bool end = set->interval && i % 2 == (set->lead ? 0 : 1);

		if (!set->interval && key == port)
			return true;
		if (set->interval && key <= port)
			in = !end;
	}
	return in;
}

static void test_port_sets(void)
{
	uint64_t rnd = tap_seed();

	for (unsigned round = 0; round < 300; round++) {
		struct service s[8];
		struct nft_anon set;
		unsigned at = round % 3 ? (unsigned)(tap_random(&rnd) % 3) : 0;
		size_t n = 0;

		while (n < 8 && at <= 65535) {
			unsigned hi = at + (unsigned)(tap_random(&rnd) % 3 ? 0 : tap_random(&rnd) % 30000);

			s[n++] = (struct service){(uint16_t)at, (uint16_t)(hi > 65535 ? 65535 : hi), PROTO_TCP};
			at = hi + 1 +
			     (unsigned)(tap_random(&rnd) % 2 ? 0 : tap_random(&rnd) % 9000); /* often they touch */
		}
		CHECK_EQ(nft_anon_ports(&set, s, n), 0);
		for (unsigned port = 0; port <= 65535; port += port % 97 ? 1 : 7) {
			bool want = false;

			for (size_t i = 0; i < n; i++)
				want = want || service_contains(&s[i], PROTO_TCP, (uint16_t)port);
			if (anon_contains(&set, (uint16_t)port) != want)
				CHECK(!"a port is in the set and not in the services, or the other way round");
		}
		free(set.keys);
	}
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */
static uint16_t checksum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void test_answers_v4(void)
{
	uint8_t udp[28] = {0x45, 0, 0, 100, 0, 1, 0x40, 0,    64,   17, 0,  0, 10,
			   0,	 0, 1, 10,  0, 0, 2,	0x30, 0x39, 0,	53, 0, 80};
	uint8_t tcp[40] = {0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
			   0x30, 0x39, 0, 80, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x50, 0x02};
	uint8_t out[NFT_ANSWER_MAX];
	int n = nft_answer_write(out, udp, sizeof(udp));

	CHECK_EQ(n, 20 + 8 + 28);
	CHECK_EQ(checksum(0, out, 20), 0);
	CHECK_EQ(checksum(0, out + 20, (size_t)n - 20), 0);
	CHECK(out[20] == 3 && out[21] == 13 && memcmp(out + 28, udp, 28) == 0);
	CHECK(memcmp(out + 12, udp + 16, 4) == 0 && memcmp(out + 16, udp + 12, 4) == 0);
	for (size_t k = 0; k < sizeof(udp); k++)
		CHECK_EQ(nft_answer_write(out, udp, k), -EPROTO);
	udp[16] = 224; /* to a multicast group */
	CHECK_EQ(nft_answer_write(out, udp, sizeof(udp)), -EPROTO);
	udp[16] = 10;
	udp[7] = 1; /* a later fragment */
	CHECK_EQ(nft_answer_write(out, udp, sizeof(udp)), -EPROTO);
	udp[7] = 0;
	udp[9] = 1;
	udp[20] = 3; /* an ICMP error is not answered, an echo request is */
	CHECK_EQ(nft_answer_write(out, udp, sizeof(udp)), -EPROTO);
	udp[20] = 8;
	CHECK(nft_answer_write(out, udp, sizeof(udp)) > 0);
	n = nft_answer_write(out, tcp, sizeof(tcp));
	CHECK_EQ(n, 40);
	{
		uint32_t pseudo = 6 + 20;

		for (int i = 12; i < 20; i += 2)
			pseudo += (uint32_t)out[i] << 8 | out[i + 1];
		CHECK_EQ(checksum(pseudo, out + 20, 20), 0);
	}
	CHECK(out[33] == 0x14 && memcmp(out + 28, "\0\0\0\0", 4) == 0); /* RST|ACK; sequence 0xffffffff + 1 wraps */
	tcp[33] = 0x10;
	memcpy(tcp + 28, "\1\2\3\4", 4);
	CHECK_EQ(nft_answer_write(out, tcp, sizeof(tcp)), 40);
	CHECK(out[33] == 0x04 && memcmp(out + 24, "\1\2\3\4", 4) == 0);
	tcp[33] = 0x14;
	CHECK_EQ(nft_answer_write(out, tcp, sizeof(tcp)), -EPROTO); /* never a reset to a reset */
}

static void test_answers_v6(void)
{
	uint8_t udp[48] = {0x60, 0, 0, 0, 0, 60, 17, 64, 0xfd, [23] = 1, [24] = 0xfd, [39] = 2, 0x30, 0x39, 0, 53};
	uint8_t out[NFT_ANSWER_MAX];
	uint32_t pseudo = 8 + 48 + 58;
	uint64_t rnd = tap_seed();
	int n = nft_answer_write(out, udp, sizeof(udp));

	CHECK_EQ(n, 40 + 8 + 48);
	for (int i = 8; i < 40; i += 2)
		pseudo += (uint32_t)out[i] << 8 | out[i + 1];
	CHECK_EQ(checksum(pseudo, out + 40, 56), 0);
	CHECK(out[40] == 1 && out[41] == 1);
	udp[24] = 0xff;
	CHECK_EQ(nft_answer_write(out, udp, sizeof(udp)), -EPROTO);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t junk[80];

		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)tap_random(&rnd);
		junk[0] = (uint8_t)((tap_random(&rnd) % 2 ? 0x40 : 0x60) | (junk[0] & 0xf));
		n = nft_answer_write(out, junk, tap_random(&rnd) % sizeof(junk));
		CHECK(n == -EPROTO || (n >= 40 && n <= NFT_ANSWER_MAX));
	}
}

/* ---- the built table --------------------------------------------------------------------------------------------- */
static struct service svc[] = {{80, 80, PROTO_TCP}, {443, 450, PROTO_TCP}, {53, 53, PROTO_UDP}, {8, 8, PROTO_ICMP}};

struct world {
	struct ruleset rs;
	struct ruleset_group groups[3];
	struct rule rules[3];
	struct nft_roles roles;
	struct nft_model m;
};

static void world_init(struct world *w, uint8_t stage)
{
	static const struct nft_about about = {.generation = 5, .layout = NFT_LAYOUT, .armed = NFT_ARMED_FOR_GOOD};

	memset(w, 0, sizeof(*w));
	w->rs = (struct ruleset){5, w->groups, 3, w->rules, 3};
	strcpy(w->groups[0].name, "a");
	strcpy(w->groups[1].name, "b/c");
	strcpy(w->groups[2].name, "b_c");
	w->groups[0].stage = STAGE_OBSERVE;
	w->groups[1].stage = stage;
	w->groups[2].stage = STAGE_DRY_RUN;
	w->rules[0] = (struct rule){.id = 1,
				    .group = 1,
				    .inbound = true,
				    .peer_kind = RULE_PEER_GROUP,
				    .peer_group = "a",
				    .services = svc,
				    .n_services = 4};
	w->rules[1] =
		(struct rule){.id = 2, .group = 1, .peer_kind = RULE_PEER_WORLD, .services = svc, .n_services = 1};
	w->rules[2] = (struct rule){.id = 3, .group = 2, .inbound = true, .peer_kind = RULE_PEER_ANY, .services = svc,
				    .n_services = 4};
	CHECK_EQ(nft_roles_build(&w->roles, &w->rs), 0);
	CHECK_EQ(nft_build(&w->m, &w->rs, &w->roles, &about, 3), 0);
}

static void world_fini(struct world *w)
{
	nft_model_fini(&w->m);
	nft_roles_fini(&w->roles);
}

static void test_build(void)
{
	struct world w;
	const struct nft_role *b_slash, *b_under;
	const struct nft_chain *c;
	char name[NFT_NAME_LEN], part[NFT_NAME_LEN];
	const struct nft_way *ways;
	size_t n;

	world_init(&w, STAGE_ENFORCE);
	b_slash = nft_roles_find(&w.roles, "b/c");
	b_under = nft_roles_find(&w.roles, "b_c");
	CHECK(b_slash && b_under && strcmp(b_slash->base, b_under->base) != 0);
	CHECK(nft_roles_find(&w.roles, "a") && nft_roles_find(&w.roles, "a")->peer &&
	      !nft_roles_find(&w.roles, "a")->listed);
	CHECK(!nft_model_find_set(&w.m, "a_4")); /* sets are by list, not by peer */
	CHECK(!nft_model_find_chain(&w.m, "in_a")); /* at observe it has no lists */
	snprintf(name, sizeof(name), "in_%s", b_slash->base);
	c = nft_model_find_chain(&w.m, name);
	/* the two maps of its peers, two matches of the armed set, the end */
	CHECK_EQ(c ? c->n_rules : 0, 2 + 3);
	nft_name_part(part, name, "a");
	c = nft_model_find_chain(&w.m, part);
	CHECK_EQ(c ? c->n_rules : 0, 3); /* tcp, udp, icmp */
	ways = nft_roles_ways(&w.roles, "a", &n);
	CHECK(n == 1 && ways && strcmp(ways->list, name) == 0 && strcmp(ways->part, part) == 0);
	CHECK(!nft_roles_ways(&w.roles, "b_c", &n) && n == 0);
	strcat(name, "_6");
	CHECK(nft_model_find_set(&w.m, name));
	snprintf(name, sizeof(name), "out_%s", b_under->base);
	c = nft_model_find_chain(&w.m, name);
	CHECK_EQ(c ? c->n_rules : 0, 1); /* an empty list refuses */
	world_fini(&w);
}

static void test_check(void)
{
	char error[NFT_ERROR_STRLEN], name[NFT_NAME_LEN];
	struct nft_builder b;
	struct world w;

	for (int how = 0; how < 8; how++) {
		world_init(&w, how < 3 || how == 7 ? STAGE_DRY_RUN : STAGE_ENFORCE);
		CHECK_EQ(nft_check(&w.m, error, sizeof(error)), 0);
		snprintf(name, sizeof(name), "in_%s", nft_roles_find(&w.roles, "b/c")->base);
		if (how == 5) { /* a map's element leads out of the list */
			strcat(name, "_4");
			CHECK_EQ(nft_set_elem(nft_model_find_set(&w.m, name), "\1\2\3\4", 4, "block", NULL, 0), 0);
			CHECK_EQ(nft_check(&w.m, error, sizeof(error)), -EPROTO);
			world_fini(&w);
			continue;
		}
		if (how == 6 || how == 7) /* part of the list refuses, though no element leads there yet */
			strcat(name, "/a");
		if (how == 1)
			strcpy(name, "would_block"); /* not in the list itself, but where it leads */
		nft_rule_start(&b, nft_model_find_chain(&w.m, name));
		if (how == 0)
			nft_verdict(&b, NF_DROP, NULL);
		else if (how == 1)
			nft_reject(&b, false);
		else
			nft_verdict(&b, how == 4 ? NFT_JUMP : NFT_GOTO,
				    how == 4 ? "refuse" : "block"); /* without armed */
		CHECK_EQ(nft_rule_finish(&b, 0, NFT_TAG_NONE, ""), 0);
		error[0] = '\0';
		CHECK_EQ(nft_check(&w.m, error, sizeof(error)), -EPROTO);
		CHECK(strstr(error, "could refuse"));
		world_fini(&w);
	}
}

/* The same content has the same hash in two builds, and no two rules of a chain have the same one. */
static void test_hashes(void)
{
	struct world w, v;

	world_init(&w, STAGE_ENFORCE);
	world_init(&v, STAGE_ENFORCE);
	CHECK_EQ(w.m.n_chains, v.m.n_chains);
	for (size_t i = 0; i < w.m.n_chains; i++) {
		const struct nft_chain *c = &w.m.chains[i], *d = &v.m.chains[i];

		CHECK_EQ(c->n_rules, d->n_rules);
		for (size_t k = 0; k < c->n_rules; k++) {
			CHECK(c->rules[k].hash == d->rules[k].hash);
			for (size_t x = 0; x < k; x++)
				CHECK(c->rules[k].hash != c->rules[x].hash);
		}
	}
	world_fini(&v);
	svc[1].hi = 451; /* inside an anonymous set: the rule differs nowhere else */
	world_init(&v, STAGE_ENFORCE);
	{
		char name[NFT_NAME_LEN];
		unsigned differ = 0;

		snprintf(name, sizeof(name), "in_%s", nft_roles_find(&w.roles, "b/c")->base);
		strcat(name, "/a");
		for (size_t k = 0; k < 3; k++)
			differ += nft_model_find_chain(&w.m, name)->rules[k].hash !=
				  nft_model_find_chain(&v.m, name)->rules[k].hash;
		CHECK_EQ(differ, 1); /* tcp */
	}
	svc[1].hi = 450;
	world_fini(&v);
	world_fini(&w);
}

int main(void)
{
	test_names();
	test_comments();
	test_notes();
	test_port_sets();
	test_answers_v4();
	test_answers_v6();
	test_build();
	test_check();
	test_hashes();
	return tap_done();
}
