"""Killed without warning at random moments: states and reports are whole, searches go on from them, and answers stay right.
BOUNDLIGHT_KILLS=300 kills more often."""
import json
import os
import random
import subprocess
import time

import support
from support import BINARY, DONE, HONEST

KILLS = int(os.environ.get("BOUNDLIGHT_KILLS", "6"))


class Kill(support.Case):
    def killed_after(self, seconds, *words):
        """True: it ended by itself before."""
        process = subprocess.Popen([BINARY, *map(str, words)], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=seconds)
            return True
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False

    def test_verify_goes_on_from_its_state(self):
        hard = ["verify", HONEST, "--input", support.IMAGES + "[0]", "--eps", "0.038", "--no-attack", "--certificate", "proof.blcert"]
        words = [*hard, "--state", "state.bin", "--save-every", "0.02"]
        draws = random.Random(5)
        state = self.folder / "state.bin"
        for kill in range(KILLS):
            before = state.stat().st_mtime_ns if state.exists() else None
            process = subprocess.Popen([BINARY, *map(str, words)], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
                time.sleep(0.005)
            time.sleep(draws.uniform(0, 0.2))
            process.kill()
            if process.wait() == DONE:  # it was done before
                self.assertFalse(state.exists(), "an answered search leaves no state")
                self.run_command("check", "proof.blcert", HONEST, code=DONE)
                (self.folder / "proof.blcert").unlink()
                continue
            self.assertFalse((self.folder / "proof.blcert").exists(), "no proof before the answer")
            # Whole at every moment: it is read, and says so.
            (self.folder / "copy.bin").write_bytes(state.read_bytes())
            found = self.run_json(*hard, "--state", "copy.bin", "--max-domains", "1")
            self.assertTrue(any("went on from" in note for note in found["notes"]), found["notes"])
        final = self.run_json(*words, code=DONE)
        self.assertEqual(final["verdict"], "unsat")
        self.run_command("check", "proof.blcert", HONEST, code=DONE)

    def test_audit_resumes(self):
        words = ["audit", HONEST, support.IMAGES + "[0:5]", "--eps", "0.015", "--out", "out", "--certificates", "--budget", "30"]
        draws = random.Random(6)
        for kill in range(KILLS):
            ended = self.killed_after(draws.uniform(0.02, 0.5), *words, *(["--resume"] if (self.folder / "out" / "audit.json").exists() else []))
            for record in (self.folder / "out" / "samples").glob("*.json") if (self.folder / "out").exists() else []:
                self.assertIn(json.loads(record.read_text())["verdict"], ("verified", "falsified", "undecided"))
            if ended:
                break
        resumed = self.run_json(*words, *(["--resume"] if (self.folder / "out" / "audit.json").exists() else []))
        once = self.run_json(*words[:5], "--out", "once", "--budget", "30")
        self.assertEqual([r["verdict"] for r in resumed["samples"]], [r["verdict"] for r in once["samples"]])
        for record in resumed["samples"]:
            if record["verdict"] == "verified":
                self.run_command("check", self.folder / "out" / record["certificate"], HONEST, code=DONE)

    def test_an_audit_of_changed_data_is_refused(self):
        spec = self.file("specs.vnnlib", support.image_spec(0, 0.001, support.rivals(support.images()[1][0])))
        self.run_command("audit", HONEST, "--specs", spec, "--out", "out", code=DONE)
        self.run_command("audit", HONEST, "--specs", spec, "--out", "out", "--resume", code=DONE)
        self.file("specs.vnnlib", support.image_spec(1, 0.001, support.rivals(support.images()[1][1])))
        self.refused("asked something else .content.", "audit", HONEST, "--specs", spec, "--out", "out", "--resume")


if __name__ == "__main__":
    support.main()
