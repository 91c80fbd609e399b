#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the kernel counts while no weir runs is told when one comes back: exactly, once, and as what it is. The same after
# an engine that was killed: what it had heard and not stored is not lost.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon away nft
lab_bridge br0 10.81.0.1/24
lab_workload a br0 10.81.0.2/24
lab_workload b br0 10.81.0.3/24
lab_policy '' b
start() { weir_start && lab_poll 20 weir_settled; }
# N datagrams, each a conversation of its own, to a port that nobody listens on. The kernel answers only the first few at
# once, so none is waited for.
knock() { # port, how many
	lab_inside a bash -c "for i in \$(seq $2); do echo x >/dev/udp/10.81.0.3/$1; done" 2>/dev/null
}
count() { # port, expression
	w blocks -o json 2>/dev/null | jq -s "[.[] | select(.dest_port == $1) | $2] | add // 0"
}
is() { [ "$(count "$1" "$2")" = "$3" ]; } # port, expression, number

lab_check "weir starts" start
lab_check "apply" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
knock 901 5
lab_check "five are counted" lab_poll 15 is 901 .count 5
lab_check "none of them unwatched" is 901 .away.count 0
lab_check "weir ends" weir_stop
knock 901 3
knock 902 4
lab_check "weir starts again" start
lab_check "three more of the first" lab_poll 15 is 901 .count 8
lab_check "said to be of the time between" is 901 .away.count 3
lab_check "four of one that was not there before" lab_poll 15 is 902 .count 4
lab_check "as well" is 902 .away.count 4
lab_check "it is told in words" sh -c "'$WEIR' blocks --state '$state' | grep -q '3 of them counted while weir was not running, between '"
knock 901 2
lab_check "what is seen is seen" lab_poll 15 is 901 .count 10
lab_check "and is not called unwatched" is 901 .away.count 3
lab_check "weir ends a second time" weir_stop
lab_check "weir starts a third time" start
knock 902 1
lab_check "another one" lab_poll 15 is 902 .count 5
lab_check "nothing is told twice" is 901 .count 10
kill -9 "$(weir_pid engine)"
knock 901 6
lab_check "with the engine killed, all six are told in the end" lab_poll 30 is 901 .count 16
lab_check "weir was there all the time" is 901 .away.count 3
kill -9 "$(weir_pid enforcer)"
wait "$weir"
knock 902 2
lab_check "weir starts after it was killed" start
lab_check "and tells of two" lab_poll 15 is 902 .count 7
lab_check "no more and no fewer" is 901 .count 16
lab_check "another generation" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
knock 901 1
lab_check "goes on counting" lab_poll 15 is 901 .count 17
lab_check "rollback removes the table" w rollback 0
lab_check "apply again" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
knock 901 1
lab_check "a new table begins at zero, and its one is told" lab_poll 15 is 901 .count 18
lab_check "weir ends a last time" weir_stop
knock 901 2
lab_check "weir starts a last time" start
lab_check "two" lab_poll 15 is 901 .count 20
weir_stop
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
