/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The secret behind hash.h. */
#include "config.h"
#include "common/hash.h"

#include <sys/random.h>
#include "common/timefmt.h"

void hash_secret_init(struct hash_secret *s)
{
	if (getrandom(s->k, sizeof(s->k), 0) != (ssize_t)sizeof(s->k)) {
		s->k[0] = time_now_ns();
		s->k[1] = time_mono_ns() * 0x9e3779b97f4a7c15ull;
	}
}
