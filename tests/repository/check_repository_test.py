#!/usr/bin/env python3
"""Each rule of tools/check_repository.py against a planted violation, and against the clean tree beside it."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECK = ROOT / "tools/check_repository.py"

CLEAN = {
    "tools/layers.txt": "room core:\nroom bounds: core\nroom bounds/ops: core bounds\nroom bounds/engines: core bounds\n"
                        "package onnx/: core\nforbid iostream: core\n",
    "tools/long_files.txt": "# none\n",
    "boundlight/core/a.hpp": "#pragma once\n#include <vector>\ninline std::vector<int> a() { return {}; }\n",
    "boundlight/bounds/b.hpp": '#pragma once\n#include "boundlight/core/a.hpp"\n',
    "boundlight/bounds/ops/relu.cpp": 'const char* relu_name() { return "Relu"; }\n',
    "boundlight/bounds/engines/e.cpp": '#include "boundlight/bounds/b.hpp"\n// "Relu" in a comment is fine\n',
}


class Rules(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        for name, text in CLEAN.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_rule(self, rule, *more):
        done = subprocess.run([sys.executable, CHECK, rule, "--root", self.root, *more], text=True, capture_output=True, check=False)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode != 0, bool(done.stdout))
        return done.stdout

    def expect(self, rule, name, text, message, *more):
        self.assertEqual(self.run_rule(rule, *more), "")
        self.write(name, text)
        self.assertIn(message, self.run_rule(rule, *more))

    def test_upward_include(self):
        self.expect("layers", "boundlight/core/a.hpp", '#include "boundlight/bounds/b.hpp"\n', "core may not include bounds")

    def test_grant_of_a_room_does_not_cover_rooms_below(self):
        self.expect("layers", "boundlight/bounds/engines/e.cpp", '#include "boundlight/bounds/ops/x.hpp"\n',
                    "bounds/engines may not include bounds/ops")

    def test_checker_of_many_lines(self):
        self.expect("checker", "boundlight/solver/check/c.cpp", "int a;\n" * 2000, "2000 lines")
        self.write("boundlight/solver/check/c.cpp", "int a;  // one\n\n// a comment\n" * 1999 + "/*\nint b;\n*/\n")
        self.assertEqual(self.run_rule("checker"), "")

    def test_package_outside_its_rooms(self):
        self.expect("layers", "boundlight/bounds/b.hpp", "#include <onnx/onnx_pb.h>\n", "package onnx/")

    def test_unknown_package(self):
        self.expect("layers", "boundlight/core/a.hpp", "#include <gadget/all.h>\n", "neither standard C++")

    def test_forbidden_standard_header(self):
        self.expect("layers", "boundlight/core/a.hpp", "#include <iostream>\n", "core may not include <iostream>")

    def test_file_in_no_room(self):
        self.expect("layers", "boundlight/extra/a.hpp", "\n", "in no room")

    def test_engine_that_names_an_operator(self):
        self.expect("layers", "boundlight/bounds/engines/e.cpp", 'bool f(const char* x) { return x == "Relu"; }\n',
                    "an engine names the operator Relu")

    def test_text_that_is_not_ascii(self):
        self.expect("text", "boundlight/core/a.hpp", "// \u00e9\n", "not ASCII")

    def test_tab(self):
        self.expect("text", "boundlight/core/a.hpp", "\tint x;\n", "a tab")

    def test_path_of_one_machine(self):
        self.expect("text", "boundlight/core/a.hpp", "// see /" + "home/someone/notes\n", "absolute path")

    def test_long_file(self):
        self.expect("lengths", "boundlight/core/a.hpp", "//\n" * 501, "the limit is 500")
        self.write("tools/long_files.txt", "boundlight/core/a.hpp: a table\n")
        self.assertEqual(self.run_rule("lengths"), "")
        self.write("boundlight/core/a.hpp", "//\n")
        self.assertIn("remove the line", self.run_rule("lengths"))

    def test_hidden_names_of_sources_compiled_together(self):
        first = "namespace boundlight {\nnamespace {\n%s\n}  // namespace\n}  // namespace boundlight\n"
        self.write("boundlight/core/a.cpp", first % "constexpr int kSide = 1;\nstruct Reader {\n  int kSide;\n};\nint size(int a) { return a; }\nusing Json = int;")
        for clash, name in (("constexpr int kSide = 2;", "kSide"), ("class Reader {\n};", "Reader"), ("int size(int other) {\n}", "size"),
                            ("using Json = long;", "Json")):
            self.write("boundlight/core/b.cpp", first % clash)
            self.assertIn(f"{name} is also in a.cpp", self.run_rule("units"))
        for fine in ("int size(double a) { return 1; }", "using Json = int;", "int Reader::size(int a) {\n}", "int own;"):
            self.write("boundlight/core/b.cpp", first % fine)
            self.assertEqual(self.run_rule("units"), "")
        self.write("boundlight/core/b.cpp", first.replace("boundlight {", "boundlight::b {", 1).replace("namespace boundlight\n", "namespace boundlight::b\n") % "class Reader {\n};")
        self.assertEqual(self.run_rule("units"), "")

    def test_header_that_needs_another(self):
        self.expect("headers", "boundlight/core/c.hpp", "#pragma once\nstd::vector<int> c();\n", "does not compile alone")

    def test_header_without_guard(self):
        self.expect("headers", "boundlight/core/c.hpp", "struct C {};\n", "no #pragma once")

    def test_header_proved_by_its_own_source_only_when_first(self):
        bad = "#pragma once\nstd::vector<int> c();\n"
        self.write("boundlight/core/c.hpp", bad)
        self.write("boundlight/core/c.cpp", '#include <vector>\n#include "boundlight/core/c.hpp"\n')
        self.assertIn("does not compile alone", self.run_rule("headers"))
        self.write("boundlight/core/c.cpp", '#include "boundlight/core/c.hpp"\n')  # the build itself stumbles here
        self.assertEqual(self.run_rule("headers"), "")

    def test_header_that_was_not_installed(self):
        self.expect("closed", "boundlight/bounds/b.hpp", '#include "boundlight/core/lost.hpp"\n', "core/lost.hpp is not there")

    def test_library_that_prints_or_ends_the_process(self):
        for body, symbol in (('std::puts("x");', "puts"), ("std::exit(1);", "exit"), ("std::abort();", "abort"),
                             ("std::cout << x;", "std::cout")):
            source, library = self.root / "lib.cpp", self.root / "lib.so"
            source.write_text(f"#include <cstdio>\n#include <cstdlib>\n#include <iostream>\nvoid f(int x) {{ (void)x; {body} }}\n")
            subprocess.run(["c++", "-shared", "-fPIC", source, "-o", library], check=True)
            self.assertIn(f"uses {symbol}", self.run_rule("symbols", "--library", library))
        source.write_text("int f(int x) { return x; }\n")
        subprocess.run(["c++", "-shared", "-fPIC", source, "-o", library], check=True)
        self.assertEqual(self.run_rule("symbols", "--library", library), "")

    def test_symbols_of_no_library(self):
        self.assertIn("nm cannot read it", self.run_rule("symbols", "--library", self.root / "none.so"))


if __name__ == "__main__":
    unittest.main()
