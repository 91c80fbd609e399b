#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon's processes: what each may do, as the kernel tells it; and that killing each in turn, with a connection open and a
# policy enforced, neither breaks the connection nor loses the table nor lets a refused one through. Also: a restart adopts
# the table as it is, what was not confirmed opens without any weir alive, one state directory serves one daemon.
. "${top_srcdir:-.}/tests/docker/lib.sh"
lab_begin_netns roles
command -v busybox >/dev/null || lab_skip "needs busybox: apt-get install busybox-static"
command -v nft >/dev/null || lab_skip "needs nft: apt-get install nftables"
# Whatever runs in the lab's namespaces goes with them, also what a killed daemon left behind.
roles_cleanup() {
	# shellcheck disable=SC2046
	for ns in $LAB_NS $LAB_EXTRA_NS; do kill -9 $(ip netns pids "$ns" 2>/dev/null) 2>/dev/null; done
	lab_cleanup
}
trap roles_cleanup EXIT
state=$LAB_DIR/state
log=$LAB_DIR/log
mkdir "$state"
w() { "$WEIR" "$@" --state "$state"; }
host() { ip netns exec "$LAB_NS-$1" "${@:2}"; }

# A router with a bridge, and three workloads on it: a and b talk, c has no business with b.
lab_in ip link add br0 type bridge
lab_in ip addr add 10.78.0.1/24 dev br0
lab_in ip link set br0 up
i=2
for n in a b c; do
	LAB_EXTRA_NS="$LAB_EXTRA_NS $LAB_NS-$n"
	ip netns add "$LAB_NS-$n"
	ip link add "v$n" netns "$LAB_NS" type veth peer name eth0 netns "$LAB_NS-$n"
	lab_in ip link set "v$n" master br0 up
	ip -n "$LAB_NS-$n" addr add 10.78.0.$i/24 dev eth0
	ip -n "$LAB_NS-$n" link set eth0 up
	ip -n "$LAB_NS-$n" link set lo up
	i=$((i + 1))
done
cat >"$LAB_DIR/weir.yaml" <<CONF
write_through: 1s
runtime_sockets: []
CONF
cat >"$LAB_DIR/policy.yaml" <<CONF
weir: 1
groups:
  a: {name: $LAB_NS-a}
  b: {name: $LAB_NS-b}
policy:
  b:
    stage: enforce
    inbound:
      - {from: a, ports: [8080/tcp]}
    outbound: []
CONF

start() {
	lab_in "$WEIR" run -c "$LAB_DIR/weir.yaml" --state "$state" >>"$log" 2>&1 &
	daemon=$!
	lab_poll 20 w status >/dev/null 2>&1
}
# The process of a role, by what status says; empty while it is between two lives.
pid_of() { w status -o json 2>/dev/null | grep -o "\"role\":\"$1\",\"pid\":[0-9]*" | grep -o '[0-9]*$'; }
alive_again() { # role, the pid it had
	local p
	p=$(pid_of "$1")
	[ -n "$p" ] && [ "$p" != 0 ] && [ "$p" != "$2" ] && [ -e "/proc/$p" ]
}
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
table() { lab_in nft -a list table inet weir 2>/dev/null; }
table_handle() { table | sed -n 's/^table inet weir {.*# handle //p'; }
reach() { echo hello | host "$1" busybox timeout 2 busybox nc 10.78.0.3 8080 2>/dev/null | grep -q hello; }
refused() { ! reach c; }
count() { wc -l <"$LAB_DIR/echo"; }
grows() { [ "$(count)" -gt "$1" ]; }
connection_lives() { lab_poll 5 grows "$(count)"; }
none_left() { ! pgrep -f -- "--state $state\$" >/dev/null && [ ! -e "/proc/$engine" ] && [ ! -e "/proc/$capture" ]; }

host b busybox nc -ll -p 8080 -e cat >/dev/null 2>&1 </dev/null &
lab_check "weir starts" start
enforcer=$(pid_of enforcer) engine=$(pid_of engine) capture=$(pid_of capture-0)
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
lab_check "a reaches b" lab_poll 5 reach a
lab_check "c does not" refused
: >"$LAB_DIR/echo"
host a sh -c 'while sleep 0.1; do echo line; done | exec busybox nc 10.78.0.3 8080' >"$LAB_DIR/echo" 2>/dev/null &
lab_check "a connection is open" lab_poll 5 grows 3
handle=$(table_handle)

for role in capture-0 engine; do
	old=$(pid_of $role)
	kill -9 "$old"
	lab_check "$role killed: the connection lives" connection_lives
	lab_check "$role killed: c is refused still" refused
	lab_check "$role killed: the table is the same one" test "$(table_handle)" = "$handle"
	lab_check "$role comes back" lab_poll 10 alive_again $role "$old"
done
gap() { w status -o json | grep -q '"gaps":[1-9]'; }
lab_check "the gap in what was seen is told" lab_poll 10 gap
flows() { w flows -o json | grep -q "\"name\":\"$LAB_NS-a\"\|\"workload\":\"$LAB_NS-a\""; }
lab_check "flows are stored again" lab_poll 10 flows

engine=$(pid_of engine) capture=$(pid_of capture-0)
kill -9 "$(pid_of enforcer)"
lab_check "enforcer killed: the connection lives" connection_lives
lab_check "enforcer killed: its children end" lab_poll 10 none_left
lab_check "no weir alive: c is refused still" refused
lab_check "no weir alive: a reaches b" reach a
lab_check "no weir alive: the table is the same one" test "$(table_handle)" = "$handle"
lab_check "weir starts again" start
settled() { w status -o json | grep -q '"settled":true'; }
lab_check "the inventory is complete" lab_poll 10 settled
lab_check "it adopted the table" test "$(table_handle)" = "$handle"
lab_check "the connection lives" connection_lives
lab_check "c is refused still" refused
conntrack_direction() { w flows -o json | grep -q '"direction":"conntrack"'; }
lab_check "the connection's direction is known from conntrack" lab_poll 10 conntrack_direction

# ---- a clean stop, and enforcement that nobody confirmed ---------------------------------------------------------
engine=$(pid_of engine) capture=$(pid_of capture-0)
kill -TERM "$(pid_of enforcer)"
wait "$daemon"
lab_check "SIGTERM ends it with status 0" test $? = 0
lab_check "all of it" lab_poll 5 none_left
lab_check "the table stays" test "$(table_handle)" = "$handle"
lab_check "weir starts a third time" start
lab_check "roll back to nothing" w rollback 0
lab_check "the table is gone" test -z "$(table_handle)"
lab_check "c reaches b" reach c
lab_check "apply for 4 s" w apply "$LAB_DIR/policy.yaml" --confirm-within 4s
lab_check "c is refused" refused
kill -9 "$(pid_of enforcer)" "$(pid_of engine)" "$(pid_of capture-0)"
lab_check "unconfirmed, and nobody alive: it opens by itself" lab_poll 10 reach c
lab_check "weir starts a fourth time" start
expired() { w status -o json | grep -q '"state":"expired"'; }
lab_check "and tells that it ran out" lab_poll 10 expired
lab_check "the connection lived through it all" connection_lives
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
