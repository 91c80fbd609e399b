#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A restart while enforcement waits for its confirmation, on a host whose runtime is slow to answer, so that the table is
# adopted late: a confirmation given meanwhile lasts, and the time that was asked for does not begin anew.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon adopt nft
mkdir "$LAB_DIR/mute"
lab_bridge br0 10.79.0.1/24
lab_workload a br0 10.79.0.2/24
lab_workload b br0 10.79.0.3/24
lab_serve b 8080
printf 'runtime_sockets: []\n' >"$LAB_DIR/quick.yaml"
printf 'runtime_sockets: [%s]\n' "$LAB_DIR/mute/control.sock" >"$LAB_DIR/slow.yaml"
lab_policy '' a b
reach() { lab_echo a 10.79.0.3 8080; }
refused() { lab_refused a 10.79.0.3 8080; }

# A socket that takes connections and never answers: another weir's, whose engine stands still.
lab_netns "$LAB_NS-m"
nsenter --net="/run/netns/$LAB_NS-m" "$WEIR" run -c "$LAB_DIR/quick.yaml" --state "$LAB_DIR/mute" >/dev/null 2>&1 &
LAB_PIDS="$LAB_PIDS $!"
mute() { mute=$(state=$LAB_DIR/mute weir_pid engine) && [ -n "$mute" ]; }
lab_check "a runtime that never answers" lab_poll 20 mute
kill -STOP "$mute"

lab_check "weir starts" weir_start quick
lab_check "its inventory is complete" lab_poll 10 weir_settled
lab_check "apply for 20 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 20s
lab_check "a is refused" refused
weir_stop
lab_check "it starts again" weir_start slow
lab_check "and still waits for the runtime" not weir_settled
lab_check "confirmed meanwhile" w confirm
lab_check "its inventory is complete in the end" lab_poll 45 weir_settled
lab_check "the kernel holds it for good" sh -c "! nsenter --net=/run/netns/$LAB_NS nft list set inet weir armed_4 | grep expires"
lab_check "a is refused still" refused
lab_check "and weir says confirmed" status_is '.policy.state == "confirmed"'
weir_stop

lab_check "weir starts a third time" weir_start quick
lab_check "its inventory is complete" lab_poll 10 weir_settled
lab_check "apply for 20 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 20s
lab_check "a is refused again" refused
weir_stop
lab_check "weir starts a fourth time" weir_start slow
lab_check "and waits for the runtime" not weir_settled
lab_check "it opens by itself" lab_poll 25 reach
# The runtime is given up after 30 s; what ran out before stays so when the table is adopted then.
open_and_settled() {
	reach || closed=1
	weir_settled
}
lab_check "its inventory is complete in the end" lab_poll 45 open_and_settled
sleep 1
reach || closed=1
lab_check "and stays open" test -z "$closed"
lab_check "weir says it ran out" status_is '.policy.state == "expired"'

# Back to what was confirmed once, then to nothing: what ran out in between is not in force again.
lab_check "roll back to the confirmed one" w rollback 1
lab_check "a is refused" refused
lab_check "roll back to nothing" w rollback 0
lab_check "a reaches b" reach
lab_check "weir says that nothing is in force" status_is '.policy.generation == 0'
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
