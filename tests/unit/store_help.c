/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See store_help.h. */
#include "config.h"
#include "tests/unit/store_help.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/proto.h"

char *help_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];
	char *dir;

	snprintf(path, sizeof(path), "%s/weir-store-XXXXXX", tmp ? tmp : "/tmp");
	dir = mkdtemp(path) ? strdup(path) : NULL;
	if (!dir) {
		perror("mkdtemp");
		exit(1);
	}
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void help_remove(char *dir)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

void help_flow(struct flow_rec *out, uint64_t i)
{
	static const char *const apps[] = {"HTTP", "TLS.Google", "DNS", "Unknown"};
	uint64_t r = mix(i + 1);
	uint8_t client[4] = {10, 0, (uint8_t)(r % 2), (uint8_t)(1 + (r >> 8) % 100)};
	uint8_t server[4] = {10, 0, 9, (uint8_t)(1 + (r >> 16) % 20)};

	memset(out, 0, sizeof(*out));
	out->start_ns = HELP_EPOCH_NS + i * 10000000 + r % 9999999;
	out->end_ns = out->start_ns + (r >> 20) % 2000000000;
	out->addr[0] = addr_from_v4(client);
	out->addr[1] = addr_from_v4(server);
	out->port[0] = (uint16_t)(32768 + (r >> 24) % 28000);
	out->port[1] = (r >> 3) & 1 ? 443 : 8080;
	out->proto = PROTO_TCP;
	out->direction = FLOW_DIR_SYN;
	out->state = FLOW_STATE_CLOSED;
	out->reason = FLOW_REASON_CLOSED;
	out->confidence = FLOW_CONF_DPI;
	out->tcp_flags[0] = out->tcp_flags[1] = 0x1b;
	out->iface = 3;
	for (unsigned k = 0; k < 2; k++) {
		out->pkts[k] = 5 + (r >> 30) % 50;
		out->bytes[k] = out->pkts[k] * (60 + (r >> 40) % 900);
		out->payload[k] = out->bytes[k] - 54 * out->pkts[k];
		out->workload[k] = 1 + (k ? server[3] + 1000u : client[3] + 100u * client[2]);
	}
	strcpy(out->app, apps[r % 4]);
	strcpy(out->category, "Web");
	out->id = flow_id(out);
	out->conv_id = out->id;
}

bool help_flow_equal(const struct flow_rec *a, const struct flow_rec *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool same;

	flow_encode(&x, a);
	flow_encode(&y, b);
	same = !buf_failed(&x) && x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	buf_fini(&x);
	buf_fini(&y);
	return same;
}
