/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules of the document: {from: PEERS, ports: SERVICES} and {to: PEERS, ports: SERVICES, names: NAMES}. Most slips are
 * made here, so most of this file is about saying what was meant: a port without its protocol, a range of addresses
 * with host bits, "from" in an outbound list. A list of peers becomes one rule for each.
 */
#include "config.h"
#include "segment/policy_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "segment/policy_text.h"

#define RULES_MAX 1048576 /* as common/rule.c decodes */
#define SERVICES_MAX 65536
#define VALUES_MAX 4000000 /* ports and names of all rules: lists of peers multiply those of ports */

/* Names people write for a port; only ever suggested, never understood: a policy says what it means. */
static const char *known_service(const char *text)
{
	static const char *const known[][2] = {
		{"http", "80/tcp"},	    {"https", "443/tcp"},   {"dns", "53/udp"},
		{"domain", "53/udp"},	    {"ssh", "22/tcp"},	    {"postgres", "5432/tcp"},
		{"postgresql", "5432/tcp"}, {"mysql", "3306/tcp"},  {"redis", "6379/tcp"},
		{"mongodb", "27017/tcp"},   {"amqp", "5672/tcp"},   {"kafka", "9092/tcp"},
		{"smtp", "25/tcp"},	    {"ldap", "389/tcp"},    {"ntp", "123/udp"},
		{"syslog", "514/udp"},	    {"statsd", "8125/udp"}, {"ping", "echo-request/icmp"},
		{"memcached", "11211/tcp"}, {"imap", "143/tcp"},    {"ldaps", "636/tcp"},
		{"grpc", "50051/tcp"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcasecmp(known[i][0], text) == 0)
			return known[i][1];
	}
	return NULL;
}

/* Why text is no service, and what to write. */
static void complain_service(struct policy_reader *r, const struct tree_node *n)
{
	unsigned long lo = 0, hi = 0;
	char shown[48], proto[16] = "", tail;
	const char *known = known_service(n->text);
	struct service s;

	policy_text_show(shown, sizeof(shown), n->text, n->len);
	if (known)
		READ_ERROR(r, n, "\"%s\" is no port: write %s", shown, known);
	else if (sscanf(n->text, "%5lu-%5lu%c", &lo, &hi, &tail) == 2 && lo <= hi && hi <= 65535)
		READ_ERROR(r, n, "\"%s\" has no protocol: write %lu-%lu/tcp (or /udp)", shown, lo, hi);
	else if (sscanf(n->text, "%6lu%c", &lo, &tail) == 1 && lo <= 65535)
		READ_ERROR(r, n, "\"%s\" has no protocol: write %lu/tcp (or %lu/udp)", shown, lo, lo);
	else if (sscanf(n->text, "%5lu-%5lu/%15[a-z]", &lo, &hi, proto) == 3 && lo > hi && lo <= 65535)
		READ_ERROR(r, n, "\"%s\" goes downwards: write %lu-%lu/%s", shown, hi, lo, proto);
	else if (sscanf(n->text, "%15[a-zA-Z]/%6lu%c", proto, &lo, &tail) == 2 && lo <= 65535 &&
		 snprintf(shown, sizeof(shown), "%lu/%s", lo, proto) > 0 && service_parse(&s, shown) == 0)
		READ_ERROR(r, n, "the port comes first: write %s", shown);
	else if (sscanf(n->text, "%9lu/%15[a-z]", &lo, proto) == 2 && lo > 65535)
		READ_ERROR(r, n, "\"%s\": ports end at 65535", shown);
	else
		READ_ERROR(r, n,
			   "\"%s\" is no service: write it like 443/tcp, 8000-8100/udp, echo-request/icmp, tcp, gre or "
			   "any",
			   shown);
}

/* What the text would be as an address with its host bits cleared; NULL when it is none. */
static const char *corrected_prefix(const char *text, char *out, size_t size)
{
	char head[ADDR_STRLEN];
	unsigned long len = 0, max;
	struct addr a;
	size_t n = strcspn(text, "/");
	char *end;

	if (text[n] != '/' || n >= sizeof(head))
		return NULL;
	memcpy(head, text, n);
	head[n] = '\0';
	if (addr_parse(&a, head) < 0)
		return NULL;
	max = addr_is_v4(&a) ? 32 : 128;
	len = strtoul(text + n + 1, &end, 10);
	if (text[n + 1] == '\0' || *end || len > max)
		return NULL;
	for (unsigned i = (unsigned)(len + 128 - max); i < 128; i++)
		a.b[i / 8] = (uint8_t)(a.b[i / 8] & ~(0x80 >> (i % 8)));
	snprintf(out, size, "%s/%lu", addr_format(&a, head), len);
	return out;
}

static void complain_peer(struct policy_reader *r, const struct tree_node *n)
{
	char shown[64], fixed[PREFIX_STRLEN];
	bool addressy = strspn(n->text, "0123456789./") == n->len;

	policy_text_show(shown, sizeof(shown), n->text, n->len);
	if (corrected_prefix(n->text, fixed, sizeof(fixed)))
		READ_ERROR(r, n,
			   "\"%s\" has bits set behind its length: write %s for the range, or leave the length out for "
			   "the one address",
			   shown, fixed);
	else if (strchr(n->text, '/') && (addressy || strchr(n->text, ':')))
		READ_ERROR(r, n, "\"%s\" is no range of addresses: the length goes to 32 for IPv4, 128 for IPv6",
			   shown);
	else if (n->len >= GROUP_STRLEN)
		READ_ERROR(r, n, "the group's name is longer than %d bytes", GROUP_STRLEN - 1);
	else
		READ_ERROR(r, n, "\"%s\" is neither a group, a range of addresses, world, host nor any", shown);
}

/* One peer: sets it in *rule. False after a complaint. */
static bool read_peer(struct policy_reader *r, const struct tree_node *n, const char *key, struct policy_rule *rule)
{
	const char *text = policy_read_text(r, n, key);
	static const char *const reserved[] = {GROUP_WORLD, GROUP_HOST, "any", NULL};
	char shown[64];

	if (!text)
		return false;
	if (strspn(text, "0123456789.") == strlen(text) && strchr(text, '.') && policy_set_peer(rule, text) == 0 &&
	    rule->peer_kind == RULE_PEER_GROUP) {
		READ_ERROR(r, n,
			   "\"%s\" is no whole address: write all four numbers, with a length for a range (10.0.0.0/8)",
			   policy_text_show(shown, sizeof(shown), text, n->len));
		return false;
	}
	if (policy_set_peer(rule, text) < 0) {
		complain_peer(r, n);
		return false;
	}
	for (size_t i = 0; reserved[i] && rule->peer_kind == RULE_PEER_GROUP; i++) {
		if (strcasecmp(text, reserved[i]) == 0) {
			READ_ERROR(r, n, "reserved names are written small: write %s", reserved[i]);
			return false;
		}
	}
	return true;
}

/* ports: of one rule, into *rule. */
static int read_services(struct policy_reader *r, const struct tree_node *n, struct policy_rule *rule)
{
	const struct tree_node *one = n->kind == TREE_LIST ? n->first : n;
	size_t count = n->kind == TREE_LIST ? n->n : 1;

	if (count == 0 || count > SERVICES_MAX || n->kind == TREE_MAP || (n->kind == TREE_SCALAR && n->null)) {
		READ_ERROR(
			r, n,
			count > SERVICES_MAX
				? "too many ports: write ranges, 8000-8100/tcp"
				: "ports: is empty: list what is allowed, like [443/tcp], or write any for everything");
		return 0;
	}
	rule->services = calloc(count, sizeof(*rule->services));
	if (!rule->services)
		return -ENOMEM;
	for (; one; one = n->kind == TREE_LIST ? one->next : NULL) {
		if (!policy_read_text(r, one, "a port"))
			continue;
		if (service_parse(&rule->services[rule->n_services], one->text) == 0)
			rule->n_services++;
		else
			complain_service(r, one);
	}
	return 0;
}

bool policy_dns_name_ok(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*");

	return n > 0 && n == strlen(text) && n <= 253;
}

static int read_names(struct policy_reader *r, const struct tree_node *n, struct policy_rule *rule)
{
	const struct tree_node *one = n->kind == TREE_LIST ? n->first : n;
	char shown[64];
	int rc = 0;

	if (n->kind == TREE_SCALAR && n->null)
		return 0;
	for (; one && rc == 0; one = n->kind == TREE_LIST ? one->next : NULL) {
		const char *text = policy_read_text(r, one, "a name");

		if (!text)
			continue;
		if (policy_dns_name_ok(text))
			rc = policy_add_name(rule, text);
		else
			READ_ERROR(r, one, "\"%s\" is no DNS name: write it like api.example.com",
				   policy_text_show(shown, sizeof(shown), text, one->len));
	}
	return rc;
}

/* Appends the rule for one peer, with copies of what the peers of the rule share. */
static int append_rule(struct policy_reader *r, const struct policy_rule *shared, const struct policy_rule *peer,
		       struct policy_rule **rules, size_t *n)
{
	struct policy_rule *rule = policy_append_rule(rules, n);
	int rc = 0;

	if (!rule)
		return -ENOMEM;
	r->n_rules++;
	rule->peer_kind = peer->peer_kind;
	rule->peer_prefix = peer->peer_prefix;
	memcpy(rule->peer_group, peer->peer_group, sizeof(rule->peer_group));
	rule->inbound = shared->inbound;
	rule->line = shared->line;
	if (shared->n_services) {
		rule->services = calloc(shared->n_services, sizeof(*rule->services));
		if (!rule->services)
			return -ENOMEM;
		memcpy(rule->services, shared->services, shared->n_services * sizeof(*rule->services));
		rule->n_services = shared->n_services;
	}
	for (size_t i = 0; i < shared->n_names && rc == 0; i++)
		rc = policy_add_name(rule, shared->names[i]);
	return rc;
}

/* An outbound list decides what leaves for world and host; towards a group the server's inbound list decides. */
static void warn_outbound_group(struct policy_reader *r, const struct tree_node *n, const char *peer, const char *group)
{
	policy_complain(r->errors, true, n->line, n->column,
			"no effect: outbound lists decide what leaves for world and host. Write {from: %.60s, ...} "
			"under inbound of %.60s",
			group, peer);
}

static int read_peers(struct policy_reader *r, const struct tree_node *peers, const struct policy_rule *shared,
		      const char *group, struct policy_rule **rules, size_t *n)
{
	const struct tree_node *one = peers->kind == TREE_LIST ? peers->first : peers;
	const char *key = shared->inbound ? "from" : "to";
	int rc = 0;

	if (peers->kind == TREE_LIST && peers->n == 0)
		READ_ERROR(r, peers, "%s: names nobody: write a group, world, host, any or a range", key);
	for (; one && rc == 0; one = peers->kind == TREE_LIST ? one->next : NULL) {
		struct policy_rule peer = {.peer_kind = 0};

		if (!read_peer(r, one, key, &peer))
			continue;
		if (!shared->inbound && peer.peer_kind == RULE_PEER_GROUP)
			warn_outbound_group(r, one, peer.peer_group, group);
		if (r->n_rules >= RULES_MAX) {
			if (r->n_rules == RULES_MAX)
				READ_ERROR(r, one, "more than %d rules: split the policy", RULES_MAX);
			r->n_rules = RULES_MAX + 1;
			return 0;
		}
		r->n_values += shared->n_services + shared->n_names;
		if (r->n_values > VALUES_MAX) {
			READ_ERROR(r, one, "more than %d ports in all: split the policy", VALUES_MAX);
			return -E2BIG;
		}
		rc = append_rule(r, shared, &peer, rules, n);
	}
	return rc;
}

static int read_rule(struct policy_reader *r, const struct tree_node *n, bool inbound, const char *group,
		     struct policy_rule **rules, size_t *n_rules)
{
	static const char *const words_in[] = {"from", "ports", NULL}, *const words_out[] = {"to", "ports", "names",
											     NULL};
	const char *key = inbound ? "from" : "to", *other = inbound ? "to" : "from";
	struct policy_rule shared = {.inbound = inbound, .line = n->line};
	const struct tree_node *peers = tree_get(n, key), *ports = tree_get(n, "ports"), *names = tree_get(n, "names"),
			       *wrong;
	int rc;

	if (n->kind != TREE_MAP) {
		READ_ERROR(r, n, "a rule is written {%s: %s, ports: [443/tcp]}", key, inbound ? "shop/web" : "world");
		return 0;
	}
	wrong = tree_get(n, other);
	if (wrong || (inbound && names)) {
		wrong = wrong ? wrong : names;
		READ_ERROR(r, wrong->key,
			   wrong == names ? "names: belong to outbound rules (%s: is for outbound, %s: for inbound)"
					  : "\"%s:\" in the wrong list: rules of this one are written with \"%s:\"",
			   other, key);
		return 0;
	}
	rc = policy_read_keys(r, n, inbound ? "an inbound rule" : "an outbound rule", inbound ? words_in : words_out);
	if (rc < 0)
		return rc;
	if (!peers)
		READ_ERROR(r, n, "this rule has no %s: add {%s: ...}: a group, world, host, any or a range", key, key);
	if (!ports)
		READ_ERROR(r, n, "this rule has no ports: add ports: [443/tcp], or ports: any for everything");
	if (ports)
		rc = read_services(r, ports, &shared);
	if (names && rc == 0)
		rc = read_names(r, names, &shared);
	if (peers && rc == 0)
		rc = read_peers(r, peers, &shared, group, rules, n_rules);
	free(shared.services);
	for (size_t i = 0; i < shared.n_names; i++)
		free(shared.names[i]);
	free(shared.names);
	return rc;
}

int policy_read_rules(struct policy_reader *r, const struct tree_node *list, bool inbound, const char *group,
		      struct policy_rule **rules, size_t *n)
{
	int rc = 0;

	if (list->kind == TREE_SCALAR && list->null)
		return 0;
	if (list->kind != TREE_LIST) {
		READ_ERROR(r, list, "%s: needs a list: begin each rule with \"- \"", inbound ? "inbound" : "outbound");
		return 0;
	}
	for (const struct tree_node *e = list->first; e && rc == 0; e = e->next)
		rc = read_rule(r, e, inbound, group, rules, n);
	return rc;
}
