#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# peers.sh CAPTURE...: the same captures through weir (two workers and one, storing to LMDB) and, where they are
# installed, through ndpiReader, nfpcapd, argus, softflowd and tcpdump. To be called from the build folder. The
# programs take turns, ROUNDS times (default 3), so that what else the machine does hits all alike; medians are
# printed: wall and CPU seconds, memory, packets a second, and the ratios to ndpiReader and nfpcapd.
#
# Memory is given twice: peak_MB of the largest process, which is what time(1) says of any program, and sum_MB, the
# peaks of all processes added up (an upper bound: pages that they share count once for each). Only weir has several.
set -u
[ $# -gt 0 ] || { echo "usage: peers.sh CAPTURE..." >&2; exit 2; }
weir=${WEIR:-./weir} rounds=${ROUNDS:-3}
[ -x "$weir" ] || { echo "peers.sh: no $weir here: call it from the build folder, or set WEIR" >&2; exit 2; }
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

# Peaks of a process and its children, watched until it is gone; the sum in MB goes to FILE.
watch_memory() { # PID FILE
	local pid=$1 p kb sum
	declare -A peak=()
	while [ -r "/proc/$pid/status" ]; do
		for p in $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
			kb=$(awk '/^VmHWM/ {print $2}' "/proc/$p/status" 2>/dev/null)
			[ -n "$kb" ] && peak[$p]=$kb
		done
		sleep 0.03
	done
	sum=0
	for p in "${!peak[@]}"; do sum=$((sum + peak[$p])); done
	echo $((sum / 1024)) >"$2"
}

# One run: a line "wall cpu peak sum" in NAME.r. time(1) is a parent; the program is its only child.
one() { # NAME COMMAND...
	local name=$1 timer child=
	shift
	rm -rf "$out/d" "$out/sum" && mkdir "$out/d"
	/usr/bin/time -q -o "$out/t" -f "%e %U %S %M" "$@" >"$out/o" 2>&1 &
	timer=$!
	while [ -z "$child" ] && [ -r "/proc/$timer/task/$timer/children" ]; do
		child=$(cat "/proc/$timer/task/$timer/children" 2>/dev/null)
	done
	watch_memory ${child:-$timer} "$out/sum"
	wait $timer || echo "  $name: exit $?: $(tail -n 1 "$out/o")" >&2
	tail -n 1 "$out/t" | awk -v sum="$(cat "$out/sum")" \
		'{m = $4 / 1024; if (sum + 0 < m) sum = m; printf "%s %.2f %.0f %.0f\n", $1, $2 + $3, m, sum}' >>"$out/$name.r"
}

have() { command -v "$1" >/dev/null; }
round() { # CAPTURE
	one weir "$weir" read "$1" --workers 2 --state "$out/d"
	one weir-1 "$weir" read "$1" --workers 1 --state "$out/d"
	have ndpiReader && one ndpiReader ndpiReader -q -i "$1"
	have nfpcapd && one nfpcapd nfpcapd -r "$1" -l "$out/d"
	have argus && one argus argus -r "$1" -w "$out/d/a"
	have softflowd && one softflowd softflowd -r "$1" -n 127.0.0.1:9 -m 1000000 -D
	have tcpdump && one tcpdump tcpdump -nn -r "$1" -w /dev/null
}
median() { # NAME FIELD
	[ -s "$out/$1.r" ] && awk -v f="$2" '{print $f}' "$out/$1.r" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'
}
ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN {if (b > 0) printf "%.2f", a / b; else printf "-"}'; }

for capture; do
	rm -f "$out"/*.r
	packets=$(tcpdump -nn -r "$capture" --count 2>/dev/null | awk '/packet/ {print $1}')
	cat "$capture" >/dev/null # from memory for all
	for ((r = 0; r < rounds; r++)); do round "$capture"; done
	echo "$capture: ${packets:-?} packets, medians of $rounds rounds, load $(cut -d' ' -f1 /proc/loadavg)"
	printf '%-11s %8s %8s %8s %8s %8s   %s\n' program wall_s cpu_s peak_MB sum_MB Mpps "wall, cpu, peak by ndpiReader; wall by nfpcapd"
	for n in weir weir-1 ndpiReader nfpcapd argus softflowd tcpdump; do
		[ -s "$out/$n.r" ] || continue
		w=$(median $n 1) c=$(median $n 2) m=$(median $n 3)
		printf '%-11s %8s %8s %8s %8s %8s   %s, %s, %s; %s\n' $n "$w" "$c" "$m" "$(median $n 4)" \
			"$(ratio "$(awk -v p="${packets:-0}" 'BEGIN {print p / 1e6}')" "$w")" \
			"$(ratio "$w" "$(median ndpiReader 1)")" "$(ratio "$c" "$(median ndpiReader 2)")" \
			"$(ratio "$m" "$(median ndpiReader 3)")" "$(ratio "$w" "$(median nfpcapd 1)")"
	done
done
