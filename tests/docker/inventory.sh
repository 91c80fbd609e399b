#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A real Docker Engine, and what the inventory tells of its containers: names, images, addresses of both versions and of
# two networks, Compose labels, a restart with another address, lives too short to be looked at, a rename, a removal,
# and an engine that goes away and comes back.
. "${top_srcdir:-.}/tests/docker/lib.sh"

lab_begin invd
OUT=$LAB_DIR/out
has() { grep -q "$@" "$OUT"; }
has_not() { ! grep -q "$@" "$OUT"; }
count() { [ "$(grep -c "$2" "$OUT")" -eq "$1" ]; }
soon() { lab_poll 15 has "$@"; }
field() { sed -n "s/^up name=$1 .* $2=\([^ ]*\).*/\1/p" "$OUT" | tail -1; }

# Before there is an engine: it must be found when it comes.
lab_spawn "$OUT" "$top_builddir/tests/netns/inventory_probe" watch "$LAB_SOCKET"
lab_check "a missing engine is told" soon '^problem .*docker.sock.*No such file'
lab_engine_start --live-restore
lab_image shop-image:1
lab_check "it is reached once it is there" soon '^notice docker .* at .*docker.sock: 0 running containers'
lab_check "its bridge is captured on" soon '^link_up name=docker0 bridge=1'

lab_docker network create --ipv6 --subnet fd00:77::/64 --subnet 172.30.0.0/24 front >/dev/null
lab_docker network create --subnet 172.31.0.0/24 back >/dev/null
lab_docker run -d --name shop-web-1 --network front --label com.docker.compose.project=shop \
	--label com.docker.compose.service=web shop-image:1 sleep 1000 >/dev/null
lab_check "a container is named, by project and service, with both addresses" \
	soon '^up name=shop-web-1 group=shop/web runtime=docker image=shop-image:1 .*addrs=172\.30\.0\.2,fd00:77::2\(,fe80::[0-9a-f:]*\)\{0,1\}$'
lab_check "its start is Docker's, to the nanosecond" \
	[ "$(field shop-web-1 start)" = "$(date -d "$(lab_docker inspect -f '{{.State.StartedAt}}' shop-web-1)" +%s%N)" ]
lab_check "its addresses are its own from before its start" [ "$(field shop-web-1 bound)" -lt "$(field shop-web-1 start)" ]
lab_check "its network's bridge is captured on" soon "^link_up name=br-[0-9a-f]* bridge=1 addrs=.*172\.30\.0\.1"

lab_docker network connect back shop-web-1
lab_check "a second network brings its address" soon '^up name=shop-web-1 .*addrs=.*172\.31\.0\.2'
lab_docker network disconnect front shop-web-1
lab_check "and without the first its addresses are gone" soon '^up name=shop-web-1 .*addrs=172\.31\.0\.2$'
lab_docker rename shop-web-1 renamed
lab_check "a new name is told of the same workload" soon "^up name=renamed .* id=$(field shop-web-1 id) "

# Another takes the address, so that the restart brings a new one.
first=$(field renamed id)
lab_docker stop -t 0 renamed >/dev/null
lab_check "the end is told, with the exit code" soon "^down name=renamed .* id=$first .* exit=137"
lab_docker run -d --name squatter --network back shop-image:1 sleep 1000 >/dev/null
lab_check "who says nothing else is grouped by image" soon '^up name=squatter group=shop-image .*addrs=172\.31\.0\.2$'
lab_docker start renamed >/dev/null
lab_check "a restart is another workload, with another address" soon '^up name=renamed .*addrs=172\.31\.0\.3$'
lab_check "under another id" [ "$(field renamed id)" != "$first" ]

# Lives of a few milliseconds, ten one after the other and ten at once.
for i in 0 1 2 3 4 5 6 7 8 9; do lab_docker run --rm --name "brief-$i" shop-image:1 true; done
jobs=''
for i in 0 1 2 3 4 5 6 7 8 9; do
	lab_docker run --rm --name "burst-$i" shop-image:1 true &
	jobs="$jobs $!"
done
# shellcheck disable=SC2086
wait $jobs
lab_check "twenty short lives all end" lab_poll 20 count 20 '^down name=b[ru][a-z]*-[0-9] '
lab_check "and all of them had a name and an address" count 20 '^up name=b[ru][a-z]*-[0-9] group=shop-image .*addrs=172\.17\.[0-9.]*$'

lab_docker run -d --name onhost --network host shop-image:1 sleep 1000 >/dev/null
lab_check "who shares the host's network is host" soon '^up name=onhost group=host .*addrs=$'
lab_docker run -d --name sidecar --network container:squatter shop-image:1 sleep 1000 >/dev/null
lab_check "who shares another's network has no address of its own" soon '^up name=sidecar .*addrs=$'
lab_docker pause squatter >/dev/null
lab_docker unpause squatter >/dev/null
lab_docker rm -f squatter >/dev/null
lab_check "a removal is an end" soon '^down name=squatter '
lab_check "a pause is none" count 1 '^down name=squatter '

# The engine stops and comes back; its containers run on (--live-restore), but one of them ends meanwhile.
pid=$(lab_docker inspect -f '{{.State.Pid}}' sidecar)
lab_engine_kill
lab_check "an engine that goes away is told" soon '^problem .*lost'
lab_check "which ends nobody" count 0 '^down name=onhost '
kill -9 "$pid"
lab_engine_start --live-restore
lab_check "it is found again" lab_poll 30 count 2 '^notice docker .* at '
lab_check "who ended meanwhile is told" soon '^down name=sidecar '
lab_docker run --rm --name after shop-image:1 true
lab_check "and so is what it starts then" soon '^down name=after '
lab_check "who runs on is told once" count 1 '^up name=onhost '
lab_check "one loss, one notice" count 1 '^problem .*lost'
lab_check "nothing was told twice" [ "$(grep '^up' "$OUT" | sort | uniq -d | wc -l)" -eq 0 ]
lab_check "no sanitizer has spoken" has_not 'ERROR: \|runtime error'
lab_end
