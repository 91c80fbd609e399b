/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A packet is inspected wherever it lies and whatever its size: where a file read by blocks has it, copied while it
 * waits, or, too large for that (segmentation is the card's business), in a copy of its own. The same conversation with
 * requests of all sizes, from a file and through a pipe, must be known by the same name.
 */
#include "config.h"

#include <fcntl.h>

#include "capture/worker.h"
#include "tests/tap.h"
#include "tests/unit/pcap_build.h"

static struct flow_rec flow;
static char host[64];
static unsigned flows;

static int on_flow(void *arg, const struct flow_rec *f)
{
	(void)arg;
	flows++;
	flow = *f;
	flow_attr_text(f, FLOW_ATTR_HTTP_HOST, host, sizeof(host));
	return 0;
}

static int on_attempts(void *arg, const struct flow_attempts *a)
{
	(void)arg;
	(void)a;
	return 0;
}

static int on_coverage(void *arg, const struct coverage_rec *c)
{
	(void)arg;
	(void)c;
	return 0;
}

/* One request whose IP packet has that many bytes; its last header line goes on to the end. */
static void build_request(struct build *f, uint64_t ms, size_t size)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: www.example.com\r\nX: ";
	uint8_t p[65535], *t = p + build_ip(p, 1, 2, 6, 0, 0, size - 20);

	memset(t, 0, 20);
	t[0] = 40000 >> 8;
	t[1] = 40000 & 255;
	t[3] = 80;
	t[12] = 0x50;
	t[13] = 0x18;
	memset(t + 20, 'x', size - 40);
	memcpy(t + 20, text, sizeof(text) - 1);
	memcpy(p + size - 4, "\r\n\r\n", 4);
	build_frame(f, ms, p, size, size);
}

static void run(const struct build *f, bool through_pipe)
{
	const struct worker_sink sink = {on_flow, on_attempts, on_coverage, NULL};
	char error[WORKER_ERROR_STRLEN] = "";
	struct worker_settings set;
	struct worker *w;
	int fd = build_fd(f), pair[2];

	if (through_pipe) {
		close(fd);
		CHECK_EQ(pipe(pair), 0);
		CHECK(fcntl(pair[1], F_SETPIPE_SZ, 1 << 20) >= 0);
		CHECK_EQ(write(pair[1], f->b.data, f->b.len), f->b.len);
		close(pair[1]);
		fd = pair[0];
	}
	flows = 0;
	host[0] = '\0';
	worker_settings_default(&set, true);
	set.table_size = 1024;
	CHECK_EQ(worker_new(&w, &set, &sink), 0);
	CHECK_EQ(worker_read_file(w, "made-here.pcap", fd, 0, error), 0);
	worker_finish(w, FLOW_REASON_EOF);
	worker_free(w);
}

int main(void)
{
	static const size_t sizes[] = {120, 1500, 2047, 2048, 2049, 9000, 65535};

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct build f;

		build_init(&f, 101);
		build_tcp(&f, 0, 1, 40000, 2, 80, 0x02, 0);
		build_tcp(&f, 1, 2, 80, 1, 40000, 0x12, 0);
		build_request(&f, 2, sizes[i / 2]);
		build_tcp(&f, 3, 2, 80, 1, 40000, 0x10, 0);
		run(&f, i % 2);
		CHECK_EQ(flows, 1);
		CHECK_STR(flow.app, "HTTP");
		CHECK_STR(host, "www.example.com");
		CHECK_EQ(flow.payload[0], sizes[i / 2] - 40);
		buf_fini(&f.b);
	}
	return tap_done();
}
