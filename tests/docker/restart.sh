#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# weir is restarted while the Docker Engine is down and its containers run on (live-restore): they keep their names and
# their groups in the kernel, a container that ends meanwhile does not, and all is put right when the engine is back.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
. "$top_srcdir/tests/docker/lib.sh"

lab_begin_weir restart nft
lab_engine_start --live-restore
lab_image box
lab_docker network create --subnet 10.78.0.0/24 -o com.docker.network.bridge.name=br-again again >/dev/null
run() { # name ip command...
	name=$1 ip=$2
	shift 2
	lab_docker run -d --name "$name" --network again --ip "10.78.0.$ip" -l com.docker.compose.project=again \
		-l com.docker.compose.service="$name" box "$@" >/dev/null
}
pid_of() { lab_docker inspect -f '{{.State.Pid}}' "$1"; }
start() { weir_start && lab_poll 20 weir_settled; }
who_is() { w who "$1" --at now 2>/dev/null | grep -q "$2"; }
members() { lab_in nft list table inet weir | grep -cwF "$1"; }
is_member() { [ "$(members "$1")" -gt 0 ]; }

cat >"$LAB_DIR/policy.yaml" <<'CONF'
weir: 1
groups:
  again/api: {compose: {project: again, service: api}}
  again/web: {compose: {project: again, service: web}}
policy:
  again/api:
    stage: enforce
    inbound:
      - {from: again/web, ports: [8181/tcp]}
CONF
run api 5 sh -c 'mkdir -p /w; echo hello >/w/index.html; exec httpd -f -p 8181 -h /w'
run web 6 sleep 900
run brief 7 sleep 900
run intruder 66 sleep 900
# The engine will not be there to ask.
web=$(pid_of web) intruder=$(pid_of intruder) brief=$(pid_of brief)
get() { nsenter -t "$1" -n timeout 3 busybox wget -q -O /dev/null http://10.78.0.5:8181/ 2>/dev/null; }

lab_check "weir starts" start
lab_check "apply" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
lab_check "web reaches api" get "$web"
lab_check "the intruder is refused" not get "$intruder"

kill -9 "$LAB_ENGINE"
wait "$LAB_ENGINE" 2>/dev/null
LAB_ENGINE=''
lab_check "the engine is gone, its containers are not" get "$web"
lost() { status_is '.inventory.runtimes[0] | .reached == false and .workloads == 4 and .recalled == 0'; }
lab_check "weir says so" lab_poll 10 lost
lab_check "weir ends" weir_stop
lab_check "weir starts again, without the engine" start
kept() { status_is '.inventory.runtimes[0] | .reached == false and .workloads == 4 and .recalled == 4 and .name == "docker"'; }
lab_check "four containers are as last known" lab_poll 10 kept
lab_check "in words as well" sh -c "'$WEIR' status --state '$state' | grep -q 'not reachable since .*, 4 containers as last known'"
lab_check "web still reaches api" get "$web"
lab_check "the intruder is still refused" not get "$intruder"
lab_check "the name goes on" who_is 10.78.0.6 web
lab_check "and so does the membership" is_member 10.78.0.6
sent() { w blocks -o json --since -1h | jq -es 'any(.[]; .src.workload == "intruder" and .verdict == "block")' >/dev/null; }
lab_check "a refusal is told with the intruder's name" lab_poll 15 sent

# The network of one goes away: so does its name. (Docker keeps the network of a process that ended until it is back itself.)
nsenter -t "$brief" -n ip link del eth0
three() { status_is '.inventory.runtimes[0] | .workloads == 3 and .recalled == 3'; }
lab_check "one whose address is not seen any more is not kept" lab_poll 20 three
ended() { w who "$1" -o json 2>/dev/null | jq -es 'any(.[]; .ended != null)' >/dev/null; }
goes_on() { w who "$1" -o json 2>/dev/null | jq -es 'length == 1 and .[0].ended == null' >/dev/null; }
lab_check "its name ends" lab_poll 10 ended brief

lab_check "weir ends again" weir_stop
lab_check "weir starts a third time" start
lab_check "three are as last known" lab_poll 10 three
rm -f "$LAB_DIR/pid"
lab_engine_start --live-restore
back() { status_is ".inventory.runtimes[0] | .reached and .workloads == 4 and .recalled == 0"; }
lab_check "the engine is back and confirms them" lab_poll 20 back
lab_check "web reaches api" get "$web"
lab_check "the intruder is refused" not get "$intruder"
one_life() { w who 10.78.0.6 -o json | jq -es 'length == 1 and .[0].workload == "web" and (.[0].ended == null)' >/dev/null; }
lab_check "it has been one life all the time" one_life
lab_check "what was given up for gone and is not has its name again" lab_poll 10 goes_on brief
lab_docker rm -f web >/dev/null
lab_check "what ends now is told by the engine" lab_poll 10 not is_member 10.78.0.6

# Without weir, one ends and the engine goes down after it: nothing is kept of what is not there.
lab_check "weir ends" weir_stop
lab_docker rm -f intruder >/dev/null
lab_engine_kill
lab_check "weir starts without the engine" start
only_api() { status_is '.inventory.runtimes[0] | .workloads == 1 and .recalled == 1'; } # brief has no network any more
lab_check "only what is still there is kept" lab_poll 10 only_api
[ "$LAB_FAILED" -eq 0 ] || tail -n 60 "$log" | sed 's/^/# weir: /'
weir_stop
rm -f "$LAB_DIR/pid"
lab_engine_start --live-restore # removes its containers at the end
lab_end
