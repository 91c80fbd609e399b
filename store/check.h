/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is this file one that LMDB may map? LMDB believes what it finds; a file that was cut short would end the process
 * with SIGBUS at the first page that is missing.
 */
#ifndef WEIR_STORE_CHECK_H
#define WEIR_STORE_CHECK_H

/*
 * 0: sound as far as its head and its length tell. -ENOENT: empty. -EBADMSG: not LMDB's, damaged or cut
 * short. -EPROTO: LMDB's of another format. Other negative errno from reading.
 */
int check_file(int fd);

#endif
