#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every verb that `weir --help` lists has help with an example, and a section in the man page with the same options; and the
# man pages are free of complaints. A verb that is forgotten somewhere fails here.
set -u
weir=${WEIR:-./weir} man=${top_srcdir:-.}/man/weir.1 failed=0 checks=0
fail() { echo "ui_help: $*" >&2; failed=$((failed + 1)); }

# The section of a verb in the man page, from its heading to the next.
section() { awk -v verb="$1" '/^\.S[sh] /{inside = ($0 == ".Ss " verb)} inside' "$man"; }

check() { # VERB [SUBVERB]
	local help
	checks=$((checks + 1))
	help=$("$weir" "$@" --help) || { fail "weir $* --help: exit $?"; return; }
	[ -z "$(awk 'length > 80' <<<"$help")" ] || fail "weir $* --help is wider than 80 columns"
	[ "$(head -n1 <<<"$help" | cut -d' ' -f1-3)" = "usage: weir $1" ] || fail "weir $* --help does not begin with its usage"
	grep -q '^examples:$' <<<"$help" || fail "weir $* --help has no example"
	sed '1,/^examples:$/d' <<<"$help" | grep -q "weir $*" || fail "weir $* --help: no example calls weir $*"
	[ -n "$(section "$1")" ] || { fail "$1 has no section in weir.1"; return; }
	section "$1" | grep -q "^\.Dl .*weir $1" || fail "the section of $1 in weir.1 has no example"
	# --state and --help are told of once for all verbs.
	sed -n '/^options:$/,/^$/s/^ .*--\([a-z-]*\).*/\1/p' <<<"$help" | grep -vx state | while read -r option; do
		letter=$(sed -n "s/^  -\(.\), --$option .*/\1/p" <<<"$help")
		section "$1" | grep -Eq -- "Fl (-$option|${letter:-none})( |\$)" || echo "$option"
	done | while read -r option; do
		echo "ui_help: option --$option of weir $* is not in weir.1" >&2
		echo x
	done | grep -q x && failed=$((failed + 1))
}

verbs=$("$weir" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ "$(wc -w <<<"$verbs")" -ge 15 ] || fail "weir --help lists only: $verbs"
for verb in $verbs; do check "$verb"; done
for verb in $("$weir" policy --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do check policy "$verb"; done
for verb in $(sed -n 's/^\.Ss \([a-z]*\)$/\1/p' "$man"); do
	grep -qx "$verb" <<<"$verbs" || fail "weir.1 has a section for $verb, which is no verb"
done
if command -v mandoc >/dev/null; then
	for page in "$man" "${man%/*}/weir-policy.5"; do
		mandoc -T lint -W warning "$page" >&2 || fail "mandoc complains of $page"
	done
elif command -v man >/dev/null; then
	for page in "$man" "${man%/*}/weir-policy.5"; do
		complaints=$(LC_ALL=C.UTF-8 man --warnings -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
		[ -z "$complaints" ] || fail "man complains of $page: $complaints"
	done
else
	echo "ui_help: neither mandoc nor man is here: the pages' markup was not checked" >&2
fi
echo "$checks verbs checked, $failed complaints"
[ "$failed" = 0 ]
