"""boundlight run: where its answer goes."""
import json
import os
import stat
import subprocess
import threading

import support
from support import BAD_INPUT, BINARY, DONE, HONEST

WORDS = [str(BINARY), "run", HONEST, "--input", support.IMAGES + "[0]"]


class Run(support.Case):
    def test_devices_and_pipes_are_written_to_and_not_replaced(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        read = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
        reader.start()
        done = subprocess.run([*WORDS, "--json", str(pipe)], capture_output=True, text=True, timeout=60)
        reader.join(30)
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertTrue(stat.S_ISFIFO(pipe.stat().st_mode))
        self.assertEqual(len(json.loads(read[0])["outputs"][0]["values"]), 4)

    def test_links_are_followed(self):
        target, link = self.folder / "target.json", self.folder / "link.json"
        target.write_text("old")
        link.symlink_to(target)
        done = subprocess.run([*WORDS, "--json", str(link)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertTrue(link.is_symlink())
        self.assertIn("outputs", json.loads(target.read_text()))

    def test_an_answer_that_cannot_be_printed_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(WORDS, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertIn("cannot write", done.stderr)


if __name__ == "__main__":
    support.main()
