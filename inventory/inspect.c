/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The runtime's JSON to workloads. A reply is as hostile as a packet: labels and names are whatever somebody passed to
 * `docker run`, and the socket may not be Docker's at all. So nothing is assumed about shape: each field is asked for
 * with its type, a wrong one counts as missing, text is cut and cleaned on the way in, and the parser has bounds on
 * size and depth.
 */
#include "config.h"
#include "inventory/inspect.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/timefmt.h"
#include "inventory/inventory.h"
#include "inventory/names.h"

#define JSON_SIZE_MAX (64u << 20)

struct json_t *inspect_load(const char *text, size_t len, char *error)
{
	json_error_t e;
	json_t *j;

	if (len > JSON_SIZE_MAX) {
		snprintf(error, INVENTORY_ERROR_STRLEN, "JSON of %zu bytes is larger than the limit of %u", len, JSON_SIZE_MAX);
		return NULL;
	}
	/* jansson itself refuses what is nested deeper than 2048. */
	j = json_loadb(text, len, 0, &e);
	/* It takes no integer of more than 63 bits. Engine 29 counts the addresses that an IPv6 network has left, in 64. */
	if (!j && json_error_code(&e) == json_error_numeric_overflow)
		j = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &e);
	if (!j)
		snprintf(error, INVENTORY_ERROR_STRLEN, "JSON, line %d, column %d: %.150s", e.line, e.column, e.text);
	return j;
}

/* The member at a path of keys; NULL where anything on the way is missing or no object. */
static const json_t *member(const json_t *o, const char *key1, const char *key2)
{
	o = json_object_get(o, key1);
	return key2 ? json_object_get(o, key2) : o;
}

void inspect_text(char *out, size_t size, const struct json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	name_copy(out, size, s ? s : "");
}

/* RFC 3339, 0 for none: Docker writes year 1 for "never". */
static uint64_t time_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	uint64_t ns = 0;

	if (!s || !strchr(s, 'T') || !isdigit((unsigned char)*s) || time_parse(&ns, s, 0) < 0)
		return 0;
	return ns;
}

bool container_id_valid(const char *id)
{
	size_t n = strlen(id);

	return n >= 12 && n <= 64 && strspn(id, "0123456789abcdef") == n;
}

void workload_add_addr(struct workload *w, const struct addr *a)
{
	if (addr_is_zero(a) || addr_is_loopback(a) || addr_is_multicast(a) || w->n_addrs >= WORKLOAD_ADDRS_MAX)
		return;
	for (unsigned i = 0; i < w->n_addrs; i++)
		if (addr_equal(&w->addrs[i], a))
			return;
	w->addrs[w->n_addrs++] = *a;
}

/* "10.0.0.2" or "10.0.0.2/16". */
static void add_addr_text(struct workload *w, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	char text[ADDR_STRLEN];
	struct addr a;
	size_t n;

	if (!s || (n = strcspn(s, "/")) >= sizeof(text))
		return;
	memcpy(text, s, n);
	text[n] = '\0';
	if (addr_parse(&a, text) == 0)
		workload_add_addr(w, &a);
}

/* An interface with IPv6 has a link-local address as well, which the kernel makes of the MAC address (RFC 4291,
 * appendix A) and the runtime does not tell. Containers on one bridge reach each other by it. */
static void add_linklocal(struct workload *w, const json_t *o, const char *global)
{
	const char *v6 = json_string_value(json_object_get(o, global));
	const char *text = json_string_value(json_object_get(o, "MacAddress"));
	uint8_t m[6], b[16] = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe};
	struct addr a;
	int end = 0;

	if (!v6 || !*v6 || !text ||
	    sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", m, m + 1, m + 2, m + 3, m + 4, m + 5, &end) != 6 ||
	    text[end])
		return;
	memcpy(b + 8, m, 3);
	memcpy(b + 13, m + 3, 3);
	b[8] ^= 2;
	a = addr_from_v6(b);
	workload_add_addr(w, &a);
}

/* ---- labels ---------------------------------------------------------------------------------------------------- */

static int key_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool in_list(const char *s, const char *const *list)
{
	for (; list && *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

static void add_label(struct workload *w, size_t *len, const char *key, const char *value)
{
	char line[WORKLOAD_LABELS_MAX];
	int n = snprintf(line, sizeof(line), "%s=%s", key, value);

	/* Whole or not at all; an '=' in the key would read as another label. */
	if (n < 0 || *len + (size_t)n + 2 > sizeof(w->labels) || strchr(key, '=') || !*key)
		return;
	if (*len)
		w->labels[(*len)++] = '\n';
	name_copy(w->labels + *len, sizeof(w->labels) - *len, line);
	*len += strlen(w->labels + *len);
}

static void fields_from_labels(struct workload *w)
{
	if (!workload_label(w, "com.docker.compose.project", w->project, sizeof(w->project)))
		(void)workload_label(w, "io.podman.compose.project", w->project, sizeof(w->project));
	(void)workload_label(w, "com.docker.compose.service", w->service, sizeof(w->service));
	(void)workload_label(w, "io.kubernetes.pod.name", w->pod, sizeof(w->pod));
	(void)workload_label(w, "io.kubernetes.pod.namespace", w->pod_namespace, sizeof(w->pod_namespace));
}

void inspect_labels(struct workload *w, const struct json_t *labels, const char *const *skip)
{
	/* First the labels that name things, so that no flood of others can push them out. */
	static const char *const naming[] = {"com.docker.compose.project", "com.docker.compose.service",
		"io.podman.compose.project", "com.docker.swarm.service.name", "com.docker.stack.namespace",
		"io.kubernetes.pod.name", "io.kubernetes.pod.namespace", NULL};
	size_t n = json_object_size(labels), kept = 0, room = 0, i = 0, len = 0;
	const char **keys = n ? calloc(n, sizeof(*keys)) : NULL, *key;
	json_t *value;
	void *it;

	w->labels[0] = '\0';
	if (!keys)
		return;
	for (int pass = 0; pass < 2; pass++) {
		for (it = json_object_iter((json_t *)(uintptr_t)labels); it;
		     it = json_object_iter_next((json_t *)(uintptr_t)labels, it)) {
			key = json_object_iter_key(it);
			value = json_object_iter_value(it);
			if (!json_is_string(value) || in_list(key, naming) != (pass == 0) || in_list(key, skip))
				continue;
			if (room + strlen(key) + json_string_length(value) + 2 > sizeof(w->labels))
				continue;
			room += strlen(key) + json_string_length(value) + 2;
			keys[kept++] = key;
		}
	}
	qsort(keys, kept, sizeof(*keys), key_cmp);
	for (i = 0; i < kept; i++)
		add_label(w, &len, keys[i], json_string_value(json_object_get(labels, keys[i])));
	free(keys);
	fields_from_labels(w);
}

/* ---- container ------------------------------------------------------------------------------------------------- */

static void add_networks(struct workload *w, const json_t *settings)
{
	json_t *networks = json_object_get(settings, "Networks"), *net;
	const char *name;

	/* IPv4 of every network first, link-local addresses last: should the room run out, the common case is whole. */
	json_object_foreach(networks, name, net) {
		add_addr_text(w, net, "IPAddress");
	}
	json_object_foreach(networks, name, net) {
		add_addr_text(w, net, "GlobalIPv6Address");
	}
	/* Engines before 1.21, and the default bridge. */
	add_addr_text(w, settings, "IPAddress");
	add_addr_text(w, settings, "GlobalIPv6Address");
	json_object_foreach(networks, name, net) {
		add_linklocal(w, net, "GlobalIPv6Address");
	}
}

/*
 * What `--network host` and `--network container:ID` mean for the name: host has a group of its own; who shares another
 * container's network has no address of its own, which a label tells (traffic carries the owner's name).
 */
static void apply_network_mode(struct workload *w, const char *mode)
{
	if (strcmp(mode, "host") == 0)
		w->kind = WORKLOAD_HOST;
	if (w->kind == WORKLOAD_HOST || strncmp(mode, "container:", 10) == 0)
		w->n_addrs = 0;
}

static void add_labels(struct workload *w, const json_t *config, const char *mode)
{
	const json_t *own = json_object_get(config, "Labels");
	json_t *labels = json_is_object(own) ? json_copy((json_t *)(uintptr_t)own) : json_object();

	if (strncmp(mode, "container:", 10) == 0)
		json_object_set_new(labels, "weir.network", json_string(mode));
	inspect_labels(w, labels, NULL);
	json_decref(labels);
}

int inspect_container(struct inspected *out, const struct json_t *o, const char *runtime)
{
	const json_t *state = json_object_get(o, "State"), *config = json_object_get(o, "Config");
	const json_t *exit_code = json_object_get(state, "ExitCode");
	const char *name = json_string_value(json_object_get(o, "Name")), *at;
	const char *mode = json_string_value(member(o, "HostConfig", "NetworkMode"));
	struct workload *w = &out->w;
	double code;

	memset(out, 0, sizeof(*out));
	inspect_text(w->runtime_id, sizeof(w->runtime_id), o, "Id");
	if (!container_id_valid(w->runtime_id))
		return -EINVAL;
	w->kind = WORKLOAD_CONTAINER;
	snprintf(w->runtime, sizeof(w->runtime), "%s", runtime);
	while (name && *name == '/')
		name++;
	name_copy(w->name, sizeof(w->name), name && *name ? name : w->runtime_id);
	inspect_text(out->image_id, sizeof(out->image_id), o, "Image");
	inspect_text(w->image, sizeof(w->image), config, "Image");
	if (!w->image[0])
		inspect_text(w->image, sizeof(w->image), o, "ImageName"); /* Podman */
	at = strchr(w->image, '@');
	snprintf(w->image_digest, sizeof(w->image_digest), "%.79s", at ? at + 1 : out->image_id);
	if (!at && json_is_string(json_object_get(o, "ImageDigest"))) /* Podman */
		inspect_text(w->image_digest, sizeof(w->image_digest), o, "ImageDigest");
	add_labels(w, config, mode ? mode : "");
	w->start_ns = time_of(state, "StartedAt");
	out->finished_ns = time_of(state, "FinishedAt");
	out->running = json_is_true(json_object_get(state, "Running"));
	code = json_number_value(exit_code); /* 0 where it is none */
	w->exit_code = !out->running && json_is_number(exit_code) && code >= 0 && code < 1e9 ? (int32_t)code : -1;
	if (!out->running && out->finished_ns >= w->start_ns)
		w->end_ns = out->finished_ns;
	add_networks(w, json_object_get(o, "NetworkSettings"));
	apply_network_mode(w, mode ? mode : "");
	w->id = workload_id_of(w->runtime, w->runtime_id, w->start_ns);
	return 0;
}

void inspect_image_digest(const struct json_t *o, const char *image, char out[80])
{
	const json_t *digests = json_object_get(o, "RepoDigests"), *d;
	char want[256], have[256];
	size_t i;

	image_repository(image, want, sizeof(want));
	inspect_text(out, 80, o, "Id");
	json_array_foreach(digests, i, d) {
		const char *s = json_string_value(d), *at = s ? strchr(s, '@') : NULL;

		if (!at)
			continue;
		image_repository(s, have, sizeof(have));
		/* An image may be known under several repositories: prefer the one the container was started by. */
		if (i == 0 || strcmp(have, want) == 0)
			name_copy(out, 80, at + 1);
	}
}

void inspect_listed(struct workload *w, const struct json_t *o)
{
	const json_t *names = json_object_get(o, "Names"), *n;
	size_t i;

	/* "/name"; links to it add "/other/alias". Podman leaves the slash out. */
	json_array_foreach(names, i, n) {
		const char *name = json_string_value(n);

		if (name && *name == '/')
			name++;
		if (name && *name && !strchr(name, '/')) {
			name_copy(w->name, sizeof(w->name), name);
			break;
		}
	}
	inspect_text(w->image, sizeof(w->image), o, "Image");
	inspect_labels(w, json_object_get(o, "Labels"), NULL);
}

void inspect_network(const struct json_t *o, const char *container_id, struct workload *w)
{
	const json_t *c = member(o, "Containers", container_id);

	add_addr_text(w, c, "IPv4Address");
	add_addr_text(w, c, "IPv6Address");
	add_linklocal(w, c, "IPv6Address");
}

int inventory_parse_inspect(const char *json, size_t len, const char *runtime,
			    void (*up)(void *arg, const struct workload *w), void *arg, char *error)
{
	json_t *top = inspect_load(json, len, error), *o;
	struct inspected *in = malloc(sizeof(*in));
	size_t n, i;
	int r = 0;

	if (!top || !in) {
		r = top ? -ENOMEM : -EINVAL;
		goto out;
	}
	n = json_is_array(top) ? json_array_size(top) : 1;
	for (i = 0; i < n && r == 0; i++) {
		o = json_is_array(top) ? json_array_get(top, i) : top;
		r = inspect_container(in, o, runtime);
		if (r < 0) {
			snprintf(error, INVENTORY_ERROR_STRLEN, "entry %zu is no container of `docker inspect`: it has no \"Id\" "
				 "of 12 to 64 hexadecimal digits", i + 1);
			break;
		}
		inventory_group_name(&in->w, NULL, in->w.group);
		up(arg, &in->w);
	}
out:
	json_decref(top);
	free(in);
	return r;
}
