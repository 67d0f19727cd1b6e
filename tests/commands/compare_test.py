"""boundlight compare: the table and its files, what is refused and how, and what Ctrl-C leaves."""
import csv
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import support
from support import BAD_INPUT, BINARY, CHEAT, DONE, EXAMPLES, HONEST, INTERRUPTED, TIMEOUT

LEAKY = str(EXAMPLES / "images.npz") + ":leaky"
QUICK = ["--methods", "eva,saliency,occlusion,sampled-eva", "--evaluations", "80", "--eps", "1/255", "--cells", "4x4", "--tier", "shared"]


class Compare(support.Case):
    def test_files_and_words(self):
        out = self.folder / "out"
        done = self.run_command("compare", CHEAT, LEAKY + "[0:2]", *QUICK, "--metrics", "deletion,robustness", "--out", out, code=DONE)
        for piece in ("method", "deletion (random)", "robustness", "EVA", "Saliency", "sampled EVA", "Best deletion", "report.html"):
            self.assertIn(piece, done.stdout)
        self.assertEqual(sorted(p.name for p in out.iterdir()), ["maps.npz", "maps.png", "report.html", "table.csv", "table.json"])
        table = json.loads((out / "table.json").read_text())
        self.assertEqual([m["name"] for m in table["methods"]], ["eva", "saliency", "occlusion", "sampled-eva"])
        self.assertEqual(table["images"], {"asked": 2, "done": 2})
        self.assertEqual((table["settings"]["seed"][:1], table["settings"]["eps"]), ("1", "1/255"))
        with open(out / "table.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([r["method"] for r in rows], ["eva", "saliency", "occlusion", "sampled-eva"])
        for r, m in zip(rows, table["methods"]):
            self.assertAlmostEqual(float(r["deletion (random)"]), m["metrics"]["deletion (random)"]["mean"], places=6)
        self.assertEqual(float(rows[0]["rank correlation"]), 1)
        self.assertTrue((out / "maps.png").read_bytes().startswith(b"\x89PNG"))

    def test_json_alone_and_seeds(self):
        words = ["compare", CHEAT, LEAKY + "[0]", "--methods", "eva,rise,sampled-eva", "--evaluations", "100", "--metrics", "mufidelity", "--baselines", "mean,blur",
                 "--eps", "1/255", "--cells", "4x4", "--tier", "shared"]
        first, again, other = self.run_json(*words, code=DONE), self.run_json(*words, code=DONE), self.run_json(*words, "--seed", "2", code=DONE)
        maps = lambda table: [table["per_image"][0]["methods"][m]["map"] for m in ("rise", "sampled-eva")]
        self.assertEqual(maps(first), maps(again))
        self.assertNotEqual(maps(first), maps(other))
        self.assertEqual(list(first["methods"][0]["metrics"]), ["mufidelity (mean)", "mufidelity (blur)"])

    def test_a_folder_and_files(self):
        pictures = self.folder / "pictures"
        pictures.mkdir()
        for name in ("disc.png", "cross.png"):
            shutil.copy(EXAMPLES / name, pictures)
        (pictures / "notes.txt").write_text("no image")
        found = self.run_json("compare", HONEST, pictures, EXAMPLES / "square.png", "--methods", "saliency", "--metrics", "none", "--eps", "1/255", "--cells", "4x4", "--tier", "shared", code=DONE)
        self.assertEqual([i["name"].rsplit("/", 1)[1] for i in found["per_image"]], ["cross.png", "disc.png", "square.png"])

    def test_grad_cam_on_a_convolution(self):
        found = self.run_json("compare", CHEAT, LEAKY + "[0]", "--methods", "gradcam,gradcam++", "--metrics", "none", "--eps", "1/255", "--cells", "8x8", "--tier", "shared", code=DONE)
        self.assertEqual([m["applicable"] for m in found["methods"]], [True, True])

    def test_planted(self):
        words = ["compare", CHEAT, LEAKY + "[0:2]", "--methods", "random", "--metrics", "none", "--eps", "1/255", "--cells", "8x8", "--tier", "shared", "--planted"]
        found = self.run_json(*words, str(EXAMPLES / "images.npz") + ":masks[0:2]", "--top", "64", code=DONE)
        self.assertEqual(found["methods"][0]["planted_found"], {"images": 2, "top": 64, "found": 2, "found_by_size": 2})
        self.refused("masks have 1024 pixels, 2 images of 32x32 need 2048", *words, str(EXAMPLES / "images.npz") + ":masks[0]")

    def test_refused(self):
        base = ["compare", CHEAT, LEAKY + "[0]"]
        eps = ["--eps", "1/255"]
        self.refused("method 'shap'.*known ones are eva, eva-verified, saliency", *base, *eps, "--methods", "eva,shap")
        self.refused("metric 'auc'.*deletion, insertion, mufidelity, robustness", *base, *eps, "--metrics", "auc")
        self.refused("baseline 'grey'.*zero, mean, blur, random", *base, *eps, "--baselines", "grey")
        self.refused("--eps.*missing", *base)
        for wrong in ("0", "-1", "nan", "inf"):
            self.refused("--eps", *base, "--eps=" + wrong)
        self.refused("at least one row", *base, *eps, "--cells", "0x4")
        self.refused("cover no pixel", *base, *eps, "--cells", "64x64")
        self.refused("no images were given", "compare", CHEAT, *eps)
        self.refused("nowhere", "compare", CHEAT, "nowhere.png", *eps)
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused("holds no PNG", "compare", CHEAT, empty, *eps)
        self.refused("cannot make the output folder", *base, *eps, "--out", self.file("taken", "x"))
        self.refused("class 9 is out of range", *base, *eps, "--class", "9", "--methods", "saliency", "--cells", "4x4")
        self.refused("linf", *base, *eps, "--norm", "l2")
        for words in (["--evaluations", "0"], ["--seed", "-1"], ["--timeout", "-3"]):
            done = self.run_command(*base, *eps, *words, code=BAD_INPUT)
            self.assertIn(words[0], done.stderr)
        # A budget that one method cannot use is that method's row, not the end of the others.
        found = self.run_json(*base, *eps, "--methods", "kernelshap,saliency", "--metrics", "none", "--evaluations", "5", "--cells", "4x4", "--tier", "shared", code=DONE)
        self.assertEqual([m["applicable"] for m in found["methods"]], [False, True])
        self.assertRegex(found["methods"][0]["reason"], "raise it")

    def test_interrupt_keeps_what_is_done(self):
        out = self.folder / "out"
        process = subprocess.Popen([BINARY, "compare", CHEAT, LEAKY, "--methods", "saliency", "--metrics", "none", "--eps", "1/255", "--cells", "2x2", "--tier", "shared", "--out", out],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        time.sleep(2)
        # On a slow machine the first image may not be done yet; then there is nothing to keep, which is an error of its own.
        process.send_signal(signal.SIGINT)
        text, error = process.communicate(timeout=120)
        self.assertIn(process.returncode, (DONE, INTERRUPTED), error)
        if process.returncode == DONE:
            self.assertNotIn("INTERRUPTED", text)  # all images were done before the signal
        elif out.joinpath("table.json").exists():
            self.assertIn("INTERRUPTED", text)
            table = json.loads((out / "table.json").read_text())
            self.assertFalse(table["complete"])
            self.assertLess(table["images"]["done"], table["images"]["asked"])
            self.assertIn("INTERRUPTED", (out / "report.html").read_text())
        else:
            self.assertIn("stopped before the first image", error)

    def test_timeout(self):
        done = self.run_command("compare", CHEAT, LEAKY, "--methods", "saliency", "--metrics", "none", "--eps", "1/255", "--cells", "2x2", "--tier", "shared", "--timeout", "1")
        self.assertIn(done.returncode, (DONE, TIMEOUT, INTERRUPTED), done.stderr)
        if done.returncode == TIMEOUT:
            self.assertIn("INTERRUPTED", done.stdout)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_unwritable_folder(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o500)
        self.refused("locked", "compare", CHEAT, LEAKY + "[0]", "--eps", "1/255", "--out", locked)


if __name__ == "__main__":
    support.main()
