#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the tree against the house rules; one line for each violation.

usage: tidy.py [--build <build directory>] [<root>]

With a build it also checks which symbols the pure layers ask for; that makes
sense only without sanitizers and coverage. Exit code 1 if a rule is broken.
"""

import argparse
import os
import re
import sys

import rules
import source
import symbols

ALLOW = re.compile(r"tidy: allow ([\w-]+): \S")


def allowed(tree, name, finding):
    """Whether a comment on the line or the one above lets it off."""
    if finding.path not in tree:
        return False
    lines = tree[finding.path].lines[max(0, finding.line - 2):finding.line]
    return any(match.group(1) == name for line in lines
               for match in ALLOW.finditer(line))


def findings(root, build=None):
    """(rule, finding) for everything that is wrong."""
    tree = source.load(root)
    for rule in rules.RULES:
        for finding in rule.check(tree):
            if not allowed(tree, rule.name, finding):
                yield rule, finding
    if build:
        rule = rules.Rule("symbols", None, True)
        for finding in symbols.check_symbols(build):
            yield rule, finding


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build")
    parser.add_argument("root", nargs="?", default=os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    options = parser.parse_args()
    broken = 0
    for rule, finding in findings(options.root, options.build):
        broken += rule.fatal
        print("%s:%d: %s%s: %s" % (finding.path, finding.line,
                                   "" if rule.fatal else "note: ",
                                   rule.name, finding.text))
    print("tidy: %d violations" % broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
