# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a capture file, read without libpcap, so that weir's way of reading can be compared with another one.

Formats: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html and draft-ietf-opsawg-pcapng. A file that ends
or breaks within a record gives what comes before. As with libpcap, an interface of another link type or snapshot
length than the first one's ends the reading of a pcapng. """
import struct
from collections import namedtuple

# link: LINKTYPE number; time in nanoseconds; wire: bytes the frame had on the line, of which len(data) were kept.
Frame = namedtuple("Frame", "link time_ns wire data")

MAGICS = {b"\xa1\xb2\xc3\xd4": (">", 1000), b"\xd4\xc3\xb2\xa1": ("<", 1000),
          b"\xa1\xb2\x3c\x4d": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1),
          b"\xa1\xb2\xcd\x34": (">", 1000), b"\x34\xcd\xb2\xa1": ("<", 1000)}
PATCHED = (b"\xa1\xb2\xcd\x34", b"\x34\xcd\xb2\xa1")  # a Linux of the 1990s wrote eight bytes more for each packet
SNAP_MAX = 256 * 1024
BLOCK_SHB, BLOCK_IDB, BLOCK_PB, BLOCK_SPB, BLOCK_EPB = 0x0A0D0D0A, 1, 2, 3, 6


def classic(data):
    order, unit = MAGICS[data[:4]]
    head = 24 if data[:4] in PATCHED else 16
    major, minor = struct.unpack(order + "HH", data[4:8])
    if (major, minor) != (543, 0) and (major != 2 or minor > 4):
        return
    snap, link = struct.unpack(order + "II", data[16:24])
    snap = min(snap, SNAP_MAX) or SNAP_MAX
    at = 24
    while at + head <= len(data):
        sec, frac, cap, wire = struct.unpack(order + "IIII", data[at:at + 16])
        if cap > SNAP_MAX or at + head + cap > len(data):
            return
        yield Frame(link & 0x03FFFFFF, sec * 10**9 + frac * unit, wire, data[at + head:at + head + min(cap, snap)])
        at += head + cap


def options(order, body):
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[at:at + 4])
        if code == 0:
            return
        yield code, body[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def interface(order, body):
    """Link type, units of time in a second, and seconds to add."""
    units, offset = 10**6, 0
    for code, value in options(order, body[8:]):
        if code == 9 and value:
            units = 2**(value[0] & 127) if value[0] & 128 else 10**value[0]
        elif code == 14 and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
    link, _, snap = struct.unpack(order + "HHI", body[:8])
    return link, units, offset, snap or SNAP_MAX


def packet(order, kind, body, interfaces):
    if kind == BLOCK_SPB:
        link, units, offset, snap = interfaces[0]
        wire = struct.unpack(order + "I", body[:4])[0]
        return Frame(link, 0, wire, body[4:4 + min(wire, snap)])
    if kind == BLOCK_EPB:
        number, high, low, cap, wire = struct.unpack(order + "IIIII", body[:20])
    else:
        number, _, high, low, cap, wire = struct.unpack(order + "HHIIII", body[:20])
    link, units, offset, _ = interfaces[number]
    ticks = high << 32 | low
    return Frame(link, (ticks // units + offset) * 10**9 + ticks % units * 10**9 // units, wire, body[20:20 + cap])


def next_generation(data):
    at, order, interfaces, first = 0, "<", [], None
    while at + 12 <= len(data):
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = ">" if data[at + 8:at + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            interfaces = []
        kind, length = struct.unpack(order + "II", data[at:at + 8])
        if length < 12 or at + length > len(data):
            return
        body = data[at + 8:at + length - 4]
        if kind == BLOCK_IDB:
            interfaces.append(interface(order, body))
            alike = interfaces[-1][0], interfaces[-1][3]
            first = first or alike
            if alike != first:
                return
        elif kind in (BLOCK_EPB, BLOCK_PB, BLOCK_SPB):
            try:
                yield packet(order, kind, body, interfaces)
            except (IndexError, struct.error):
                return
        at += length


def frames_of(path):
    """Every whole frame of the file at path."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:4] in MAGICS and len(data) >= 24:
        yield from classic(data)
    elif data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from next_generation(data)
