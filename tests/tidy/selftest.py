#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that every rule can fail, and that it lets good code pass.

Each plant is a small tree: bad files that must make exactly the named rule
speak. The same words in a comment, a string or the right place must not.
"""

import os
import subprocess
import sys
import tempfile

import rules
import tidy

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def c(text):
    return SPDX + text


def body(lines):
    return "void\nlong_one(void)\n{\n" + "    work();\n" * lines + "}\n"


# (rule, {path: content}): the rule must report, and no other.
BAD = (
    ("layer", {"server/base/a.c": c('#include "server/core/job.h"\n')}),
    ("layer", {"server/core/a.c": c('#include "server/store/store.h"\n')}),
    ("layer", {"server/store/a.c": c('#include "proto/wire.h"\n')}),
    ("layer", {"server/net/a.c": c('#include "server/events/log.h"\n')}),
    ("layer", {"server/net/a.c": c("#include <redial/client.h>\n")}),
    ("layer", {"server/events/a.c": c('#include "server/store/row.h"\n')}),
    ("layer", {"server/config/a.c": c('#include "server/net/sp.h"\n')}),
    ("layer", {"server/plugins/a.c": c('#include "client/call.h"\n')}),
    ("layer", {"server/app/a.c": c('#include "client/call.h"\n')}),
    ("layer", {"server/new/a.c": c('#include "server/base/heap.h"\n')}),
    ("layer", {"client/a.c": c('#include "server/base/heap.h"\n')}),
    ("layer", {"client/cli/a.c": c('#include "server/core/job.h"\n')}),
    ("layer", {"client/examples/a.c": c('#include "client/call.h"\n')}),
    ("layer", {"proto/a.c": c('#include "server/base/heap.h"\n')}),
    ("layer", {"include/redial/a.h": c('#include "proto/wire.h"\n')}),
    ("quarantine", {"server/app/a.c": c("#include <nng/nng.h>\n")}),
    ("quarantine", {"server/net/sp.c":
                    c('#include "redial/v1/job.pb-c.h"\n')}),
    ("quarantine", {"server/core/a.c": c('#include "redial/v1/x.pb-c.h"\n')}),
    ("quarantine", {"server/events/a.c": c("#include <sqlite3.h>\n")}),
    ("quarantine", {"client/a.c": c("#include <cjson/cJSON.h>\n")}),
    ("quarantine", {"server/plugins/exec.c": c("#include <curl/curl.h>\n")}),
    ("unknown-library", {"client/a.c": c("#include <openssl/ssl.h>\n")}),
    ("pure-header", {"server/core/a.c": c("#include <stdio.h>\n")}),
    ("pure-header", {"server/base/a.c": c("#include <unistd.h>\n")}),
    ("include-root", {"server/base/a.c": c('#include "heap.h"\n')}),
    ("include-root", {"server/base/a.c": c('#include "../core/job.h"\n')}),
    ("assert-effect", {"server/base/a.c": c(
        "void f(void)\n{\n    redial_assert(list_take(x) > 1);\n}\n")}),
    ("own-header-first", {
        "server/base/a.h": c("int a;\n"),
        "server/base/a.c": c("#include <stddef.h>\n"
                             '#include "server/base/a.h"\n')}),
    ("function-length", {"server/base/a.c": c(body(67))}),
    ("parameters", {"server/base/a.h":
                    c("int\nf(int a, int b, int c, int d, int e, int f,\n"
                      "  int g);\n")}),
    ("parameters", {"server/base/a.c":
                    c("int\nf(int a, int b, int c, int d, int e, int f,\n"
                      "  void (*g)(int, int))\n{\n    return a;\n}\n")}),
    ("file-length", {"server/base/a.c": c("int a;\n" * 800)}),
    ("file-length-aim", {"server/base/a.c": c("int a;\n" * 500)}),
    ("columns", {"server/base/a.c": c("/*" + "x" * 77 + "*/\n")}),
    ("banned", {"client/a.c": c("int x = atoi(text);\n")}),
    ("banned", {"client/a.c": c("time_t t = time(NULL);\n")}),
    ("banned", {"server/net/a.c": c("int x = nng_msg_insert(m, d, 1);\n")}),
    ("banned", {"tests/a.c": c("    assert (x);\n")}),
    ("sleep", {"tests/e2e/wait.sh":
               "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"
               "start & sleep 1\n"}),
    ("sleep", {"tests/e2e/wait.py":
               "# SPDX-License-Identifier: Apache-2.0\ntime.sleep(0.1)\n"}),
    ("volatile", {"client/a.c": c("static volatile int stop;\n")}),
    ("hidden-return", {"client/a.c":
                       c("#define TRY(x) \\\n    if (x) \\\n    return\n")}),
    ("header-comment", {"client/a.h": c("int a; // one\n")}),
    ("clock", {"server/core/a.c": c("int c = CLOCK_MONOTONIC;\n")}),
    ("clock", {"server/base/rng.c": c("int c = CLOCK_REALTIME;\n")}),
    ("recursion", {"server/core/a.c":
                   c("int\nf(int x)\n{\n    return x ? g(x) : 0;\n}\n\n"
                     "int\ng(int x)\n{\n    return f(x - 1);\n}\n")}),
    ("version", {
        "CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\n"
                          "project(redial VERSION 1.2.3)\n",
        "include/redial/version.h": c("#define REDIAL_VERSION_MAJOR 1\n"
                                      "#define REDIAL_VERSION_MINOR 2\n"
                                      "#define REDIAL_VERSION_PATCH 4\n"
                                      '#define REDIAL_VERSION_STRING '
                                      '"1.2.3"\n')}),
    ("spdx", {"server/base/a.c": "int a;\n"}),
    ("spdx", {"tests/run": "#!/bin/sh\ntrue\n"}),
)

# Nothing may be reported.
GOOD = (
    {"server/core/a.c": c('#include "server/base/heap.h"\n\n'
                          "#include <string.h>\n")},
    {"server/net/codec_job.c": c('#include "proto/wire.h"\n'
                                 '#include "redial/v1/job.pb-c.h"\n')},
    {"server/events/a.c": c('#include "server/store/store.h"\n')},
    {"server/plugins/http.c": c("#include <redial/worker.h>\n\n"
                                "#include <curl/curl.h>\n")},
    {"server/plugins/http/body.c": c("#include <curl/curl.h>\n")},
    {"client/a.c": c("#include <nng/nng.h>\n")},
    {"tests/unit/a.c": c('#include "server/core/job.h"\n\n'
                         "#include <cmocka.h>\n")},
    {"server/base/a.c": c(body(66))},
    {"server/base/a.c": c("int\nf(int a, int b, int c, int d, int e,\n"
                          "  void (*g)(int, int))\n{\n    return a;\n}\n")},
    {"server/base/a.c": c("int a;\n" * 498)},
    {"server/base/a.c": c("/*" + "x" * 76 + "*/\n")},
    {"client/a.c": c("/* never atoi(x) */\n"
                     'static const char *s = "atoi(x) // system(y)";\n'
                     "int x = my_atoi(s) + clock->time(c);\n")},
    {"client/a.c": c("static volatile sig_atomic_t stop;\n")},
    {"client/a.c": c("/* tidy: allow banned: the user's own program */\n"
                     "int x = system(text);\n")},
    {"client/a.c": c("#define TEXT(x) #x /* return */\n")},
    {"client/a.c": c("#define ROW(x) \\\n    if (x) \\\n        return;\n"
                     '#include "client/a.def"\n#undef ROW\n')},
    {"client/a.c": c("#define KIND(x) \\\n    static int get_##x(void) \\\n"
                     "    { \\\n        return x; \\\n    }\n")},
    {"server/base/clock.c": c("int c = CLOCK_REALTIME;\n")},
    {"server/core/a.c": c("int\nf(int x)\n{\n    return x;\n}\n\n"
                          "int\ng(int x)\n{\n    return f(x);\n}\n")},
    {"tests/e2e/wait.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"
                          "# do not sleep 1\nwait\n"},
)


def plant(folder, files):
    for path, text in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def reported(files):
    """Names of the rules that speak about a planted tree."""
    with tempfile.TemporaryDirectory() as folder:
        plant(folder, files)
        return {rule.name for rule, _ in tidy.findings(folder)}


def check_symbols():
    """An archive that prints is caught; one that computes is not."""
    failures = []
    for text, expected in (("#include <unistd.h>\nvoid f(void);\nvoid\n"
                            "f(void)\n{\n    (void)!write(1, \"\", 1);\n}\n",
                            {"symbols"}),
                           ("int f(int x);\nint\nf(int x)\n{\n"
                            "    return x + 1;\n}\n", set())):
        with tempfile.TemporaryDirectory() as folder:
            plant(folder, {"a.c": text})
            subprocess.run(["cc", "-c", "a.c"], cwd=folder, check=True)
            subprocess.run(["ar", "rc", "libredial_core.a", "a.o"],
                           cwd=folder, check=True)
            names = {rule.name for rule, _ in tidy.findings(folder, folder)}
            if names != expected:
                failures.append("symbols: expected %s, got %s"
                                % (expected, names))
    return failures


def main():
    failures = check_symbols()
    for name, files in BAD:
        names = reported(files)
        if names != {name}:
            failures.append("%s: expected only it to report %s, got %s"
                            % (name, sorted(files), sorted(names)))
    for files in GOOD:
        names = reported(files)
        if names:
            failures.append("good code reported by %s: %s"
                            % (sorted(names), files))
    for rule in rules.RULES:
        if rule.name not in {name for name, _ in BAD}:
            failures.append("%s: no plant proves that it can fail" % rule.name)
    for failure in failures:
        print(failure)
    print("tidy selftest: %d plants, %d failures"
          % (len(BAD) + len(GOOD) + 2, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
