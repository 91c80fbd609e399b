#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Two workloads on one bridge reach each other by their link-local addresses, whether or not anybody gave them IPv6: such a
# conversation has names, and a policy confines it like any other.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon linklocal nft python3
lab_bridge br0 10.85.0.1/24
lab_check "weir answers" weir_start
for n in a:2 b:3 c:4; do lab_workload "${n%:*}" br0 "10.85.0.${n#*:}/24"; done
local_of() { lab_inside "$1" ip -6 -o addr show dev eth0 scope link -tentative | sed -n 's/.*inet6 \(fe80[^/]*\).*/\1/p'; }
usable() { [ -n "$(local_of a)" ] && [ -n "$(local_of b)" ] && [ -n "$(local_of c)" ]; }
lab_poll 20 usable || lab_skip "no IPv6 here"
B=$(local_of b)
lab_inside b python3 - <<'SERVE' &
import socket, threading
s = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, _ = s.accept()
    threading.Thread(target=lambda c: (c.sendall(c.recv(100)), c.close()), args=(c,)).start()
SERVE
LAB_PIDS="$LAB_PIDS $!"
lab_poll 10 lab_listens b 8080
lab_check "the inventory is complete" lab_poll 10 weir_settled
reach() { lab_echo "$1" "$B%eth0" 8080; }
lab_check "a reaches b by its link-local address" reach a
named() {
	w flows -o json 2>/dev/null | jq -es --arg a "$LAB_NS-a" --arg b "$LAB_NS-b" --arg ip "$B" \
		'any(.[]; .dest_ip == $ip and .dest_port == 8080 and .src.workload == $a and .dest.workload == $b)' >/dev/null
}
lab_check "the conversation has names" lab_poll 10 named
none_unnamed() { w flows -o json 2>/dev/null | jq -es 'all(.[]; .src.unnamed == null and .dest.unnamed == null)' >/dev/null; }
lab_check "and nobody in it is unknown" none_unnamed
cat >"$LAB_DIR/policy.yaml" <<CONF
weir: 1
groups:
  a: {name: $LAB_NS-a}
  b: {name: $LAB_NS-b}
  c: {name: $LAB_NS-c}
policy:
  b:
    stage: enforce
    inbound:
      - {from: c, ports: [8080/tcp]}
    outbound: []
CONF
lab_check "apply" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
refused() { lab_refused a "$B%eth0" 8080; }
lab_check "a is refused, at that address too" lab_poll 5 refused
lab_check "c is not" reach c
told() { w blocks -o json 2>/dev/null | jq -es --arg a "$LAB_NS-a" --arg b "$LAB_NS-b" 'any(.[]; (tostring | contains($a) and contains($b)))' >/dev/null; }
lab_check "the refusal is told by name" lab_poll 10 told
[ "$LAB_FAILED" = 0 ] || { w flows; w blocks; cat "$log"; lab_in nft list table inet weir; } | sed 's/^/# /'
lab_end
