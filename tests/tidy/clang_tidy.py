#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over a build's compile commands, several files at a time.

usage: clang_tidy.py --build <directory> --cache <directory> [--folder <f>]...

A clean file is remembered by the hash of its preprocessed text, its command,
the checks and the tool's version, so that a second run costs little. Exit code
1 if anything is reported.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys

SECONDS_PER_FILE_MAX = 240


def arguments(entry):
    """The compile command without its output."""
    words = shlex.split(entry["command"])
    keep = []
    skip = False
    for word in words:
        if skip or word in ("-o", "-MF", "-MT", "-MQ"):
            skip = not skip
        elif word not in ("-c", "-MD", "-MMD"):
            keep.append(word)
    return keep


def fingerprint(entry, salt):
    """What the verdict depends on; None if the file does not compile."""
    command = arguments(entry)
    done = subprocess.run(command + ["-E", "-C", "-w"],
                          cwd=entry["directory"], capture_output=True,
                          check=False)
    if done.returncode != 0:
        return None
    parts = [salt, " ".join(command).encode(), done.stdout]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def check(entry, options, salt):
    """(path, report): an empty report means clean."""
    path = os.path.relpath(entry["file"], options.root)
    mark = fingerprint(entry, salt)
    clean = os.path.join(options.cache, mark) if mark else None
    if clean and os.path.exists(clean):
        return path, ""
    try:
        done = subprocess.run(
            ["clang-tidy", "--quiet", "-p", options.build, entry["file"]],
            capture_output=True, text=True, check=False,
            timeout=SECONDS_PER_FILE_MAX)
    except subprocess.TimeoutExpired:
        return path, "%s: clang-tidy needs more than %d s; split the file\n" \
            % (path, SECONDS_PER_FILE_MAX)
    if done.returncode == 0 and not done.stdout.strip():
        if clean:
            with open(clean, "w", encoding="utf-8"):
                pass
        return path, ""
    return path, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.root = os.path.realpath(os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    os.makedirs(options.cache, exist_ok=True)

    version = subprocess.run(["clang-tidy", "--version"], check=True,
                             capture_output=True).stdout
    with open(os.path.join(options.root, ".clang-tidy"), "rb") as file:
        salt = version + file.read()
    with open(os.path.join(options.build, "compile_commands.json"),
              encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    folders = tuple(os.path.join(options.root, folder) + os.sep
                    for folder in options.folder) or (options.root,)
    todo = [entry for entry in entries.values()
            if entry["file"].startswith(folders)]

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, report in pool.map(lambda e: check(e, options, salt), todo):
            if report:
                bad += 1
                sys.stdout.write("%s:\n%s\n" % (path, report))
    print("clang-tidy: %d files, %d with reports" % (len(todo), bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
