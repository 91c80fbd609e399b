/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the builders of seeds put them: a folder for each fuzz target, a file for each seed, named by its content, so
 * that the same seed is written once. */
#ifndef WEIR_TESTS_FUZZ_SEED_DIR_H
#define WEIR_TESTS_FUZZ_SEED_DIR_H
#include <stddef.h>

/* Makes dir and in it a folder of each kind, where they are not there yet. 0, or -1 and said. dir is borrowed. */
int seed_dir_open(const char *dir, const char *const *kinds, size_t n);
/* 0, or -1 and said. */
int seed_dir_write(const char *kind, const void *data, size_t len);

#endif
