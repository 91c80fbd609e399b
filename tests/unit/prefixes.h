/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests of what is decoded: the beginning of a good value is not one. */
#ifndef WEIR_TESTS_PREFIXES_H
#define WEIR_TESTS_PREFIXES_H

/* Every prefix of the good value in buffer b is refused, without a crash. */
#define CHECK_PREFIXES(type, decode, b)                                                                               \
	for (size_t cut = 0; cut < (b).len; cut++) {                                                                   \
		type out;                                                                                              \
		CHECK(decode(&out, (b).data, cut) < 0);                                                                \
	}

#endif
