#!/usr/bin/env python3
"""tools/skip_reasons.py: reasons come before the closing lines, which stay last and whole."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/skip_reasons.py"
LOG = """1/3 Testing: core
1/3 Test: core
Output:
x.cpp:3: warning:
  no shared
  folder

all fine
2/3 Test: peers
skipped: no index
3/3 Test: bounds
x.cpp:3: warning:
  no shared folder
"""
CLOSING = "100% tests passed, 0 tests failed out of 3\n\nTotal Test time (real) =   0.01 sec\n"


class SkipReasons(unittest.TestCase):
    def run_tool(self, log, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "LastTest.log"
            if log is not None:
                path.write_text(log, encoding="utf-8")
            return subprocess.run([sys.executable, TOOL, path], input=text, text=True, capture_output=True, check=True).stdout

    def test_reasons_are_grouped_before_the_closing_lines(self):
        out = self.run_tool(LOG, "1/3 core Passed\n" + CLOSING)
        self.assertIn("  core, bounds: no shared folder\n  peers: no index\n", out)
        self.assertTrue(out.endswith(CLOSING))

    def test_nothing_skipped_changes_nothing(self):
        for log in (None, "1/1 Test: core\nfine\n"):
            self.assertEqual(self.run_tool(log, "1/1 core Passed\n" + CLOSING), "1/1 core Passed\n" + CLOSING)


if __name__ == "__main__":
    unittest.main()
