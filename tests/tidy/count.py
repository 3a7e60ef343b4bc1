#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the cases in a JUnit file of ctest and shows what failed.

usage: count.py <junit.xml>

A cmocka program counts as its cases, a script that prints TAP ("ok 1 - x",
"not ok 2 - y", "ok 3 - z # SKIP why") as its lines, anything else as one. A
program that ends badly without naming a failed case counts as one failure more.
Last line: passed failed skipped.
"""

import re
import sys
import xml.etree.ElementTree

CMOCKA = {"[       OK ]": "passed", "[  FAILED  ]": "failed",
          "[  SKIPPED ]": "skipped"}


def verdicts(output):
    """The verdict of each case that the output names, in order."""
    in_group = False
    for line in output.splitlines():
        if line.startswith("[==========]"):
            # After the last case cmocka lists the bad ones once more.
            in_group = "Running" in line
        elif in_group and line[:12] in CMOCKA:
            yield CMOCKA[line[:12]]
        elif re.match(r"(not )?ok \d+\b", line):
            if re.search(r"# SKIP\b", line):
                yield "skipped"
            else:
                yield "failed" if line.startswith("not") else "passed"


def count(case):
    """(passed, failed, skipped) of one ctest test."""
    seen = list(verdicts(case.findtext("system-out") or ""))
    status = case.get("status")
    if status == "notrun":
        skip = case.find("skipped")
        wanted = skip is not None and skip.get("message", "").startswith(
            "SKIP_")
        if not wanted:
            seen.append("failed")
        elif not seen:
            seen.append("skipped")
    elif status == "disabled":
        seen.append("skipped")
    elif status == "fail" and "failed" not in seen:
        seen.append("failed")
    elif not seen:
        seen.append("passed")
    return [seen.count(kind) for kind in ("passed", "failed", "skipped")]


def main():
    root = xml.etree.ElementTree.parse(sys.argv[1]).getroot()
    total = [0, 0, 0]
    for case in root.iter("testcase"):
        counts = count(case)
        total = [a + b for a, b in zip(total, counts)]
        if counts[1]:
            print("--- %s: %d failed" % (case.get("name"), counts[1]))
            print((case.findtext("system-out") or "").rstrip())
            for why in (*case.iter("failure"), *case.iter("skipped")):
                print("%s after %.1f s" % (why.get("message") or "it failed",
                                           float(case.get("time", 0))))
        elif counts[2]:
            print("--- %s: %d skipped" % (case.get("name"), counts[2]))
    print("%d %d %d" % tuple(total))


if __name__ == "__main__":
    main()
