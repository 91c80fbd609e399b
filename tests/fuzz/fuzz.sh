#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# fuzz.sh [TARGET...]: runs the fuzz targets of the build folder (all), two side by side, each in a folder of its own where
# the input that makes it fail is left. Those that read packets run for WEIR_FUZZ_SECONDS (60), the others for a third of it.
# Seeds are made here: of nothing, of the documents in the tree, and of the small captures below WEIR_CORPUS.
set -u
top=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
bin=$PWD/tests/fuzz
seconds=${WEIR_FUZZ_SECONDS:-60}
packets="decode file flow classify dns"
others="docker inventory control config filter policy record store engine ipc sample"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/tmp"
export TMPDIR=$work/tmp # for their sockets and stores

# ---- seeds
seeds=$work/seeds
mkdir "$seeds"
for program in make_seeds make_values; do
	"$bin/$program" "$seeds" || { echo "FAIL: $program: its own seeds are not sound"; exit 1; }
done
if [ -n "${WEIR_CORPUS:-}" ] && [ -d "$WEIR_CORPUS" ]; then
	find "$WEIR_CORPUS" -name '*cap*' -type f -size -64k -print0 | xargs -0 "$bin/make_seeds" "$seeds" || exit 1
fi
for folder in "$top"/tests/fuzz/seeds/*/; do
	kind=$(basename "$folder")
	mkdir -p "$seeds/$kind"
	cp "$folder"* "$seeds/$kind/"
done
mkdir -p "$seeds/policy"
awk -v dir="$seeds/policy" '/^```yaml$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > (dir "/manual" n) }' \
	"$top/docs/policy.md"
sed 's/^#\([a-z_]*:\)/\1/' "$top/daemon/weir.yaml.example" >"$seeds/config/example"
cp "$top"/tests/unit/inventory_data/*.json "$seeds/inventory/"

# ---- runs
# one TARGET SECONDS: its result to $work/TARGET.result, what it said to $work/TARGET.log.
one() {
	local kind=$1 for=$2 status
	mkdir -p "$bin/run/$kind"
	cd "$bin/run/$kind" || return
	rm -f fuzz-failure.bin crash-* leak-* timeout-* oom-*
	if "$bin/fuzz_$kind" -help=1 2>&1 </dev/null | grep -q max_total_time; then
		mkdir "$work/$kind.grown"
		"$bin/fuzz_$kind" -max_total_time="$for" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
			"$work/$kind.grown" "$seeds/$kind" >"$work/$kind.log" 2>&1
	else
		WEIR_FUZZ_SECONDS=$for "$bin/fuzz_$kind" "$seeds/$kind" >"$work/$kind.log" 2>&1
	fi
	status=$?
	echo $status >"$work/$kind.result"
	if [ $status = 0 ]; then
		echo "ok   $kind: $(tail -n 1 "$work/$kind.log")"
		rm -rf "$bin/run/$kind"
	else
		echo "FAIL $kind: status $status; input in tests/fuzz/run/$kind$(tell_input)"
		tail -n 60 "$work/$kind.log"
	fi
}
# The input itself where it is small enough: of a machine that is gone, the log is all that stays.
tell_input() {
	local file packed
	for file in fuzz-failure.bin crash-* leak-* timeout-* oom-*; do
		[ -s "$file" ] || continue
		packed=$(gzip -9 <"$file" | base64 -w 380)
		[ ${#packed} -le 5000 ] && printf ', and here (base64 -d | gunzip):\n%s' "$packed"
		return
	done
}
# Takes targets off the list until it is empty.
lane() {
	local kind for
	while kind=$(flock "$work/list" sh -c "head -n 1 '$work/list'; sed -i 1d '$work/list'") && [ -n "$kind" ]; do
		for=$seconds
		case " $packets " in *" $kind "*) ;; *) for=$(((seconds + 2) / 3)) ;; esac
		(one "$kind" "$for")
	done
}
# shellcheck disable=SC2086 # lists of words
[ $# -gt 0 ] || set -- $packets $others
printf '%s\n' "$@" >"$work/list"
wanted=$(wc -l <"$work/list")
lane & lane & wait
rmdir "$bin/run" 2>/dev/null
passed=$(cat "$work"/*.result | grep -cx 0)
echo "$passed of $wanted targets found nothing"
[ "$passed" = "$wanted" ]
