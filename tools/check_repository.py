#!/usr/bin/env python3
"""Rules of the house that a machine can check; each runs as a test.

usage: check_repository.py layers|text|lengths|checker|units|headers|closed|symbols [--root DIR] [options]

layers    no include that tools/layers.txt does not grant; no operator named in an engine
text      ASCII only, no tabs, no absolute paths of somebody's machine
lengths   no source file over 500 lines but those listed with a reason in tools/long_files.txt
checker   boundlight/solver/check has under 2,000 lines, blanks and comments apart (--count prints the number)
units     names in anonymous namespaces differ between the sources of a folder, which BOUNDLIGHT_UNITY compiles together
headers   every header is guarded and compiles alone: it is the first include of a source of the same name, which
          builds without BOUNDLIGHT_UNITY compile, or else is compiled here (--compiler CXX, --define NAME=VALUE)
closed    every "boundlight/..." that a header includes is there (for an installed tree)
symbols   the library neither prints nor ends the process (--library FILE)

Prints one line per violation, "place: what, and what to do"; exit status 1 when there is one.
"""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

CODE = {".cpp", ".hpp", ".cu", ".cuh", ".h"}
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".cmake", ".json", ".in", ".def", ".yml", ".toml", ""}
SKIPPED_FOLDERS = re.compile(r"(build|build-.*|out|\.cache|__pycache__)$")


def files(root, suffixes):
    """Files of the tree in order, without build folders."""
    def walk(folder):
        for entry in sorted(folder.iterdir()):
            if entry.is_symlink() or entry.name == ".git":
                continue  # (in a linked working tree .git is a file)
            if entry.is_dir():
                if not SKIPPED_FOLDERS.match(entry.name):
                    yield from walk(entry)
            elif entry.suffix in suffixes:
                yield entry
    return walk(root)


# ---- layers

class Layers:
    """tools/layers.txt."""

    def __init__(self, text):
        self.rooms, self.packages, self.forbidden = {}, {}, {}
        tables = {"room": self.rooms, "package": self.packages, "forbid": self.forbidden}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            head, colon, names = line.partition(":")
            kind, _, name = head.partition(" ")
            if kind not in tables or not colon or not name.strip():
                raise ValueError(f"tools/layers.txt:{number}: expected 'room|package|forbid NAME: ROOMS'")
            tables[kind][name.strip()] = set(names.split())

    def room_of(self, path):
        """The longest room name that is a leading part of `path` ("bounds/ops/relu.cpp"), or None."""
        parts = path.split("/")[:-1]
        while parts:
            if "/".join(parts) in self.rooms:
                return "/".join(parts)
            parts.pop()
        return None

    def refusal(self, room, bracket, header):
        """Why `room` may not include `header`, or None."""
        if bracket == '"':
            if not header.startswith("boundlight/"):
                return f'write "{header}" as "boundlight/<room>/..."'
            other = self.room_of(header[len("boundlight/"):])
            if other is None:
                return f"{header} is in no room of tools/layers.txt"
            if other != room and other not in self.rooms[room]:
                return f"{room} may not include {other} ({header}); tools/layers.txt grants: " + (
                    " ".join(sorted(self.rooms[room])) or "nothing")
            return None
        if room in self.forbidden.get(header, ()):
            return f"{room} may not include <{header}>"
        prefixes = [p for p in self.packages if header.startswith(p)]
        if prefixes:
            longest = max(prefixes, key=len)
            return None if room in self.packages[longest] else f"{room} may not include <{header}> (package {longest})"
        standard = re.fullmatch(r"[a-z_0-9]+", header)
        return None if standard else f"<{header}> is neither standard C++ nor a package granted in tools/layers.txt"


INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def check_layers(root):
    layers = Layers((root / "tools/layers.txt").read_text(encoding="utf-8"))
    library = root / "boundlight"
    for path in files(library, CODE):
        inside = path.relative_to(library).as_posix()
        room = layers.room_of(inside)
        if room is None:
            yield f"boundlight/{inside}: in no room of tools/layers.txt; add the room or move the file"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            reason = match and layers.refusal(room, *match.groups())
            if reason:
                yield f"boundlight/{inside}:{number}: {reason}"
    yield from check_operator_names(root)


# Names that are ordinary words as well, in quotes for other reasons.
ORDINARY = {"Max", "Min", "Size", "Range", "Constant", "Shape", "Identity", "Sum", "Mean"}


def check_operator_names(root):
    """Engines know no operator: no string literal there spells one of bounds/ops/*.cpp's names."""
    ops = root / "boundlight/bounds/ops"
    if not ops.is_dir():
        return
    names = {m for path in files(ops, CODE)
             for m in re.findall(r'"([A-Z][A-Za-z]+)"', path.read_text(encoding="utf-8", errors="replace"))} - ORDINARY
    for path in files(root / "boundlight/bounds/engines", CODE):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for name in re.findall(r'"([A-Z][A-Za-z]+)"', line.split("//")[0]):
                if name in names:
                    yield (f"{path.relative_to(root)}:{number}: an engine names the operator {name}; "
                           "what it means belongs into bounds/ops")


# ---- text and lengths

# A home, a mount or a temporary folder of one machine; system paths such as /usr and /etc are the same everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.}$*)~])/(work|home|root|Users|mnt|workspace|scratch|srv)/[\w.]")


def check_text(root):
    for path in files(root, TEXT):
        data = path.read_bytes()
        if path.suffix == "" and b"\0" in data:
            continue  # a binary without suffix
        place = path.relative_to(root).as_posix()
        for number, line in enumerate(data.split(b"\n"), 1):
            if any(byte > 126 for byte in line):
                yield f"{place}:{number}: not ASCII; spell the character out or escape it"
            if b"\t" in line and path.name != ".gitmodules":
                yield f"{place}:{number}: a tab; use spaces"
            if line.endswith(b"\r"):
                yield f"{place}:{number}: a DOS line end; use a plain newline"
            found = MACHINE_PATH.search(line.decode("ascii", "replace"))
            if found and place != "tools/check_repository.py":
                yield f"{place}:{number}: an absolute path of one machine ({found.group(0)}...); make it relative"


def check_lengths(root, limit=500):
    listed = {}
    for line in (root / "tools/long_files.txt").read_text(encoding="utf-8").splitlines():
        name, colon, reason = line.partition(":")
        if line.strip() and not line.startswith("#"):
            listed[name.strip()] = reason.strip() if colon else ""
    for name, reason in listed.items():
        if not reason:
            yield f"tools/long_files.txt: {name} has no reason; write PATH: REASON"
        if not (root / name).is_file():
            yield f"tools/long_files.txt: {name} does not exist; remove the line"
    for path in files(root, CODE | {".py", ".sh"}):
        place = path.relative_to(root).as_posix()
        lines = path.read_bytes().count(b"\n")
        if lines > limit and place not in listed:
            yield f"{place}: {lines} lines, the limit is {limit}; split it, or list it with a reason in tools/long_files.txt"
        if lines <= limit and place in listed:
            yield f"tools/long_files.txt: {place} has only {lines} lines; remove the line"


def code_lines(text):
    """Lines that hold more than blanks and comments."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.split("//")[0].strip())


def check_checker(root, show, limit=2000):
    folder = root / "boundlight/solver/check"
    sources = list(files(folder, CODE)) if folder.is_dir() else []
    lines = sum(code_lines(path.read_text(encoding="utf-8")) for path in sources)
    if show:
        print(f"boundlight/solver/check: {lines} lines in {len(sources)} files, blanks and comments apart")
    if lines >= limit:
        yield f"boundlight/solver/check: {lines} lines, the limit is {limit}; what is small enough to be read is trusted, leave something out"


# ---- headers and symbols

TYPE = re.compile(r"(?:template ?<.*> ?)?(?:struct|class|enum class|enum|union) (\w+)")


def hidden_names(text):
    """(line number, name with its namespaces, line) of what anonymous namespaces define at the left margin, without members."""
    inside, spaces = False, []
    for number, line in enumerate(text.splitlines(), 1):
        if named := re.match(r"namespace ([\w:]+) \{$", line):
            spaces.append(named.group(1))
        elif spaces and line == f"}}  // namespace {spaces[-1]}":
            spaces.pop()
        elif line == "namespace {":
            inside = True
        elif line == "}  // namespace":
            inside = False
        elif inside and re.match(r"[A-Za-z]", line) and not re.match(r"(BL_|TEST_CASE|TEMPLATE_|static_assert|namespace|extern|using namespace)", line):
            found = TYPE.match(line) or re.match(r"using (\w+) =", line)
            if not found and not line.startswith("template"):
                head = re.split(r"[({=;]", line, maxsplit=1)[0].rstrip()
                found = re.search(r"(?<!:)\b(\w+)(\[\w*\])*$", head)
            if found:
                more = re.findall(r", (\w+) = ", line) if line.startswith("const") and "(" not in line.split("=")[0] else []
                for name in [found.group(1), *more]:
                    yield number, "::".join([*spaces, name]), line


def check_units(root):
    """Overloads and equal aliases may share a name. Operators are told apart by the build."""
    def may_share(one, other):
        if one.startswith("using "):
            return one == other
        takes = [re.sub(r" \w+(?=[,)=])", "", line.partition("(")[2].partition(")")[0] + ")") for line in (one, other) if "=" not in line.partition("(")[0]]
        return len(takes) == 2 and all(takes) and takes[0] != takes[1]

    seen = {}
    for top in filter(pathlib.Path.is_dir, (root / "boundlight", root / "tests")):
        for source in files(top, {".cpp"}):
            if source.name.endswith(".op.cpp") or source.parent.name in ("tools", "emulated", "cuda", "cpu"):
                continue
            for number, name, line in hidden_names(source.read_text(encoding="utf-8")):
                for other, at, text in seen.setdefault((source.parent, name), []):
                    if other != source and not may_share(line, text):
                        yield f"{source.relative_to(root)}:{number}: {name} is also in {other.name}:{at}; give one of them another name"
                seen[source.parent, name].append((source, number, line))


def check_headers(root, compiler, flags):
    library = root / "boundlight"
    headers = list(files(library, {".hpp"})) if library.is_dir() else []
    for header in headers:
        if not re.search(r"^#pragma once$", header.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            yield f"{header.relative_to(root)}: no #pragma once"

    def built_first(header):
        """Whether x.cpp (or x.op.cpp, x.dev.cpp) beside x.hpp includes it before anything else."""
        for source in header.parent.glob(header.stem + "*.cpp"):
            first = next(filter(None, map(INCLUDE.match, source.read_text(encoding="utf-8", errors="replace").splitlines())), None)
            if source.name.split(".")[0] == header.stem and first and first.group(2) == header.relative_to(root).as_posix():
                return True
        return False

    def compile_alone(header):
        name = header.relative_to(root).as_posix()
        command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", *flags, f"-I{root}", "-x", "c++", "-"]
        source = f'#include "{name}"\n'
        done = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
        if done.returncode:
            first = next((l for l in done.stderr.splitlines() if "error" in l), done.stderr.strip())
            return f"{name}: does not compile alone: {first}"
        return None

    # The cuda back end's headers are compiled over a runtime header that the build names (BL_RUNTIME_HEADER); the emulated
    # and cuda modules are what compiles them.
    alone = (h for h in headers if not built_first(h) and h.parent.relative_to(library).as_posix() != "device/cuda")
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        yield from filter(None, pool.map(compile_alone, alone))
    if not headers:
        yield "boundlight/: no headers found"


def check_closed(root):
    library = root / "boundlight"
    for header in files(library, {".hpp"}):
        for number, line in enumerate(header.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match.group(1) == '"' and not (root / match.group(2)).is_file():
                yield f"{header.relative_to(root)}:{number}: {match.group(2)} is not there"


# What prints or ends the process. std::terminate is left: compilers call it for noexcept functions.
FORBIDDEN_SYMBOLS = re.compile(
    r"^(printf|vprintf|puts|putchar|putc|fputs|fputc|fprintf|vfprintf|perror|stdout|stderr|"
    r"__(v|f|vf)?printf_chk|exit|_exit|_Exit|quick_exit|abort|__assert_fail|syslog|system|"
    r"std::(cout|cerr|clog|wcout|wcerr))(@.*)?$")


def check_symbols(library):
    done = subprocess.run(["nm", "--dynamic", "--undefined-only", "--demangle", library],
                          text=True, capture_output=True, check=False)
    if done.returncode:
        yield f"{library}: nm cannot read it: {done.stderr.strip()}"
    for line in done.stdout.splitlines():
        symbol = line.split(maxsplit=1)[-1].strip()
        if FORBIDDEN_SYMBOLS.match(symbol):
            yield f"{pathlib.Path(library).name}: uses {symbol}; a library returns an Error or throws ContractViolation"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", choices=["layers", "text", "lengths", "checker", "units", "headers", "closed", "symbols"])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--library")
    parser.add_argument("--count", action="store_true", help="checker: print the number of lines")
    parser.add_argument("--define", action="append", default=[], help="NAME=VALUE for the compiler")
    options = parser.parse_args()
    root = options.root.resolve()
    if options.rule == "symbols" and not options.library:
        parser.error("symbols needs --library")
    violations = list({
        "layers": lambda: check_layers(root),
        "text": lambda: check_text(root),
        "lengths": lambda: check_lengths(root),
        "checker": lambda: check_checker(root, options.count),
        "units": lambda: check_units(root),
        "headers": lambda: check_headers(root, options.compiler, ["-D" + d for d in options.define]),
        "closed": lambda: check_closed(root),
        "symbols": lambda: check_symbols(options.library),
    }[options.rule]())
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
