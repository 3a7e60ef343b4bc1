# SPDX-License-Identifier: Apache-2.0
"""A file of the tree as the rules see it.

C is read without a parser: comments and literals are blanked (line numbers and
columns stay), and the layout that .clang-format enforces tells functions from
everything else: the opening brace of a function, and of nothing else, stands
alone in column one.
"""

import os
import re

TOP_FOLDERS = ("proto", "server", "client", "include", "tests", "deploy",
               ".cmake", ".ci")
TOP_FILES = ("CMakeLists.txt",)
NOT_SOURCE = ("build", ".git", ".cache", "__pycache__")

C_SUFFIXES = (".c", ".h")
TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def _blank(match, keep_literals):
    text = match.group(0)
    if keep_literals and text[0] in "\"'":
        return text
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


class Function:
    """One definition; its body starts on the line of the opening brace."""

    def __init__(self, name, parameters, first, brace, body):
        self.name = name
        self.parameters = parameters
        self.first = first
        self.last = brace + body.count("\n")
        self.body = body


class Source:
    """One file: its path below the root and its text in several forms."""

    def __init__(self, root, path):
        self.path = path
        self.folder = os.path.dirname(path)
        self.name = os.path.basename(path)
        self.suffix = os.path.splitext(path)[1]
        with open(os.path.join(root, path), encoding="utf-8",
                  errors="replace") as file:
            self.text = file.read()
        self.lines = self.text.splitlines()
        self.is_c = self.suffix in C_SUFFIXES
        self.is_script = self.text.startswith("#!")
        self._code = None
        self._functions = None

    @property
    def code(self):
        """The text without comments and without what literals contain."""
        if self._code is None:
            self._code = TOKEN.sub(lambda m: _blank(m, False), self.text)
        return self._code

    @property
    def code_lines(self):
        return self.code.splitlines()

    def line_of(self, offset):
        return self.code.count("\n", 0, offset) + 1

    def includes(self):
        """(line, '<' or '"', header) of each include."""
        plain = TOKEN.sub(lambda m: _blank(m, True), self.text)
        for number, line in enumerate(plain.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1), match.group(2)

    def functions(self):
        if self._functions is None:
            self._functions = list(self._find_functions())
        return self._functions

    def _find_functions(self):
        lines = self.code_lines
        for start, line in enumerate(lines):
            if line.rstrip() != "{":
                continue
            first = start
            while first > 0 and _continues(lines[first - 1]):
                first -= 1
            head = " ".join(lines[first:start])
            match = re.search(r"(\w+)\s*\(", head)
            if not match:
                continue
            last = start
            while last < len(lines) - 1 and not lines[last].startswith("}"):
                last += 1
            yield Function(match.group(1),
                           count_parameters(head[match.end() - 1:]),
                           first + 1, start + 1,
                           "\n".join(lines[start:last + 1]))


def _continues(line):
    """Whether a line can be part of the head of the definition below it."""
    text = line.strip()
    return bool(text) and text[-1] not in ";}" and text[0] not in "#"


def count_parameters(text):
    """How many parameters the list has that opens at text[0]."""
    depth = 0
    commas = 0
    for at, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                inside = text[1:at].strip()
                return 0 if inside in ("", "void") else commas + 1
        elif char == "," and depth == 1:
            commas += 1
    return 0


def is_source(path):
    name = os.path.basename(path)
    return name.endswith((".c", ".h", ".def", ".proto", ".py", ".sh", ".cmake",
                          ".js", ".css", ".html")) \
        or name == "CMakeLists.txt" or "." not in name.lstrip(".")


def load(root):
    """Every source file of the tree, by path."""
    found = {}
    paths = [name for name in TOP_FILES
             if os.path.isfile(os.path.join(root, name))]
    for top in TOP_FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in NOT_SOURCE)
            paths += [os.path.relpath(os.path.join(folder, name), root)
                      for name in sorted(names)]
    for path in paths:
        if is_source(path):
            source = Source(root, path)
            if os.path.splitext(path)[1] or path in TOP_FILES \
                    or source.is_script:
                found[path] = source
    return found
