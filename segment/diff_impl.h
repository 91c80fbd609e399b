/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two files of the difference share. Private to segment/diff*.c. */
#ifndef WEIR_SEGMENT_DIFF_IMPL_H
#define WEIR_SEGMENT_DIFF_IMPL_H
#include "segment/diff.h"

/* Appends an item; takes the text of what, which is empty afterwards. NULL without memory. */
struct diff_item *diff_add(struct diff *d, enum diff_kind kind, const char *group, struct buf *what);

#endif
