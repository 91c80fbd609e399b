/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libFuzzer calls; without it (a compiler that has none) tests/fuzz/driver.c does. */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
