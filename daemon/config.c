/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration file: one YAML mapping of settings, every key optional. One table says what each key takes and
 * within which bounds; every complaint names file, line and column and says what would be right. yaml.h is included
 * here and in segment/policy_*.c only.
 */
#include "config.h"
#include "daemon/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/log.h"
#include "common/timefmt.h"

#define CONFIG_MAX (1u << 20)
#define KEY_STRLEN 40

enum kind { KIND_TEXT, KIND_TEXTS, KIND_NUMBER, KIND_POWER, KIND_BYTES, KIND_SPAN, KIND_BOOL, KIND_LEVEL };

struct key {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct settings */
	uint64_t min, max;
};

#define AT(member) offsetof(struct settings, member)
#define GIB (1ull << 30)
#define DAY (86400 * NS_PER_S)
static const struct key keys[] = {
	{"state", KIND_TEXT, AT(state), 0, 0},
	{"user", KIND_TEXT, AT(user), 0, 0},
	{"netns", KIND_TEXT, AT(netns), 0, 0},
	{"runtime_sockets", KIND_TEXTS, AT(runtimes), 0, 0},
	{"bridges", KIND_TEXTS, AT(bridges), 0, 0},
	{"names", KIND_TEXTS, AT(names), 0, 0},
	{"workers", KIND_NUMBER, AT(workers), 1, SETTINGS_WORKERS_MAX},
	{"ring_size", KIND_POWER, AT(ring_bytes), 64 << 10, GIB},
	{"nflog_group", KIND_NUMBER, AT(nflog_group), 0, 65535},
	{"write_through", KIND_SPAN, AT(write_through_ns), 100 * NS_PER_MS, 3600 * NS_PER_S},
	{"grace", KIND_SPAN, AT(grace_ns), 0, 60 * NS_PER_S},
	{"table_size", KIND_NUMBER, AT(table_size), 1024, 1 << 26},
	{"embryonic_timeout", KIND_SPAN, AT(embryonic_timeout_ns), NS_PER_S, DAY},
	{"established_timeout", KIND_SPAN, AT(established_timeout_ns), NS_PER_S, 30 * DAY},
	{"udp_timeout", KIND_SPAN, AT(udp_timeout_ns), NS_PER_S, DAY},
	{"active_timeout", KIND_SPAN, AT(active_timeout_ns), 10 * NS_PER_S, 30 * DAY},
	{"dpi_flows", KIND_NUMBER, AT(dpi_flows), 16, 1 << 24},
	{"kernel_ring", KIND_BYTES, AT(kernel_ring), 1 << 20, GIB},
	{"look_inside", KIND_BOOL, AT(look_inside), 0, 0},
	{"keep", KIND_SPAN, AT(keep_ns), 60 * NS_PER_S, 36500 * DAY},
	{"size_budget", KIND_BYTES, AT(size_budget), 16 << 20, 1ull << 46},
	{"log", KIND_LEVEL, AT(log_level), 0, 0},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

struct reader {
	struct settings *s;
	const char *path;
	char *error;
};

static int complain(const struct reader *r, const yaml_mark_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(const struct reader *r, const yaml_mark_t *at, const char *fmt, ...)
{
	int n = snprintf(r->error, SETTINGS_ERROR_STRLEN, "%s:%zu:%zu: ", r->path, at->line + 1, at->column + 1);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && n < SETTINGS_ERROR_STRLEN)
		vsnprintf(r->error + n, (size_t)(SETTINGS_ERROR_STRLEN - n), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Edits (insert, delete, replace) between two short words. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[KEY_STRLEN + 1];
	size_t n = strlen(b);

	if (strlen(a) > KEY_STRLEN || n > KEY_STRLEN)
		return UINT32_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (; *a; a++) {
		unsigned corner = row[0]++;

		for (size_t j = 1; j <= n; j++) {
			unsigned best = corner + (*a != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static const struct key *find_key(const char *name, const char **nearest)
{
	unsigned best = 4; /* more than three edits away is another word */

	*nearest = NULL;
	for (size_t i = 0; i < N_KEYS; i++) {
		unsigned d = distance(name, keys[i].name);

		if (d == 0)
			return &keys[i];
		if (d < best) {
			best = d;
			*nearest = keys[i].name;
		}
	}
	return NULL;
}

/* "4GiB", "512M", "1048576". 0 or -EINVAL. */
static int bytes_parse(uint64_t *out, const char *text)
{
	static const struct {
		const char *name;
		unsigned shift;
	} units[] = {{"", 0},    {"K", 10},   {"KiB", 10}, {"M", 20},  {"MiB", 20},
		     {"G", 30},  {"GiB", 30}, {"T", 40},   {"TiB", 40}};
	char *end;
	uint64_t v;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) == 0 && !errno && v <= UINT64_MAX >> units[i].shift) {
			*out = v << units[i].shift;
			return 0;
		}
	}
	return -EINVAL;
}

static int number_of(const struct reader *r, const struct key *k, const yaml_node_t *node, uint64_t *out)
{
	const char *text = (const char *)node->data.scalar.value;
	char *end = NULL;

	errno = 0;
	switch (k->kind) {
	case KIND_SPAN:
		if (duration_parse(out, text))
			return complain(r, &node->start_mark,
					"%s: \"%s\" is no span of time; write 500ms, 30s, 10m, 2h or 7d",
					k->name, text);
		break;
	case KIND_BYTES:
	case KIND_POWER:
		if (bytes_parse(out, text))
			return complain(r, &node->start_mark, "%s: \"%s\" is no size; write 512MiB or 4GiB", k->name,
					text);
		break;
	default:
		*out = strtoull(text, &end, 10);
		if (text[0] < '0' || text[0] > '9' || *end || errno)
			return complain(r, &node->start_mark, "%s: \"%s\" is no whole number", k->name, text);
	}
	if (*out < k->min || *out > k->max) {
		unsigned long long unit = k->kind == KIND_SPAN ? NS_PER_MS : 1;

		return complain(r, &node->start_mark, "%s: %s is out of range; %llu to %llu%s are possible", k->name,
				text,
				k->min / unit, k->max / unit, k->kind == KIND_SPAN ? " ms" : "");
	}
	if (k->kind == KIND_POWER && (*out & (*out - 1)))
		return complain(r, &node->start_mark, "%s: %s is no power of two; write 4MiB, 8MiB, 16MiB, ...",
				k->name,
				text);
	return 0;
}

static int texts_of(const struct reader *r, const struct key *k, yaml_document_t *doc, yaml_node_t *node)
{
	char **texts = (char **)((char *)r->s + k->offset);
	size_t n = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return complain(r, &node->start_mark, "%s takes a list: %s: [one, two]", k->name, k->name);
	for (; texts[n]; n++) {
		free(texts[n]);
		texts[n] = NULL;
	}
	n = 0;
	if (k->offset == AT(runtimes))
		r->s->runtimes_set = true;
	for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		yaml_node_t *item = yaml_document_get_node(doc, *i);

		if (!item || item->type != YAML_SCALAR_NODE || !item->data.scalar.length)
			return complain(r, item ? &item->start_mark : &node->start_mark, "%s: each item is a text",
					k->name);
		if (n == SETTINGS_TEXTS_MAX)
			return complain(r, &item->start_mark, "%s: at most %d items", k->name, SETTINGS_TEXTS_MAX);
		if (k->offset == AT(names) && !strstr((const char *)item->data.scalar.value, "->"))
			return complain(r, &item->start_mark,
					"names: write \"PATTERN -> GROUP\", such as \"web-* -> shop/web\"");
		if (settings_set_text(&texts[n++], (const char *)item->data.scalar.value))
			return -ENOMEM;
	}
	return 0;
}

static int scalar_of(const struct reader *r, const struct key *k, const yaml_node_t *node)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};
	void *member = (char *)r->s + k->offset;
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return complain(r, &node->start_mark, "%s takes a single value", k->name);
	text = (const char *)node->data.scalar.value;
	switch (k->kind) {
	case KIND_TEXT:
		if (!text[0])
			return complain(r, &node->start_mark, "%s is empty; leave the key out for the default",
					k->name);
		return settings_set_text(member, text);
	case KIND_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return complain(r, &node->start_mark, "%s: \"%s\" is neither true nor false", k->name, text);
		*(bool *)member = text[0] == 't';
		return 0;
	case KIND_LEVEL:
		for (uint64_t i = 0; i < 4; i++) {
			if (strcmp(text, levels[i]) == 0) {
				*(uint64_t *)member = i;
				return 0;
			}
		}
		return complain(r, &node->start_mark, "log: \"%s\" is no level; error, warning, info or debug", text);
	default:
		return number_of(r, k, node, member);
	}
}

static int read_mapping(const struct reader *r, yaml_document_t *doc, yaml_node_t *root)
{
	bool seen[N_KEYS] = {false};

	if (root->type != YAML_MAPPING_NODE)
		return complain(r, &root->start_mark, "a configuration is a mapping of settings: \"workers: 2\"");
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
		yaml_node_t *name = yaml_document_get_node(doc, p->key), *value = yaml_document_get_node(doc, p->value);
		const char *text, *nearest;
		const struct key *k;
		int rc;

		if (!name || !value || name->type != YAML_SCALAR_NODE)
			return complain(r, &root->start_mark, "every key of a configuration is a word");
		text = (const char *)name->data.scalar.value;
		k = find_key(text, &nearest);
		if (!k)
			return nearest ? complain(r, &name->start_mark,
						  "there is no setting \"%.60s\"; did you mean \"%s\"?",
						  text, nearest)
				       : complain(r, &name->start_mark, "there is no setting \"%.60s\"", text);
		if (seen[k - keys])
			return complain(r, &name->start_mark, "%s is set twice", text);
		seen[k - keys] = true;
		rc = k->kind == KIND_TEXTS ? texts_of(r, k, doc, value) : scalar_of(r, k, value);
		if (rc)
			return rc;
	}
	return 0;
}

int config_parse(struct settings *s, const char *path, const char *text, size_t len, char *error)
{
	const struct reader r = {s, path, error};
	yaml_parser_t parser;
	yaml_document_t doc;
	yaml_node_t *root;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		rc = complain(&r, &parser.problem_mark, "not YAML: %s", parser.problem ? parser.problem : "unreadable");
		yaml_parser_delete(&parser);
		return rc;
	}
	root = yaml_document_get_root_node(&doc);
	if (root)
		rc = read_mapping(&r, &doc, root);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return rc;
}

int config_read(struct settings *s, const char *path, char *error)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t n;
	int rc;

	if (!f) {
		rc = -errno;
		snprintf(error, SETTINGS_ERROR_STRLEN, "%s: %s", path, strerror(errno));
		return rc;
	}
	text = malloc(CONFIG_MAX + 1);
	if (!text) {
		fclose(f);
		return -ENOMEM;
	}
	n = fread(text, 1, CONFIG_MAX + 1, f);
	if (ferror(f) || n > CONFIG_MAX) {
		rc = ferror(f) ? -EIO : -E2BIG;
		snprintf(error, SETTINGS_ERROR_STRLEN, "%s: %s", path,
			 ferror(f) ? "cannot be read" : "is larger than 1 MiB: no configuration");
	} else {
		rc = config_parse(s, path, text, n, error);
	}
	free(text);
	fclose(f);
	return rc;
}
