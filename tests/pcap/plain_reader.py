# SPDX-License-Identifier: GPL-3.0-or-later
"""What weir promises to count, as a second, plain implementation: one frame in, its flow out. Slow, short, and
written from the standards and from the promises in the headers of capture/, so that two people would have to make the
same mistake.

  - every frame that carries IP counts with its length on the wire, on the flow of its ends;
  - a fragment belongs to the flow of its datagram's first fragment, also when it comes before it; without one it
    belongs to nothing;
  - an IP length of 0 stands for "larger than the field can say": the frame's length takes its place;
  - a claim beyond the wire is a malformed packet; without a whole transport header the ports are taken if they are
    there, are 0 if the packet itself has none, and the packet is malformed if only the capture lacks them;
  - IP in IP, GTP-U, CAPWAP and TZSP are opened, unless the packet is a fragment. """
import socket
from collections import namedtuple

LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_PPP_SERIAL, LINK_CHDLC, LINK_80211 = 0, 1, 9, 50, 104, 105
LINK_FRAME_RELAY, LINK_LOOP, LINK_SLL, LINK_RADIOTAP, LINK_SLL2 = 107, 108, 113, 127, 276
LINKS_RAW = (12, 14, 101, 228, 229)
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
PORTED = (TCP, UDP, SCTP)
FIN, SYN, RST, ACK = 1, 2, 4, 16
TAGS_MAX, DEPTH_MAX, HEADERS_MAX = 8, 4, 12
FRAGMENT_LIFE_NS = 30 * 10**9
LINGER_NS = 60 * 10**9
REQUESTS = {ICMP: {0: 8, 9: 10, 14: 13, 16: 15, 18: 17},
            ICMP6: {129: 128, 131: 130, 134: 133, 136: 135, 140: 139, 142: 141}}

# ends: ((address, port), (address, port)), sender first; kind: of ICMP (identifier, request type); unsaid: IP's length
# was 0; whole: it has all of its transport header.
Packet = namedtuple("Packet", "proto vlan ends kind flags fragment datagram tunnel unsaid whole")


class NotIp(Exception):
    pass


class Malformed(Exception):
    pass


def be16(data, at):
    return data[at] << 8 | data[at + 1]


def need(data, length):
    if len(data) < length:
        raise Malformed


def by_nibble(data, at):
    need(data, at + 1)
    if data[at] >> 4 not in (4, 6):
        raise NotIp
    return at


def ppp_protocol(data, at):
    need(data, at + 2)
    proto, at = (data[at], at + 1) if data[at] & 1 else (be16(data, at), at + 2)
    if proto not in (0x21, 0x57):
        raise NotIp
    return by_nibble(data, at)


def ether_type(data, kind, at):
    """Where IP begins, and the innermost VLAN, behind any tags."""
    vlan = 0
    for _ in range(TAGS_MAX):
        if kind in (0x0800, 0x86DD):
            need(data, at + 1)
            return at, vlan
        if kind in (0x8100, 0x88A8, 0x9100):
            need(data, at + 4)
            vlan, kind, at = be16(data, at) & 0xFFF, be16(data, at + 2), at + 4
        elif kind in (0x8847, 0x8848):
            for _ in range(TAGS_MAX):
                need(data, at + 4)
                at += 4
                if data[at - 2] & 1:
                    return by_nibble(data, at), vlan
            raise NotIp
        elif kind == 0x8864:
            need(data, at + 6)
            return ppp_protocol(data, at + 6), vlan
        else:
            raise NotIp
    raise NotIp


def llc(data, at):
    need(data, at + 3)
    if data[at:at + 2] == b"\x06\x06":
        return by_nibble(data, at + 3), 0
    if data[at:at + 2] != b"\xaa\xaa":
        raise NotIp
    need(data, at + 8)
    return ether_type(data, be16(data, at + 6), at + 8)


def wireless(data, at):
    need(data, at + 24)
    control, flags, head = data[at], data[at + 1], 24
    if control >> 2 & 3 != 2 or control >> 4 & 4 or flags & 0x40:
        raise NotIp
    head += 6 if flags & 3 == 3 else 0
    if control >> 4 & 8:
        head += 6 if flags & 0x80 else 2
    return llc(data, at + head)


def ppp(data):
    need(data, 4)
    if data[:2] == b"\xff\x03":
        return ppp_protocol(data, 2), 0
    if data[0] in (0x0F, 0x8F):
        return ether_type(data, be16(data, 2), 4)
    return ppp_protocol(data, 0), 0


def frame_relay(data):
    need(data, 4)
    if data[2] != 3:
        return ether_type(data, be16(data, 2), 4)
    if data[3] in (0xCC, 0x8E):
        return by_nibble(data, 4), 0
    if len(data) >= 10 and data[3:5] == b"\x00\x80":
        return ether_type(data, be16(data, 8), 10)
    raise NotIp


def ethernet(data):
    need(data, 14)
    kind = be16(data, 12)
    return llc(data, 14) if kind <= 1500 else ether_type(data, kind, 14)


def radiotap(data):
    need(data, 8)
    length = data[2] | data[3] << 8
    if length < 8 or length > len(data):
        raise Malformed
    return wireless(data, length)


def cooked(data, head, at):
    need(data, head)
    return ether_type(data, be16(data, at), head)


LINKS = {LINK_ETHERNET: ethernet, LINK_SLL: lambda d: cooked(d, 16, 14), LINK_SLL2: lambda d: cooked(d, 20, 0),
         LINK_NULL: lambda d: (by_nibble(d, 4), 0), LINK_LOOP: lambda d: (by_nibble(d, 4), 0), LINK_PPP: ppp,
         LINK_PPP_SERIAL: ppp, LINK_CHDLC: ppp, LINK_FRAME_RELAY: frame_relay, LINK_RADIOTAP: radiotap,
         LINK_80211: lambda d: wireless(d, 0), **{n: lambda d: (by_nibble(d, 0), 0) for n in LINKS_RAW}}


def ip4(data, wire):
    """(upper header's place, end, protocol, addresses, fragment, datagram)"""
    need(data, 20)
    head, total, bits = (data[0] & 15) * 4, be16(data, 2) or wire, be16(data, 6)
    if not 20 <= head <= total <= wire or head > len(data):
        raise Malformed
    fragment = "later" if bits & 0x1FFF else "first" if bits & 0x2000 else ""
    return head, total, data[9], (data[12:16], data[16:20]), fragment, be16(data, 4)


def ip6(data, wire):
    need(data, 40)
    claim = be16(data, 4)
    total = 40 + claim if claim else wire
    if total > wire:
        raise Malformed
    proto, at, room = data[6], 40, min(len(data), total)
    fragment, datagram = "", 0
    for _ in range(HEADERS_MAX):
        if proto not in (0, 43, 44, 60, 135, 139, 140):
            break
        if at + 8 > room:
            raise Malformed
        if proto == 44:
            fragment = "later" if be16(data, at + 2) & 0xFFF8 else "first" if data[at + 3] & 1 else fragment
            datagram, proto, at = int.from_bytes(data[at + 4:at + 8], "big"), data[at], at + 8
            if fragment == "later":
                break
            continue
        proto, at = data[at], at + (data[at + 1] + 1) * 8
    else:
        raise Malformed
    if at > total:
        raise Malformed
    return at, total, proto, (data[8:24], data[24:40]), fragment, datagram


def transport(data, at, end, proto):
    """Ports, kind of ICMP, flags, where a datagram's payload begins and ends, and whether the header is whole."""
    captured, claimed = max(0, min(len(data), end) - at), end - at
    least = {TCP: 14, UDP: 8, SCTP: 12, ICMP: 4, ICMP6: 4}.get(proto, 0)
    whole = captured >= least and (proto != TCP or claimed >= 20)
    ports, kind, flags = (0, 0), None, 0
    if proto in PORTED and captured >= 4:
        ports = be16(data, at), be16(data, at + 2)
    elif captured < 4 and (claimed >= 4 if proto in PORTED else proto in REQUESTS and captured == 0):
        raise Malformed
    if not whole and proto in PORTED:
        return ports, None, 0, (at, at), False
    if proto == TCP:
        flags = data[at + 13]
    elif proto == UDP and 8 <= be16(data, at + 4) < claimed:
        end = at + be16(data, at + 4)
    elif proto in REQUESTS:
        what, has_id = data[at], data[at] in (128, 129)
        if proto == ICMP:
            has_id = what in (0, 8) or 13 <= what <= 18
        kind = be16(data, at + 4) if has_id and captured >= 6 else 0, REQUESTS[proto].get(what, what)
    return ports, kind, flags, (at + 8, end), whole


def gtp(data):
    if len(data) < 8 or data[0] >> 5 != 1 or data[1] != 255:
        return None
    at = 12 if data[0] & 7 else 8
    if data[0] & 4:
        for i in range(99):
            if at > len(data) or data[at - 1] == 0:
                break
            if i == 8 or at >= len(data) or data[at] == 0:
                return None
            at += data[at] * 4
    return at if at < len(data) else None


def capwap(data):
    if len(data) < 8 or data[0] & 15 or data[3] & 0x88:
        return None
    at = (data[1] >> 3) * 4 + 24
    return at + 8 if at + 8 < len(data) and data[at:at + 2] == b"\xaa\xaa" else None


def tzsp(data):
    if len(data) < 4 or data[:4] != b"\1\0\0\1":
        return None
    at = 4
    while at < len(data):
        if data[at] == 1:
            return at + 1 if at + 1 < len(data) else None
        if data[at] == 0:
            at += 1
        elif at + 1 < len(data):
            at += 2 + data[at + 1]
        else:
            break
    return None


def passenger(ports, data):
    """(tunnel, offset) of what a datagram carries, or None."""
    for name, port, opener in (("gtp", 2152, gtp), ("capwap", 5247, capwap), ("tzsp", 37008, tzsp)):
        at = opener(data) if port in ports else None
        if at:
            return name, at
    return None


def from_ip(data, wire, vlan, depth=0):
    need(data, 1)
    if data[0] >> 4 not in (4, 6):
        raise Malformed
    at, end, proto, addresses, fragment, datagram = (ip4 if data[0] >> 4 == 4 else ip6)(data, wire)
    datagram = (addresses, proto, vlan, datagram)
    unsaid = be16(data, 2 if data[0] >> 4 == 4 else 4) == 0
    if fragment == "later":
        ends = (addresses[0], 0), (addresses[1], 0)
        return Packet(proto, vlan, ends, None, 0, fragment, datagram, "", unsaid, True)
    ports, kind, flags, payload, whole = transport(data, at, end, proto)
    ends = (addresses[0], ports[0]), (addresses[1], ports[1])
    outer = Packet(proto, vlan, ends, kind, flags, fragment, datagram, "", unsaid, whole)
    if fragment or depth == DEPTH_MAX:
        return outer
    name, inner = "", None
    if proto in (4, 41):
        name, inner = "ipip", at
    elif proto == UDP:
        name, off = passenger(ports, data[payload[0]:payload[1]]) or ("", 0)
        inner = payload[0] + off if name else None
    if inner is None or inner >= min(len(data), end):
        return outer
    try:
        off, tag = ethernet(data[inner:end]) if name == "tzsp" else (0, 0)
        inner += off
        return from_ip(data[inner:end], end - inner, vlan or tag, depth + 1)._replace(tunnel=name)
    except (NotIp, Malformed):
        return outer


def decode(frame):
    """The packet in a frame; raises NotIp or Malformed."""
    if frame.link not in LINKS:
        raise NotIp
    at, vlan = LINKS[frame.link](frame.data)
    return from_ip(frame.data[at:], wire_length(frame) - at, vlan)


def wire_length(frame):
    return frame.wire if len(frame.data) <= frame.wire <= 1 << 24 else len(frame.data)


def text(raw):
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


class Fragments:
    """Gives later fragments the ends of their datagram's first one, whichever comes first."""

    def __init__(self):
        self.seen = {}

    def take(self, p, item, now_ns):
        """The packets that can be told a flow now, as (packet, item)."""
        if not p.fragment:
            return [(p, item)]
        datagram = p.datagram + (p.tunnel,)
        entry = self.seen.get(datagram)
        if entry is None or now_ns - entry["since"] >= FRAGMENT_LIFE_NS:
            entry = self.seen[datagram] = {"since": now_ns, "first": None, "early": []}
        if p.fragment == "first":
            early, entry["first"], entry["early"] = entry["early"], p, []
            return [(p, item)] + [(e._replace(ends=p.ends, kind=p.kind), i) for e, i in early]
        if entry["first"] is None:
            entry["early"].append((p, item))
            return []
        return [(p._replace(ends=entry["first"].ends, kind=entry["first"].kind), item)]


class Conversation:
    """Counters by end, and how many records weir may make of the packets between two ends: a TCP handshake behind a
    close or an answered reset is another conversation, and what is over may be let go of after a minute's silence."""

    def __init__(self):
        self.packets, self.bytes = {}, {}
        self.records, self.pauses = 1, 0
        self.last_ns, self.fins, self.spoke, self.over = None, set(), set(), False

    def count(self, p, size, now_ns):
        end = p.ends[0]
        self.packets[end] = self.packets.get(end, 0) + 1
        self.bytes[end] = self.bytes.get(end, 0) + size
        last_ns = now_ns if self.last_ns is None else self.last_ns
        self.last_ns = max(last_ns, now_ns)
        self.pauses += now_ns - last_ns >= LINGER_NS
        if p.proto != TCP or p.fragment == "later":
            return
        if self.over and p.flags & (SYN | ACK | RST) == SYN and now_ns >= last_ns:
            self.records += 1
            self.fins, self.spoke, self.over = set(), set(), False
        if p.flags & FIN:
            self.fins.add(end)
        if p.flags & RST:
            self.over |= len(self.spoke) == 2
            return
        self.spoke.add(end)
        self.over |= len(self.fins) == 2
