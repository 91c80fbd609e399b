#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `weir read` does with capture files that are cut, broken, or of a kind it does not know.

The captures are made here. Each case says what must come out: the exit status, how many flows (what was read before
the fault is kept, and all of it), and words that the message has to contain, which is one line whatever the number of
workers, and names the file. The same is asked with a store, since that is where the flows of a long capture go. """
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple

ETHERNET, USER0, RAW, NFLOG, NO_SUCH = 1, 147, 101, 239, 4711
Case = namedtuple("Case", "name content status flows words")
WORKERS = ("1", "2")


def ipv4(number, size=20):
    """A UDP datagram from 10.1.0.number."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + size, number, 0, 64, 17, 0, bytes((10, 1, 0, number)),
                       bytes((10, 1, 1, 1)))
    return head + struct.pack(">HHHH", 40000 + number, 9999, 8 + size, 0) + bytes(size)


def ethernet(number):
    return bytes(12) + b"\x08\x00" + ipv4(number)


def pcap_head(link, order="<", magic=0xA1B2C3D4, version=(2, 4)):
    return struct.pack(order + "IHHIIII", magic, *version, 0, 0, 65535, link)


def record(data, order="<", second=0, cap=None, wire=None):
    cap = len(data) if cap is None else cap
    return struct.pack(order + "IIII", 1700000000 + second, 0, cap, cap if wire is None else wire) + data


def pcap(numbers, link=ETHERNET, order="<", **head):
    return pcap_head(link, order, **head) + b"".join(record(ethernet(n), order, n) for n in numbers)


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link, snap=65535, order="<"):
    return block(1, struct.pack(order + "HHI", link, 0, snap), order)


def enhanced(number, data, order="<", second=0):
    ticks = (1700000000 + second) * 10**6
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data, order)


def packets(numbers, order="<"):
    return b"".join(enhanced(0, ethernet(n), order, n) for n in numbers)


def cases():
    whole = pcap(range(1, 6))
    last = len(record(ethernet(5)))
    ng = section() + interface(ETHERNET) + packets(range(1, 6))
    strange = b"".join(block(kind, b"something else") for kind in (4, 5, 10, 0xBAD, 0x40000BAD, 0x12345678, 0x8000ABCD))
    yield Case("whole", whole, 0, 5, [])
    yield Case("whole, other byte order", pcap(range(1, 6), order=">"), 0, 5, [])
    yield Case("whole, nanoseconds", pcap(range(1, 6), magic=0xA1B23C4D), 0, 5, [])
    yield Case("no packets", pcap([]), 0, 0, [])
    yield Case("cut in a packet", whole[:-7], 1, 4, ["behind packet 4", "kept", "fetch it again"])
    yield Case("cut in a packet's header", whole[:-last + 9], 1, 4, ["behind packet 4", "kept", "fetch it again"])
    long = pcap([1 + n % 200 for n in range(12000)])
    yield Case("long, cut in a packet", long[:-7], 1, 200, ["behind packet 11999", "kept"])
    yield Case("long, of a nonsense length", long + record(b"", cap=300000), 1, 200, ["behind packet 12000", "kept"])
    yield Case("cut in the file's header", whole[:13], 1, 0, ["is no capture"])
    yield Case("empty", b"", 1, 0, ["is no capture"])
    yield Case("text", b"From: root\nSubject: not a capture at all\n\n", 1, 0, ["is no capture", "pcapng"])
    yield Case("compressed", gzip.compress(whole), 1, 0, ["is no capture", "not compressed"])
    yield Case("archaic", pcap([1], version=(1, 2)), 1, 0, ["is no capture", "archaic"])
    yield Case("a packet of nonsense length", whole + record(ethernet(6), cap=0x7FFFFFFF), 1, 5, ["behind packet 5"])
    yield Case("a link type without IP", pcap([1], link=USER0), 1, 0, ["link type", "147", "Ethernet"])
    yield Case("a link type of the netfilter log", pcap([1], link=NFLOG), 1, 0, ["link type NFLOG", "239"])
    yield Case("a link type without a name", pcap([1], link=NO_SUCH), 1, 0, ["link type", str(NO_SUCH)])
    yield Case("pcapng whole", ng, 0, 5, [])
    yield Case("pcapng, other byte order",
               section(">") + interface(ETHERNET, order=">") + packets(range(1, 6), ">"), 0, 5, [])
    yield Case("pcapng cut in a packet", ng[:-11], 1, 4, ["behind packet 4", "kept", "fetch it again"])
    yield Case("pcapng cut in a block's header", ng + b"\6\0\0", 1, 5, ["behind packet 5", "kept"])
    yield Case("pcapng without interfaces", section() + packets([1]), 1, 0, ["is no capture"])
    yield Case("pcapng with a packet of no interface", ng + enhanced(7, ethernet(6)), 1, 5,
               ["behind packet 5", "interface 7"])
    yield Case("pcapng with unknown blocks", section() + strange + interface(ETHERNET) + strange +
               packets(range(1, 4)) + strange + packets(range(4, 6)) + strange, 0, 5, [])
    yield Case("pcapng of two interfaces", section() + interface(ETHERNET) + interface(ETHERNET) + packets([1]) +
               enhanced(1, ethernet(2)), 0, 2, [])
    yield Case("pcapng of two link types", section() + interface(ETHERNET) + packets([1, 2]) + interface(RAW) +
               enhanced(1, ipv4(3)), 1, 2, ["behind packet 2", "split the file by interface"])
    yield Case("pcapng of two snapshot lengths", section() + interface(ETHERNET) + packets([1, 2]) +
               interface(ETHERNET, 96) + enhanced(1, ethernet(3)), 1, 2,
               ["behind packet 2", "split the file by interface"])
    yield Case("pcapng of two sections", ng + section() + interface(ETHERNET) + packets(range(6, 9)), 0, 8, [])
    yield Case("pcapng with a length that is none", ng + struct.pack("<II", 6, 13) + bytes(20), 1, 5,
               ["behind packet 5"])


def run(weir, *args):
    return subprocess.run([weir, *args], capture_output=True, text=True, errors="replace", timeout=60, check=False)


def flows_in(text):
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [row for row in rows if row.get("event_type") == "flow"]


def judge(case, paths, done, flows):
    """What is wrong, as text; paths: the files that cannot be read whole, one line each."""
    said = done.stderr.strip().splitlines()
    if done.returncode != case.status:
        yield f"exits {done.returncode}, not {case.status}: {done.stderr.strip()}"
    if flows != case.flows:
        yield f"has {flows} flows, not {case.flows}"
    if len(said) != len(paths):
        yield f"says {len(said)} lines, not {len(paths)}: {done.stderr.strip()}"
    for path, line in zip(paths, said):
        for word in [path + ": "] + case.words:
            if word not in line:
                yield f"does not say \"{word}\": {line}"


def try_case(weir, folder, number, case):
    path = os.path.join(folder, f"case{number}.pcap")
    with open(path, "wb") as f:
        f.write(case.content)
    faulty = [path] if case.status else []
    for workers in WORKERS:
        done = run(weir, "read", "--workers", workers, "-o", "json", path)
        for text in judge(case, faulty, done, len(flows_in(done.stdout))):
            yield f"{case.name} ({workers} workers): {text}"
    state = os.path.join(folder, f"state{number}")
    done = run(weir, "read", "--state", state, path)
    stored = run(weir, "flows", "--state", state, "--since", "2023-11-01", "-o", "json")
    for text in judge(case, faulty, done, len(flows_in(stored.stdout))):
        yield f"{case.name} (into a store): {text}"


def try_files(weir, folder):
    """Several files: one that fails costs nothing of the others. And what is no file at all."""
    good, bad = os.path.join(folder, "good.pcap"), os.path.join(folder, "bad.pcap")
    for path, content in ((good, pcap([21, 22])), (bad, pcap([23, 24])[:-3])):
        with open(path, "wb") as f:
            f.write(content)
    missing = os.path.join(folder, "missing.pcap")
    done = run(weir, "read", "-o", "json", bad, missing, folder, good)
    case = Case("several files", b"", 1, 3, [])
    for text in judge(case, [bad, missing, folder], done, len(flows_in(done.stdout))):
        yield f"{case.name}: {text}"


def main():
    weir = os.environ.get("WEIR", "weir")
    failures, n = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases()):
            n += 1
            failures += try_case(weir, folder, number, case)
        failures += try_files(weir, folder)
    for failure in failures:
        print("FAIL:", failure)
    print(f"# {n} kinds of files, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
