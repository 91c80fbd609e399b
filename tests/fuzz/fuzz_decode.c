/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fuzz target: one frame of any link type. Input: link type, tunnels to look into, how many bytes the capture is
 * short of the wire, then the frame.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p, quoted;
	bool unreachable;

	if (size < 3)
		return 0;
	if (decode_frame(&p, (enum link_type)(data[0] % LINK_MAX_), data + 3, size - 3, size - 3 + data[2],
			 data[1] & 7) != DECODE_OK)
		return 0;
	FUZZ_MUST(p.ip >= data + 3 && p.ip + p.ip_len <= data + size);
	FUZZ_MUST(p.payload_cap == 0 || p.payload_off + p.payload_cap <= p.ip_len);
	FUZZ_MUST(p.payload_cap <= p.payload_len);
	FUZZ_MUST(p.fragment != FRAGMENT_LATER || p.l4_off <= p.ip_len + data[2]);
	decode_quoted(&p, &quoted, &unreachable);
	return 0;
}
