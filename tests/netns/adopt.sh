#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A restart while enforcement waits for its confirmation, on a host whose runtime is slow to answer, so that the table is
# adopted late: a confirmation given meanwhile lasts, and the time that was asked for does not begin anew.
. "${top_srcdir:-.}/tests/docker/lib.sh"
lab_begin_netns adopt
command -v busybox >/dev/null || lab_skip "needs busybox: apt-get install busybox-static"
command -v nft >/dev/null || lab_skip "needs nft: apt-get install nftables"
adopt_cleanup() {
	# shellcheck disable=SC2046
	for ns in $LAB_NS $LAB_EXTRA_NS; do kill -9 $(ip netns pids "$ns" 2>/dev/null) 2>/dev/null; done
	lab_cleanup
}
trap adopt_cleanup EXIT
state=$LAB_DIR/state
log=$LAB_DIR/log
mkdir "$state" "$LAB_DIR/mute"
chmod 755 "$LAB_DIR" # weir's own user looks for the socket
w() { "$WEIR" "$@" --state "$state"; }
host() { ip netns exec "$LAB_NS-$1" "${@:2}"; }

lab_in ip link add br0 type bridge
lab_in ip addr add 10.79.0.1/24 dev br0
lab_in ip link set br0 up
i=2
for n in a b; do
	LAB_EXTRA_NS="$LAB_EXTRA_NS $LAB_NS-$n"
	ip netns add "$LAB_NS-$n"
	ip link add "v$n" netns "$LAB_NS" type veth peer name eth0 netns "$LAB_NS-$n"
	lab_in ip link set "v$n" master br0 up
	ip -n "$LAB_NS-$n" addr add 10.79.0.$i/24 dev eth0
	ip -n "$LAB_NS-$n" link set eth0 up
	i=$((i + 1))
done
host b busybox nc -ll -p 8080 -e cat >/dev/null 2>&1 </dev/null &
printf 'runtime_sockets: []\n' >"$LAB_DIR/quick.yaml"
printf 'runtime_sockets: [%s]\n' "$LAB_DIR/mute/control.sock" >"$LAB_DIR/slow.yaml"
cat >"$LAB_DIR/policy.yaml" <<CONF
weir: 1
groups:
  a: {name: $LAB_NS-a}
  b: {name: $LAB_NS-b}
policy:
  b:
    stage: enforce
    inbound: []
CONF
pid_of() { "$WEIR" status --state "${2:-$state}" -o json 2>/dev/null | grep -o "\"role\":\"$1\",\"pid\":[0-9]*" | grep -o '[0-9]*$'; }
start() { # configuration
	lab_in "$WEIR" run -c "$LAB_DIR/$1.yaml" --state "$state" >>"$log" 2>&1 &
	daemon=$!
	lab_poll 20 w status >/dev/null 2>&1
}
stop() {
	kill -TERM "$(pid_of enforcer)"
	wait "$daemon"
}
reach() { echo hello | host a busybox timeout 1 busybox nc 10.79.0.3 8080 2>/dev/null | grep -q hello; }
refused() { ! reach; }
settled() { w status -o json | grep -q '"settled":true'; }
unsettled() { ! settled; }
state_is() { w status -o json | grep -q "\"state\":\"$1\""; }

# A socket that takes connections and never answers: another weir's, whose engine stands still.
ip netns add "$LAB_NS-m" && LAB_EXTRA_NS="$LAB_EXTRA_NS $LAB_NS-m"
nsenter --net="/run/netns/$LAB_NS-m" "$WEIR" run -c "$LAB_DIR/quick.yaml" --state "$LAB_DIR/mute" >/dev/null 2>&1 &
mute() { mute=$(pid_of engine "$LAB_DIR/mute") && [ -n "$mute" ]; }
lab_check "a runtime that never answers" lab_poll 20 mute
kill -STOP "$mute"

lab_check "weir starts" start quick
lab_check "its inventory is complete" lab_poll 10 settled
lab_check "apply for 9 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 9s
lab_check "a is refused" refused
stop
lab_check "it starts again" start slow
lab_check "and still waits for the runtime" unsettled
lab_check "confirmed meanwhile" w confirm
lab_check "its inventory is complete in the end" lab_poll 30 settled
lab_check "the kernel holds it for good" sh -c "! nsenter --net=/run/netns/$LAB_NS nft list set inet weir armed_4 | grep expires"
sleep 10
lab_check "a is refused still" refused
lab_check "and weir says confirmed" state_is confirmed
stop

lab_check "weir starts a third time" start quick
lab_check "its inventory is complete" lab_poll 10 settled
lab_check "apply for 6 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 6s
lab_check "a is refused again" refused
stop
lab_check "weir starts a fourth time" start slow
lab_check "and waits for the runtime" unsettled
lab_check "it opens by itself" lab_poll 8 reach
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
	reach || closed=1
	sleep 0.5
done
lab_check "its inventory is complete in the end" lab_poll 30 settled
reach || closed=1
lab_check "and stays open" test -z "$closed"
lab_check "weir says it ran out" state_is expired

# Back to what was confirmed once, then to nothing: what ran out in between is not in force again.
lab_check "roll back to the confirmed one" w rollback 1
lab_check "a is refused" refused
lab_check "roll back to nothing" w rollback 0
lab_check "a reaches b" reach
lab_check "weir says that nothing is in force" sh -c "'$WEIR' status --state '$state' -o json | grep -q '\"generation\":0,'"
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
