#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon's processes: what each may do, as the kernel tells it; and that killing each in turn, with a connection open and a
# policy enforced, neither breaks the connection nor loses the table nor lets a refused one through. Also: a restart adopts
# the table as it is, what was not confirmed opens without any weir alive, one state directory serves one daemon.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon roles nft pgrep

# A router with a bridge, and three workloads on it: a and b talk, c has no business with b.
lab_bridge br0 10.78.0.1/24
lab_workload a br0 10.78.0.2/24
lab_workload b br0 10.78.0.3/24
lab_workload c br0 10.78.0.4/24
lab_policy '{from: a, ports: [8080/tcp]}' a b

alive_again() { # role, the pid it had
	local p
	p=$(weir_pid "$1")
	[ -n "$p" ] && [ "$p" != "$2" ] && [ -e "/proc/$p" ]
}
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
table_handle() { lab_in nft -a list table inet weir 2>/dev/null | sed -n 's/^table inet weir {.*# handle //p'; }
reach() { lab_echo "$1" 10.78.0.3 8080; }
refused() { lab_refused c 10.78.0.3 8080; }
count() { wc -l <"$LAB_DIR/echo"; }
grows() { [ "$(count)" -gt "$1" ]; }
connection_lives() { lab_poll 5 grows "$(count)"; }
none_left() { ! pgrep -f -- "--state $state\$" >/dev/null && [ ! -e "/proc/$engine" ] && [ ! -e "/proc/$capture" ]; }

lab_serve b 8080
lab_check "weir starts" weir_start
lab_check "the inventory is complete" lab_poll 10 weir_settled
lab_check "the bridge is captured" lab_poll 10 weir_watches 1
enforcer=$(weir_pid enforcer) engine=$(weir_pid engine) capture=$(weir_pid capture-0)
lab_say "enforcer $enforcer, engine $engine, capture $capture"

# ---- what each may do -------------------------------------------------------------------------------------------
for role in enforcer engine capture; do
	p=${!role}
	lab_check "$role is no root" test "$(field "$p" Uid | cut -f 2)" != 0
	lab_check "$role can gain nothing" test "$(field "$p" NoNewPrivs)" = 1
	if grep -q libasan "/proc/$p/maps" 2>/dev/null; then
		lab_say "a sanitizer's build has no system call filters"
	else
		lab_check "$role has a system call filter" test "$(field "$p" Seccomp)" = 2
	fi
done
lab_check "enforcer uses NET_ADMIN only" test "$(field "$enforcer" CapEff)" = 0000000000001000
lab_check "enforcer holds NET_RAW for its children, no more" test "$(field "$enforcer" CapPrm)" = 0000000000003000
lab_check "engine has no capability" test "$(field "$engine" CapPrm)" = 0000000000000000
lab_check "capture has NET_RAW only" test "$(field "$capture" CapPrm)" = 0000000000002000
no_files() { # capture holds its channel, its ring, packet sockets, and where its messages go
	! ls -l "/proc/$capture/fd" | sed -n 's/.* -> //p' | grep -v '^socket:\|^anon_inode:\|^/memfd:\|^/dev/null$\|^pipe:' |
		grep -vx "$log" | grep .
}
lab_check "capture has no file open" no_files
lab_check "the state directory serves one weir" \
	sh -c "! nsenter --net=/run/netns/$LAB_NS '$WEIR' run --state '$state' 2>&1 | grep -v 'another weir'"

# ---- a policy in force, a connection open -----------------------------------------------------------------------
lab_check "apply" w apply "$LAB_DIR/policy.yaml" -m test
lab_check "confirm" w confirm
lab_check "a reaches b" reach a
lab_check "c does not" refused
: >"$LAB_DIR/echo"
nsenter --net="/run/netns/$LAB_NS-a" sh -c 'while sleep 0.1; do echo line; done | exec busybox nc 10.78.0.3 8080' >"$LAB_DIR/echo" 2>/dev/null &
lab_check "a connection is open" lab_poll 5 grows 3
handle=$(table_handle)

# Both at once first: the gap that the one leaves is not forgotten with the other.
lab_check "nothing was missed so far" status_is .coverage.complete
old=$(weir_pid engine)
kill -9 "$(weir_pid capture-0)"
kill -9 "$old"
lab_check "the engine comes back" lab_poll 10 alive_again engine "$old"
gaps() { status_is '.coverage.gaps > 0 and (.coverage.complete | not)'; }
lab_check "the gap in what was seen is told" lab_poll 10 gaps
for role in capture-0 engine; do
	old=$(weir_pid $role)
	kill -9 "$old"
	lab_check "$role killed: the connection lives" connection_lives
	lab_check "$role killed: c is refused still" refused
	lab_check "$role killed: the table is the same one" test "$(table_handle)" = "$handle"
	lab_check "$role comes back" lab_poll 10 alive_again $role "$old"
done
lab_check "the bridge is captured again" lab_poll 10 weir_watches 1
stored() { w flows -o json 2>/dev/null | jq -s --arg a "$LAB_NS-a" '[.[] | select(.src.workload == $a and .dest_port == 8080)] | length'; }
had=$(stored)
more() { [ "$(stored)" -gt "$had" ]; }
lab_check "a reaches b still" reach a
lab_check "flows are stored again" lab_poll 10 more

engine=$(weir_pid engine) capture=$(weir_pid capture-0)
kill -9 "$(weir_pid enforcer)"
lab_check "enforcer killed: the connection lives" connection_lives
lab_check "enforcer killed: its children end" lab_poll 10 none_left
lab_check "no weir alive: c is refused still" refused
lab_check "no weir alive: a reaches b" reach a
lab_check "no weir alive: the table is the same one" test "$(table_handle)" = "$handle"
lab_check "weir starts again" weir_start
lab_check "the inventory is complete" lab_poll 10 weir_settled
lab_check "it adopted the table" test "$(table_handle)" = "$handle"
lab_check "the connection lives" connection_lives
lab_check "c is refused still" refused
conntrack_direction() { w flows -o json 2>/dev/null | grep -q '"direction":"conntrack"'; }
lab_check "the connection's direction is known from conntrack" lab_poll 10 conntrack_direction

# ---- a clean stop, and enforcement that nobody confirmed ---------------------------------------------------------
engine=$(weir_pid engine) capture=$(weir_pid capture-0)
mark=$(date -u +%Y-%m-%dT%H:%M:%S.%N) said=$(wc -l <"$log")
since() { w flows -o json 2>/dev/null | jq -es --arg a "$LAB_NS-a" --arg t "$mark" 'any(.[]; .src.workload == $a and .flow.start > $t)' >/dev/null; }
lab_check "a reaches b a last time" reach a
kill -TERM "$engine" "$capture" # as a service manager may: to all of them at once
lab_check "SIGTERM ends it with status 0" weir_stop
lab_check "all of it" lab_poll 5 none_left
lab_check "what it had just seen is stored" since
in_order() { ! tail -n "+$((said + 1))" "$log" | grep -E 'error|ended'; }
lab_check "in order" in_order
lab_check "the table stays" test "$(table_handle)" = "$handle"
lab_check "weir starts a third time" weir_start
lab_check "roll back to nothing" w rollback 0
lab_check "the table is gone" test -z "$(table_handle)"
lab_check "c reaches b" reach c
lab_check "apply for 12 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 12s
lab_check "c is refused" refused
kill -9 "$(weir_pid enforcer)" "$(weir_pid engine)" "$(weir_pid capture-0)"
lab_check "unconfirmed, and nobody alive: it opens by itself" lab_poll 20 reach c
lab_check "weir starts a fourth time" weir_start
lab_check "and tells that it ran out" lab_poll 10 status_is '.policy.state == "expired"'
lab_check "the connection lived through it all" connection_lives
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
