#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# An address that two workloads have for a while: whoever keeps it is in its own group again when the other is gone.
. "${top_srcdir:-.}/tests/netns/lib.sh"
lab_daemon members nft
lab_bridge br0 10.80.0.1/24
lab_workload a br0 10.80.0.2/24
lab_workload b br0 10.80.0.3/24
lab_serve b 8080
lab_policy '{from: a, ports: [8080/tcp]}' a b d
lab_check "weir answers" weir_start
lab_check "its inventory is complete" lab_poll 10 weir_settled
lab_check "apply" w apply "$LAB_DIR/policy.yaml" --confirm-within 0
reach() { lab_echo a 10.80.0.3 8080; }
member() { lab_in nft list set inet weir workloads_4 2>/dev/null | grep -q "10.80.0.2 comment \"$1\""; }
lab_check "a is in its group" lab_poll 5 member a
lab_check "a reaches b" reach
lab_in ip link add br1 type bridge # another network with the same addresses
lab_in ip link set br1 up
lab_workload d br1 10.80.0.2/24
lab_check "the latest to come with the address has it" lab_poll 10 member d
ip netns del "$LAB_NS-d"
lab_check "it goes, and a is in its group again" lab_poll 10 member a
lab_check "a reaches b still" reach

# A change that the kernel does not take: for a while the table is somebody else's own.
mkfifo "$LAB_DIR/nft"
nsenter --net="/run/netns/$LAB_NS" nft -i <"$LAB_DIR/nft" >"$LAB_DIR/nft.out" 2>&1 &
owner=$!
LAB_PIDS="$LAB_PIDS $owner"
exec 9>"$LAB_DIR/nft"
echo 'delete table inet weir; add table inet weir { flags owner; }' >&9
owned() { lab_in nft list table inet weir 2>/dev/null | grep -q owner; }
lab_check "somebody takes the table" lab_poll 10 owned
lab_workload c br0 10.80.0.4/24
refused() { grep -q 'c could not be put into group .*; it is tried again' "$log"; }
lab_check "c cannot be put into its group" lab_poll 10 refused
exec 9>&-
member_c() { lab_in nft list set inet weir workloads_4 2>/dev/null | grep -q "10.80.0.4 comment"; }
lab_check "the table is free, and c is in its group" lab_poll 40 member_c
lab_check "so is a" member a
lab_check "which weir says" lab_poll 40 grep -q 'all members are in their groups again' "$log"
lab_check "a reaches b still" reach
[ "$LAB_FAILED" = 0 ] || sed 's/^/# log: /' "$log"
lab_end
