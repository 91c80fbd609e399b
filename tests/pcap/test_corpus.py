#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads every capture of the corpus with `weir read -o json` and compares the flows with those of nDPI's own reader.

Three questions:
  - is every flow that the reader found by inspection found here with the same MASTER.APP (per category, as the
    corpus' scorer counts: ends as an unordered pair, repeated rows as a multiset), also inside GTP, CAPWAP and TZSP;
    each category has its bar, and differences.tsv names the file, how many rows may differ, and why;
  - are ends, packets and bytes of all flows the same; where they are not, the difference is derived from the capture
    frame by frame (counters.py), and counters.tsv says which classes of difference a capture has, of how many frames;
  - is the community ID the same. What is not explained fails, and so does an explanation of what is no longer so.
    Skipped where WEIR_CORPUS has no EXPECTED-flows.tsv. With --tsv FILE the rows are kept, for the corpus' own
    scorer; arguments name categories to run instead of all.

Every capture, also those that the oracle has no row for (malformed, of no link type it knows, without IP), is read to
its end or refused with a message, in time, and no process of ours ends badly or, where this weir was built with
sanitizers, has anything reported of it, a leak included. """
import argparse
import csv
import os
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import counters  # noqa: E402
import flows2tsv  # noqa: E402

# Share of inspected flows whose MASTER.APP must agree, in percent.
BARS = {"oracle": 99.5, "container": 99.0, "general": 99.0, "attack": 99.0, "community-id": 99.0, "badinput": 95.0}
SAME_ID_BAR = 100.0
FILE_TIMEOUT = 60
# What a process of ours, or a sanitizer in it, says when something is wrong with it.
ALARMS = ("Sanitizer", "runtime error:", "ended badly", "ended by signal", "ended early", "wrote nonsense",
          "could not be set up")


def key_of(row):
    l4 = flows2tsv.l4_number(row["l4"])
    ports = l4 in ("TCP", "UDP")
    ends = [(flows2tsv.address(row["ip_" + end]), str(row["port_" + end]) if ports else "0") for end in "ab"]
    return (l4,) + tuple(sorted(ends))


def table(rows):
    flows = defaultdict(lambda: defaultdict(list))
    for row in rows:
        flows[row["file"]][key_of(row)].append(row)
    return flows


def read_capture(weir, corpus, name):
    """weir's rows of one capture, its exit status and what it said. One worker: nDPI's memory of a host's other flows
    is one a worker, so with more of them a few flows of one host (STUN's) are known by less than the oracle knew."""
    try:
        run = subprocess.run([weir, "read", "--workers", "1", "-o", "json", os.path.join(corpus, name)],
                             capture_output=True, text=True, errors="replace", timeout=FILE_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return [], -1, f"not done after {FILE_TIMEOUT} s"
    return list(flows2tsv.rows_of(name, run.stdout.splitlines())), run.returncode, run.stderr


def ends_well(name, status, said):
    """What is wrong with how weir read that capture; None: nothing."""
    alarm = next((line for line in said.splitlines() if any(word in line for word in ALARMS)), None)
    if alarm:
        return f"{name}: {alarm.strip()}"
    if status not in (0, 1) or (status == 1 and not said.strip()):
        return f"{name}: weir read exits {status}: {said.strip()[-200:]}"
    return None


def inspected(row):
    return row["confidence"].startswith("DPI") and row["master.app"] != "Unknown"


def ends_of(rows):
    """What each end of a flow sent: {(address, port): (packets, bytes)}"""
    sent = defaultdict(lambda: (0, 0))
    for row in rows:
        for end, way in (("a", "ab"), ("b", "ba")):
            port = row["port_" + end] if key_of(row)[0] in ("TCP", "UDP") else 0
            key = flows2tsv.address(row["ip_" + end]), str(port)
            pkts, size = sent[key]
            sent[key] = (pkts + int(row["pkts_" + way]), size + int(row["bytes_" + way]))
    return {key: n for key, n in sent.items() if n[0]}


def differing(expected, actual, keep):
    """The rows of one flow that keep() takes and the other side has not."""
    left = Counter(row["master.app"] for row in actual)
    out = []
    for row in filter(keep, expected):
        if left[row["master.app"]] > 0:
            left[row["master.app"]] -= 1
        else:
            out.append(row)
    return out


def compare(expected, actual):
    """Counts by category, and the rows that differ by file."""
    count, wrong = defaultdict(Counter), defaultdict(list)
    for name, flows in expected.items():
        category = name.split("/")[0]
        for key, rows in flows.items():
            ours = actual.get(name, {}).get(key, [])
            missing = differing(rows, ours, lambda row: True)
            wrong[name] += missing
            count[category].update(
                all=len(rows), all_same=len(rows) - len(missing), dpi=sum(map(inspected, rows)),
                dpi_same=sum(map(inspected, rows)) - len(differing(rows, ours, inspected)),
                flows=1, counters=ends_of(rows) == ends_of(ours))
            ids = {row["community_id"] for row in rows} - {""}
            if ours and ids and key[0] in ("TCP", "UDP"):
                count[category].update(ids=1, ids_same=ids == {row["community_id"] for row in ours})
    return count, wrong


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def report(count):
    """Prints the table; returns what is below its bar."""
    failures, all_of = [], Counter()
    print("category       rows  same app      inspected  same app      flows  same ends and counters  same ID")
    for category, c in sorted(count.items()):
        all_of += c
        dpi = percent(c["dpi_same"], c["dpi"])
        print(f"{category:12} {c['all']:6} {percent(c['all_same'], c['all']):8.2f} % {c['dpi']:13} {dpi:8.2f} % "
              f"{c['flows']:9} {percent(c['counters'], c['flows']):17.2f} % {percent(c['ids_same'], c['ids']):12.1f} %")
        if dpi < BARS.get(category, 0):
            failures.append(f"{category}: {dpi:.2f} % of the inspected flows agree, the bar is {BARS[category]} %")
    share = percent(all_of["ids_same"], all_of["ids"])
    if share < SAME_ID_BAR:
        failures.append(f"community IDs: {share:.2f} % agree, the bar is {SAME_ID_BAR} %")
    return failures


def lines_of(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]


def judge(wrong, seen):
    """MASTER.APP: differences that nothing explains, and explanations of nothing."""
    failures = []
    allowed = {name: int(n) for name, n, _ in lines_of("differences.tsv")}
    for name, rows in sorted(wrong.items()):
        for row in rows if len(rows) > allowed.get(name, 0) else []:
            failures.append(f"{name}: {row['l4']} {row['ip_a']}:{row['port_a']} {row['ip_b']}:{row['port_b']} is "
                            f"{row['master.app']} ({row['confidence']}) by the oracle; not here, and not explained")
    for name, n in allowed.items():
        if name in seen and len(wrong.get(name, [])) < n:
            failures.append(f"differences.tsv explains {n} rows of {name}, {len(wrong.get(name, []))} differ")
    return failures


def judge_counters(found, seen):
    """The same for packets, bytes and records; found: {capture: {class: number}}"""
    listed = defaultdict(Counter)
    for name, kind, n in lines_of("counters.tsv"):
        listed[name][kind] += int(n)
    return [f"{name}: {found[name][kind]} of class \"{kind}\", counters.tsv explains {listed[name][kind]}"
            for name in sorted(seen) for kind in sorted(found[name].keys() | listed[name].keys())
            if found[name][kind] != listed[name][kind]]


def captures(corpus, categories):
    with open(os.path.join(corpus, "MANIFEST.tsv"), encoding="utf-8", errors="replace") as f:
        names = [row["file"] for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [name for name in names if not categories or name.split("/")[0] in categories]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("category", nargs="*")
    parser.add_argument("--tsv")
    parser.add_argument("--classes", help="write what counters.tsv would have to explain")
    args = parser.parse_args()
    corpus, weir = os.environ.get("WEIR_CORPUS", ""), os.environ.get("WEIR", "weir")
    expected_path = os.path.join(corpus, "EXPECTED-flows.tsv")
    if not corpus or not os.path.exists(expected_path):
        print("SKIP: no corpus (WEIR_CORPUS with EXPECTED-flows.tsv)")
        return 77
    if subprocess.run([weir, "read", "--help"], capture_output=True, check=False).returncode == 2:
        print("SKIP: this weir has no verb `read`")
        return 77
    with open(expected_path, encoding="utf-8", errors="replace") as f:
        rows = [row for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
                if not args.category or row["file"].split("/")[0] in args.category]
    names, by_file = captures(corpus, args.category), defaultdict(list)
    for row in rows:
        by_file[row["file"]].append(row)
    expected, actual, failures, found = table(rows), [], [], {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (out, status, said) in zip(names, pool.map(lambda n: read_capture(weir, corpus, n), names)):
            actual += out
            failures += filter(None, [ends_well(name, status, said)])
            found[name], wrong = counters.check(os.path.join(corpus, name), by_file[name], out)
            failures += [f"{name}: {text}" for text in wrong]
    print(f"# {len(names)} captures read, {len(by_file)} of them known to the oracle")
    if args.tsv:
        with open(args.tsv, "w", encoding="utf-8") as f:
            out = csv.DictWriter(f, flows2tsv.COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")
            out.writeheader()
            out.writerows(actual)
    count, wrong = compare(expected, table(actual))
    failures += report(count) + judge(wrong, expected) + judge_counters(found, names)
    totals = sum(found.values(), Counter())
    print("# frames or records that differ, by class: " + ", ".join(f"{kind} {n}" for kind, n in totals.most_common()))
    if args.classes:
        with open(args.classes, "w", encoding="utf-8") as f:
            for name in names:
                f.writelines(f"{name}\t{kind}\t{n}\n" for kind, n in sorted(found[name].items()))
    for failure in failures:
        print("FAIL:", failure)
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
