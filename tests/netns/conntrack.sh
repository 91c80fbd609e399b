#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What conntrack.h says about real connections through a router that translates: DNAT to a backend, masquerading to the
# outside, both IP versions, TCP, UDP and ping; asked while they last and after they have ended.
. "${top_srcdir:-.}/tests/docker/lib.sh"

lab_begin_netns ct
command -v nft >/dev/null || lab_skip "needs nft: apt-get install nftables"
C=$LAB_NS-c
S=$LAB_NS-s
lab_netns "$C"
lab_netns "$S"
for side in c s; do
	[ $side = c ] && net=1 || net=2
	ip -n "$LAB_NS" link add v$side type veth peer name eth0 netns "$LAB_NS-$side"
	ip -n "$LAB_NS" addr add 10.80.$net.1/24 dev v$side
	ip -n "$LAB_NS" addr add fd00:80:$net::1/64 dev v$side nodad
	ip -n "$LAB_NS" link set v$side up
	ip -n "$LAB_NS-$side" addr add 10.80.$net.2/24 dev eth0
	ip -n "$LAB_NS-$side" addr add fd00:80:$net::2/64 dev eth0 nodad
	ip -n "$LAB_NS-$side" link set eth0 up
	ip -n "$LAB_NS-$side" route add default via 10.80.$net.1
	ip -n "$LAB_NS-$side" -6 route add default via fd00:80:$net::1
done
lab_in sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
lab_in nft -f - <<'NFT' || lab_skip "nftables has no NAT here"
table inet nat {
	chain pre { type nat hook prerouting priority dstnat;
		ip daddr 10.80.1.1 tcp dport 8080 dnat ip to 10.80.2.2:80
		ip6 daddr fd00:80:1::1 tcp dport 8080 dnat ip6 to [fd00:80:2::2]:80
		ip daddr 10.80.1.1 udp dport 5353 dnat ip to 10.80.2.2:53
	}
	chain post { type nat hook postrouting priority srcnat;
		oifname vs tcp dport 443 masquerade
		oifname vs ip protocol icmp masquerade
	}
}
NFT

PROBE_BIN=$top_builddir/tests/netns/inventory_probe
serve() { # protocol, port
	nsenter --net="/run/netns/$S" "$PROBE_BIN" serve "$1" "$2" >"$LAB_DIR/serve.$2" 2>&1 &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 grep -qs serving "$LAB_DIR/serve.$2"
}
for port in 80 443 22; do serve tcp $port; done
serve udp 53

# A connection that has been answered and stays open.
hold() { # protocol, local port, address, port
	nsenter --net="/run/netns/$C" "$PROBE_BIN" hold "$@" >"$LAB_DIR/hold.$2" 2>&1 &
	LAB_PIDS="$LAB_PIDS $!"
	lab_poll 10 grep -qs held "$LAB_DIR/hold.$2" || sed 's/^/# /' "$LAB_DIR/hold.$2"
}

ask() { # the question; prints the answer
	: >"$LAB_DIR/answer"
	before=$(wc -l <"$LAB_DIR/out")
	echo "$1" >&3
	lab_poll 5 more_than "$before" && tail -1 "$LAB_DIR/out"
}
more_than() { [ "$(wc -l <"$LAB_DIR/out")" -gt "$1" ]; }
answers() { # question, answer
	got=$(ask "$1")
	[ "$got" = "$2" ] || { echo "# asked $1"; echo "# got  $got"; echo "# want $2"; false; }
}

hold tcp 40001 10.80.1.1 8080 # there before we look
mkfifo "$LAB_DIR/in"
lab_spawn "$LAB_DIR/out" "$PROBE_BIN" conntrack "$LAB_DIR/in"
PROBE=$LAB_PID
exec 3>"$LAB_DIR/in"
lab_poll 10 grep -qs '^ready\|^SKIP' "$LAB_DIR/out"
grep -q '^SKIP' "$LAB_DIR/out" && lab_skip "$(cat "$LAB_DIR/out")"

dnat='client=10.80.1.2:40001 first=1 server=10.80.2.2:80 orig=10.80.1.1:8080'
lab_check "DNAT: seen from behind" answers "tcp 10.80.1.2 40001 10.80.2.2 80" "$dnat"
lab_check "DNAT: seen from before" answers "tcp 10.80.1.2 40001 10.80.1.1 8080" "$dnat"
lab_check "DNAT: ends the other way round" answers "tcp 10.80.2.2 80 10.80.1.2 40001" "$(echo "$dnat" | sed s/first=1/first=0/)"

hold tcp 40002 10.80.2.2 22
lab_check "plain TCP: who began it" answers "tcp 10.80.2.2 22 10.80.1.2 40002" \
	'client=10.80.1.2:40002 first=0 server=10.80.2.2:22 orig=:::0'
hold tcp 40003 10.80.2.2 443
lab_check "masqueraded: the inside" answers "tcp 10.80.1.2 40003 10.80.2.2 443" \
	'client=10.80.1.2:40003 first=1 server=10.80.2.2:443 orig=:::0'
lab_check "masqueraded: the outside has the same client" answers "tcp 10.80.2.1 40003 10.80.2.2 443" \
	'client=10.80.1.2:40003 first=1 server=10.80.2.2:443 orig=:::0'
hold tcp 40004 fd00:80:1::1 8080
lab_check "IPv6 DNAT" answers "tcp fd00:80:1::2 40004 fd00:80:2::2 80" \
	'client=fd00:80:1::2:40004 first=1 server=fd00:80:2::2:80 orig=fd00:80:1::1:8080'
hold udp 40005 10.80.1.1 5353
lab_check "UDP DNAT" answers "udp 10.80.1.2 40005 10.80.2.2 53" \
	'client=10.80.1.2:40005 first=1 server=10.80.2.2:53 orig=10.80.1.1:5353'
ping=$(command -v ping || echo busybox ping)
# shellcheck disable=SC2086
nsenter --net="/run/netns/$C" $ping -c 1 10.80.2.2 >/dev/null 2>&1
id=$(lab_in conntrack -L -p icmp 2>/dev/null | sed -n 's/.*src=10.80.1.2 .* id=\([0-9]*\) .*/\1/p' | head -1)
if [ -n "$id" ]; then
	lab_check "ping, masqueraded: by its identifier" answers "icmp 10.80.2.2 $id 10.80.2.1 0" \
		"client=10.80.1.2:$id first=0 server=10.80.2.2:$id orig=:::0"
fi
lab_check "a stranger is not known" answers "tcp 10.80.1.2 1 10.80.2.2 2" "none No such file or directory"
if command -v conntrack >/dev/null; then
	lab_in conntrack -D -p tcp --orig-port-src 40001 >/dev/null 2>&1
	lab_in conntrack -D -p tcp --orig-port-src 40002 >/dev/null 2>&1
	lab_check "a translated connection that has ended is still known" answers "tcp 10.80.1.2 40001 10.80.2.2 80" "$dnat"
	lab_check "a plain one is not" answers "tcp 10.80.1.2 40002 10.80.2.2 22" "none No such file or directory"
fi
kill "$PROBE"
wait "$PROBE"
tail -1 "$LAB_DIR/out" | sed 's/^/# /'
lab_check "only translated connections were told of" grep -q '^seen=[56] ' "$LAB_DIR/out"
lab_end
