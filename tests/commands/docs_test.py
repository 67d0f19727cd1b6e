"""The commands of docs/verdicts.md do what the page says: every indented line is run, `# exit N` gives its exit code."""
import os
import re
import subprocess

import support
from support import BINARY, SOURCE


class Docs(support.Case):
    def test_verdicts(self):
        (self.folder / "examples").symlink_to(SOURCE / "examples")
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "boundlight").symlink_to(BINARY)
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        page = (SOURCE / "docs" / "verdicts.md").read_text()
        commands = re.findall(r"^    (?=boundlight|python3)(.*)$", page, re.MULTILINE)
        self.assertGreater(len(commands), 5)
        for command in commands:
            code = re.search(r"# exit (\d+)$", command)
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=self.folder, env=environment, timeout=300)
            self.assertEqual(done.returncode, int(code.group(1)) if code else 0, f"{command}\n{done.stdout}\n{done.stderr}")
        for line in re.findall(r"^prints `([^`]*)`", page, re.MULTILINE):
            self.assertIn(line, subprocess.run(["bash", "-c", commands[0]], capture_output=True, text=True, cwd=self.folder, env=environment, timeout=300).stdout)


if __name__ == "__main__":
    support.main()
