/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * weir explain: what happens to a connection now, and why. The ends may be addresses, workloads or groups; the ruleset
 * is that of the generation in force by the store, or of a document not yet applied. segment/eval decides and finds the
 * words.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/timefmt.h"
#include "segment/eval.h"
#include "store/identity.h"
#include "ui-cli/in_force.h"
#include "ui-cli/jsonl.h"
#include "ui-cli/options.h"
#include "ui-cli/policy_file.h"
#include "ui-cli/table.h"
#include "ui-cli/verb.h"
#include "ui-cli/view.h"

struct end {
	struct addr addr;
	struct addr choice[WORKLOAD_ADDRS_MAX]; /* those it has, where it was not told by address */
	unsigned n_choice;
	char group[GROUP_STRLEN];
	char name[128];   /* of the workload; "" for an address or a group */
	unsigned members; /* workloads in the group now; 0: not known */
};

struct explaining {
	struct view view;
	const struct command *command;
	const struct policy *policy; /* for its selectors; NULL: none */
	struct ruleset rs;           /* the one that decides */
	uint64_t generation;         /* in force; 0: a document not applied, or none */
	const struct in_force *force; /* NULL: a document not applied */
	uint64_t now_ns;
	struct end end[2];
	uint8_t proto;
	uint16_t port;
};

static const char *group_of(const struct explaining *x, const struct workload *w)
{
	if (w->kind == WORKLOAD_HOST)
		return GROUP_HOST;
	return x->policy ? policy_group_of(x->policy, w) : w->group;
}

/* Which of its addresses is for choose_addrs; the first where nothing speaks for another. */
static void take_addrs(struct end *e, const struct workload *w)
{
	memcpy(e->choice, w->addrs, w->n_addrs * sizeof(e->choice[0]));
	e->n_choice = w->n_addrs;
	e->addr = w->addrs[0];
}

/* Walk: counts members of a group, and keeps the first one's address. */
struct membership {
	const struct explaining *x;
	struct end *end;
	bool want_addr;
};

static int count_member(void *arg, const struct workload *w)
{
	struct membership *m = arg;

	if (w->kind == WORKLOAD_HOST || strcmp(group_of(m->x, w), m->end->group) != 0)
		return 0;
	m->end->members++;
	if (m->want_addr && w->n_addrs) {
		take_addrs(m->end, w);
		m->want_addr = false;
	}
	return 0;
}

static void set_workload(struct explaining *x, struct end *e, const struct workload *w)
{
	snprintf(e->name, sizeof(e->name), "%s", w->name);
	snprintf(e->group, sizeof(e->group), "%s", group_of(x, w));
	if (addr_is_zero(&e->addr) && w->n_addrs)
		take_addrs(e, w);
}

/* An address: whose it is now. */
static void resolve_addr(struct explaining *x, struct end *e)
{
	struct output_end who;

	naming_addr(x->view.naming, x->view.txn, &e->addr, x->now_ns, 0, &who);
	if (who.workload)
		set_workload(x, e, who.workload);
	else
		snprintf(e->group, sizeof(e->group), "%s", who.group);
}

static int resolve(struct explaining *x, struct end *e, const char *text)
{
	struct membership m = {x, e, true};
	struct workload *w;
	int rc;

	if (addr_parse(&e->addr, text) == 0) {
		resolve_addr(x, e);
	} else if (strcmp(text, GROUP_WORLD) == 0 || strcmp(text, GROUP_HOST) == 0) {
		snprintf(e->group, sizeof(e->group), "%s", text);
	} else {
		w = malloc(sizeof(*w));
		rc = w ? store_workload_find(x->view.txn, text, x->now_ns, w) : -ENOMEM;
		if (rc == 0)
			set_workload(x, e, w);
		free(w);
		if (rc == -EEXIST)
			return command_failed(x->command,
					      "several workloads have an id that begins with \"%s\": write more of it",
					      text);
		if (rc < 0 && rc != -ENOENT)
			return view_failed(&x->view, "workloads", rc);
		if (rc == -ENOENT)
			snprintf(e->group, sizeof(e->group), "%.*s", GROUP_STRLEN - 1, text);
	}
	m.want_addr = addr_is_zero(&e->addr);
	rc = store_workload_walk(x->view.txn, x->now_ns, 0, count_member, &m);
	if (rc < 0)
		return view_failed(&x->view, "workloads", rc);
	if (!e->name[0] && !e->members && addr_is_zero(&e->addr) && strcmp(e->group, GROUP_WORLD) != 0 &&
	    strcmp(e->group, GROUP_HOST) != 0 && ruleset_find_group(&x->rs, e->group) < 0)
		return command_failed(x->command,
				      "\"%s\" is no address, and no workload or group that is known here now. "
				      "`weir map` lists groups, `weir map --by workload` workloads",
				      text);
	return VERB_DONE;
}

/* "443", "443/tcp", "53/udp", "echo-request/icmp", "gre". */
static int parse_service(struct explaining *x, const char *text)
{
	char with_proto[80];
	struct service s;

	snprintf(with_proto, sizeof(with_proto), strspn(text, "0123456789") == strlen(text) ? "%.60s/tcp" : "%.60s",
		 text);
	if (service_parse(&s, with_proto) < 0 || s.proto == 0 ||
	    (s.lo != s.hi && (proto_has_ports(s.proto) || proto_is_icmp(s.proto))))
		return command_misused(x->command,
				       "\"%s\" is no single service: write 443, 443/tcp, 53/udp or echo-request/icmp",
				       text);
	x->proto = s.proto;
	x->port = s.lo;
	return VERB_DONE;
}

static struct eval_names names_of(const struct explaining *x)
{
	return (struct eval_names){x->end[0].name[0] ? x->end[0].name : NULL, x->end[1].name[0] ? x->end[1].name : NULL,
				   x->end[0].members, x->end[1].members};
}

static int print_text(const struct explaining *x)
{
	struct eval_end src = {x->end[0].addr, x->end[0].group}, dst = {x->end[1].addr, x->end[1].group};
	struct eval_names names = names_of(x);
	struct buf b = BUF_INIT;

	eval_explain(&b, &x->rs, &src, &dst, x->proto, x->port, &names);
	for (char *line = b.data ? strtok(b.data, "\n") : NULL; line; line = strtok(NULL, "\n")) {
		table_print(stdout, TABLE_PLAIN, line);
		putchar('\n');
	}
	buf_fini(&b);
	if (x->force)
		in_force_print_lapsed(x->force, stdout);
	return VERB_DONE;
}

static json_t *end_json(const struct end *e)
{
	json_t *o = json_object();

	if (!addr_is_zero(&e->addr))
		jsonl_set_addr(o, "ip", &e->addr);
	jsonl_set_text(o, "group", e->group);
	jsonl_set_text(o, "workload", e->name);
	return o;
}

static int print_json(const struct explaining *x)
{
	struct eval_end src = {x->end[0].addr, x->end[0].group}, dst = {x->end[1].addr, x->end[1].group};
	char text[SERVICE_STRLEN];
	struct service s = service_of(x->proto, x->port);
	struct eval_names names = names_of(x);
	struct buf b = BUF_INIT;
	struct eval_result r;
	json_t *o = jsonl_event("explanation");
	int rc;

	eval(&r, &x->rs, &src, &dst, x->proto, x->port);
	json_object_set_new(o, "src", end_json(&x->end[0]));
	json_object_set_new(o, "dest", end_json(&x->end[1]));
	jsonl_set_text(o, "service", service_format(&s, text));
	jsonl_set_text(o, "verdict", verdict_name(r.verdict));
	if (r.group >= 0) {
		jsonl_set_text(o, "group", x->rs.groups[r.group].name);
		jsonl_set_text(o, "stage", stage_name(r.stage));
		jsonl_set_text(o, "list", r.inbound ? "inbound" : "outbound");
	}
	if (r.rule)
		jsonl_set_number(o, "rule_line", r.rule->line);
	if (x->generation)
		jsonl_set_number(o, "generation", x->generation);
	if (x->force)
		in_force_set_lapsed(o, x->force);
	eval_explain(&b, &x->rs, &src, &dst, x->proto, x->port, &names);
	jsonl_set_text(o, "text", b.data);
	buf_fini(&b);
	rc = jsonl_print(o);
	return rc < 0 ? command_failed(x->command, "out of memory") : VERB_DONE;
}

/* A document not yet applied, numbered as the generation that it would become. */
static int load_document(struct explaining *x, const char *path, struct policy_file *file)
{
	int status = policy_file_read(file, x->command, path);

	if (status == VERB_DONE) {
		x->policy = file->policy;
		status = policy_file_compile(&x->rs, x->command, file);
	}
	if (status == VERB_DONE && store_generation_last(x->view.txn, &x->rs.generation) == 0)
		x->rs.generation++;
	return status;
}

static unsigned bits_in_common(const struct addr *a, const struct addr *b)
{
	unsigned n = 0;

	while (n < 8 * sizeof(a->b) && !((a->b[n / 8] ^ b->b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

/* A container on several networks is reached on the one that the other end is on, and by the same IP version: of the
 * addresses that are known, those that lie nearest to each other. */
static void choose_addrs(struct end *src, struct end *dst)
{
	struct addr from = src->addr, to = dst->addr;
	unsigned best = bits_in_common(&from, &to), n;

	for (unsigned i = 0; i < (src->n_choice ? src->n_choice : 1); i++) {
		const struct addr *s = src->n_choice ? &src->choice[i] : &from;

		for (unsigned k = 0; k < (dst->n_choice ? dst->n_choice : 1); k++) {
			const struct addr *d = dst->n_choice ? &dst->choice[k] : &to;

			n = bits_in_common(s, d);
			if (n > best) {
				best = n;
				src->addr = *s;
				dst->addr = *d;
			}
		}
	}
}

/* Answers once it is known which ruleset decides. */
static int answer(struct explaining *x, const struct operands *rest, bool json)
{
	for (unsigned i = 0; i < 2; i++) {
		int status = resolve(x, &x->end[i], rest->v[i]);

		if (status != VERB_DONE)
			return status;
	}
	if (!addr_is_zero(&x->end[0].addr) && !addr_is_zero(&x->end[1].addr))
		choose_addrs(&x->end[0], &x->end[1]);
	return json ? print_json(x) : print_text(x);
}

static int answer_by_document(struct explaining *x, const char *path, const struct operands *rest, bool json)
{
	struct policy_file file = {0};
	int status = load_document(x, path, &file);

	if (status == VERB_DONE) {
		status = answer(x, rest, json);
		ruleset_fini(&x->rs);
	}
	policy_file_fini(&file);
	return status;
}

static int answer_by_force(struct explaining *x, const struct operands *rest, bool json)
{
	struct in_force f;
	int rc = in_force_read(&f, x->view.txn), status;

	if (rc < 0)
		return view_failed(&x->view, "policy in force", rc);
	x->rs = f.ruleset; /* lent */
	x->policy = f.policy;
	x->generation = f.generation.number;
	x->force = &f;
	status = answer(x, rest, json);
	x->force = NULL;
	in_force_fini(&f);
	return status;
}

int verb_explain(int argc, char **argv)
{
	static const char *const formats[] = {"text", "json", NULL};
	const char *dir = STATE_DIR_DEFAULT, *path = NULL;
	struct explaining x = {.now_ns = time_now_ns()};
	int format = 0, status;
	const struct option_spec options[] = {
		OPTION_STATE(&dir),
		{OPTION_KIND_TEXT, 'p', "policy", "FILE", "by this document instead of the one in force", &path, NULL},
		OPTION_OUTPUT(&format, formats), OPTION_END};
	const struct command c = {
		.verb = "explain",
		.usage = "SRC DST PORT[/PROTO] [options]",
		.min_operands = 3,
		.max_operands = 3,
		.options = options,
		.about = "What happens to this connection now, and why: who decides, by which rule; for\n"
			 "a refusal the nearest rule, what did not fit, the smallest edit that would\n"
			 "allow it and what else that edit would let in. SRC and DST are addresses,\n"
			 "workloads, groups, world or host. PROTO is tcp where it is not said.\n",
		.examples = "  weir explain shop-web-1 shop/db 5432\n"
			    "  weir explain 172.18.0.5 world 53/udp\n"
			    "  weir explain shop/lb shop/web echo-request/icmp -p policy.yaml\n"};
	struct operands rest;

	if (!options_parse(&c, argc, argv, &rest, &status))
		return status;
	x.command = &c;
	status = parse_service(&x, rest.v[2]);
	if (status != VERB_DONE)
		return status;
	status = view_open(&x.view, &c, dir);
	if (status != VERB_DONE)
		return status;
	status = path ? answer_by_document(&x, path, &rest, format == 1) : answer_by_force(&x, &rest, format == 1);
	view_close(&x.view);
	return status;
}
