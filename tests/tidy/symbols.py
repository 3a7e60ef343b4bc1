# SPDX-License-Identifier: Apache-2.0
"""The proof that the pure layers are pure: what their archives ask for."""

import glob
import os
import subprocess

import layers
from rules import Finding


def names(archive, *options):
    """Symbols of an archive as nm lists them."""
    listing = subprocess.run(["nm", "-P", *options, archive], check=True,
                             capture_output=True, text=True).stdout
    return {fields[0] for fields in (line.split() for line in
                                     listing.splitlines())
            if len(fields) >= 2}


def find(build, name):
    hits = glob.glob(os.path.join(build, "**", name), recursive=True)
    return hits[0] if hits else None


def check_symbols(build):
    """Findings for every archive of the pure layers in a build."""
    for name, (allowed, helpers) in layers.PURE_ARCHIVES.items():
        archive = find(build, name)
        if archive is None:
            continue
        known = set(allowed) | names(archive, "--defined-only")
        for helper in helpers:
            path = find(build, helper)
            if path:
                known |= names(path, "--defined-only")
        for symbol in sorted(names(archive, "--undefined-only") - known):
            yield Finding(name, 0, "asks for %s, which a pure layer may not "
                          "use; pass the value in, or, if it is harmless, add "
                          "it to tests/tidy/layers.py" % symbol)
