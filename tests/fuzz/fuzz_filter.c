/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: the input is a filter expression. What is refused must say where; what is accepted must judge flows, and
 * must judge them the same when it says that it only takes flows of one address.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "ui-cli/filter.h"

#define FLOWS 3

static struct flow_rec flows[FLOWS];
static struct workload web = {.name = "shop-web-1", .image = "nginx:1.25", .project = "shop", .labels = "env=prod\n"};
static struct output_end ends[FLOWS][2] = {
	{{.workload = &web, .group = "shop/web"}, {.group = "world", .name = "www.example.com"}},
	{{.group = "world"}, {.workload = &web, .group = "shop/web"}},
	{{.group = NULL}, {.group = NULL}},
};

static void make_flows(void)
{
	static const char *const addrs[FLOWS][2] = {{"10.0.3.3", "203.0.113.9"}, {"fd00::1", "fd00::2"},
						    {"10.0.3.5", "10.0.3.3"}};
	static uint8_t attrs[64];
	struct buf b = BUF_INIT;

	flow_attr_add(&b, FLOW_ATTR_SNI, "www.example.com", 15);
	memcpy(attrs, b.data, b.len);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow_rec *f = &flows[i];

		addr_parse(&f->addr[0], addrs[i][0]);
		addr_parse(&f->addr[1], addrs[i][1]);
		f->port[0] = (uint16_t)(40000 + i);
		f->port[1] = i == 2 ? 8 : 443;
		f->proto = (uint8_t[]){6, 17, 1}[i];
		f->state = (uint8_t)i;
		f->start_ns = 1000000000;
		f->end_ns = 3000000000;
		f->pkts[0] = f->bytes[1] = 10 + i;
		strcpy(f->app, i == 2 ? "ICMP" : "TLS");
	}
	flows[0].attrs = attrs;
	flows[0].attrs_len = (uint16_t)b.len;
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct filter_error error = {.column = SIZE_MAX};
	struct filter *f = NULL;
	struct addr pinned;
	bool pins;
	int rc;

	if (!flows[0].proto)
		make_flows();
	FUZZ_MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	rc = filter_parse(&f, text, &error);
	FUZZ_MUST(rc == 0 || rc == -EINVAL);
	if (rc) {
		FUZZ_MUST(error.column <= strlen(text) && error.text[0] &&
			  memchr(error.text, '\0', sizeof(error.text)));
		goto out;
	}
	pins = filter_pins_addr(f, &pinned);
	for (unsigned i = 0; i < FLOWS; i++) {
		bool match = filter_match(f, &flows[i], ends[i]);

		FUZZ_MUST(match == filter_match(f, &flows[i], ends[i]));
		FUZZ_MUST(!match || !pins || addr_equal(&pinned, &flows[i].addr[0]) ||
			  addr_equal(&pinned, &flows[i].addr[1]));
	}
	filter_free(f);
out:
	free(text);
	return 0;
}
