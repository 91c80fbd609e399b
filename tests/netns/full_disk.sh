#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk below the store is full: the daemon goes on, says so, counts what it cannot keep (as many flows as were made), and
# stores again when there is room.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon fulldisk python3
mount -t tmpfs -o size=1200k tmpfs "$state" || lab_skip "no tmpfs can be mounted here"
lab_bridge br0 10.79.0.1/24
lab_workload a br0 10.79.0.2/24
lab_workload b br0 10.79.0.3/24
# attempts N FIRST: N connections to as many ports of b, all refused at once.
attempts() {
	lab_inside a python3 -c '
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
lab_check "weir starts" weir_start
lab_check "its inventory is complete" lab_poll 10 weir_settled
lab_check "br0 is captured" lab_poll 10 weir_watches 1
engine=$(weir_pid engine)
attempts 6000 10000
told() { grep -q "does not take records: No space left" "$log"; }
lab_check "it says that the disk is full" lab_poll 20 told
lab_check "as status does" lab_poll 10 status_is '.inventory.notices | any(.text | test("does not take records"))'
# What was there before the disk was full is kept; of an attempt that was reported twice both may be lost.
lost() {
	there=$(w flows -o json 2>/dev/null | jq -s '[.[] | select(.dest_port >= 10000 and .dest_port < 16000) | .dest_port] | unique | length')
	gone=$(status_of '[.interfaces[] | select(.name == "br0") | .lost_store] | add')
	[ "${gone:-0}" -gt 0 ] && [ $((there + gone)) -ge 6000 ]
}
lab_check "nothing is lost uncounted" lab_poll 20 lost
lab_say "$there stored, $gone lost"
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
