#!/bin/bash
# The house: who may include whom, and where each foreign library may be named (docs/architecture.md). Reads the includes of every
# source file, so that the picture cannot rot. Also: every header stands alone, every file opens with a licence and a paragraph, no
# line of C, of tests neither, is longer than 120 characters.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
bad=0
complain() { printf '%s\n' "$*"; bad=1; }

# folder: the folders whose headers it may include (its own always)
may() {
	case $1 in
	common) echo "" ;;
	netlink) echo "common" ;;
	capture | store) echo "common" ;;
	segment | inventory) echo "common netlink" ;;
	daemon | ui-cli) echo "common netlink capture store segment inventory daemon" ;;
	esac
}
# library header (pattern): files (pattern) that may include it
library() {
	case $1 in
	pcap.h | pcap/*) echo 'capture/source*' ;;
	ndpi*) echo 'capture/classify*' ;;
	lmdb.h) echo 'store/*.c store/txn.h store/bucket.h store/guard.h' ;;
	yaml.h) echo 'segment/policy*.c daemon/config*.c' ;;
	libnftnl/*) echo 'segment/nft*' ;;
	libmnl/*) echo 'netlink/* segment/nft*' ;;
	curl/*) echo 'inventory/docker*.c' ;;
	jansson.h) echo 'inventory/* daemon/* ui-cli/*' ;;
	sys/capability.h | seccomp.h) echo 'daemon/sandbox*.c' ;;
	esac
}

files=0
for folder in common netlink capture store segment inventory daemon ui-cli; do
	allowed=" $folder $(may $folder) "
	for f in "$folder"/*.[ch]; do
		[ -e "$f" ] || { complain "$folder/ has no sources"; continue; }
		files=$((files + 1))
		head -n 1 "$f" | grep -q 'SPDX-License-Identifier: GPL-3.0-or-later' || complain "$f: no licence line"
		sed -n '2,3p' "$f" | grep -q '^/\*' || complain "$f: no opening paragraph"
		while read -r inc; do
			case $inc in
			common/* | netlink/* | capture/* | store/* | segment/* | inventory/* | daemon/* | ui-cli/*)
				case $allowed in *" ${inc%%/*} "*) ;; *) complain "$f may not include $inc" ;; esac
				[ "$folder" = ui-cli ] || [ "${inc%%/*}" != ui-cli ] || complain "$f may not include $inc" ;;
			esac
			where=$(library "$inc")
			if [ -n "$where" ]; then
				ok=
				set -f
				for w in $where; do
					# shellcheck disable=SC2254
					case $f in $w) ok=1 ;; esac
				done
				set +f
				[ -n "$ok" ] || complain "$f may not include $inc (only $where)"
			fi
		done < <(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]\([^>"]*\)[>"].*/\1/p' "$f")
	done
done
[ "$files" -gt 20 ] || complain "only $files files found: is this the source tree?"
# A tab is one character here, and whatever continues a character of UTF-8 none, in any locale.
while read -r line; do
	complain "$line: longer than 120 characters"
done < <(find common netlink capture store segment inventory daemon ui-cli tests -name '*.[ch]' -exec env LC_ALL=C \
	awk '{ gsub(/[\200-\277]/, "") } length > 120 { print FILENAME ":" FNR }' {} +)
# A header that stands alone compiles alone.
for h in common/*.h netlink/*.h capture/worker.h capture/classify.h store/*.h segment/policy.h segment/eval.h segment/learn.h \
	segment/nft.h inventory/*.h daemon/control.h; do
	[ -e "$h" ] || continue
	grep -ql 'internal' <<<"$h" && continue
	printf '#include "%s"\n' "$h" | ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -I. -fsyntax-only -x c - 2>/dev/null || complain "$h does not stand alone"
done
[ $bad = 0 ] && echo "$files files keep the house"
exit $bad
