#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk below the store is full: the daemon goes on, says so, counts what it cannot keep (as many flows as were made), and
# stores again when there is room.
. "${top_srcdir:-.}/tests/docker/lib.sh"
lab_begin_netns fulldisk
command -v python3 >/dev/null || lab_skip "needs python3: apt-get install python3-minimal"
fulldisk_cleanup() {
	# shellcheck disable=SC2046
	for ns in $LAB_NS $LAB_EXTRA_NS; do kill -9 $(ip netns pids "$ns" 2>/dev/null) 2>/dev/null; done
	lab_cleanup
}
trap fulldisk_cleanup EXIT
state=$LAB_DIR/state
log=$LAB_DIR/log
mkdir "$state"
mount -t tmpfs -o size=1200k tmpfs "$state" || lab_skip "no tmpfs can be mounted here"
w() { "$WEIR" "$@" --state "$state"; }
status() { w status -o json 2>/dev/null | grep -q "$1"; }

lab_in ip link add br0 type bridge
lab_in ip addr add 10.79.0.1/24 dev br0
lab_in ip link set br0 up
i=2
for n in a b; do
	lab_netns "$LAB_NS-$n"
	ip link add "v$n" netns "$LAB_NS" type veth peer name eth0 netns "$LAB_NS-$n"
	lab_in ip link set "v$n" master br0 up
	ip -n "$LAB_NS-$n" addr add 10.79.0.$i/24 dev eth0
	ip -n "$LAB_NS-$n" link set eth0 up
	i=$((i + 1))
done
# attempts N FIRST: N connections to as many ports of b, all refused at once.
attempts() {
	ip netns exec "$LAB_NS-a" python3 -c '
import socket, sys
for i in range(int(sys.argv[1])):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect(("10.79.0.3", int(sys.argv[2]) + i))
    except OSError:
        pass
    s.close()' "$1" "$2"
}
printf 'write_through: 1s\nruntime_sockets: []\n' >"$LAB_DIR/weir.yaml"
lab_in "$WEIR" run -c "$LAB_DIR/weir.yaml" --state "$state" >"$log" 2>&1 &
lab_check "weir starts" lab_poll 20 status '"settled":true'
attached() { status '"name":"br0"[^}]*"attached":true'; }
lab_check "br0 is captured" lab_poll 10 attached
engine=$(w status -o json | grep -o '"role":"engine","pid":[0-9]*' | grep -o '[0-9]*$')
attempts 6000 10000
told() { grep -q "does not take records: No space left" "$log"; }
lab_check "it says that the disk is full" lab_poll 20 told
lab_check "as status does" lab_poll 10 status 'does not take records'
lost() {
	n=$(w status -o json | grep -o '"name":"br0"[^}]*' | grep -o '"lost_store":[0-9]*' | grep -o '[0-9]*$')
	[ "${n:-0}" -ge 6000 ]
}
lab_check "nothing is lost uncounted" lab_poll 20 lost
lab_check "the engine goes on" test -e "/proc/$engine"
mount -o remount,size=40m "$state"
kept() {
	attempts 20 20000
	w flows -o json 2>/dev/null | grep -q '"dest_port":20019'
}
lab_check "with room, it stores again" lab_poll 20 kept
lab_check "and says so" grep -q "takes records again" "$log"
lab_check "reading tells of the loss" sh -c "'$WEIR' flows --state '$state' | grep -q 'incomplete: .* not stored'"
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
