/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The filter's grammar, by recursive descent over filter_lex's tokens:
 *
 *	expression := unary { (and|or) unary }             equal precedence, from the left, as in pcap-filter(7)
 *	unary      := not unary | ( expression ) | primitive
 *	primitive  := [protocol] [ends] [host|net|port|portrange|proto] id | field op value | id
 *	protocol   := ip | ip6 | tcp | udp | sctp | icmp | icmp6
 *	ends       := src | dst | src or dst | src and dst
 *
 * A bare id takes the qualifiers of the primitive before it. The first complaint wins, and says at which column.
 */
#include "config.h"
#include "ui-cli/filter.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/proto.h"
#include "ui-cli/filter_lex.h"

enum id_type { ID_NONE, ID_HOST, ID_NET, ID_PORT, ID_PORTRANGE, ID_PROTO };

/* What stands before an id. */
struct qualifiers {
	uint8_t ends, family, proto; /* 0: not said */
	bool has_ends, any;
	enum id_type type;
};

struct parser {
	const char *text;
	size_t at;
	struct filter_token token; /* the one to be looked at */
	struct filter *filter;
	struct qualifiers last;
	struct filter_error *error;
	unsigned depth;
	int rc; /* the first error */
};

static int parse_expression(struct parser *p);

static void next(struct parser *p)
{
	p->token = filter_lex(p->text, &p->at);
}

/* Notes the first complaint. Returns -1, the index of no node. */
static int fail(struct parser *p, size_t column, const char *fmt, ...)
{
	va_list ap;

	if (p->rc)
		return -1;
	p->rc = -EINVAL;
	p->error->column = column;
	va_start(ap, fmt);
	vsnprintf(p->error->text, sizeof(p->error->text), fmt, ap);
	va_end(ap);
	return -1;
}

static int add_node(struct parser *p, const struct filter_node *n)
{
	struct filter *f = p->filter;

	if (f->n == FILTER_NODES_MAX)
		return fail(p, p->token.column, "the filter has more than %d parts", FILTER_NODES_MAX);
	if (f->n == f->max) {
		size_t max = f->max ? 2 * f->max : 16;
		struct filter_node *more = realloc(f->node, max * sizeof(*more));

		if (!more) {
			p->rc = -ENOMEM;
			return -1;
		}
		f->node = more;
		f->max = max;
	}
	f->node[f->n] = *n;
	return (int)f->n++;
}

static int join(struct parser *p, enum filter_kind kind, int left, int right)
{
	struct filter_node n = {.kind = (uint8_t)kind, .left = left, .right = right};

	return left < 0 || (right < 0 && kind != FILTER_NOT) ? -1 : add_node(p, &n);
}

static bool is_word(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_WORD && !p->token.quoted && strcasecmp(p->token.text, word) == 0;
}

/* ip, tcp, ... before or instead of a primitive. False: the word is none of them. */
static bool take_protocol(struct parser *p, struct qualifiers *q)
{
	static const struct {
		const char *word;
		uint8_t family, proto;
	} words[] = {{"ip", 4, 0}, {"ip6", 6, 0}, {"tcp", 0, PROTO_TCP}, {"udp", 0, PROTO_UDP},
		     {"sctp", 0, PROTO_SCTP}, {"icmp", 0, PROTO_ICMP}, {"icmp6", 0, PROTO_ICMP6}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!is_word(p, words[i].word))
			continue;
		q->family = words[i].family;
		q->proto = words[i].proto;
		q->any = true;
		next(p);
		return true;
	}
	return false;
}

static bool is_dst(const struct parser *p)
{
	return is_word(p, "dst") || is_word(p, "dest");
}

/* src, dst, src or dst, src and dst. */
static void take_ends(struct parser *p, struct qualifiers *q)
{
	struct parser before;
	bool src = is_word(p, "src"), other;
	enum filter_token_kind how;

	if (!src && !is_dst(p))
		return;
	q->ends = src ? FILTER_SRC : FILTER_DST;
	q->has_ends = q->any = true;
	next(p);
	before = *p;
	how = p->token.kind;
	if (how != TOKEN_AND && how != TOKEN_OR)
		return;
	next(p);
	other = src ? is_dst(p) : is_word(p, "src");
	if (!other) { /* `src a and ...`: not ours */
		*p = before;
		return;
	}
	q->ends = how == TOKEN_AND ? FILTER_BOTH : FILTER_EITHER;
	next(p);
}

static void take_type(struct parser *p, struct qualifiers *q)
{
	static const struct {
		const char *word;
		enum id_type type;
	} words[] = {{"host", ID_HOST},
		     {"net", ID_NET},
		     {"port", ID_PORT},
		     {"portrange", ID_PORTRANGE},
		     {"proto", ID_PROTO}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (is_word(p, words[i].word)) {
			q->type = words[i].type;
			q->any = true;
			next(p);
			return;
		}
	}
}

/* Bits of an IPv4 netmask, or -1 when they are not contiguous. */
static int mask_bits(const char *text)
{
	struct addr mask;
	uint32_t v;
	int bits = 0;

	if (addr_parse(&mask, text) < 0 || !addr_is_v4(&mask))
		return -1;
	v = (uint32_t)mask.b[12] << 24 | (uint32_t)mask.b[13] << 16 | (uint32_t)mask.b[14] << 8 | mask.b[15];
	for (; v & 0x80000000u; v <<= 1)
		bits++;
	return v ? -1 : bits;
}

/* 10.0.0.0/8, 10.0.0.0 mask 255.0.0.0, 192.168, fd00::/64. 0 or -EINVAL. */
static int parse_net(struct parser *p, struct prefix *out)
{
	char text[FILTER_WORD + 24];
	unsigned dots = 0;
	int bits = -1;

	snprintf(text, FILTER_WORD, "%s", p->token.text);
	for (const char *c = text; *c; c++)
		dots += *c == '.';
	next(p);
	if (is_word(p, "mask")) {
		next(p);
		bits = p->token.kind == TOKEN_WORD ? mask_bits(p->token.text) : -1;
		if (bits < 0)
			return -EINVAL;
		next(p);
	} else if (dots < 3 && !strpbrk(text, "/:")) { /* pcap-filter's short form: 192.168 is 192.168.0.0/16 */
		bits = (int)(8 * (dots + 1));
		for (; dots < 3; dots++)
			strcat(text, ".0");
	}
	if (bits >= 0)
		snprintf(text + strlen(text), 16, "/%d", bits);
	return prefix_parse(out, text);
}

/* A port by number or by its name in services(5). 0 or -EINVAL. */
static int parse_port(uint16_t *out, const char *text, uint8_t proto)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	struct servent *s;
	char name[PROTO_STRLEN];

	if (*text >= '0' && *text <= '9' && *end == '\0') {
		if (v > 65535)
			return -EINVAL;
		*out = (uint16_t)v;
		return 0;
	}
	s = getservbyname(text, proto ? proto_format(proto, name) : NULL);
	if (!s)
		return -EINVAL;
	*out = (uint16_t)((s->s_port & 0xff) << 8 | (s->s_port >> 8 & 0xff)); /* network order */
	return 0;
}

static int port_node(struct parser *p, const struct qualifiers *q, struct filter_node *n)
{
	char lo[FILTER_WORD], *dash;
	size_t column = p->token.column;

	n->kind = FILTER_PORTS;
	snprintf(lo, sizeof(lo), "%s", p->token.text);
	dash = q->type == ID_PORTRANGE ? strchr(lo, '-') : NULL;
	if (dash)
		*dash = '\0';
	if (parse_port(&n->lo, lo, q->proto) < 0 || parse_port(&n->hi, dash ? dash + 1 : lo, q->proto) < 0 ||
	    n->lo > n->hi)
		return fail(p, column,
			    q->type == ID_PORTRANGE ? "\"%s\" is no range of ports; write 8000-8100"
						    : "\"%s\" is no port, and no name in services(5)",
			    p->token.text);
	if (q->proto && !proto_has_ports(q->proto))
		return fail(p, column, "ICMP has no ports");
	next(p);
	return add_node(p, n);
}

static int proto_node(struct parser *p, struct filter_node *n)
{
	const char *text = p->token.text + (p->token.text[0] == '\\'); /* pcap-filter wants `proto \tcp` */
	uint8_t number;

	n->kind = FILTER_PROTO;
	if (proto_parse(&number, strcasecmp(text, "icmp6") == 0 ? "icmpv6" : text) < 0)
		return fail(p, p->token.column, "\"%s\" is no protocol: a name such as tcp, or a number", text);
	n->lo = number;
	next(p);
	return add_node(p, n);
}

static int net_node(struct parser *p, struct filter_node *n)
{
	size_t column = p->token.column;

	n->kind = FILTER_NET;
	if (parse_net(p, &n->net) < 0)
		return fail(p, column, "this is no network; write 10.0.0.0/8, with no bits set behind the prefix");
	return add_node(p, n);
}

/* Words of pcap-filter: in quotes they may still be a workload's name. */
static bool is_reserved(const char *text)
{
	static const char *const words[] = {"ip",   "ip6",  "tcp", "udp",  "sctp",	"icmp",	 "icmp6", "src", "dst",
					    "dest", "host", "net", "port", "portrange", "proto", "vlan",  "mask"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(words[i], text) == 0)
			return true;
	}
	return false;
}

static int host_node(struct parser *p, const struct qualifiers *q, struct filter_node *n)
{
	struct filter_token id = p->token;
	struct addr a;

	next(p);
	if (addr_parse(&a, id.text) == 0) {
		n->kind = FILTER_NET;
		n->net = (struct prefix){a, 128};
		return add_node(p, n);
	}
	/* `prot 80` is a slip of the pen, not a workload called prot */
	if (!id.quoted && is_reserved(id.text))
		return fail(p, id.column, "\"%s\" cannot stand here; join terms with and, or", id.text);
	if (q->type == ID_NONE && p->token.kind == TOKEN_WORD)
		return fail(p, id.column,
			    "\"%s\" is no field, and no primitive of pcap-filter (host, net, port, portrange, "
			    "proto, src, dst, tcp, udp, ...)",
			    id.text);
	n->kind = FILTER_NAME; /* what pcap-filter asks DNS for, weir knows: a workload, a group, a name */
	snprintf(n->text, sizeof(n->text), "%s", id.text);
	return add_node(p, n);
}

/* The condition that ip, tcp ... alone puts on the flow; ANDed with what follows them. -1: none. */
static int protocol_node(struct parser *p, const struct qualifiers *q)
{
	struct filter_node n = {.kind = q->family ? FILTER_FAMILY : FILTER_PROTO,
				.lo = q->family ? q->family : q->proto};

	return q->family || q->proto ? add_node(p, &n) : -1;
}

/* What the qualifiers qualify. */
static int parse_id(struct parser *p, const struct qualifiers *q)
{
	struct filter_node n = {.ends = q->ends};
	int node, protocol;

	if (p->token.kind != TOKEN_WORD)
		return fail(p, p->token.column, "an address, a name or a number is missing here");
	if (q->type == ID_PORT || q->type == ID_PORTRANGE)
		node = port_node(p, q, &n);
	else if (q->type == ID_PROTO)
		node = proto_node(p, &n);
	else if (q->type == ID_NET)
		node = net_node(p, &n);
	else
		node = host_node(p, q, &n);
	if (node < 0)
		return -1;
	protocol = protocol_node(p, q);
	return protocol < 0 ? node : join(p, FILTER_AND, protocol, node);
}

static int parse_vlan(struct parser *p)
{
	struct filter_node n = {.kind = FILTER_VLAN, .lo = 1, .hi = 4095};
	char *end;
	unsigned long v;

	next(p);
	if (p->token.kind == TOKEN_WORD && p->token.text[0] >= '0' && p->token.text[0] <= '9') {
		v = strtoul(p->token.text, &end, 10);
		if (*end || v > 4095)
			return fail(p, p->token.column, "\"%s\" is no VLAN id (0 to 4095)", p->token.text);
		n.lo = n.hi = (uint16_t)v;
		next(p);
	}
	return add_node(p, &n);
}

/* `field op value`; the field is the token at hand. */
static int parse_term(struct parser *p, const struct filter_token *field)
{
	struct filter_node n = {.kind = FILTER_TEXT};
	struct filter_token value;
	char text[FILTER_ERROR_STRLEN];
	enum filter_op op = p->token.op;
	bool at_value = false;

	next(p);
	value = p->token;
	if (value.kind == TOKEN_BAD)
		return fail(p, value.column, "%s", value.text);
	if (value.kind != TOKEN_WORD)
		return fail(p, value.column, "%s needs a value to be compared with", field->text);
	if (filter_term(&n, field->text, op, value.text, text, &at_value) < 0)
		return fail(p, at_value ? value.column : field->column, "%s", text);
	next(p);
	return add_node(p, &n);
}

static int parse_primitive(struct parser *p)
{
	struct qualifiers q = {0};
	struct filter_token first = p->token;

	if (first.kind == TOKEN_WORD && !first.quoted) {
		struct parser before = *p;

		next(p);
		if (p->token.kind == TOKEN_OP)
			return parse_term(p, &first);
		*p = before;
		if (is_word(p, "vlan"))
			return parse_vlan(p);
		if (filter_is_field(first.text) && !is_reserved(first.text))
			return fail(p, first.column, "%s must be compared with something, as in %s == VALUE",
				    first.text, first.text);
	}
	take_protocol(p, &q);
	take_ends(p, &q);
	take_type(p, &q);
	if (!q.any) {
		q = p->last; /* an implied id: `host a or b` */
		if (q.type == ID_HOST)
			q.type = ID_NONE; /* the same, but not said here */
	} else if ((q.family || q.proto) && !q.has_ends && q.type == ID_NONE &&
		 (p->token.kind != TOKEN_WORD || is_word(p, "vlan")))
		return protocol_node(p, &q); /* `tcp` alone */
	else {
		p->last = q;
	}
	return parse_id(p, &q);
}

static int parse_unary(struct parser *p)
{
	size_t open = p->token.column;
	int node;

	if (p->rc)
		return -1;
	if (++p->depth > FILTER_DEPTH_MAX)
		return fail(p, open, "nested more than %d deep", FILTER_DEPTH_MAX);
	switch (p->token.kind) {
	case TOKEN_NOT:
		next(p);
		node = join(p, FILTER_NOT, parse_unary(p), -1);
		break;
	case TOKEN_OPEN:
		next(p);
		node = parse_expression(p);
		if (node >= 0 && p->token.kind != TOKEN_CLOSE)
			return fail(p, open, "this parenthesis is never closed");
		next(p);
		break;
	case TOKEN_WORD:
		node = parse_primitive(p);
		break;
	case TOKEN_BAD:
		return fail(p, open, "%s", p->token.text);
	case TOKEN_END:
		return fail(p, open, "something is missing at the end");
	default:
		return fail(p, open, "\"%s\" cannot stand here", p->token.text);
	}
	p->depth--;
	return node;
}

static int parse_expression(struct parser *p)
{
	int left = parse_unary(p);

	while (left >= 0 && (p->token.kind == TOKEN_AND || p->token.kind == TOKEN_OR)) {
		enum filter_kind kind = p->token.kind == TOKEN_AND ? FILTER_AND : FILTER_OR;

		next(p);
		left = join(p, kind, left, parse_unary(p));
	}
	return left;
}

int filter_parse(struct filter **out, const char *text, struct filter_error *error)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct parser p = {.text = text, .filter = f, .error = error, .last = {.type = ID_NONE}};

	if (!f)
		return -ENOMEM;
	next(&p);
	f->root = p.token.kind == TOKEN_END ? -1 : parse_expression(&p);
	if (!p.rc && p.token.kind == TOKEN_BAD)
		fail(&p, p.token.column, "%s", p.token.text);
	if (!p.rc && p.token.kind != TOKEN_END)
		fail(&p, p.token.column, "\"%s\" is not expected here; join terms with and, or", p.token.text);
	if (p.rc) {
		filter_free(f);
		return p.rc;
	}
	*out = f;
	return 0;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	free(f->node);
	free(f);
}
