#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Two workloads that change their addresses as fast as the kernel takes it, as whoever has CAP_NET_ADMIN in a container
# can: weir goes on answering, carries out orders, names who comes and forgets who goes, and is not the flood's loudspeaker.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon flap nft
probe=$top_builddir/tests/netns/inventory_probe
lab_bridge br0 10.81.0.1/16
lab_workload a br0 10.81.0.2/16
lab_workload b br0 10.81.0.3/16
lab_workload c br0 10.81.0.4/16
cat >"$LAB_DIR/policy.yaml" <<CONF
weir: 1
groups:
  a: {name: $LAB_NS-a}
  d: {name: $LAB_NS-d}
policy:
  d:
    stage: enforce
    inbound: []
    outbound: []
CONF
lab_check "weir answers" weir_start
lab_check "its inventory is complete" lab_poll 10 weir_settled
lab_check "apply" w apply "$LAB_DIR/policy.yaml" --confirm-within 0

lab_spawn "$LAB_DIR/watch" "$probe" watch "" /run/netns
lab_poll 10 grep -qs '^settled' "$LAB_DIR/watch" || lab_skip "the probe does not start"
flap() { # workload, network
	nsenter --net="/run/netns/$LAB_NS-$1" "$probe" flap eth0 "$2" >>"$LAB_DIR/flap" 2>&1 &
	FLAPPERS="$FLAPPERS $!" LAB_PIDS="$LAB_PIDS $!"
}
FLAPPERS=
began=$(date +%s)
flap a 10.82.0.0
flap b 10.83.0.0
flapping() { [ "$(grep -c '^flapping' "$LAB_DIR/flap")" = 2 ]; }
lab_check "two workloads flap" lab_poll 10 flapping

lab_check "weir answers meanwhile" weir_answers
lab_check "an order is carried out" w apply "$LAB_DIR/policy.yaml" --confirm-within 0 -m again
lab_workload d br0 10.81.0.5/16
member() { lab_in nft list set inet weir workloads_4 2>/dev/null | grep -q '10\.81\.0\.5 comment "d"'; }
no_member() { ! member; }
lab_check "who comes is put into its group" lab_poll 20 member
named() { w who 10.81.0.5 2>/dev/null | grep -q "$LAB_NS-d"; }
lab_check "and has a name" lab_poll 20 named
ip netns del "$LAB_NS-d"
lab_check "who goes is taken out" lab_poll 20 no_member
reach() { lab_in ping -c 1 -W 5 10.81.0.4 >/dev/null; }
command -v ping >/dev/null && lab_check "whoever does not flap is reached as ever" lab_poll 10 reach

# Twenty changes at once, then ten a second, each of the two.
seconds=$(($(date +%s) - began + 2)) ups=$(grep -c "^up name=$LAB_NS-[ab] " "$LAB_DIR/watch")
lab_say "$ups changes told in $seconds s"
lab_check "what is told of them is bounded" [ "$ups" -le $((2 * (20 + 10 * seconds) + 4)) ]

# shellcheck disable=SC2086
kill $FLAPPERS
settled_again() {
	lab_poll 1 weir_answers && [ "$(w who 10.81.0.2 2>/dev/null | grep -c "$LAB_NS-a")" -ge 1 ] &&
		grep "^up name=$LAB_NS-a " "$LAB_DIR/watch" | tail -n 1 | grep 'addrs=.*10\.81\.0\.2' | grep -qv '10\.82\.'
}
lab_check "when it is over, the last that is told is how it is" lab_poll 20 settled_again
crashed() { grep -q 'ended by signal\|does not listen' "$log"; }
none_crashed() { ! crashed; }
lab_check "no process died of it" none_crashed
lab_check "weir ends in order" weir_stop
lab_end
