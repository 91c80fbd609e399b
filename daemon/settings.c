/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings as values: defaults and the encoding for the other roles. See settings.h; the file is read in config.c. */
#include "config.h"
#include "daemon/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/timefmt.h"
#include "common/wire.h"

#define SETTINGS_VERSION 1

int settings_set_text(char **member, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

int settings_init(struct settings *s)
{
	memset(s, 0, sizeof(*s));
	s->workers = 1;
	s->ring_bytes = 8u << 20;
	s->nflog_group = 1871;
	s->write_through_ns = 5 * NS_PER_S;
	s->grace_ns = 2 * NS_PER_S;
	s->log_level = LOG_LEVEL_INFO;
	return settings_set_text(&s->state, "/var/lib/weir");
}

static void free_texts(char **texts)
{
	for (; *texts; texts++) {
		free(*texts);
		*texts = NULL;
	}
}

void settings_fini(struct settings *s)
{
	free(s->state);
	free(s->user);
	free(s->netns);
	free_texts(s->runtimes);
	free_texts(s->bridges);
	free_texts(s->names);
	memset(s, 0, sizeof(*s));
}

/* The numbers in the order of the encoding; returns how many. */
#define SETTINGS_NUMBERS 15
static void numbers_of(struct settings *s, uint64_t *number[SETTINGS_NUMBERS])
{
	uint64_t *const all[SETTINGS_NUMBERS] = {
		&s->workers, &s->ring_bytes, &s->nflog_group, &s->write_through_ns, &s->grace_ns, &s->table_size,
		&s->embryonic_timeout_ns, &s->established_timeout_ns, &s->udp_timeout_ns, &s->active_timeout_ns,
		&s->dpi_flows, &s->kernel_ring, &s->keep_ns, &s->size_budget, &s->log_level};

	memcpy(number, all, sizeof(all));
}

void settings_encode(struct buf *b, const struct settings *s)
{
	struct settings copy = *s;
	uint64_t *number[SETTINGS_NUMBERS];

	numbers_of(&copy, number);
	wire_put_u8(b, SETTINGS_VERSION);
	for (unsigned i = 0; i < SETTINGS_NUMBERS; i++)
		wire_put_var(b, *number[i]);
	wire_put_u8(b, s->look_inside);
	wire_put_u8(b, s->bridges[0] != NULL);
}

int settings_decode(struct settings *out, const void *data, size_t len)
{
	struct settings s = {0};
	uint64_t *number[SETTINGS_NUMBERS];
	struct wire_reader r;

	wire_reader_init(&r, data, len);
	if (wire_get_u8(&r) != SETTINGS_VERSION)
		return wire_ok(&r) ? -EPROTO : -EBADMSG;
	numbers_of(&s, number);
	for (unsigned i = 0; i < SETTINGS_NUMBERS; i++)
		*number[i] = wire_get_var(&r);
	s.look_inside = wire_get_u8(&r) != 0;
	s.links_named = wire_get_u8(&r) != 0;
	if (!wire_ok(&r))
		return -EBADMSG;
	*out = s;
	return 0;
}
