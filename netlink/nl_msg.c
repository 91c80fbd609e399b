/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages: building them in a buffer that grows, and reading attributes with every length checked. libmnl's own
 * writers trust the caller about the room that is left; these do not.
 */
#include "config.h"
#include "netlink/nl.h"

#include <string.h>
#include <libmnl/libmnl.h>

#define ATTR_MAX_LEN (UINT16_MAX - MNL_ATTR_HDRLEN)

static const char zeros[64];

static void pad(struct nl_msg *m)
{
	buf_add(&m->b, zeros, MNL_ALIGN(m->b.len) - m->b.len);
}

void *nl_msg_init(struct nl_msg *m, uint16_t type, uint16_t flags, size_t extra_len)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST)};

	memset(m, 0, sizeof(*m));
	buf_add(&m->b, &h, sizeof(h));
	if (extra_len > sizeof(zeros))
		m->failed = true;
	else
		buf_add(&m->b, zeros, extra_len);
	pad(m);
	return m->failed || buf_failed(&m->b) ? NULL : m->b.data + MNL_NLMSG_HDRLEN;
}

void nl_msg_fini(struct nl_msg *m)
{
	buf_fini(&m->b);
}

void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = {.nla_len = (uint16_t)(MNL_ATTR_HDRLEN + len), .nla_type = type};

	if (len > ATTR_MAX_LEN) {
		m->failed = true;
		return;
	}
	buf_add(&m->b, &a, sizeof(a));
	buf_add(&m->b, data, len);
	pad(m);
}

void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_u16(struct nl_msg *m, uint16_t type, uint16_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_str(struct nl_msg *m, uint16_t type, const char *s)
{
	nl_put(m, type, s, strlen(s) + 1);
}

size_t nl_nest_start(struct nl_msg *m, uint16_t type)
{
	size_t at = m->b.len;

	nl_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_nest_end(struct nl_msg *m, size_t nest)
{
	uint16_t len;

	if (m->failed || buf_failed(&m->b))
		return;
	if (m->b.len - nest > UINT16_MAX) {
		m->failed = true;
		return;
	}
	len = (uint16_t)(m->b.len - nest);
	memcpy(m->b.data + nest + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

const void *nl_body(const struct nlmsghdr *h, size_t extra_len)
{
	return mnl_nlmsg_get_payload_len(h) >= extra_len ? mnl_nlmsg_get_payload(h) : NULL;
}

/* Attributes in len bytes at p. */
static void read_attrs(const struct nlattr **tb, uint16_t max, const uint8_t *p, size_t len)
{
	memset(tb, 0, ((size_t)max + 1) * sizeof(*tb));
	while (len >= MNL_ATTR_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		size_t step = MNL_ALIGN(a->nla_len);

		if (a->nla_len < MNL_ATTR_HDRLEN || a->nla_len > len)
			return;
		if (mnl_attr_get_type(a) <= max)
			tb[mnl_attr_get_type(a)] = a;
		if (step >= len)
			return;
		p += step;
		len -= step;
	}
}

void nl_attrs(const struct nlattr **tb, uint16_t max, const struct nlmsghdr *h, size_t extra_len)
{
	size_t len = mnl_nlmsg_get_payload_len(h), skip = MNL_ALIGN(extra_len);
	const uint8_t *p = mnl_nlmsg_get_payload(h);

	read_attrs(tb, max, len > skip ? p + skip : p, len > skip ? len - skip : 0);
}

void nl_attrs_nested(const struct nlattr **tb, uint16_t max, const struct nlattr *nest)
{
	read_attrs(tb, max, nl_attr_data(nest), nl_attr_len(nest));
}

size_t nl_attr_len(const struct nlattr *a)
{
	return a ? a->nla_len - (size_t)MNL_ATTR_HDRLEN : 0;
}

const void *nl_attr_data(const struct nlattr *a)
{
	return a ? (const uint8_t *)a + MNL_ATTR_HDRLEN : NULL;
}

static void get_fixed(const struct nlattr *a, void *out, size_t size)
{
	if (nl_attr_len(a) == size)
		memcpy(out, nl_attr_data(a), size);
}

uint8_t nl_attr_u8(const struct nlattr *a)
{
	uint8_t v = 0;

	get_fixed(a, &v, sizeof(v));
	return v;
}

uint16_t nl_attr_u16(const struct nlattr *a)
{
	uint16_t v = 0;

	get_fixed(a, &v, sizeof(v));
	return v;
}

uint32_t nl_attr_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	get_fixed(a, &v, sizeof(v));
	return v;
}

uint64_t nl_attr_u64(const struct nlattr *a)
{
	uint64_t v = 0;

	get_fixed(a, &v, sizeof(v));
	return v;
}

const char *nl_attr_str(const struct nlattr *a, char *out, size_t size)
{
	size_t n = nl_attr_len(a);

	if (size == 0)
		return out;
	if (n > size - 1)
		n = size - 1;
	if (n)
		memcpy(out, nl_attr_data(a), n);
	out[n] = '\0';
	return out;
}
