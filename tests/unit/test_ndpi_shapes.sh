#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# capture/classify compiles against the interface of every nDPI release that weir names, installed or not. What the headers
# in ndpi_shapes/ say of a release is its shape only: that the calls behave is shown by test_classify on the one installed.
src=${top_srcdir:-.}
status=0
for shape in 402 404 406 408 410 412 414 500 600; do
	for file in classify classify_attrs; do
		if ! ${CC:-cc} -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -DNDPI_SHAPE=$shape -I "$src/tests/unit/ndpi_shapes" \
			-I "$src" "$src/capture/$file.c"; then
			echo "capture/$file.c does not compile against nDPI $((shape / 100)).$((shape % 100))"
			status=1
		fi
	done
done
[ $status = 0 ] && echo "compiled against nine releases"
exit $status
