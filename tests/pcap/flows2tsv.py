#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the lines of `weir read -o json` into the columns that the corpus' scorer compares.

    weir read -o json FILE | flows2tsv.py LABEL > actual.tsv
    flows2tsv.py LABEL lines.jsonl > actual.tsv

LABEL is the capture's name as the expected table has it (oracle/x.pcap); --no-header for all captures but the first.
nDPI's reader knows no SCTP ports and writes ICMPv6 in capitals, so the same is done here; nothing else is altered.
"""
import argparse
import ipaddress
import json
import socket
import sys

COLUMNS = ["file", "l4", "ip_a", "port_a", "ip_b", "port_b", "vlan", "master.app", "confidence",
           "pkts_ab", "bytes_ab", "pkts_ba", "bytes_ba", "tunnel", "community_id"]


# The expected table has some protocols by name, some by number.
NUMBERS = {"1": "ICMP", "2": "IGMP", "6": "TCP", "17": "UDP", "47": "GRE", "50": "ESP", "58": "ICMPV6", "132": "SCTP",
           "112": "VRRP", "89": "OSPF", "4": "IPIP", "51": "AH", "8": "EGP"}


def l4_name(proto):
    """The scorer's name for the protocol of a record."""
    return "ICMPV6" if proto == "ICMPv6" else str(proto)


def l4_number(name):
    """One name for a protocol, whichever of both a table has."""
    return NUMBERS.get(name, name.upper())


def address(text):
    """Both sides in one form. The oracle's reader replaces ":0:" by "::" even where there is a "::" already, which
    leaves a text that is no address; so the same is done to ours."""
    try:
        value = ipaddress.ip_address(text)
    except ValueError:
        return text
    if value.version == 4:
        return text
    return socket.inet_ntop(socket.AF_INET6, value.packed).replace(":0:", "::")


def row_of(label, record):
    """One row from one flow record; None for a line that is no flow (attempts, coverage)."""
    if "src_ip" not in record or "flow" not in record:
        return None
    flow, app, l4 = record["flow"], record.get("app", {}), l4_name(record.get("proto", ""))
    ported = l4 in ("TCP", "UDP")
    return {"file": label, "l4": l4, "ip_a": record["src_ip"], "ip_b": record["dest_ip"],
            "port_a": record.get("src_port", 0) if ported else 0,
            "port_b": record.get("dest_port", 0) if ported else 0,
            "vlan": record.get("vlan", 0), "master.app": app.get("proto", "Unknown"),
            "confidence": app.get("confidence", "Unknown"),
            "pkts_ab": flow.get("pkts_toserver", 0), "bytes_ab": flow.get("bytes_toserver", 0),
            "pkts_ba": flow.get("pkts_toclient", 0), "bytes_ba": flow.get("bytes_toclient", 0),
            "tunnel": record.get("tunnel", ""), "community_id": record.get("community_id", "")}


def rows_of(label, lines):
    """The rows of all flows among lines of JSON."""
    for line in lines:
        line = line.strip()
        row = row_of(label, json.loads(line)) if line.startswith("{") else None
        if row:
            yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("label")
    parser.add_argument("lines", nargs="?")
    parser.add_argument("--no-header", action="store_true")
    args = parser.parse_args()
    source = open(args.lines, encoding="utf-8") if args.lines else sys.stdin
    if not args.no_header:
        print("\t".join(COLUMNS))
    for row in rows_of(args.label, source):
        print("\t".join(str(row[column]) for column in COLUMNS))


if __name__ == "__main__":
    main()
