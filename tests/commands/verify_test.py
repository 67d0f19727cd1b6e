"""boundlight verify: verdicts, evidence that others accept, exit codes, files, bad input."""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import support
from support import BAD_INPUT, BINARY, CHEAT, DONE, HONEST, INTERRUPTED, TIMEOUT, UNKNOWN, VIOLATED

IMAGE = support.IMAGES + "[0]"
LABEL = support.images()[1][0]


class Verify(support.Case):
    def robust(self, eps="0.001"):
        return self.file("robust.vnnlib", support.image_spec(0, float(eps), support.rivals(LABEL)))

    def check_counterexample(self, path, eps, model=HONEST, index=0):
        """The file's X lies in the ball, and the model's own values there keep the label no longer."""
        pairs = dict(re.findall(r"\(([XY]_\d+) ([^)\s]+)\)", pathlib.Path(path).read_text()))
        x = [float(pairs[f"X_{i}"]) for i in range(1024)]
        pixels = [byte / 255 for byte in support.images()[0][index]]
        for value, pixel in zip(x, pixels):
            self.assertTrue(max(0, pixel - eps) <= value <= min(1, pixel + eps), (value, pixel))
        values = self.run_json("run", model, "--input", self.file("x.csv", ",".join(repr(v) for v in x) + "\n"), "--precision", "double", code=DONE)["outputs"][0]["values"]
        label = support.images()[1][index]
        self.assertGreaterEqual(max(v for k, v in enumerate(values) if k != label), values[label] - 1e-9)
        for j in range(4):
            self.assertAlmostEqual(float(pairs[f"Y_{j}"]), values[j], delta=1e-3)
        return x

    def test_unsat_with_a_certificate_that_check_accepts(self):
        spec = self.robust()
        done = self.run_command("verify", HONEST, spec, "--certificate", "proof.blcert", "--counterexample", "none.txt", code=DONE)
        self.assertTrue(done.stdout.startswith("unsat: proved"), done.stdout)
        self.assertIn("3 disjuncts, 1024 inputs, 4 outputs", done.stdout)
        self.assertFalse((self.folder / "none.txt").exists())
        self.assertEqual(self.run_json("check", "proof.blcert", HONEST, spec, code=DONE)["verdict"], "accepted")
        # The same proof of a ball that is larger than what was proved, or of the other network: never.
        other = self.file("other.vnnlib", support.image_spec(0, 0.2, support.rivals(LABEL)))
        self.run_command("check", "proof.blcert", HONEST, other, code=VIOLATED)
        self.run_command("check", "proof.blcert", CHEAT, spec, code=VIOLATED)

    def test_image_options_say_the_same_as_the_file(self):
        found = self.run_json("verify", HONEST, "--input", IMAGE, "--eps", "0.001", "--label", LABEL, "--certificate", "proof.blcert", code=DONE)
        self.assertEqual((found["verdict"], found["disjuncts_closed"], found["property"]["disjuncts"], found["certificate"]["inlined"]), ("unsat", 3, 3, True))
        self.assertEqual(found["sha256"], hashlib.sha256(pathlib.Path(HONEST).read_bytes()).hexdigest())
        done = self.run_command("check", "proof.blcert", HONEST, code=DONE)
        self.assertIn("keeps class", done.stdout)
        one = self.run_json("verify", HONEST, "--input", IMAGE, "--eps", "1/1000", "--target", (LABEL + 1) % 4, code=DONE)
        self.assertEqual((one["verdict"], one["property"]["disjuncts"]), ("unsat", 1))

    def test_json_property(self):
        pixels = [byte / 255 for byte in support.images()[0][0]]
        spec = {"property": "robustness", "image": support.images()[0][0], "scale": "1/255", "eps": "1/1000", "label": LABEL, "classes": 4}
        self.assertEqual(self.run_json("verify", HONEST, self.file("p.json", json.dumps(spec)), code=DONE)["verdict"], "unsat")
        self.file("picture.csv", ",".join(map(repr, pixels)) + "\n")
        spec.update(image="picture.csv", scale=1, label=(LABEL + 1) % 4)
        found = self.run_json("verify", HONEST, self.file("q.json", json.dumps(spec)), code=VIOLATED)
        self.assertEqual(found["verdict"], "sat")

    def test_sat_with_a_counterexample(self):
        done = self.run_command("verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--counterexample", "c.txt", "--save-input", "c.npy", "--vnncomp", "result.txt", code=VIOLATED)
        self.assertTrue(done.stdout.startswith("sat: "), done.stdout)
        x = self.check_counterexample(self.folder / "c.txt", 0.1)
        self.assertEqual(support.npy_values(self.folder / "c.npy"), x)
        text = (self.folder / "result.txt").read_text()
        self.assertEqual(text, "sat\n" + (self.folder / "c.txt").read_text())
        self.run_command("verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--save-input", "c.png", code=VIOLATED)
        self.assertEqual((self.folder / "c.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        found = self.run_json("verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--seed", "5", code=VIOLATED)
        witness = found["counterexample"]
        self.assertTrue(witness["float32"])
        label = witness["output"][LABEL]
        self.assertTrue(any(low >= label[1] for k, (low, high) in enumerate(witness["output"]) if k != LABEL), witness["output"])

    def test_a_wrong_label_is_violated_at_once(self):
        self.assertEqual(self.run_json("verify", HONEST, "--input", IMAGE, "--eps", "0", "--label", (LABEL + 1) % 4, code=VIOLATED)["verdict"], "sat")
        self.assertEqual(self.run_json("verify", HONEST, "--input", IMAGE, "--eps", "0", "--label", LABEL, code=DONE)["verdict"], "unsat")

    def test_never_unsat_without_the_attack(self):
        """The same violated property, and nobody to find the input: everything but unsat."""
        done = self.run_command("verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--no-attack", "--max-domains", "40", "--timeout", "20")
        self.assertIn(done.returncode, (UNKNOWN, TIMEOUT, VIOLATED), done.stdout)
        self.assertFalse(done.stdout.startswith("unsat"))

    def test_thresholds_of_one_output(self):
        value = self.run_json("run", HONEST, "--input", IMAGE, code=DONE)["outputs"][0]["values"][1]
        above = self.file("above.vnnlib", support.image_spec(0, 0.0005, [f"(>= Y_1 {value + 1!r})"]))
        below = self.file("below.vnnlib", support.image_spec(0, 0.0005, [f"(<= Y_1 {value + 1!r})"]))
        self.run_command("verify", HONEST, above, code=DONE)
        self.run_command("verify", HONEST, below, code=VIOLATED)

    def test_vacuous(self):
        spec = self.file("empty.vnnlib", support.box_spec([0.5] * 1023 + [0.7], [0.5] * 1023 + [0.6], 4, support.rivals(0)))
        done = self.run_command("verify", HONEST, spec, "--vnncomp", "r.txt", code=DONE)
        self.assertIn("vacuous", done.stdout)
        self.assertEqual((self.folder / "r.txt").read_text(), "unsat\n")

    def test_timeout_and_interrupt_leave_a_verdict(self):
        hard = ["verify", HONEST, "--input", IMAGE, "--eps", "0.03", "--no-attack", "--splits", "inputs"]
        done = self.run_command(*hard, "--timeout", "1", "--vnncomp", "r.txt", "--json", "r.json", code=TIMEOUT)
        self.assertTrue(done.stdout.startswith("timeout: "), done.stdout)
        self.assertEqual((self.folder / "r.txt").read_text(), "timeout\n")
        result = json.loads((self.folder / "r.json").read_text())
        self.assertEqual((result["verdict"], result["certificate"]), ("timeout", None))
        process = subprocess.Popen([support.BINARY, *map(str, hard), "--timeout", "300", "--vnncomp", "i.txt", "--state", "state.bin"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED, out)
        self.assertTrue(out.startswith("interrupted: "), out)
        self.assertEqual((self.folder / "i.txt").read_text(), "unknown\n")

    def test_a_search_goes_on_from_its_state(self):
        """Stopped by a count of regions, not by the clock; the same command ends what was begun, and the proof holds."""
        pixels = [byte / 255 for byte in support.images()[0][0]]
        upper = [p + (0.3 if 500 <= i < 503 else 0) for i, p in enumerate(pixels)]
        middle = [p + (0.15 if 500 <= i < 503 else 0) for i, p in enumerate(pixels)]
        values = self.run_json("run", HONEST, "--input", self.file("m.csv", ",".join(map(repr, middle)) + "\n"), code=DONE)["outputs"][0]["values"]
        # Far enough above the middle to hold everywhere, near enough to need splits.
        for above in (0.1, 0.0975, 0.095, 0.0935):
            spec = self.file("p.vnnlib", support.box_spec(pixels, upper, 4, [f"(>= Y_0 {values[0] + above!r})"]))
            words = ["verify", HONEST, spec, "--no-attack", "--splits", "inputs", "--state", "state.bin", "--timeout", "60"]
            first = self.run_json(*words, "--max-domains", "3")
            if first["verdict"] == "unknown":
                break
            self.assertFalse((self.folder / "state.bin").exists(), "an answered search leaves no state")
        self.assertEqual(first["verdict"], "unknown")
        self.assertTrue((self.folder / "state.bin").exists())
        self.refused("state.bin", "verify", CHEAT, spec, *words[3:])
        then = self.run_json(*words)
        self.assertEqual(then["verdict"], "unsat")
        self.assertTrue(any("went on from" in note for note in then["notes"]), then["notes"])
        self.assertGreater(then["domains"], first["domains"])
        self.assertFalse((self.folder / "state.bin").exists())

    def test_progress_only_on_a_terminal(self):
        words = [str(BINARY), "verify", HONEST, "--input", IMAGE, "--eps", "0.03", "--no-attack", "--splits", "inputs", "--timeout", "2"]
        quiet = subprocess.run(words, capture_output=True, text=True, timeout=120)
        self.assertNotIn("\r", quiet.stderr + quiet.stdout)
        try:
            leader, follower = os.openpty()
        except OSError as reason:
            print(f"skipped: the progress line on a terminal; there are no pseudo-terminals here ({reason.strerror})", flush=True)
            return
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
        out = process.communicate(timeout=120)[0]
        os.close(leader)
        self.assertIn(b"\r\x1b[K", seen)
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-80:])
        self.assertTrue(out.startswith(b"timeout: "), out)

    def test_same_verdict_for_any_number_of_threads(self):
        bounds = {json.dumps(self.run_json("verify", HONEST, self.robust(), "--no-attack", "--threads", n, code=DONE)["disjunct_bound"]) for n in (1, 2)}
        self.assertEqual(len(bounds), 1)

    def test_bad_input(self):
        spec = self.robust()
        self.refused("missing.onnx", "verify", "missing.onnx", spec)
        self.refused("missing.vnnlib", "verify", HONEST, "missing.vnnlib")
        self.refused("--input", "verify", HONEST)
        self.refused("option --eps: give the radius", "verify", HONEST, "--input", IMAGE)
        self.refused("pick one", "verify", HONEST, "--input", support.IMAGES + "[0:2]", "--eps", "0.1")
        self.refused("option --eps.*'-0.1' is negative", "verify", HONEST, "--input", IMAGE, "--eps=-0.1")
        for text in ("nan", "inf", "1/0", "a lot", "0.1x", ""):
            self.refused("option --eps.*number or a fraction", "verify", HONEST, "--input", IMAGE, "--eps=" + text) if text else None
        self.refused("class 7 is not among the model's 4", "verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--label", "7")
        self.refused("is no class", "verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--label", "dog")
        self.refused("is the label itself", "verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--label", "1", "--target", "1")
        self.refused("linf", "verify", HONEST, "--input", IMAGE, "--eps", "0.1", "--norm", "l2")
        self.refused("option --eps.*one of the two", "verify", HONEST, spec, "--eps", "0.1")
        self.refused("must end in .npy", "verify", HONEST, spec, "--save-input", "x.jpg")
        for option in ("--certificate", "--counterexample", "--vnncomp", "--json", "--save-input", "--state"):
            self.refused("nowhere", "verify", HONEST, spec, option, "nowhere/x.npy")
        for option, value in (("--timeout", "-1"), ("--timeout", "nan"), ("--threads", "-2"), ("--semantics", "posit"), ("--splits", "banana")):
            done = self.run_command("verify", HONEST, spec, f"{option}={value}", code=BAD_INPUT)
            self.assertIn(option, done.stderr)

    def test_bad_properties(self):
        lines = support.image_spec(0, 0.001, support.rivals(LABEL)).splitlines()
        def spec(change):
            text = list(lines)
            change(text)
            return self.file("bad.vnnlib", "\n".join(text) + "\n")
        self.refused(r"bad.vnnlib:1029:10: ", "verify", HONEST, spec(lambda t: t.__setitem__(1028, "(assert (almost X_0 0.5))")))
        self.refused(r"bad.vnnlib:\d+:\d+: .*X_0", "verify", HONEST, spec(lambda t: t.__delitem__(1028)))
        self.refused(r"bad.vnnlib:\d+:\d+: ", "verify", HONEST, spec(lambda t: t.append("(assert (<= Y_0 Y_9))")))
        self.refused(r"bad.vnnlib:\d+:\d+: ", "verify", HONEST, spec(lambda t: t.append("(assert (<= Y_0 Y_1)")))
        self.refused(r"bad.vnnlib:\d+:\d+: ", "verify", HONEST, spec(lambda t: t.append("(assert (<= (* Y_0 Y_1) 1))")))
        self.refused("2 inputs and 4 outputs, the model has 1024 and 4", "verify", HONEST, self.file("small.vnnlib", support.box_spec([0, 0], [1, 1], 4, support.rivals(0))))
        good = {"property": "robustness", "image": [0.5] * 1024, "eps": 0.1, "label": 1, "classes": 4}
        for sentence, change in (("label 9 is not among the 4 classes", {"label": 9}), ("classes: is 7, the model has 4", {"classes": 7}), ("eps is negative", {"eps": -1}),
                                 ("eps: must be a number", {"eps": "x"}), ("epsilon: is not a known field", {"epsilon": 1}), ("3 inputs .* the model has 1024", {"image": [0, 0, 0]}),
                                 ("picture.png", {"image": "picture.png"}), ("clip", {"clip": [1, 0]})):
            self.refused(sentence, "verify", HONEST, self.file("bad.json", json.dumps({**good, **change})))
        self.refused("no valid JSON", "verify", HONEST, self.file("bad.json", '{"property": '))


if __name__ == "__main__":
    support.main()
