#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames nobody thought of: random stacks of link header, tags, IP, extension headers, tunnels and transport, a third
of them damaged or cut, in one capture for each link type. weir must find in it what the plain second decoder
(plain_reader.py) finds: the same flows, and at each of their ends the same packets and bytes.

Few hosts and ports, so that flows meet each other; few fragments, since weir's memory of them is bounded and the plain
decoder's is not. Prints its seed; WEIR_SEED repeats it.
"""
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import counters  # noqa: E402
import flows2tsv  # noqa: E402
import frames  # noqa: E402
import plain_reader as plain  # noqa: E402

FRAMES, FRAGMENTS_MAX, START_S = 1500, 60, 1700000000
SNAP = 65535
ETHER_TYPES = {4: 0x0800, 6: 0x86DD}


class Maker:
    """Makes frames out of one source of chance."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.fragments = 0

    def some(self, n):
        return self.r.randbytes(n)

    def chance(self, percent):
        return self.r.random() * 100 < percent

    def port(self):
        return self.r.choice((53, 80, 2152, 5247, 37008, 40001, 40002))

    def transport(self, proto, depth):
        ports = struct.pack(">HH", self.port(), self.port())
        load = self.some(self.r.randrange(30))
        if proto == 6:
            words = self.r.choice((5, 5, 5, 8, 15, 3))
            flags = self.r.choice((2, 18, 16, 24, 17, 4))
            return ports + self.some(8) + bytes((words << 4, flags)) + self.some(6) + load
        if proto == 17:
            load = self.datagram(ports, load, depth)
            return ports + struct.pack(">HH", self.r.choice((8 + len(load), 0, 9)), 0) + load
        if proto == 132:
            return ports + self.some(8) + bytes((self.r.randrange(12), 0, 0, 4)) + load
        if proto == 1:
            kind = self.r.choice((0, 8, 3, 11, 13, 14, 5))
            return bytes((kind, 0)) + self.some(2) + struct.pack(">H", self.port()) + load
        if proto == 58:
            return bytes((self.r.choice((128, 129, 1, 133, 134, 135, 136)), 0)) + self.some(6) + load
        return self.ip(depth + 1) if proto in (4, 41) else load

    def datagram(self, ports, load, depth):
        """What the tunnels' ports carry."""
        if depth > 5:
            return load
        inner = self.ip(depth + 1)
        if b"\x08\x68" in (ports[:2], ports[2:]):
            flags = self.r.choice((0x30, 0x32, 0x34, 0x10, 0x50))
            head = bytes((flags, self.r.choice((255, 255, 255, 1)))) + self.some(6)
            if flags & 7:
                head += bytes(3) + (b"\x85\1\0\0\0" if flags & 4 and self.chance(50) else b"\0")
            return head + inner
        if b"\x14\x7f" in (ports[:2], ports[2:]):
            words = self.r.choice((2, 4))
            head = bytes((0, words << 3, 0, self.r.choice((0, 0, 8)))) + bytes(words * 4 - 4 + 24)
            return head + self.r.choice((b"\xaa\xaa", b"\xaa\xaa", b"\x42\x42")) + b"\3\0\0\0\x08\0" + inner
        if b"\x90\x90" in (ports[:2], ports[2:]):
            return b"\1\0\0\1" + self.r.choice((b"\0\1", b"\x0a\2xx\1", b"\1", b"\x0a\2xx")) + self.ethernet(depth)
        return load

    def address(self, version):
        return bytes((10, 0, 0, self.r.randrange(4))) if version == 4 else bytes(15) + bytes((self.r.randrange(1, 4),))

    def fragment(self):
        """Offset in eights, and whether more follow."""
        if self.fragments >= FRAGMENTS_MAX or not self.chance(20):
            return 0, 0
        self.fragments += 1
        return self.r.choice((0, 0, 3)), self.r.choice((0, 1, 1))

    def ip(self, depth=0):
        version = self.r.choice((4, 4, 6))
        proto = self.r.choice((6, 6, 17, 17, 1, 58, 132, 47, 4, 41, 89, 59) if depth < 5 else (6, 17))
        load, (offset, more), ident = self.transport(proto, depth), self.fragment(), self.r.randrange(6)
        if version == 4:
            options = self.r.choice((0, 0, 0, 1, 10))
            total = 20 + options * 4 + len(load) + self.r.choice((0, 0, 0, 0, 0, -5, 7))
            total = 0 if self.chance(5) else max(total, 0)
            return struct.pack(">BBHHHBBH", 0x45 + options, 0, total, ident, more << 13 | offset, 64, proto, 0) + \
                self.address(4) + self.address(4) + self.some(options * 4) + load
        chain = b""
        for kind in self.r.choices((0, 43, 60, 135), k=self.r.choice((0, 0, 1, 2, 14))):
            chain = bytes((proto, self.r.choice((0, 0, 1)))) + self.some(14) + chain
            chain, proto = chain[:8 if chain[1] == 0 else 16] + chain[16:], kind
        if offset or more:
            chain, proto = bytes((proto, 0)) + struct.pack(">HI", offset << 3 | more, ident) + chain, 44
        length = len(chain) + len(load) + self.r.choice((0, 0, 0, 0, -3, 5))
        length = 0 if self.chance(5) else max(length, 0)
        return struct.pack(">IHBB", 6 << 28, length, proto, 64) + self.address(6) + self.address(6) + chain + load

    def typed(self, depth=0):
        """EtherType and what is behind it."""
        inner = self.ip(depth)
        kind = ETHER_TYPES[inner[0] >> 4]
        for _ in range(self.r.choice((0, 0, 0, 1, 2, 9))):
            inner = struct.pack(">HH", self.r.choice((7, 0x2008, 0)), kind) + inner
            kind = self.r.choice((0x8100, 0x88A8, 0x9100))
        how = self.r.randrange(10)
        if how == 0:
            labels = self.r.choice((1, 2, 3, 9))
            return 0x8847, b"".join(bytes((0, 1, int(i == labels - 1), 64)) for i in range(labels)) + self.ip(depth)
        if how == 1:
            inner = self.ip(depth)
            code = b"\0\x21" if inner[0] >> 4 == 4 else b"\0\x57"
            code = code if self.chance(80) else self.r.choice((b"\x21", b"\xc0\x21"))
            return 0x8864, b"\x11\0\0\1" + struct.pack(">H", len(inner) + 2) + code + inner
        return (0x0806, self.some(28)) if how == 2 else (kind, inner)

    def snap(self):
        kind, inner = self.typed()
        if self.chance(10):
            return self.r.choice((b"\x42\x42\3", b"\x06\x06\3")) + inner
        return b"\xaa\xaa\3\0\0\0" + struct.pack(">H", kind) + inner

    def ethernet(self, depth=0):
        if self.chance(10) and depth == 0:
            load = self.snap()
            return bytes(12) + struct.pack(">H", min(len(load), 1500)) + load
        kind, inner = self.typed(depth)
        return bytes(12) + struct.pack(">H", kind) + inner

    def wireless(self):
        flags, control = self.r.choice((0, 1, 2, 3, 0x40, 0x81)), self.r.choice((0x08, 0x88, 0x48, 0x80, 0x00))
        head = 24 + (6 if flags & 3 == 3 else 0)
        if control == 0x88:
            head += 6 if flags & 0x80 else 2
        return bytes((control, flags)) + bytes(head - 2) + self.snap()

    def ppp(self):
        kind, inner = self.typed()
        inner_ip = self.ip()
        code = b"\0\x21" if inner_ip[0] >> 4 == 4 else b"\0\x57"
        return self.r.choice((b"\xff\3" + code + inner_ip, code + inner_ip, code[1:] + inner_ip,
                              b"\xff\3\xc0\x21" + inner_ip, b"\x0f\0" + struct.pack(">H", kind) + inner))

    def relay(self):
        kind, inner = self.typed()
        return b"\x18\x41" + self.r.choice((b"\3\xcc" + self.ip(), b"\3\0\x80\0\0\0" + struct.pack(">H", kind) + inner,
                                            struct.pack(">H", kind) + inner))

    def frame(self, link):
        kind, inner = self.typed() if link in (plain.LINK_SLL, plain.LINK_SLL2) else (0, b"")
        data = {plain.LINK_ETHERNET: self.ethernet, plain.LINK_80211: self.wireless, plain.LINK_PPP: self.ppp,
                plain.LINK_PPP_SERIAL: self.ppp, plain.LINK_FRAME_RELAY: self.relay, 101: self.ip,
                plain.LINK_NULL: lambda: bytes(4) + self.ip(),
                plain.LINK_SLL: lambda: bytes(14) + struct.pack(">H", kind) + inner,
                plain.LINK_SLL2: lambda: struct.pack(">H", kind) + bytes(18) + inner,
                plain.LINK_RADIOTAP: lambda: b"\0\0\x0c\0" + bytes(8) + self.wireless()}[link]()
        data, wire = bytearray(data), len(data)
        if self.chance(20):
            data += bytes(self.r.randrange(40))  # padding
            wire = len(data)
        for _ in range(self.r.choice((1, 1, 2, 5)) if self.chance(20) else 0):
            data[self.r.randrange(len(data))] = self.r.randrange(256)
        if self.chance(15):
            del data[self.r.randrange(1, len(data) + 1):]
            wire = wire if self.chance(70) else len(data)
        return bytes(data), wire


def capture(maker, link):
    out = [struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP, link)]
    for n in range(FRAMES):
        data, wire = maker.frame(link)
        out.append(struct.pack("<IIII", START_S + n // 1000, n % 1000, len(data), wire) + data)
    return b"".join(out)


def due_of(path):
    """{key of a flow: {end: (packets, bytes)}} by the plain decoder."""
    all_frames = list(frames.frames_of(path))
    taken, _ = counters.ours_of(all_frames)
    return {(flows2tsv.l4_number(str(key[0])),) + key[1:]: counters.sent(key[0], kinds)
            for key, kinds in counters.conversations(all_frames, taken).items()}


def try_link(weir, folder, seed, link):
    path = os.path.join(folder, f"link{link}.pcap")
    with open(path, "wb") as f:
        f.write(capture(Maker(f"{seed}/{link}"), link))
    done = subprocess.run([weir, "read", "-o", "json", path], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return [f"link type {link}: weir read exits {done.returncode}: {done.stderr.strip()}"], 0
    ours = {key: {end: tuple(n) for end, n in ends.items() if n[0]}
            for key, (_, ends) in counters.reported(flows2tsv.rows_of("", done.stdout.splitlines())).items()}
    due = due_of(path)
    return [f"link type {link}: {key} counts {ours.get(key)}, the capture has {due.get(key)}"
            for key in ours.keys() | due.keys() if ours.get(key) != due.get(key)], len(due)


def main():
    weir, seed = os.environ.get("WEIR", "weir"), os.environ.get("WEIR_SEED") or str(random.randrange(10**9))
    print(f"# seed {seed} (repeat with WEIR_SEED={seed})")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for link in (plain.LINK_ETHERNET, plain.LINK_SLL, plain.LINK_SLL2, 101, plain.LINK_NULL, plain.LINK_PPP,
                     plain.LINK_PPP_SERIAL, plain.LINK_FRAME_RELAY, plain.LINK_80211, plain.LINK_RADIOTAP):
            failures, flows = try_link(weir, folder, seed, link)
            failed |= bool(failures) or flows < 20
            print(f"{'not ok' if failures else 'ok'} - link type {link}: {flows} flows")
            for text in failures[:5]:
                print("FAIL:", text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
