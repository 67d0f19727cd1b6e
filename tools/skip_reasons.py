#!/usr/bin/env python3
"""Passes ctest's output through and puts the reasons for skipping before its closing lines.

usage: ctest ... | skip_reasons.py LastTest.log

A reason is a line "skipped: ..." of a test's output, or a Catch2 warning ("FILE:LINE: warning:" and the indented lines below).
"""
import itertools
import re
import sys


def wrapped(lines):
    """The indented lines at the start, joined: Catch2 folds long messages."""
    return " ".join(line.strip() for line in itertools.takewhile(lambda line: line.startswith("  "), lines))


def reasons(log):
    """{reason: [names of tests]} in the order of the log."""
    found, test, lines = {}, "", log.splitlines()
    for at, line in enumerate(lines):
        start = re.match(r"\d+/\d+ Test: (.*)", line)
        if start:
            test = start.group(1)
        reason = None
        if line.startswith("skipped: "):
            reason = line[len("skipped: "):]
        elif line.endswith("warning:"):
            reason = wrapped(lines[at + 1:])
        if reason and test not in found.setdefault(reason, []):
            found[reason].append(test)
    return found


def main():
    closing = []
    for line in sys.stdin:
        if closing or re.match(r"\d+% tests passed", line):
            closing.append(line)
        else:
            print(line, end="", flush=True)
    try:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
            skipped = reasons(log.read())
    except OSError:
        skipped = {}
    if skipped:
        print("Skipped, wholly or in part:")
        for reason, tests in skipped.items():
            print(f"  {', '.join(tests)}: {reason}")
        print()
    print("".join(closing), end="")


if __name__ == "__main__":
    main()
