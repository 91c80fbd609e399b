/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks at a data file before LMDB maps it: the two meta pages at its head, and whether the file is as long as the
 * newer of them says. It is read with pread, so that nothing in it can do more than make this fail.
 *
 * One file may be short and sound: pages at the end that a transaction took and gave back are never written, and LMDB
 * counts them all the same (mdb_env_copy in LMDB allows for it too). The free list tells: if every page that is missing
 * stands in it, nothing is. So the free list's tree is walked here, in that rare case only.
 *
 * Layout: LMDB 0.9, data version 1, mdb.c (struct MDB_page, MDB_meta, MDB_db, MDB_node); numbers in host order.
 */
#include "config.h"
#include "store/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0xBEEFC0DEu
#define DATA_VERSION 1u
#define PAGE_HEAD 16
#define META_LEN 152 /* page header and MDB_meta */
#define FLAG_BRANCH 0x01
#define FLAG_LEAF 0x02
#define FLAG_META 0x08
#define NODE_HEAD 8
#define NODE_BIG 0x01 /* the value is on overflow pages */
#define DEPTH_MAX 32
#define NO_PAGE UINT64_MAX
#define LOOKS 3
#define FLAG_INTEGER_KEY 0x08 /* of the free list's tree; LMDB keeps flags of the environment beside it */
#define MAP_MAX (1ull << 46)   /* half of what a process can map */

/* The two trees a meta page knows: of free pages, and of everything else. */
struct tree {
	uint16_t flags, depth;
	uint64_t root;
};

struct meta {
	uint32_t page_size;
	uint64_t map_size, last_page, txn;
	struct tree free, all;
};

struct walk {
	int fd;
	uint32_t page_size;
	uint64_t pages;   /* whole pages in the file */
	uint64_t last;    /* the last page there should be */
	uint64_t missing; /* free ones found at or behind pages */
};

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* All len bytes at offset, or an error; an early end is -EBADMSG. */
static int read_at(int fd, void *out, size_t len, uint64_t offset)
{
	uint8_t *p = out;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int read_meta(int fd, struct meta *out, uint64_t offset)
{
	uint8_t p[META_LEN];
	int rc = read_at(fd, p, sizeof(p), offset);

	if (rc)
		return rc;
	if (!(get16(p + 10) & FLAG_META) || get32(p + 16) != MAGIC)
		return -EBADMSG;
	if (get32(p + 20) != DATA_VERSION)
		return -EPROTO;
	out->map_size = get64(p + 32);
	out->page_size = get32(p + 40);
	out->free = (struct tree){get16(p + 44), get16(p + 46), get64(p + 80)};
	out->all = (struct tree){get16(p + 92), get16(p + 94), get64(p + 128)};
	out->last_page = get64(p + 136);
	out->txn = get64(p + 144);
	if (out->page_size < 512 || out->page_size > 65536 || (out->page_size & (out->page_size - 1)) ||
	    out->last_page < 1 || out->last_page > MAP_MAX / 65536 || out->map_size > MAP_MAX ||
	    !(out->free.flags & FLAG_INTEGER_KEY) || out->all.flags != 0)
		return -EBADMSG;
	return 0;
}

/* Does the tree's root look like one? */
static int check_root(const struct walk *w, const struct tree *t)
{
	uint8_t p[PAGE_HEAD];
	int rc;

	if (t->root == NO_PAGE)
		return t->depth == 0 ? 0 : -EBADMSG;
	if (t->root < 2 || t->root > w->last || t->root >= w->pages || t->depth < 1 || t->depth > DEPTH_MAX)
		return -EBADMSG;
	rc = read_at(w->fd, p, sizeof(p), t->root * w->page_size);
	if (rc)
		return rc;
	return get64(p) == t->root && get16(p + 10) == (t->depth == 1 ? FLAG_LEAF : FLAG_BRANCH) ? 0 : -EBADMSG;
}

/* Is the free list's root one of its own pages? Its keys are transaction numbers; LMDB falls over nodes of other trees
 * there. */
static int check_free_root(const struct walk *w, const struct tree *t)
{
	uint8_t *p;
	unsigned n;
	int rc = check_root(w, t);

	if (rc || t->root == NO_PAGE)
		return rc;
	p = malloc(w->page_size);
	if (!p)
		return -ENOMEM;
	rc = read_at(w->fd, p, w->page_size, t->root * w->page_size);
	n = rc || get16(p + 12) < PAGE_HEAD || get16(p + 12) > w->page_size ? 0 : (get16(p + 12) - PAGE_HEAD) / 2u;
	if (!rc && n == 0)
		rc = -EBADMSG;
	for (unsigned i = 0; !rc && i < n; i++) {
		size_t at = get16(p + PAGE_HEAD + 2 * i);

		if (at + NODE_HEAD > w->page_size || at + NODE_HEAD + get16(p + at + 6) > w->page_size)
			rc = -EBADMSG;
		else if (t->depth > 1) /* the first key of a branch is empty */
			rc = i == 0 || get16(p + at + 6) == 8 ? 0 : -EBADMSG;
		else
			rc = get16(p + at + 6) == 8 && !(get16(p + at + 4) & ~NODE_BIG) ? 0 : -EBADMSG;
	}
	free(p);
	return rc;
}

/* One list of page numbers: a count, then that many; inline or on overflow pages, all inside the file. */
static int count_list(struct walk *w, const uint8_t *node, size_t room)
{
	size_t key_len = get16(node + 6), n = get32(node);
	uint8_t *copy = NULL;
	const uint8_t *list = node + NODE_HEAD + key_len;
	int rc = -EBADMSG;

	if (NODE_HEAD + key_len + 8 > room || n < 8 || n > w->pages * w->page_size)
		return -EBADMSG;
	if (get16(node + 4) & NODE_BIG) {
		uint64_t page = get64(list);

		if (page >= w->pages)
			return -EBADMSG;
		copy = malloc(n);
		if (!copy)
			return -ENOMEM;
		rc = read_at(w->fd, copy, n, page * w->page_size + PAGE_HEAD);
		if (rc)
			goto out;
		list = copy;
		rc = -EBADMSG;
	} else if (NODE_HEAD + key_len + n > room) {
		return -EBADMSG;
	}
	if (get64(list) > n / 8 - 1)
		goto out;
	for (uint64_t i = 1; i <= get64(list); i++) {
		uint64_t page = get64(list + 8 * i);

		if (page >= w->pages && page <= w->last)
			w->missing++;
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

static int walk_page(struct walk *w, uint64_t page, unsigned depth)
{
	uint8_t *p;
	unsigned n;
	int rc;

	if (page >= w->pages || depth > DEPTH_MAX)
		return -EBADMSG;
	p = malloc(w->page_size);
	if (!p)
		return -ENOMEM;
	rc = read_at(w->fd, p, w->page_size, page * w->page_size);
	if (rc)
		goto out;
	rc = -EBADMSG;
	if (get16(p + 12) < PAGE_HEAD || get16(p + 12) > w->page_size || !(get16(p + 10) & (FLAG_BRANCH | FLAG_LEAF)))
		goto out;
	n = (get16(p + 12) - PAGE_HEAD) / 2u;
	for (unsigned i = 0; i < n; i++) {
		size_t at = get16(p + PAGE_HEAD + 2 * i);

		rc = -EBADMSG;
		if (at + NODE_HEAD > w->page_size)
			goto out;
		if (get16(p + 10) & FLAG_BRANCH)
			rc = walk_page(w, get32(p + at) | (uint64_t)get16(p + at + 4) << 32, depth + 1);
		else
			rc = count_list(w, p + at, w->page_size - at);
		if (rc)
			goto out;
	}
	rc = 0;
out:
	free(p);
	return rc;
}

static int check_once(int fd)
{
	struct meta m[2];
	const struct meta *newer;
	struct walk w = {.fd = fd};
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size == 0)
		return -ENOENT;
	rc = read_meta(fd, &m[0], 0);
	if (!rc)
		rc = read_meta(fd, &m[1], m[0].page_size);
	if (rc)
		return rc;
	if (fstat(fd, &st) < 0) /* again, after the meta pages: a live writer may have made it longer before them */
		return -errno;
	newer = &m[m[1].txn > m[0].txn];
	w.page_size = m[0].page_size;
	w.pages = (uint64_t)st.st_size / w.page_size;
	w.last = newer->last_page;
	/* Which of the two LMDB takes goes by whether the number of the transaction is odd. */
	if (m[1].page_size != w.page_size || newer != &m[newer->txn & 1])
		return -EBADMSG;
	rc = check_free_root(&w, &newer->free);
	if (!rc)
		rc = check_root(&w, &newer->all);
	if (rc || w.last < w.pages)
		return rc;
	if (newer->free.root == NO_PAGE)
		return -EBADMSG;
	rc = walk_page(&w, newer->free.root, 0);
	if (rc)
		return rc;
	return w.missing == w.last + 1 - w.pages ? 0 : -EBADMSG;
}

int check_file(int fd)
{
	int rc = check_once(fd);

	/* Beside a live writer one look may mix two commits; several in a row do not. */
	for (unsigned i = 0; i < LOOKS && rc == -EBADMSG; i++)
		rc = check_once(fd);
	return rc;
}
