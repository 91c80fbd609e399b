# SPDX-License-Identifier: GPL-3.0-or-later
"""Why weir's packets and bytes of a flow differ from those of nDPI's own reader: derived from the capture, frame by
frame.

Two readers that know nothing of each other say which flow they count a frame on: oracle_reader (what nDPI's reader
does) and plain_reader (what weir promises). The first must give exactly the oracle's rows, the second exactly weir's;
then the frames on which they disagree are the whole difference, and each has one of the classes that counters.tsv
describes. """
from collections import Counter, defaultdict, namedtuple

import flows2tsv
import frames
import oracle_reader
import plain_reader

# rows: the oracle's, as oracle_row() has them, with their number; flows: {key: [Conversation]} of weir's; classes:
# {class of difference: frames}; unknown: numbers of frames whose difference has no class.
Derived = namedtuple("Derived", "rows flows classes unknown")
PORTED = (6, 17)


def numbered(proto, ports):
    return ports if proto in PORTED else (0, 0)


def ends_of(proto, ends):
    """Both ends as the oracle's rows name them."""
    ports = numbered(proto, [port for _, port in ends])
    return tuple((plain_reader.text(raw), port) for (raw, _), port in zip(ends, ports))


def class_of(theirs, ours, frame):
    """The class of a frame that both count, "" if they agree; None: no class known."""
    taken, flow, end = theirs
    packet, size = ours
    ends = ends_of(packet.proto, packet.ends)
    first = flow.first
    named = list(zip(first.names, numbered(first.proto, first.ports)))
    if packet.proto != first.proto or sorted(named) != sorted(ends):
        if packet.unsaid and not any(taken.ports):
            return "length 0"
        if not packet.whole and not any(taken.ports):
            return "ports"
        if list(zip(taken.names, numbered(taken.proto, taken.ports))) == list(ends) and ":" in "".join(taken.names):
            return "folded"
        return None
    if packet.vlan != first.vlan:
        return "VLAN"
    if named[end] != ends[0]:
        return "end"
    if taken.size != size:
        return "bytes" if taken.size == len(frame.data) & 0xFFFF and size == plain_reader.wire_length(frame) else None
    return ""


def theirs_of(table, frame):
    """(packet, flow, end) as the oracle counts it, or the class of reason why not."""
    try:
        taken = oracle_reader.take(frame.link, frame.data)
    except oracle_reader.Drop as reason:
        return str(reason)
    return (taken,) + table.count(taken)


def ours_of(all_frames):
    """{number of the frame: (packet, its flow's key, bytes)} and {number: class of reason why it is on no flow}."""
    taken, refused, fragments = {}, {}, plain_reader.Fragments()
    for number, frame in enumerate(all_frames):
        try:
            p = plain_reader.decode(frame)
        except plain_reader.NotIp:
            refused[number] = "EtherType"
            continue
        except plain_reader.Malformed:
            refused[number] = "header"
            continue
        refused[number] = "orphan"
        for packet, item in fragments.take(p, number, frame.time_ns):
            taken[item] = packet, plain_reader.wire_length(all_frames[item])
    return taken, refused


def conversations(all_frames, taken):
    """weir's flows: {(l4, vlan, tunnel, ends): [Conversation]}, several where ICMP has several kinds, or SCTP several
    ports."""
    flows = defaultdict(dict)
    for number, (packet, size) in taken.items():
        key = (packet.proto, packet.vlan, packet.tunnel) + tuple(sorted(ends_of(packet.proto, packet.ends)))
        kind = packet.kind or tuple(sorted(packet.ends))
        flows[key].setdefault(kind, plain_reader.Conversation()).count(packet, size, all_frames[number].time_ns)
    return {key: list(kinds.values()) for key, kinds in flows.items()}


def derive(path):
    """Everything that follows from the capture at path."""
    all_frames = list(frames.frames_of(path))
    table, classes, unknown = oracle_reader.Table(), Counter(), []
    taken, refused = ours_of(all_frames)
    theirs = [theirs_of(table, frame) for frame in all_frames]
    for number, frame in enumerate(all_frames):
        dropped = isinstance(theirs[number], str)
        if dropped and number not in taken:
            continue
        if dropped or number not in taken:
            found = theirs[number] if dropped else refused[number]
        else:
            found = class_of(theirs[number], taken[number], frame)
        if found is None:
            unknown.append(number + 1)
        elif found:
            classes[found] += 1
    rows = Counter()
    for flow in table.flows:
        first, ports = flow.first, numbered(flow.first.proto, flow.first.ports)
        rows[oracle_row(first.proto, list(zip(first.names, ports)), first.vlan, flow.packets, flow.bytes)] += 1
    return Derived(rows, conversations(all_frames, taken), classes, unknown)


def oracle_row(l4, ends, vlan, packets, size):
    """One row of the oracle's, so that a derived and an expected one compare."""
    l4 = flows2tsv.l4_number(str(l4))
    ends = [(flows2tsv.address(name), int(port) if l4 in ("TCP", "UDP") else 0) for name, port in ends]
    return (l4,) + tuple(zip(ends, map(int, packets), map(int, size))) + (int(vlan),)


def expected_rows(rows):
    """The same of a capture's rows of the expected table."""
    return Counter(oracle_row(r["l4"], [(r["ip_a"], r["port_a"]), (r["ip_b"], r["port_b"])], r["vlan"],
                              (r["pkts_ab"], r["pkts_ba"]), (r["bytes_ab"], r["bytes_ba"])) for r in rows)


def reported(rows):
    """weir's records by flow: {key: [number of records, {end: [packets, bytes]}]}"""
    flows = {}
    for row in rows:
        ends = [(row["ip_" + e], int(row["port_" + e])) for e in "ab"]
        key = (flows2tsv.l4_number(row["l4"]), int(row["vlan"]), row["tunnel"]) + tuple(sorted(ends))
        flow = flows.setdefault(key, [0, defaultdict(lambda: [0, 0])])
        flow[0] += 1
        for end, way in zip(ends, ("ab", "ba")):
            flow[1][end][0] += int(row["pkts_" + way])
            flow[1][end][1] += int(row["bytes_" + way])
    return flows


def sent(proto, conversations_):
    """What each end of a flow sent: {(address, port): (packets, bytes)}"""
    ends = defaultdict(lambda: (0, 0))
    for c in conversations_:
        for (raw, port), packets in c.packets.items():
            end = plain_reader.text(raw), port if proto in PORTED else 0
            ends[end] = ends[end][0] + packets, ends[end][1] + c.bytes[raw, port]
    return dict(ends)


def check_flow(key, ours, proto, derived, classes):
    """One flow of weir's against what it promises; what more records than one a flow come from goes to classes."""
    counted = {end: tuple(n) for end, n in ours[1].items() if n[0]}
    due = sent(proto, derived)
    if counted != due:
        return [f"{key}: counts {counted}, the capture has {due}"]
    least, most = sum(c.records for c in derived), sum(c.records + c.pauses for c in derived)
    if not least <= ours[0] <= most:
        return [f"{key}: {ours[0]} records, the capture has {least} to {most} conversations"]
    classes.update({"kinds": len(derived) - 1, "reuse": least - len(derived), "pause": ours[0] - least})
    return []


def check(path, expected, ours):
    """({class: frames or records}, failures) of one capture; expected and ours: rows of its flows."""
    derived = derive(path)
    failures = [f"frame {n}: weir and the oracle differ for a reason that has no name" for n in derived.unknown[:3]]
    for row, n in (derived.rows - expected_rows(expected)).items():
        failures.append(f"the oracle's rules as restated here give a flow {n} times too often: {row}")
    for row, n in (expected_rows(expected) - derived.rows).items():
        failures.append(f"the oracle's rules as restated here give a flow {n} times too seldom: {row}")
    flows, classes = reported(ours), Counter(derived.classes)
    due = {(flows2tsv.l4_number(str(key[0])),) + key[1:]: (key[0], c) for key, c in derived.flows.items()}
    failures += [f"{key}: no such flow is in the capture" for key in flows.keys() - due.keys()]
    failures += [f"{key}: not found" for key in due.keys() - flows.keys()]
    for key in flows.keys() & due.keys():
        failures += check_flow(key, flows[key], *due[key], classes)
    return +classes, failures
