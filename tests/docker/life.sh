#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The whole way on a real engine: containers on a dual-stack network are named, also one that speaks once and is gone; an
# address that changes hands stays known by time; a policy learned from it, dry-run, counts exactly what an intruder tried;
# enforced, refuses exactly that, at once, while a connection that was open goes on; rollback lets everything through.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
. "$top_srcdir/tests/docker/lib.sh"

lab_begin_weir life nft python3
lab_engine_start
lab_image box
lab_docker network create --subnet 10.77.0.0/24 --ipv6 --subnet fd00:77::/64 -o com.docker.network.bridge.name=br-life life >/dev/null
run() { # name service ip command...
	name=$1 service=$2 ip=$3
	shift 3
	lab_docker run -d --name "$name" --network life --ip "10.77.0.$ip" --ip6 "fd00:77::$ip" \
		-l com.docker.compose.project=life -l com.docker.compose.service="$service" box "$@" >/dev/null
}
once() { # name service command...: a container that does one thing and is removed
	name=$1 service=$2
	shift 2
	lab_docker run --rm --name "$name" --network life -l com.docker.compose.project=life \
		-l com.docker.compose.service="$service" box "$@"
}
listens() { lab_docker exec "$1" netstat -ltn 2>/dev/null | grep -q ":$2 "; } # container port
has_flow() { w flows -o json 2>/dev/null | jq -es "any(.[]; $1)" >/dev/null; }

lab_explain() {
	status_of '[.interfaces, .engine, .coverage] | tojson'
	w blocks -o json 2>/dev/null | jq -c '[.src.workload, .dest.workload, .dest_port, .verdict, .count]' | tail -n 6
	tail -n 4 "$log"
}
weir_start
lab_check "weir starts and knows the engine" lab_poll 15 weir_settled

# ---- names -----------------------------------------------------------------------------------------------------------
run api api 5 sh -c 'mkdir -p /w; echo hello >/w/index.html; exec httpd -f -p 8181 -h /w'
serve_rows='exec nc -ll -p 5433 -e echo row' # listens always, also while it answers
run db db 6 sh -c "$serve_rows"
lab_check "the bridge is captured" lab_poll 15 status_is '[.interfaces[] | select(.name == "br-life" and .attached)] | length == 1'
lab_check "the servers listen" lab_poll 10 listens api 8181
lab_poll 10 listens db 5433
once once4 job wget -q -O /dev/null http://10.77.0.5:8181/
once once6 job wget -q -O /dev/null 'http://[fd00:77::5]:8181/'
lab_check "a container that spoke once over IPv4 is named, and so is its server" lab_poll 15 has_flow \
	'.src.workload == "once4" and .dest.workload == "api" and .dest_port == 8181 and .app.proto == "HTTP" and .dest.group == "life/api"'
lab_check "the same over IPv6" lab_poll 15 has_flow \
	'.src.workload == "once6" and .dest.workload == "api" and .dest_ip == "fd00:77::5"'
lab_docker exec api sh -c 'nc 10.77.0.6 5433 </dev/null' >/dev/null
lab_check "container to container on another port" lab_poll 15 has_flow \
	'.src.group == "life/api" and .dest.group == "life/db" and .dest_port == 5433'

# ---- an address changes hands --------------------------------------------------------------------------------------
before=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sleep 1 # so that the two lives are told apart by a time written in seconds
lab_docker rm -f db >/dev/null
run other other 6 sleep 600
run db db 9 sh -c "$serve_rows"
who_is() { w who "$1" $3 ${3:+"$4"} 2>/dev/null | grep -q "$2"; }
lab_check "the address belongs to its new owner now" lab_poll 10 who_is 10.77.0.6 other --at now
lab_check "and to the removed container then" who_is 10.77.0.6 'db' --at "$before"
lab_docker stop -t 0 other >/dev/null
lab_docker rm other >/dev/null
lab_check "the restarted one is known by its new address" lab_poll 10 who_is 10.77.0.9 db --at now
lab_poll 10 listens db 5433
lab_docker exec api sh -c 'nc 10.77.0.9 5433 </dev/null' >/dev/null

# ---- learn, dry run ----------------------------------------------------------------------------------------------------
learned() { w policy generate 2>/dev/null >"$LAB_DIR/policy.yaml" && grep -q 8181/tcp "$LAB_DIR/policy.yaml" && grep -q 5433/tcp "$LAB_DIR/policy.yaml"; }
lab_check "what was answered is learned" lab_poll 15 learned
lab_check "the generated policy passes its own check" w policy check "$LAB_DIR/policy.yaml"
sed 's/stage: observe/stage: dry-run/' "$LAB_DIR/policy.yaml" >"$LAB_DIR/dry.yaml"
sed 's/stage: observe/stage: enforce/' "$LAB_DIR/policy.yaml" >"$LAB_DIR/enforce.yaml"
# A connection that stays open through every change of stage: a line each 0.2 s.
lab_docker exec -d api sh -c 'while :; do echo line; sleep 0.2; done | nc -l -p 8182 >/dev/null'
lab_poll 10 listens api 8182
run feed job 30 sh -c 'tail -f /dev/null | nc 10.77.0.5 8182 >/tmp/lines'
lab_check "a long connection is open" lab_poll 10 lab_docker exec feed sh -c '[ -s /tmp/lines ]'
lab_check "dry run is applied" w apply "$LAB_DIR/dry.yaml" --confirm-within 0
# Chains that a group's lists can reach in a dry run: neither drop nor reject, nor a way to them.
drops() { lab_in nft list table inet weir 2>/dev/null | awk '/chain (in|out)_|chain would_block/ {on = 1} /^\t}/ {on = 0} on' | grep -Eq 'drop|reject|goto (block|refuse)'; }
table_there() { lab_in nft list table inet weir 2>/dev/null | grep -q 'chain '; }
lab_check "the table is there" table_there
lab_check "no list of a dry run leads to drop or reject" not drops
run intruder intruder 66 sleep 600
reads_db() { lab_container intruder timeout 20 busybox nc 10.77.0.9 5433 </dev/null 2>&1 | grep -q row; }
refused_db() { lab_container intruder timeout 20 busybox nc 10.77.0.9 5433 </dev/null 2>&1 | grep -q 'Connection refused'; }
reads_api() { lab_container intruder timeout 20 busybox wget -q -O /dev/null http://10.77.0.5:8181/ 2>/dev/null; }
# Each is tried once: what is counted below is what was done here.
three_times() { "$@" && "$@" && "$@"; }
lab_check "a dry run lets the intruder through to the database" three_times reads_db
lab_check "and to the api" reads_api
count() { # server port verdict: packets counted
	w blocks -o json 2>/dev/null | jq -s "[.[] | select(.src.workload == \"intruder\" and .dest.workload == \"$1\" and .dest_port == $2 and .verdict == \"$3\") | .count] | add // 0"
}
counted() { [ "$(count "$1" "$2" "$3")" = "$4" ]; }
lab_check "three connections to the database were counted, no more and no fewer" lab_poll 15 counted db 5433 would-block 3
lab_check "and one to the api" lab_poll 15 counted api 8181 would-block 1
lab_check "nothing that was learned counts as a would-be block" sh -c "'$WEIR' blocks --state '$state' -o json | jq -es 'all(.[]; .src.workload == \"intruder\")' >/dev/null"

# ---- enforce -----------------------------------------------------------------------------------------------------------
lab_check "enforcement is applied" w apply "$LAB_DIR/enforce.yaml" --confirm-within 30m
lab_check "the intruder is refused" refused_db
burst() { # twelve in a row, in one process; an answer that is lost costs a second, when the kernel asks again
	lab_container intruder timeout 60 python3 -c '
import socket, time
began = time.monotonic()
for i in range(12):
    s = socket.socket()
    s.settimeout(10)
    try:
        s.connect(("10.77.0.9", 5433))
        raise SystemExit("connected")
    except ConnectionRefusedError:
        pass
    s.close()
print("# 12 refused in %d ms" % ((time.monotonic() - began) * 1000))'
}
lab_check "in a burst, too" burst
lab_check "each at once: not one of them had to ask twice" lab_poll 15 counted db 5433 block 13
udp_burst() { # 30 datagrams to a port that nobody allows: each has its error before the next
	lab_container intruder timeout 300 python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect(("10.77.0.9", 999))
def send():
    while True:
        try:
            return s.send(b"x")
        except OSError: # a second answer to the one before: both the kernel and weir have told of it
            pass
for i in range(30):
    send()
    try:
        s.recv(1)
    except socket.timeout:
        raise SystemExit(1)
    except OSError:
        pass'
}
lab_check "and so are 30 datagrams, more than the kernel would answer" udp_burst
lab_check "what was learned goes on (IPv4)" once once4b job wget -q -O /dev/null http://10.77.0.5:8181/
lab_check "what was learned goes on (IPv6)" once once6b job wget -q -O /dev/null 'http://[fd00:77::5]:8181/'
lab_check "and to the database at its new address" lab_docker exec api sh -c 'nc 10.77.0.9 5433 </dev/null | grep -q row'
lab_check "the blocks are told with both names, and are no more than those" counted db 5433 block 13
lines() { lab_docker exec feed sh -c 'wc -l </tmp/lines'; }
at=$(lines)
more() { [ "$(lines)" -gt "$at" ]; }
lab_check "the connection that was open still flows" lab_poll 5 more

# ---- weir dies; rollback ------------------------------------------------------------------------------------------------
lab_check "confirm" w confirm
kill -9 "$weir"
lab_poll 5 lab_gone "$weir"
lab_check "with weir killed the table is still there and still refuses" refused_db
weir_start
rolled_back() { w rollback 0 2>/dev/null; }
lab_check "weir starts again" lab_poll 15 rolled_back
lab_check "rollback lets the intruder through" reads_api
lab_check "and leaves no table" sh -c "! nsenter --net=/run/netns/$LAB_NS nft list table inet weir >/dev/null 2>&1"
at=$(lines)
lab_check "the connection that was open still flows" lab_poll 5 more
lab_check "history outlives all of them" who_is 10.77.0.6 db --at "$before"
lab_check "weir ends when told to" weir_stop
[ "$LAB_FAILED" -eq 0 ] || tail -n 40 "$log" | sed 's/^/# weir: /'
lab_end
