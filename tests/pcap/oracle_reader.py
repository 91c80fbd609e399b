# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets nDPI's own reader (4.2) counts, and on which flow: its rules, restated, so that a difference between
its figures and weir's can be derived from the capture instead of being believed.

Facts about it, from its documentation (reader_util.c) and from comparing with its results over the corpus:
  - what it counts of a frame is the bytes that were captured, in 16 bits, not the length on the wire;
  - it takes a frame for IP by the version nibble where IP would begin, whatever the EtherType says;
  - it drops a frame that was cut (IP's total length says more than was captured), a frame whose IPv4 length is 0,
    frames under 28 bytes, and every fragment but the first; when there is no whole TCP or UDP header it takes the
    ports for 0;
  - it knows ports of TCP and UDP only, and no kinds of ICMP: two hosts have one flow for all ICMP;
  - an IPv6 address is folded to 32 bits, the sum of its last two words: hosts whose sums are equal are one to it;
  - flows live in 512 unbalanced trees ordered by a sum over both ends; the order is no order when sums collide, so it
    can miss a flow in one direction (then both directions' packets count for one end) or in both (then it makes two).
    """
import socket
from collections import namedtuple

ROOTS = 512
LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_PPP_SERIAL, LINK_CHDLC, LINK_SLL = 0, 1, 9, 50, 104, 113
LINK_RAW, LINK_RADIOTAP, LINK_IPV4, LINK_IPV6 = 101, 127, 228, 229
LINKS = (LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_PPP_SERIAL, LINK_CHDLC, LINK_SLL, LINK_RAW, LINK_RADIOTAP, LINK_IPV4,
         LINK_IPV6, 12, 14)
ETH_IP, ETH_IP6, ETH_VLAN, ETH_PPPOE = 0x0800, 0x86DD, 0x8100, 0x8864
ETH_MPLS = (0x8847, 0x8848)
TCP, UDP, IPIP, IP6IP = 6, 17, 4, 41
PORT_GTP, PORT_TZSP, PORT_CAPWAP = 2152, 37008, 5247

# A packet it counts. names: what it prints for the ends; words: what it compares.
Taken = namedtuple("Taken", "proto vlan names words ports size tunnel")


class Drop(Exception):
    """It does not count the frame; the text is the class of reason."""


def be16(data, at):
    return data[at] << 8 | data[at + 1]


def need(data, length, why="runt"):
    if len(data) < length:
        raise Drop(why)


def link_header(link, data, at):
    """Where IP should begin, and the EtherType it believes (0 where it has none)."""
    if link == LINK_NULL:
        return at + 4, ETH_IP if data[at:at + 4] == b"\0\0\0\2" else ETH_IP6
    if link == LINK_PPP_SERIAL:
        return at + 4, be16(data, at + 2)
    if link in (LINK_PPP, LINK_CHDLC):
        return (at + 4, be16(data, at + 2)) if data[0] in (0x0F, 0x8F) else (at + 2, be16(data, at))
    if link == LINK_IPV4:
        return 0, ETH_IP
    if link == LINK_IPV6:
        return 0, ETH_IP6
    if link == LINK_ETHERNET:
        return ethernet(data, at)
    if link == LINK_SLL:
        return at + 16, be16(data, at + 14)
    if link == LINK_RADIOTAP:
        return radiotap(data, at)
    return 0, 0


def ethernet(data, at):
    kind, ip = be16(data, at + 12), at + 14
    if kind >= 1536:
        return ip, kind
    if 0 < kind <= 1500:
        if 0xAA in (data[ip], data[ip + 1]):
            return ip + 8, data[ip + 6] | data[ip + 7] << 8  # it forgets to swap the bytes
        if 0x42 in (data[ip], data[ip + 1]):
            raise Drop("not IP")
    return ip, 0


def radiotap(data, at):
    length = data[at + 2] | data[at + 3] << 8
    if data[at + 16] & 0x40:  # what it takes for the flags: bad frame check sequence
        raise Drop("radiotap")
    need(data, at + length + 26)
    fc = data[at + length] | data[at + length + 1] << 8
    wifi = 0
    if fc & 0x0C != 0x08:
        return 0, 0  # it goes on at the start of the frame
    if bool(fc & 0x0100) != bool(fc & 0x0200):
        wifi = 26
    need(data, at + wifi + length + 8)
    llc = at + wifi + length
    return llc + 8, be16(data, llc + 6) if data[llc] == 0xAA else 0


def tags(data, ip, kind):
    vlan = 0
    while True:
        if kind == ETH_VLAN:
            if ip + 4 >= len(data):
                raise Drop("runt")
            while True:
                vlan, kind = be16(data, ip) & 0xFFF, be16(data, ip + 2)
                ip += 4
                if kind != ETH_VLAN or ip + 4 >= len(data):
                    break
        elif kind in ETH_MPLS:
            bottom, kind, ip = data[ip + 2] & 1, ETH_IP, ip + 4
            while not bottom and ip + 4 < len(data):
                bottom, ip = data[ip + 2] & 1, ip + 4
        elif kind == ETH_PPPOE:
            kind, ip = ETH_IP, ip + 8
        else:
            return ip, kind, vlan


def extensions(data, ip, size):
    """IPv6: where the upper header begins, what its length is by the headers, and its protocol."""
    proto, left, at, room = data[ip + 6], be16(data, ip + 4), ip + 40, (size - 40) & 0xFFFF
    while room > 1 and proto in (0, 43, 44, 60, 135, 59):
        if proto == 59:
            raise Drop("no next header")
        if proto == 44:
            if left < 8 or room < 5:
                raise Drop("cut")
            if be16(data, at + 2) >> 3:
                raise Drop("fragment")
            room, proto, left, at = room - 5, data[at], left - 8, at + 8
            continue
        if left < 2 or room < 2:
            raise Drop("cut")
        length = data[at + 1] * 8 + 8
        if left < length or room < length:
            raise Drop("cut")
        room, proto, left, at = room - length, data[at], left - length, at + length
    return at, left, proto


def walk(data, ip, kind, fragment):
    """From an IP header on, through IP in IP: where the innermost begins, its version, protocol and header length."""
    while True:
        need(data, ip + 20)
        if kind == ETH_IP:
            fragment = be16(data, ip + 6)
        version = data[ip] >> 4
        if version == 4:
            proto, head = data[ip + 9], (data[ip] & 15) * 4
            if proto in (IPIP, IP6IP) and head:
                ip += head
                continue
            if proto in (IPIP, IP6IP):
                ip += head
            if fragment & 0x1FFF:
                raise Drop("fragment")
            return ip, version, proto, head, fragment
        if version != 6:
            raise Drop("not IP")
        need(data, ip + 40)
        need(data, ip + 40 + be16(data, ip + 4), "cut")
        at, left, proto = extensions(data, ip, (len(data) - ip) & 0xFFFF)
        if proto in (IPIP, IP6IP):
            ip = at
            continue
        return ip, version, proto, left, fragment


def gtp(data, at):
    """The passenger of a GTP-U packet, or None."""
    if data[at] >> 5 != 1 or data[at + 1] != 255:
        return None
    flags, at = data[at], at + 8
    if flags & 7:
        at += 4
    if flags & 4:
        while at < len(data):
            step = data[at] * 4
            at += step
            if at >= len(data) or step == 0:
                return None
            if data[at - 1] == 0:
                break
    return at if at < len(data) else None


def tunnel(data, ip, head):
    """What is inside a datagram: ("ip", where), ("ethernet", where), ("capwap", where) or None."""
    at = ip + head  # its own slip for IPv6: head is then the payload's length
    need(data, at + 8)
    ports, at = (be16(data, at), be16(data, at + 2)), at + 8
    if PORT_GTP in ports and at + 8 < len(data):
        inner = gtp(data, at)
        return ("ip", inner) if inner else None
    if PORT_TZSP in ports:
        need(data, at + 4)
        if data[at] == 1 and data[at + 1] == 0 and data[at + 2:at + 4] == b"\0\1":
            at += 4
            if at < len(data):  # it takes one tag, whichever it is
                at += 1 if data[at] in (0, 1) else data[at + 1]
                need(data, at + 1)
                return "ethernet", at
        return None
    if PORT_CAPWAP in ports and at + 1 < len(data) and data[at] & 15 == 0:
        at += (data[at + 1] & 0xF8) >> 1
        if at + 32 < len(data):
            return "capwap", at + 32
    return None


def take(link, data):
    """The packet as the reader counts it; raises Drop."""
    if link not in LINKS:
        raise Drop("link")
    at, kind_of_tunnel = 0, ""
    while True:
        need(data, at + 28)
        ip, kind = link_header(link, data, at)
        ip, kind, vlan = tags(data, ip, kind)
        fragment = 0
        while True:
            ip, version, proto, head, fragment = walk(data, ip, kind, fragment)
            inside = tunnel(data, ip, head) if proto == UDP else None
            if not inside or inside[0] != "capwap":
                break
            ip, kind_of_tunnel = inside[1], "CAPWAP"
            kind = be16(data, ip - 2)
        if not inside:
            break
        if inside[0] == "ethernet":
            at, kind_of_tunnel = inside[1], "TZSP"
            continue
        ip, kind_of_tunnel, version = inside[1], "GTP", data[inside[1]] >> 4
        if version not in (4, 6):
            raise Drop("not IP")
        need(data, ip + (40 if version == 6 else 20))
        break
    return packet(data, ip, version, vlan, kind_of_tunnel)


def word(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def text(raw):
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def packet(data, ip, version, vlan, kind_of_tunnel):
    size = (len(data) - ip) & 0xFFFF
    if version == 4:
        if size < 20:
            raise Drop("runt")
        head, total, proto = (data[ip] & 15) * 4, be16(data, ip + 2), data[ip + 9]
        length, upper = (total - head) & 0xFFFF, head
        if head > size or size < total:
            raise Drop("cut")
        words = word(data, ip + 12), word(data, ip + 16)
        names = text(data[ip + 12:ip + 16]), text(data[ip + 16:ip + 20])
    else:
        if size < 40:
            raise Drop("runt")
        upper, length, proto = extensions(data, ip, size)
        upper -= ip
        if upper > size:
            raise Drop("cut")
        words = tuple((word(data, ip + o + 8) + word(data, ip + o + 12)) & 0xFFFFFFFF for o in (8, 24))
        names = text(data[ip + 8:ip + 24]), text(data[ip + 24:ip + 40])
    if size < upper + length:
        raise Drop("length 0" if version == 4 and total == 0 else "cut")
    at, ports = ip + upper, (0, 0)
    if (proto == TCP and length >= 20) or (proto == UDP and length >= 8):
        ports = be16(data, at), be16(data, at + 2)
    return Taken(proto, vlan, names, words, ports, len(data) & 0xFFFF, kind_of_tunnel)


class Flow:
    """One of its flows: counters for the end that spoke first, and for the other one."""

    def __init__(self, p, key):
        self.first, self.key = p, key
        self.packets, self.bytes = [0, 0], [0, 0]
        self.left = self.right = None


class Table:
    """Its 512 trees."""

    def __init__(self):
        self.roots = [None] * ROOTS
        self.flows = []

    @staticmethod
    def compare(a, b):
        for i in (0, 1, 2):  # sum, VLAN, protocol
            if a[i] != b[i]:
                return -1 if a[i] < b[i] else 1
        if a[3:] == b[3:] or (a[3], a[4], a[5], a[6]) == (b[5], b[6], b[3], b[4]):
            return 0
        return -1 if a[3:] < b[3:] else 1

    def seek(self, key):
        """The flow, or the place where one of this key belongs: its parent and the side."""
        at, parent, side = self.roots[key[0] % ROOTS], None, ""
        while at:
            order = self.compare(key, at.key)
            if order == 0:
                return at, None, ""
            parent, side = at, "left" if order < 0 else "right"
            at = getattr(at, side)
        return None, parent, side

    def count(self, p):
        """Counts the packet; returns its flow and which end the reader thinks sent it."""
        ports = [(x & 0xFF) << 8 | x >> 8 for x in p.ports]
        total = (p.proto + sum(p.words) + sum(ports)) & 0xFFFFFFFF
        there = p.words[0], ports[0], p.words[1], ports[1]
        key = (total, p.vlan, p.proto) + there
        flow, parent, side = self.seek(key)
        swapped = flow is None
        if swapped:
            flow = self.seek((total, p.vlan, p.proto, p.words[1], ports[1], p.words[0], ports[0]))[0]
        if flow is None:
            flow = Flow(p, key)
            if parent:
                setattr(parent, side, flow)
            else:
                self.roots[total % ROOTS] = flow
            self.flows.append(flow)
            end = 0
        else:
            same = flow.key[3:] == there
            end = 1 if same == swapped else 0
        flow.packets[end] += 1
        flow.bytes[end] += p.size
        return flow, end
