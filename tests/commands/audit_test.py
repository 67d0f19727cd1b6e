"""boundlight audit: verdicts of many samples, reports, resuming, radii, volumes, populations, bad input."""
import fractions
import json
import pathlib
import re
import signal
import subprocess
import time

import support
from support import BAD_INPUT, BINARY, DONE, HONEST, INTERRUPTED, TIMEOUT, VIOLATED

DATA = support.IMAGES + "[0:4]"
LABELS = str(support.EXAMPLES / "images.npz") + ":labels[0:4]"


class Audit(support.Case):
    def records(self, folder="out"):
        return json.loads((self.folder / folder / "report.json").read_text())

    def two_pixels(self, name, claims, eps=0.2):
        """A property of the first image in which only two pixels vary."""
        pixels = [byte / 255 for byte in support.images()[0][0]]
        upper = list(pixels)
        for i in (500, 501):
            upper[i] = pixels[i] + eps
        return self.file(name, support.box_spec(pixels, upper, 4, claims))

    def value(self, index=0):
        return self.run_json("run", HONEST, "--input", f"{support.IMAGES}[{index}]", code=DONE)["outputs"][0]["values"]

    def test_verified_with_certificates_and_population(self):
        done = self.run_command("audit", HONEST, DATA, "--eps", "1/1000", "--truth", LABELS, "--out", "out", "--certificates", "--population", "--confidence", "0.9", code=DONE)
        report = self.records()
        summary = report["summary"]
        self.assertEqual((summary["samples"], summary["done"], summary["verified"], summary["complete"]), (4, 4, 4, True), done.stdout)
        # Clopper-Pearson for n of n: lower^n = tail, upper 1.
        self.assertAlmostEqual(summary["population"]["lower"], 0.05 ** (1 / 4), places=7)
        self.assertLessEqual(summary["population"]["lower"], 0.05 ** (1 / 4))
        self.assertEqual(summary["population"]["upper"], 1)
        self.assertIn("47.28 %", done.stdout)
        self.assertEqual([r["label"] for r in report["samples"]], support.images()[1][:4])
        for record in report["samples"]:
            self.assertEqual(record["verdict"], "verified")
            self.run_command("check", self.folder / "out" / record["certificate"], HONEST, code=DONE)
        page = (self.folder / "out" / "report.html").read_text()
        self.assertIn("4 verified (100.00 %)", page)
        self.assertNotRegex(page, r"(src|href)=\"(?!data:)")

    def test_a_folder_of_images(self):
        (self.folder / "pictures").mkdir()
        for index, name in enumerate(("b.csv", "a one.npy", "c.npy")):
            header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (32, 32), }"
            header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
            (self.folder / "pictures" / name).write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(support.images()[0][index]))
        found = self.run_json("audit", HONEST, "pictures", "--eps", "1/1000", "--out", "out", code=DONE)
        self.assertEqual([(r["name"], r["verdict"], r["label"]) for r in found["samples"]],
                         [("a_one.npy", "verified", support.images()[1][1]), ("c.npy", "verified", support.images()[1][2])])
        self.assertTrue((self.folder / "out" / "samples" / "a_one.npy.json").exists())
        both = self.run_json("audit", HONEST, "pictures/a one.npy", "pictures/c.npy", "--eps", "1/1000", code=DONE)
        self.assertEqual(len(both["samples"]), 2)
        (self.folder / "none").mkdir()
        self.refused("holds no PNG", "audit", HONEST, "none", "--eps", "1/1000")

    def test_falsified_with_pictures(self):
        self.run_command("audit", HONEST, support.IMAGES + "[0:2]", "--eps", "0.1", "--out", "out", code=DONE)
        for index, record in enumerate(self.records()["samples"]):
            self.assertEqual(record["verdict"], "falsified")
            self.assertEqual((self.folder / "out" / record["picture"]).read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            for value, byte in zip(record["counterexample"], support.images()[0][index]):
                self.assertTrue(abs(value - byte / 255) <= 0.1 + 1e-12 and 0 <= value <= 1)
            self.assertTrue((self.folder / "out" / "samples" / f"{index:06}.json").exists())
        self.assertEqual((self.folder / "out" / "report.html").read_text().count("data:image/png;base64,"), 2)

    def test_misclassified(self):
        wrong = self.file("wrong.csv", ",".join(str((label + 1) % 4) for label in support.images()[1][:2]) + "\n")
        found = self.run_json("audit", HONEST, support.IMAGES + "[0:2]", "--eps", "0", "--truth", wrong, code=DONE)
        self.assertEqual((found["summary"]["falsified"], found["summary"]["misclassified"]), (2, 2))

    def test_folder_of_properties(self):
        label = support.images()[1][0]
        (self.folder / "specs").mkdir()
        self.file("specs/a_holds.vnnlib", support.image_spec(0, 0.001, support.rivals(label)))
        self.file("specs/b_broken.vnnlib", "(assert (<= X_0")
        self.file("specs/c_fails.vnnlib", support.image_spec(0, 0.1, support.rivals(label)))
        self.file("specs/ignored.txt", "no property")
        self.run_command("audit", HONEST, "--specs", "specs", "--out", "out", code=BAD_INPUT)
        records = self.records()["samples"]
        self.assertEqual([(r["name"], r["verdict"]) for r in records], [("a_holds.vnnlib", "verified"), ("b_broken.vnnlib", "error"), ("c_fails.vnnlib", "falsified")])
        self.assertIn("b_broken.vnnlib:1:", records[1]["reason"])

    def test_resume(self):
        words = ["audit", HONEST, DATA, "--eps", "1/1000", "--out", "out", "--jobs", "1"]
        done = self.run_command(*words, "--timeout", "0.05", code=TIMEOUT)
        self.assertIn("stopped early", done.stdout)
        self.assertLess(self.records()["summary"]["done"], 4)
        self.refused("holds an audit already", *words)
        self.refused("asked something else .eps.", *words[:4], "1/500", *words[5:], "--resume")
        self.run_command(*words, "--resume", code=DONE)
        self.assertEqual(self.records()["summary"]["verified"], 4)
        kept = {path: path.stat().st_mtime_ns for path in (self.folder / "out" / "samples").iterdir()}
        self.assertEqual(len(kept), 4)
        damaged = self.folder / "out" / "samples" / "000002.json"
        damaged.write_text('{"verdict": ')
        done = self.run_command(*words, "--resume", code=DONE)
        self.assertIn("3 samples are judged already", done.stdout)
        self.assertEqual(json.loads(damaged.read_text())["verdict"], "verified")
        self.assertTrue(all(path.stat().st_mtime_ns == kept[path] for path in kept if path != damaged))

    def test_interrupt_keeps_what_is_there(self):
        process = subprocess.Popen([BINARY, "audit", HONEST, support.IMAGES, "--eps", "0.02", "--no-attack", "--budget", "60", "--out", "out"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED, out + err)
        report = self.records()
        self.assertEqual((report["summary"]["samples"], report["summary"]["complete"]), (100, False))
        self.assertEqual(len(list((self.folder / "out" / "samples").iterdir())), report["summary"]["done"])

    def test_radius(self):
        found = self.run_json("audit", HONEST, support.IMAGES + "[0:1]", "--radius", "--eps", "0.01", "--budget", "60", code=DONE)
        record = found["samples"][0]
        self.assertGreater(record["certified_radius"], 0.001)
        self.run_command("verify", HONEST, "--input", support.IMAGES + "[0]", "--eps", f"{record['certified_radius'] * 0.9:.17g}", code=DONE)
        if record["falsified_radius"] == "inf":  # the budget ended before: then nothing of the kind is claimed
            self.assertFalse(record["complete"])
        else:
            self.assertLess(record["certified_radius"], record["falsified_radius"])
            self.run_command("verify", HONEST, "--input", support.IMAGES + "[0]", "--eps", f"{record['falsified_radius'] * 1.1:.17g}", code=VIOLATED)
        self.assertEqual(found["summary"]["radius"]["median"], record["certified_radius"])

    def test_coverage_of_volumes(self):
        value = self.value()[0]
        high = self.run_json("bounds", HONEST, "--input", support.IMAGES + "[0]", "--eps", "0", code=DONE)["outputs"][0]["upper"][0]
        self.assertGreaterEqual(high, value)
        all_safe = self.two_pixels("a.vnnlib", [f"(>= Y_0 {value + 100!r})"])
        all_unsafe = self.two_pixels("b.vnnlib", [f"(<= Y_0 {value + 100!r})"])
        part = self.two_pixels("c.vnnlib", [f"(<= Y_0 {value!r})"], 0.3)
        for spec, safe, unsafe in ((all_safe, 1, 0), (all_unsafe, 0, 1)):
            box = self.run_json("audit", HONEST, "--specs", spec, "--coverage", code=DONE)["samples"][0]["boxes"][0]
            self.assertEqual((fractions.Fraction(box["safe"]), fractions.Fraction(box["unsafe"]), box["inputs"]), (safe, unsafe, [500, 501]))
        done = self.run_json("audit", HONEST, "--specs", part, "--coverage", "--budget", "3", code=DONE)
        box = done["samples"][0]["boxes"][0]
        shares = [fractions.Fraction(box[k]) for k in ("safe", "unsafe", "undecided")]
        self.assertEqual(sum(shares), 1)
        self.assertTrue(all(0 <= s <= 1 for s in shares))
        self.assertGreater(box["bounded"], 1)
        self.assertRegex(done["samples"][0]["safe_percent"], r"^\d+\.\d\d %$")

    def test_bad_input(self):
        self.refused("give samples", "audit", HONEST)
        self.refused("option --eps: give the radius", "audit", HONEST, DATA)
        self.refused("two different audits", "audit", HONEST, DATA, "--eps", "0.1", "--specs", ".")
        self.refused("are for DATA", "audit", HONEST, "--specs", ".", "--eps", "0.1")
        self.refused("holds no .vnnlib or .json file", "audit", HONEST, "--specs", ".")
        self.refused("needs --out", "audit", HONEST, DATA, "--eps", "0.1", "--resume")
        self.refused("has 2 labels, the data 4", "audit", HONEST, DATA, "--eps", "0.1", "--truth", self.file("l.csv", "0,1\n"))
        self.refused("label 1 .* is not among the model's 4 classes", "audit", HONEST, DATA, "--eps", "0.1", "--truth", self.file("l.csv", "0,7,1,1\n"))
        self.refused("is negative", "audit", HONEST, DATA, "--eps=-1")
        self.refused("number or a fraction", "audit", HONEST, DATA, "--eps=nan")
        self.refused("between 0 and 1", "audit", HONEST, DATA, "--eps", "0.1", "--confidence", "1")
        self.refused("linf", "audit", HONEST, DATA, "--eps", "0.1", "--norm", "l1")
        self.refused("cannot make the folder", "audit", HONEST, DATA, "--eps", "0.1", "--out", self.file("plain", "") + "/x")
        for option, value in (("--budget", "-1"), ("--budget", "nan"), ("--timeout", "x"), ("--jobs", "-1"), ("--property", "smooth")):
            self.assertIn(option, self.run_command("audit", HONEST, DATA, "--eps", "0.1", f"{option}={value}", code=BAD_INPUT).stderr)


if __name__ == "__main__":
    support.main()
