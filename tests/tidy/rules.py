# SPDX-License-Identifier: Apache-2.0
"""The house rules, one function each.

A rule takes the tree (path -> Source) and yields Finding(path, line, what is
wrong and what to do). RULES at the end names them. A line is let off by a
comment on it or on the line above that says why:

    /* tidy: allow <rule>: <reason> */
"""

import fnmatch
import re
from collections import namedtuple

import layers
from source import count_parameters

Finding = namedtuple("Finding", "path line text")
Rule = namedtuple("Rule", "name check fatal")

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
FILE_LINES_AIM = 500
COLUMNS_MAX = 80
PARAMETERS_MAX = 6

# Function -> what to call instead.
BANNED = {
    "strcpy": "memcpy with a known length",
    "strcat": "snprintf or a bounded buffer",
    "stpcpy": "memcpy with a known length",
    "strncat": "snprintf or a bounded buffer",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "getline with a limit",
    "strtok": "strcspn and a length",
    "atoi": "strtoll with its error check",
    "atol": "strtoll with its error check",
    "atoll": "strtoll with its error check",
    "atof": "strtod with its error check",
    "rand": "server/base/rng.h",
    "srand": "server/base/rng.h",
    "random": "server/base/rng.h",
    "drand48": "server/base/rng.h",
    "time": "server/base/clock.h",
    "gettimeofday": "server/base/clock.h",
    "localtime": "gmtime_r",
    "gmtime": "gmtime_r",
    "ctime": "strftime",
    "sleep": "wait for the event",
    "usleep": "wait for the event",
    "nanosleep": "wait for the event",
    "nng_msleep": "wait for the event",
    "alloca": "a fixed array or malloc",
    "setjmp": "a return code",
    "longjmp": "a return code",
    "system": "posix_spawn",
    "popen": "posix_spawn and a pipe",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "assert": "the check macro of server/base/check.h, which stays on",
    "nng_msg_insert": "nng_msg_append (insert corrupts the heap in 1.5.2)",
}
BANNED_CALL = re.compile(r"(?<![\w.])(?<!->)(" + "|".join(BANNED) + r")\s*\(")


def in_folder(path, folder):
    return path.startswith(folder + "/")


def c_files(tree):
    return [source for source in tree.values() if source.is_c]


def fits(path, pattern):
    if pattern.endswith("/"):
        return path.startswith(pattern)
    return fnmatch.fnmatch(path, pattern)


def layer_of(path):
    """The longest folder of the layer table that holds the file."""
    homes = [folder for folder in layers.MAY_INCLUDE
             if in_folder(path, folder)]
    return max(homes, key=len) if homes else None


def is_project_header(header):
    return header.startswith(("server/", "client/", "proto/", "tests/")) or (
        header.startswith("redial/") and not header.startswith("redial/v1/"))


# --- includes ------------------------------------------------------------


def check_layers(tree):
    for source in c_files(tree):
        layer = layer_of(source.path)
        for line, _, header in source.includes():
            if not is_project_header(header):
                continue
            if layer is None:
                yield Finding(source.path, line, "lies in no layer; give its "
                              "folder a row in tests/tidy/layers.py")
                break
            allowed = (layer + "/",) + layers.MAY_INCLUDE[layer]
            if not any(fits(header, pattern) for pattern in allowed):
                yield Finding(source.path, line, "%s may not include %s; "
                              "move the code to the layer that may, or pass "
                              "what it needs from above" % (layer, header))


def check_quarantine(tree):
    for source in c_files(tree):
        if in_folder(source.path, "tests"):
            continue
        for line, _, header in source.includes():
            for library, homes in layers.QUARANTINE:
                if header.startswith(library) and not any(
                        fits(source.path, home) for home in homes):
                    yield Finding(source.path, line, "%s is only for %s; use "
                                  "the module that lives there"
                                  % (header, " ".join(homes) or "tests"))


def check_unknown_library(tree):
    known = tuple(library for library, _ in layers.QUARANTINE)
    for source in c_files(tree):
        for line, kind, header in source.includes():
            if kind == "<" and "/" in header and not header.startswith(
                    known + layers.SYSTEM_FOLDERS) \
                    and not is_project_header(header):
                yield Finding(source.path, line, "%s belongs to no library "
                              "that has a home; give it a row in QUARANTINE of "
                              "tests/tidy/layers.py" % header)


def check_pure_headers(tree):
    for source in c_files(tree):
        for folder, allowed in (("server/core", layers.CORE_HEADERS),
                                ("server/base", layers.BASE_HEADERS)):
            if not in_folder(source.path, folder):
                continue
            for line, kind, header in source.includes():
                if kind == "<" and not is_project_header(header) \
                        and header not in allowed:
                    yield Finding(source.path, line, "%s is pure and may not "
                                  "include <%s>; let a layer above do it"
                                  % (folder, header))


def check_include_root(tree):
    for source in c_files(tree):
        for line, kind, header in source.includes():
            if kind == '"' and not is_project_header(header) \
                    and not header.startswith("redial/v1/"):
                yield Finding(source.path, line, '"%s" does not start at the '
                              "top of the repository; write the whole path, "
                              'as in "server/base/heap.h"' % header)


def check_own_header_first(tree):
    for source in c_files(tree):
        own = source.path[:-2] + ".h"
        if source.suffix != ".c" or own not in tree:
            continue
        if own.startswith("include/"):
            own = own[len("include/"):]
        includes = list(source.includes())
        if not includes or includes[0][2] != own:
            yield Finding(source.path, includes[0][0] if includes else 1,
                          "include %s first: it proves that the header stands "
                          "on its own" % own)


# --- sizes ---------------------------------------------------------------


def check_function_length(tree):
    for source in c_files(tree):
        for function in source.functions():
            length = function.last - function.first + 1
            if length > FUNCTION_LINES_MAX:
                yield Finding(source.path, function.first, "%s has %d lines, "
                              "at most %d; split it by what its parts do"
                              % (function.name, length, FUNCTION_LINES_MAX))


def check_parameters(tree):
    prototype = re.compile(r"^\w[\w\s*]*?\b(\w+)(\([^;{}]*\))[^;{}()]*;",
                           re.MULTILINE)
    for source in c_files(tree):
        found = [(f.first, f.name, f.parameters) for f in source.functions()]
        if source.suffix == ".h":
            found += [(source.line_of(match.start(1)), match.group(1),
                       count_parameters(match.group(2)))
                      for match in prototype.finditer(source.code)]
        for line, name, count in found:
            if count > PARAMETERS_MAX:
                yield Finding(source.path, line, "%s takes %d parameters, at "
                              "most %d; make an options struct"
                              % (name, count, PARAMETERS_MAX))


def has_length_limit(source):
    return source.suffix in (".c", ".h", ".def", ".proto", ".py", ".cmake",
                             ".js", ".sh") or source.is_script


def check_file_length(tree):
    for source in tree.values():
        if has_length_limit(source) and len(source.lines) > FILE_LINES_MAX:
            yield Finding(source.path, FILE_LINES_MAX + 1, "%d lines, at most "
                          "%d; split the file" % (len(source.lines),
                                                  FILE_LINES_MAX))


def check_file_length_aim(tree):
    for source in tree.values():
        if has_length_limit(source) and FILE_LINES_AIM < len(
                source.lines) <= FILE_LINES_MAX:
            yield Finding(source.path, FILE_LINES_AIM + 1, "%d lines, aim for "
                          "%d: is there a seam?" % (len(source.lines),
                                                    FILE_LINES_AIM))


def check_columns(tree):
    for source in tree.values():
        if source.suffix not in (".c", ".h", ".def", ".proto", ".py",
                                 ".cmake") and source.name != "CMakeLists.txt":
            continue
        for number, line in enumerate(source.lines, 1):
            if len(line.expandtabs(8)) > COLUMNS_MAX:
                yield Finding(source.path, number, "%d columns, at most %d; "
                              "break the line" % (len(line), COLUMNS_MAX))


# --- code ----------------------------------------------------------------


def check_banned(tree):
    for source in c_files(tree):
        for match in BANNED_CALL.finditer(source.code):
            name = match.group(1)
            yield Finding(source.path, source.line_of(match.start()),
                          "%s is banned; use %s" % (name, BANNED[name]))


def check_sleep_in_scripts(tree):
    sleeping = re.compile(r"(^|[\s;&|(])sleep\s+[0-9.\"$]|\btime\.sleep\(")
    for source in tree.values():
        if not in_folder(source.path, "tests") or in_folder(
                source.path, "tests/tidy") or not (
                source.is_script or source.suffix in (".sh", ".py")):
            continue
        for number, line in enumerate(source.lines, 1):
            if sleeping.search(line.split("#")[0]):
                yield Finding(source.path, number, "a test never sleeps for a "
                              "time; wait for the event")


def check_volatile(tree):
    volatile = re.compile(r"\bvolatile\b(?!\s+(struct\s+)?sig_atomic_t)"
                          r"(?!\s*\()")
    for source in c_files(tree):
        for match in volatile.finditer(source.code):
            if re.search(r"(asm|__asm__)\s*$", source.code[:match.start()]):
                continue
            yield Finding(source.path, source.line_of(match.start()),
                          "volatile does not order threads; use stdatomic.h "
                          "or a lock (sig_atomic_t is fine)")


# What an assertion may ask: questions by their names, and the C library's.
QUESTION = re.compile(
    r"(?:\w+_)?(is|has|can|may|are|fits|equals|find|first|next|at|state|known"
    r"|valid|left|len|count|size|order|index|max|ms|last|pipe)"
    r"(?:_\w+)?|COUNT_OF|sizeof|mem\w+"
    r"|str\w+|redial_assert|atomic_load\w*|bool|size_t|u?int\d+_t|char|void"
    r"|defined|offsetof|fabs")


def check_assert_effects(tree):
    """A build that counts branches does not evaluate assertions."""
    for source in c_files(tree):
        for match in re.finditer(r"\bredial_assert\(", source.code):
            depth = 1
            at = match.end()
            while depth > 0 and at < len(source.code):
                depth += {"(": 1, ")": -1}.get(source.code[at], 0)
                at += 1
            for called in re.findall(r"\b(\w+)\s*\(",
                                     source.code[match.end():at]):
                if not QUESTION.fullmatch(called):
                    yield Finding(source.path, source.line_of(match.start()),
                                  "%s() in an assertion: call it before, and "
                                  "assert what it returned" % called)


# A macro that writes whole functions may return inside them,
WRITES_FUNCTIONS = re.compile(r"\s*#\s*define\s+\w+\([^)]*\)[\s\\]*static\b")
# and so may the row of a table that is spelled out right below.
TABLE_FOLLOWS = re.compile(r"\s*#\s*include\s+\"[^\n]*\n\s*#\s*undef\b")


def check_hidden_return(tree):
    for source in c_files(tree):
        if in_folder(source.path, "tests"):
            continue
        lines = source.code_lines
        for number, line in enumerate(lines):
            if not re.match(r"\s*#\s*define\b", line):
                continue
            last = number
            while lines[last].endswith("\\") and last + 1 < len(lines):
                last += 1
            text = "\n".join(lines[number:last + 1])
            if re.search(r"\b(return|goto)\b", text) and not \
                    WRITES_FUNCTIONS.match(text) and not \
                    TABLE_FOLLOWS.match("\n".join(lines[last + 1:last + 3])):
                yield Finding(source.path, number + 1, "a macro that returns "
                              "or jumps hides control flow; write the lines")


def check_header_comments(tree):
    for source in c_files(tree):
        if source.suffix != ".h":
            continue
        for match in re.finditer(
                r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|//[^\n]*", source.text,
                re.DOTALL):
            if match.group(0).startswith("//"):
                yield Finding(source.path, source.text.count(
                    "\n", 0, match.start()) + 1,
                    "write /* */ in headers, never //")


def check_clocks(tree):
    wall = re.compile(r"\b(CLOCK_REALTIME(?:_COARSE)?|timespec_get)\b")
    clock = re.compile(r"\b(clock_gettime|CLOCK_\w+|timespec_get)\b")
    for source in c_files(tree):
        if in_folder(source.path, "server/core"):
            pattern = clock
        elif in_folder(source.path, "server/base") \
                and source.name != "clock.c":
            pattern = wall
        else:
            continue
        for match in pattern.finditer(source.code):
            yield Finding(source.path, source.line_of(match.start()),
                          "%s: time comes in as a parameter; durations are "
                          "monotonic, only server/base/clock.c asks the system"
                          % match.group(1))


def check_recursion(tree):
    """No cycle of calls within a file's folder in the pure layers."""
    for folder in ("server/base", "server/core"):
        calls = {}
        for source in c_files(tree):
            if in_folder(source.path, folder):
                for function in source.functions():
                    calls[function.name] = (source.path, function.first, set(
                        re.findall(r"\b(\w+)\s*\(", function.body)))
        for name, (path, line, _) in calls.items():
            seen = set()
            todo = [called for called in calls[name][2] if called in calls]
            while todo:
                called = todo.pop()
                if called in seen:
                    continue
                seen.add(called)
                todo += [c for c in calls[called][2] if c in calls]
            if name in seen:
                yield Finding(path, line, "%s calls itself; write a loop with "
                              "a bound" % name)


def check_version(tree):
    """One version: CMake's, and the headers say the same."""
    build = tree.get("CMakeLists.txt")
    header = tree.get("include/redial/version.h")
    if build is None or header is None:
        return
    wanted = re.search(r"\bVERSION (\d+)[.](\d+)[.](\d+)", build.text)
    found = dict(re.findall(r"#define REDIAL_VERSION_(\w+)\s+(\S+)",
                            header.text))
    numbers = dict(zip(("MAJOR", "MINOR", "PATCH"), wanted.groups()))
    numbers["STRING"] = '"%s.%s.%s"' % wanted.groups()
    for name, value in numbers.items():
        if found.get(name) != value:
            yield Finding(header.path, 1, "REDIAL_VERSION_%s is not %s, as "
                          "CMakeLists.txt has it" % (name, value))


def check_spdx(tree):
    for source in tree.values():
        if not any("SPDX-License-Identifier: Apache-2.0" in line
                   for line in source.lines[:3]):
            yield Finding(source.path, 1, "add the line "
                          "SPDX-License-Identifier: Apache-2.0 at the top")


RULES = (
    Rule("layer", check_layers, True),
    Rule("quarantine", check_quarantine, True),
    Rule("unknown-library", check_unknown_library, True),
    Rule("pure-header", check_pure_headers, True),
    Rule("include-root", check_include_root, True),
    Rule("own-header-first", check_own_header_first, True),
    Rule("function-length", check_function_length, True),
    Rule("parameters", check_parameters, True),
    Rule("file-length", check_file_length, True),
    Rule("file-length-aim", check_file_length_aim, False),
    Rule("columns", check_columns, True),
    Rule("banned", check_banned, True),
    Rule("assert-effect", check_assert_effects, True),
    Rule("sleep", check_sleep_in_scripts, True),
    Rule("volatile", check_volatile, True),
    Rule("hidden-return", check_hidden_return, True),
    Rule("header-comment", check_header_comments, True),
    Rule("clock", check_clocks, True),
    Rule("recursion", check_recursion, True),
    Rule("version", check_version, True),
    Rule("spdx", check_spdx, True),
)
