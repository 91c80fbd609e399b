/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: the first bytes of a refused packet, as the kernel's log hands them to the one process that may change
 * its tables; and the answer that is made of them, which goes out on a wire.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "segment/nft_answer.h"
#include "segment/nft_impl.h"
#include "tests/fuzz/fuzz.h"

static void check_answer(const uint8_t *out, size_t len, const uint8_t *packet)
{
	bool v4 = out[0] >> 4 == 4;
	size_t alen = v4 ? 4 : 16, src = v4 ? 12 : 8;

	FUZZ_MUST(len <= NFT_ANSWER_MAX && len >= (v4 ? 28u : 48u));
	FUZZ_MUST(out[0] >> 4 == packet[0] >> 4);
	FUZZ_MUST((size_t)(v4 ? out[2] << 8 | out[3] : (out[4] << 8 | out[5]) + 40) == len);
	FUZZ_MUST(memcmp(out + src, packet + src + alen, alen) == 0 && memcmp(out + src + alen, packet + src, alen) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verdict_rec v = {0}, back;
	uint8_t *out = malloc(NFT_ANSWER_MAX);
	struct buf b = BUF_INIT;
	int len;

	FUZZ_MUST(out);
	if (nft_log_packet(&v, data, size)) {
		FUZZ_MUST(size >= 20);
		verdict_encode(&b, &v);
		FUZZ_MUST(verdict_decode(&back, b.data, b.len) == 0 && back.dst_port == v.dst_port);
	}
	len = nft_answer_write(out, data, size);
	FUZZ_MUST(len > 0 || len == -EPROTO);
	if (len > 0)
		check_answer(out, (size_t)len, data);
	free(out);
	buf_fini(&b);
	return 0;
}
