/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets of services: rules are compared, united and subtracted as sorted arrays of ranges. See service_set.h. */
#include "config.h"
#include "segment/service_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int service_cmp(const void *va, const void *vb)
{
	const struct service *a = va, *b = vb;

	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return a->hi < b->hi ? -1 : a->hi > b->hi;
}

size_t service_set_normalise(struct service *s, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(s, n, sizeof(*s), service_cmp);
	if (s[0].proto == 0) {
		s[0] = (struct service){.lo = 0, .hi = 65535, .proto = 0};
		return 1;
	}
	for (size_t i = 1; i < n; i++) {
		if (s[i].proto != s[kept].proto || s[i].lo > s[kept].hi)
			s[++kept] = s[i];
		else if (s[i].hi > s[kept].hi)
			s[kept].hi = s[i].hi;
	}
	return kept + 1;
}

bool service_set_equal(const struct service *a, size_t n_a, const struct service *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (service_cmp(&a[i], &b[i]) != 0)
			return false;
	}
	return true;
}

bool service_set_covers(const struct service *set, size_t n, const struct service *s)
{
	for (size_t i = 0; i < n; i++) {
		if (set[i].proto == 0)
			return true;
		if (set[i].proto == s->proto && set[i].lo <= s->lo && s->hi <= set[i].hi)
			return true;
	}
	return false;
}

/* A sorted copy with room for one more; NULL without memory. */
static struct service *copy_sorted(const struct service *s, size_t *n)
{
	struct service *c = calloc(*n + 1, sizeof(*c));

	if (!c)
		return NULL;
	if (*n)
		memcpy(c, s, *n * sizeof(*c));
	*n = service_set_normalise(c, *n);
	return c;
}

/* Is cut wholly before the port lo of proto? */
static bool is_before(const struct service *cut, uint8_t proto, unsigned lo)
{
	return cut->proto < proto || (cut->proto == proto && cut->hi < lo);
}

/* Walks both sorted sets once. A range of ICMP types has no text form, so "icmp" less one type stays "icmp". */
static size_t subtract(struct service *left, const struct service *a, size_t n_a, const struct service *cut,
		       size_t n_cut)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < n_a; i++) {
		unsigned lo = a[i].lo;

		if (proto_is_icmp(a[i].proto) && a[i].lo != a[i].hi) {
			if (!service_set_covers(cut, n_cut, &a[i]))
				left[n++] = a[i];
			continue;
		}
		for (;;) {
			while (k < n_cut && is_before(&cut[k], a[i].proto, lo))
				k++;
			if (k == n_cut || cut[k].proto != a[i].proto || cut[k].lo > a[i].hi)
				break;
			if (cut[k].lo > lo)
				left[n++] = (struct service){(uint16_t)lo, (uint16_t)(cut[k].lo - 1), a[i].proto};
			lo = cut[k].hi + 1u;
			if (lo > a[i].hi)
				break;
		}
		if (lo <= a[i].hi)
			left[n++] = (struct service){(uint16_t)lo, a[i].hi, a[i].proto};
	}
	return n;
}

int service_set_minus(struct service **out, size_t *n_out, const struct service *a, size_t n_a, const struct service *b,
		      size_t n_b)
{
	struct service *from = copy_sorted(a, &n_a), *cut = copy_sorted(b, &n_b), *left = NULL;
	size_t n = 0;
	int rc = -ENOMEM;

	/* Each of b's ranges can cut one of a's in two at most. */
	if (from && cut)
		left = calloc(n_a + n_b + 1, sizeof(*left));
	if (!left)
		goto out;
	if (n_b == 0 || cut[0].proto != 0)
		n = subtract(left, from, n_a, cut, n_b);
	if (n == 0) {
		free(left);
		left = NULL;
	}
	*out = left;
	*n_out = n;
	rc = 0;
out:
	free(from);
	free(cut);
	return rc;
}

void service_set_format(struct buf *b, const struct service *s, size_t n)
{
	char text[SERVICE_STRLEN];

	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? ", " : "", service_format(&s[i], text));
}
