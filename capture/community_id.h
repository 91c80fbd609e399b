/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Community ID v1: one name for a conversation that every tool computes alike, so that weir's records can be joined
 * with those of Zeek, Suricata and others.
 */
#ifndef WEIR_CAPTURE_COMMUNITY_ID_H
#define WEIR_CAPTURE_COMMUNITY_ID_H
#include "common/flow.h"

/* Seed 0 (https://github.com/corelight/community-id-spec) of the record's conversation, as "1:..." into out (at least
 * COMMUNITY_ID_STRLEN bytes). 0, or -EOPNOTSUPP where the specification has none (ends of different IP versions). */
#define COMMUNITY_ID_STRLEN 40
int community_id(const struct flow_rec *f, char *out);

#endif
