#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What runtests shows of a failed test names its cause, wherever in the log it is, and stays short.
why=${top_srcdir:-.}/tests/lab/why.awk
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
check() { # what, command...
	what=$1
	shift
	if "$@"; then echo "ok - $what"; else failed=1; echo "not ok - $what"; sed 's/^/# /' "$dir/told"; fi
}
tell() { awk "$@" -f "$why" "$dir/log" >"$dir/told"; }
has() { grep -qxF "$1" "$dir/told"; }
has_not() { ! grep -q "$1" "$dir/told"; }
short() { [ "$(wc -l <"$dir/told")" -le "$1" ]; }
counts() { [ "$(grep -c "$2" "$dir/told")" = "$1" ]; }

# A failure near the start, 200 checks behind it, and a daemon's long log.
{
	echo "ok 1 - starts"
	echo "nc: refused"
	echo "# got a"
	echo "not ok 2 - reads"
	echo "# at load 9"
	seq -f 'ok %g - more' 3 200
	seq -f '# log: line %g' 300
} >"$dir/log"
tell
for part in 'nc: refused' '# got a' 'not ok 2 - reads' '# at load 9' '# log: line 300'; do check "tells: $part" has "$part"; done
check "no other check" has_not '^ok 3 '
check "tells how much it left out" grep -q '^\.\.\. ([0-9]* more)$' "$dir/told"
check "is short" short 60

# More failures than room: each at least named.
for i in $(seq 60); do echo "not ok $i - thing"; seq -f "# because %g" 10; done >"$dir/log"
tell
check "many failures: forty and more are named" test "$(grep -c '^not ok' "$dir/told")" -ge 40
check "many failures: bounded" short 210

# A list of results: what stands below one that failed, and not what stands below the others.
{
	seq -f 'ok one %g' 40
	printf 'FAIL two: status 134\nx.c:20: does not hold: a\nthe input is there\nok three\n'
	seq -f 'ok four %g' 40
} >"$dir/log"
tell -v last=2
check "below a FAIL: the reason" has 'x.c:20: does not hold: a'
check "below a FAIL: what else is said" has 'the input is there'
check "below a FAIL: no more" has_not 'three'

# The words of other tools.
for words in 'test_x.c:12: test_one: failed: a == b' 'test_x.c:9: test_two: n is 3, not 4' '==1==ERROR: AddressSanitizer: heap-use-after-free' \
	'x.c:3:1: runtime error: shift exponent 70' 'x.c:4:2: error: unused variable' 'AssertionError: no' 'make[2]: *** [x.o] Error 1'; do
	{ echo first; echo "$words"; seq -f 'later %g' 100; } >"$dir/log"
	tell
	check "knows: $words" has "$words"
done

# Nothing to be known: the end, and a line of any length is cut.
{ seq 100; awk 'BEGIN { for (i = 0; i < 1000; i++) printf "long "; print "" }'; } >"$dir/log"
tell -v last=5
check "no cause: the end alone" counts 4 '^[0-9]'
check "a long line is cut" awk 'length($0) > 410 { exit 1 }' "$dir/told"
: >"$dir/log"
tell
check "an empty log tells nothing" test ! -s "$dir/told"
[ $failed = 0 ]
