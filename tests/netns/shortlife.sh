#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Short lives: five hundred named namespaces that live about 50 ms on a bridge and send ten packets each. All but one in
# a thousand have their flows stored and named, fifty at a time. While the inventory is stopped, so that it cannot look
# into anything, each flow is stored with a name or with the reason why it has none. And a bridge that is deleted right behind
# its last packets: what it held is kept.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon brief
load=$PWD/tests/bench/load
[ -x "$load" ] || load=${top_builddir:-.}/tests/bench/load
LIVES=${WEIR_LIVES:-500} AT_ONCE=${WEIR_AT_ONCE:-50}
lab_bridge br0 10.91.0.1/16
lab_bridge br1 10.92.0.1/16
mac0=$(lab_in ip -o link show br0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')

up() {
	ip -n "$LAB_NS" link show "l$1" 2>/dev/null | grep -q 'state UP' &&
		ip -n "$LAB_NS-l$1" link show eth0 2>/dev/null | grep -q 'state UP'
}
# One whole life: born, ten datagrams to the host, 50 ms, dead. Known neighbour: no packet waits for ARP.
life() { # number
	n=$LAB_NS-l$1 a=10.91.$(($1 / 200 + 1)).$(($1 % 200 + 1))
	ip netns add "$n" || return
	ip -n "$LAB_NS" link add "l$1" type veth peer name eth0 netns "$n"
	ip -n "$LAB_NS" link set "l$1" master br0 up
	ip -n "$n" -b - <<-SET
		addr add $a/16 dev eth0
		link set eth0 up
		neigh add 10.91.0.1 lladdr $mac0 dev eth0
	SET
	# A link takes its time to come up, and what is sent before never leaves.
	lab_poll 10 up "$1" || echo "no link $1" >>"$LAB_DIR/mute"
	nsenter --net="/run/netns/$n" "$load" burst 10.91.0.1 9 10 50 >>"$LAB_DIR/sent" || echo "$1" >>"$LAB_DIR/mute"
	ip netns del "$n"
}
# A stranded namespace must not outlive the test, whatever the reason.
sweep() { for n in $(ip netns list | grep -o "^$LAB_NS-[a-z0-9]*"); do ip netns del "$n"; done; lab_cleanup; }
trap sweep EXIT

weir_start
lab_check "weir starts" lab_poll 20 weir_settled
# One that stays on each, so that they are watched before the first short life.
lab_workload stay0 br0 10.91.0.2/16
lab_workload stay1 br1 10.92.0.2/16
lab_check "both bridges are watched" lab_poll 10 weir_watches 2

lives() { # from, to (exclusive)
	jobs='' i=$1
	while [ "$i" -lt "$2" ]; do
		life "$i" &
		jobs="$jobs $!"
		i=$((i + 1))
		[ $((i % AT_ONCE)) = 0 ] || [ "$i" = "$2" ] || continue
		# shellcheck disable=SC2086
		wait $jobs
		jobs=''
	done
}
lives 0 $LIVES
lab_check "all of them spoke" test ! -e "$LAB_DIR/mute"
lab_say "$(awk '{ n += $1; t += $2 } END { printf "%d lives, %d packets, from first packet to last %.0f ms", NR, n, t / NR }' "$LAB_DIR/sent")"

# Flows of short lives: by address, with the name.
named() {
	w flows -o json 2>/dev/null | jq -r 'select(.proto == "UDP" and .dest_port == 9) |
		[.src_ip, .src.workload // "-", .flow.pkts_toserver] | @tsv' | sort -u >"$LAB_DIR/flows"
	awk -v p="$LAB_NS-l" '$2 ~ "^" p { split($2, k, p); i = k[2]; a = "10.91." int(i / 200) + 1 "." i % 200 + 1
		if ($1 == a && $3 == 10) n++ } END { print n + 0 }' "$LAB_DIR/flows" >"$LAB_DIR/named"
	[ "$(cat "$LAB_DIR/named")" -ge $(((LIVES * 999 + 999) / 1000)) ]
}
lab_check "at least 99.9 % have their ten packets stored under their name" lab_poll 30 named
lab_say "$(cat "$LAB_DIR/named") of $LIVES named, $(wc -l <"$LAB_DIR/flows") stored"
lab_say "$(status_of .store.workloads) workloads stored"
grep -v "	$LAB_NS-l.*	10$" "$LAB_DIR/flows" | head -5 | while read -r ip name n; do
	lab_say "not as it should be: $ip $name $n; known: $(w who "$ip" 2>&1 | tr '\n' ' ')"
done

# The inventory cannot look into anything (its process is stopped) while twenty live and die. Once for a moment: it finds out
# that they were there, and that they are gone. Once for longer than flows wait for it.
said() { # first address, how many: as many flows, and all of them named or with a reason
	w flows -o json 2>/dev/null | jq -r --arg net "$1" 'select(.dest_port == 9 and (.src_ip | startswith($net))) |
		[.src_ip, .flow.pkts_toserver, .src.workload // .src.unnamed // "-"] | @tsv' | sort -u >"$LAB_DIR/said"
	[ "$(wc -l <"$LAB_DIR/said")" -eq "$2" ] && ! grep -q '	-$' "$LAB_DIR/said"
}
reasons() { cut -f 3 "$LAB_DIR/said" | sed "s/^$LAB_NS.*/a name/" | sort | uniq -c | tr -s ' \n' ' '; }
[ "$LIVES" -le 600 ] || lab_skip "the rest counts on 600 lives at most"
# Flows wait ten seconds for it: on a machine so slow that twenty lives take longer, for some it is the second case already.
kill -STOP "$weir"
began=$(date +%s)
lives 600 620
kill -CONT "$weir"
[ $(($(date +%s) - began)) -lt 8 ] && late=none || late=inventory-silent
lab_check "stopped for a moment: each is named or has a reason" lab_poll 20 said 10.91.4. 20
lab_say "$(reasons)"
lab_check "and the reason is that they were gone" sh -c "! grep -v '$LAB_NS-l\|gone-before-lookup\|$late' '$LAB_DIR/said'"
kill -STOP "$weir"
lives 800 820
lab_check "stopped for long: each is named or has a reason" lab_poll 30 said 10.91.5. 20
lab_say "$(reasons)"
kill -CONT "$weir"
lab_check "and the reason is that nobody looked" sh -c "! grep -v '$LAB_NS-l\|inventory-silent' '$LAB_DIR/said'"
tells() { w who "$1" 2>/dev/null | grep -q 'no name .*the inventory had not got as far'; }
lab_check "weir who says it" tells "$(grep -m 1 inventory-silent "$LAB_DIR/said" | cut -f 1)"
lab_check "weir status counts it" \
	status_is '.engine | .unnamed == (.unnamed_why | add) and .unnamed_why["inventory-silent"] > 0'

# A bridge that goes right behind its last packets.
mac1=$(lab_in ip -o link show br1 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')
ip -n "$LAB_NS-stay1" neigh add 10.92.0.1 lladdr "$mac1" dev eth0
lab_inside stay1 "$load" burst 10.92.0.1 11 50 0 >/dev/null
lab_in ip link del br1
kept() {
	w flows -o json 2>/dev/null | jq -es --arg s "$LAB_NS-stay1" '[.[] | select(.dest_port == 11)] | length == 1 and
		(.[0] | .src.workload == $s and .flow.pkts_toserver == 50 and .flow.reason == "eof")' >/dev/null
}
lab_check "a bridge deleted behind its last packet: what it held is stored" lab_poll 10 kept
lab_check "and it is let go" lab_poll 5 status_is '[.interfaces[] | select(.name == "br1" and .attached)] | length == 0'
[ "$LAB_FAILED" = 0 ] || { w flows -o json | jq -c 'select(.dest_port == 11)'; cat "$log"; } | sed 's/^/# /'
lab_end
