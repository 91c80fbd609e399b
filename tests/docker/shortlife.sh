#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Short lives on a real engine: a hundred `docker run --rm`, five at a time, whose process sends ten datagrams in some 20 ms and
# ends. Each has its flow stored under the name of the container, with its image and group, and as many packets as the kernel
# saw of it: on a busy machine, a container may be gone before anybody has answered its ARP request.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
. "$top_srcdir/tests/docker/lib.sh"
load=$PWD/tests/bench/load
[ -x "$load" ] || load=${top_builddir:-.}/tests/bench/load
[ -x "$load" ] || lab_skip "needs $load: make check TESTS="
LIVES=${WEIR_LIVES:-100} AT_ONCE=${WEIR_AT_ONCE:-5}

lab_begin_weir brief nft
lab_engine_start
lab_image brief/job
cp "$load" "$LAB_DIR/load"
lab_docker network create --subnet 10.79.0.0/16 -o com.docker.network.bridge.name=br-brief brief >/dev/null
weir_start
lab_check "weir starts" lab_poll 20 weir_settled
# One that stays: a bridge without ports is not captured, and the first on it may be over before it is.
lab_docker run -d --name stays --network brief -v /usr:/usr:ro brief/job sleep 3600 >/dev/null
lab_check "the bridge is captured" lab_poll 10 status_is '.interfaces | any(.name == "br-brief" and .attached)'

lab_in nft 'add table ip heard; add chain ip heard input { type filter hook input priority raw; }
	add rule ip heard input udp dport 9 counter'
job() { # name
	lab_docker run --rm --name "$1" --network brief -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro \
		-v "$LAB_DIR/load:/load:ro" -l com.docker.compose.project=brief -l com.docker.compose.service=job \
		brief/job /load burst 10.79.0.1 9 10 20 >>"$LAB_DIR/sent" 2>>"$LAB_DIR/mute"
}
jobs='' i=0
while [ $i -lt "$LIVES" ]; do
	job "job-$i" &
	jobs="$jobs $!"
	i=$((i + 1))
	[ $((i % AT_ONCE)) = 0 ] || [ $i = "$LIVES" ] || continue
	# shellcheck disable=SC2086
	wait $jobs
	jobs=''
done
lab_check "all of them spoke" test "$(wc -l <"$LAB_DIR/sent")" = "$LIVES" -a ! -s "$LAB_DIR/mute"
lab_say "$(awk '{ t += $2 } END { printf "%d lives, from first packet to last %.0f ms", NR, t / NR }' "$LAB_DIR/sent")"
heard=$(lab_in nft -j list chain ip heard input | jq '[.nftables[].rule.expr[]?.counter?.packets // empty] | add')
lab_check "and the kernel heard most of it" [ "$heard" -ge $((LIVES * 10 * 3 / 4)) ]
# Engines give an address away again at once, so that lives are told apart by name.
named() {
	w flows -o json 2>/dev/null | jq -r 'select(.dest_port == 9 and .proto == "UDP") | [.flow.pkts_toserver, .src.workload // "-",
		.src.image // "-", .src.group // "-", .src_ip, .src.unnamed // "-"] | @tsv' >"$LAB_DIR/flows"
	awk '$2 ~ /^job-[0-9]+$/ && $3 ~ /^brief\/job/ && $4 == "brief/job" { n[$2] += $1 }
		END { for (name in n) { lives++; sum += n[name]; bad += n[name] > 10 } print sum + 0, lives + 0, bad + 0 }' \
		"$LAB_DIR/flows" >"$LAB_DIR/named"
	read -r sum lives bad <"$LAB_DIR/named"
	[ "$sum" = "$heard" ] && [ "$bad" = 0 ]
}
lab_check "each is stored with its packets, container name, image and group" lab_poll 30 named
lab_say "$heard packets heard of $((LIVES * 10)); $sum stored under $lives names"
grep -v '^10	job-.*brief/job' "$LAB_DIR/flows" | head -5 | sed 's/^/# not as it should be: /'

# Every one of them answers for its address at its time.
knows() { # address time name
	w who "$1" --at "$2" 2>/dev/null | grep -q " $3\$"
}
one=$(w flows -o json 2>/dev/null | jq -r 'select(.src.workload // "" | startswith("job-")) |
	[.src_ip, .flow.start, .src.workload] | @tsv' | head -n 1)
# shellcheck disable=SC2086
lab_check "one of them is known by address and time" knows $one
[ "$LAB_FAILED" = 0 ] || sed 's/^/# /' "$log" "$LAB_DIR/mute"
lab_end
