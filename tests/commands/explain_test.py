"""boundlight explain: maps of planted evidence, files, several images, stopping, bad input."""
import json
import os
import signal
import struct
import subprocess
import time
import zipfile

import support
from support import CHEAT, DONE, EXAMPLES, HONEST, INTERRUPTED, TIMEOUT, VIOLATED

LEAKY = str(EXAMPLES / "images.npz") + ":leaky"
IMAGE = LEAKY + "[0]"
GRID = ["--cells", "8x8", "--eps", "1/255"]  # cells of 4 x 4 pixels: the mark is the last one
MARK = 63


def npy(kind, shape, numbers):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (kind, ", ".join(map(str, shape)))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<i4": "i", "<f4": "f", "|u1": "B"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%d%s" % (len(numbers), code), *numbers)


def onnx_gemm(inputs, weights):
    """A model of one dense layer, written by hand: y = x W^T."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    def field(number, payload):
        if isinstance(payload, int):
            return varint(number << 3) + varint(payload)
        payload = payload.encode() if isinstance(payload, str) else payload
        return varint(number << 3 | 2) + varint(len(payload)) + payload
    def value(name, shape):
        dims = b"".join(field(1, field(1, d)) for d in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))
    flat = [w for row in weights for w in row]
    tensor = field(1, len(weights)) + field(1, inputs) + field(2, 1) + field(8, "w") + field(9, struct.pack("<%df" % len(flat), *flat))
    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Gemm") + field(5, field(1, "transB") + field(3, 1) + field(20, 2))
    graph = field(1, node) + field(2, "g") + field(5, tensor) + field(11, value("x", [1, inputs])) + field(12, value("y", [1, len(weights)]))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


class Explain(support.Case):
    def explain(self, model, image, *words, code=DONE):
        return self.run_json("explain", model, "--input", image, *words, code=code)

    def top(self, report, count=1):
        estimate = report["cells"]["estimate"]
        return sorted(range(len(estimate)), key=lambda u: -estimate[u])[:count]

    def test_a_certificate_proves_the_map_that_is_shown(self):
        for more in ([], ["--tier", "refined"], ["--tier", "shared", "--half", "plus"], ["--budget", "1"], ["--target", "0"]):
            report = self.explain(CHEAT, IMAGE, *GRID, "--certificate", "map.blcert", "--out", "out", *more)
            certificate = self.folder / "map.blcert"
            self.assertEqual(report["certificate"], {"file": "map.blcert", "bytes": certificate.stat().st_size})
            self.assertEqual(json.loads((self.folder / "out/report.json").read_text())["certificate"], report["certificate"])
            self.assertIn("boundlight check map.blcert", (self.folder / "out/report.html").read_text())
            checked = self.run_json("check", certificate, CHEAT, code=DONE)
            self.assertTrue(checked["complete"])
            words, pairs = checked["proved"][0], report["pairs"]
            self.assertIn(f"{pairs['ordered']} pairs ordered, {pairs['equal']} equal", words)
            self.assertIn(f"class {report['class']} against", words)
        # It proves nothing about another model, and nothing once a byte of a number has changed.
        self.assertIn("another model", self.run_command("check", certificate, HONEST, code=VIOLATED).stdout)
        data = bytearray(certificate.read_bytes())
        data[len(data) // 2] ^= 64
        self.run_command("check", self.file("changed.blcert", bytes(data)), CHEAT, code=VIOLATED)

    def test_certificates_of_several_images_and_where_there_is_none(self):
        self.run_command("explain", CHEAT, "--input", LEAKY + "[0:2]", *GRID, "--certificate", "map.blcert", "--out", "out", code=DONE)
        found = sorted((self.folder / "out").glob("*/map.blcert"))
        self.assertEqual(len(found), 2)
        for certificate in found:
            self.run_command("check", certificate, CHEAT, code=DONE)
        self.refused("give --out", "explain", CHEAT, "--input", LEAKY + "[0:2]", *GRID, "--certificate", "map.blcert")
        self.refused("no folder", "explain", CHEAT, "--input", IMAGE, *GRID, "--certificate", "nowhere/map.blcert")
        self.refused("margin", "explain", CHEAT, "--input", IMAGE, *GRID, "--certificate", "map.blcert", "--overlap", "separate")
        report = self.explain(CHEAT, IMAGE, *GRID)
        self.assertNotIn("certificate", report)

    def test_the_mark_is_found_where_the_network_cheats(self):
        for image in (0, 1, 2):
            report = self.explain(CHEAT, f"{LEAKY}[{image}]", *GRID)
            self.assertEqual(self.top(report), [MARK])
            cells = report["cells"]
            for low, drawn, high in zip(cells["lower"], cells["estimate"], cells["upper"]):
                self.assertLessEqual(0, low)
                self.assertTrue(low - 1e-12 <= drawn <= high + 1e-12)

    def test_the_shape_is_found_where_it_does_not(self):
        with zipfile.ZipFile(EXAMPLES / "images.npz") as archive:
            masks = support._npy(archive.read("masks.npy"))
        for image in (0, 1, 2):
            mask = masks[image * 1024:(image + 1) * 1024]
            near = {(r + dr) // 4 * 8 + (q + dq) // 4 for r in range(32) for q in range(32) if mask[r * 32 + q] for dr in (-1, 0, 1) for dq in (-1, 0, 1)
                    if 0 <= r + dr < 32 and 0 <= q + dq < 32}
            top = self.top(self.explain(HONEST, f"{LEAKY}[{image}]", *GRID), 5)
            self.assertNotIn(MARK, top)
            self.assertGreaterEqual(sum(u in near for u in top), 4, (image, top))

    def test_files(self):
        done = self.run_command("explain", CHEAT, "--input", IMAGE, *GRID, "--out", "out/deep", code=DONE)
        self.assertIn("report.html", done.stdout)
        names = {p.name for p in (self.folder / "out/deep").iterdir()}
        self.assertEqual(names, {"map.png", "overlay.png", "interval.png", "map.npz", "report.json", "report.html"})
        report = json.loads((self.folder / "out/deep/report.json").read_text())
        self.assertEqual(report["cells"]["count"], 64)
        self.assertTrue(report["complete"] and report["certified"])
        html = (self.folder / "out/deep/report.html").read_text()
        self.assertIn("data:image/png;base64,", html)
        self.assertNotIn("http", html)
        # Again into the same folder: its own files are replaced, others stay.
        (self.folder / "out/deep/mine.txt").write_text("stays")
        self.run_command("explain", CHEAT, "--input", IMAGE, *GRID, "--out", "out/deep", code=DONE)
        self.assertEqual((self.folder / "out/deep/mine.txt").read_text(), "stays")

    def test_several_images(self):
        images = self.folder / "images"
        images.mkdir()
        for name in ("disc.png", "cross.png"):
            (images / name).write_bytes((EXAMPLES / name).read_bytes())
        (images / "notes.txt").write_text("not an image")
        done = self.run_command("explain", CHEAT, "--input", images, "--input", LEAKY + "[0:2]", *GRID, "--tier", "refined", "--out", "out", code=DONE)
        self.assertIn("4 maps", done.stdout)
        summary = json.loads((self.folder / "out/summary.json").read_text())
        self.assertEqual((summary["count"], summary["not_reached"]), (4, 0))
        self.assertGreater(summary["maps_per_second"], 0)
        folders = [line["folder"] for line in summary["images"]]
        self.assertEqual(folders[:2], ["cross.png", "disc.png"])
        self.assertEqual(len(set(folders)), 4)
        index = (self.folder / "out/index.html").read_text()
        for folder in folders:
            self.assertTrue((self.folder / "out" / folder / "report.html").exists())
            self.assertIn(folder + "/report.html", index)
        many = self.explain(CHEAT, LEAKY + "[0:2]", *GRID, "--tier", "shared")
        self.assertEqual(len(many), 2)
        one = self.explain(CHEAT, LEAKY + "[1]", *GRID, "--tier", "shared")
        self.assertEqual(many[1]["cells"], one["cells"])

    def test_budget_tightens_and_tells(self):
        plain = self.explain(HONEST, IMAGE, *GRID, "--tier", "refined")
        tight = self.explain(HONEST, IMAGE, *GRID, "--budget", "3")
        self.assertLessEqual(tight["overlap"]["verified"], plain["overlap"]["verified"])
        self.assertGreaterEqual(tight["pairs"]["ordered"], plain["pairs"]["ordered"])
        self.assertEqual(sum(tight["moments"][-1][k] for k in ("ordered", "equal", "undecided")), 64 * 63 // 2)
        text = self.run_command("explain", HONEST, "--input", IMAGE, *GRID, "--budget", "2", code=DONE).stdout
        self.assertRegex(text, r"After [\d.]+ s: [\d.e-]+ % of the pairs ordered")

    def test_certified_radius_when_eps_is_left_out(self):
        report = self.explain(HONEST, IMAGE, "--cells", "4x4")
        self.assertIn("certified radius", report["settings"]["eps"])

    def test_hybrid_is_marked(self):
        layer = "flat"
        report = self.explain(HONEST, IMAGE, *GRID, "--hybrid", layer, "--samples", "16")
        self.assertEqual((report["certified"], report["verdict"], report["pairs"]["ordered"]), (False, "not verified", 0))
        self.assertEqual(set(report["cells"]["upper"]), {"inf"})
        self.assertTrue(any(word.startswith("NOT VERIFIED") for word in report["words"]))
        self.assertEqual(report["cells"], self.explain(HONEST, IMAGE, *GRID, "--hybrid", layer, "--samples", "16")["cells"])
        self.refused("no value of this name", "explain", HONEST, "--input", IMAGE, *GRID, "--hybrid", "nowhere")
        self.refused("is an input, a constant or the output", "explain", HONEST, "--input", IMAGE, *GRID, "--hybrid", "image")
        self.refused("at least one sample", "explain", HONEST, "--input", IMAGE, *GRID, "--hybrid", layer, "--samples", "0")

    def test_cells(self):
        halves = self.file("halves.npy", npy("<i4", (32, 32), [7 if q < 16 else -3 for r in range(32) for q in range(32)]))
        self.assertEqual(self.explain(CHEAT, IMAGE, "--eps", "1/255", "--segments", halves)["cells"]["count"], 2)
        self.assertGreater(self.explain(CHEAT, IMAGE, "--eps", "1/255", "--cells", "slic:9", "--tier", "shared")["cells"]["count"], 3)
        left, right = [int(i % 32 < 16) for i in range(1024)], [int(i % 32 >= 16) for i in range(1024)]
        masks = self.file("masks.npy", npy("|u1", (2, 32, 32), left + right))
        self.assertEqual(self.explain(CHEAT, IMAGE, "--eps", "1/255", "--segments", masks)["cells"]["count"], 2)
        overlapping = self.file("overlap.npy", npy("|u1", (2, 32, 32), left + [1] * 1024))
        self.refused("masks 0 and 1 overlap at row 0, column 0", "explain", CHEAT, "--input", IMAGE, "--eps", "1/255", "--segments", overlapping)
        empty = self.file("empty.npy", npy("|u1", (2, 32, 32), [1] * 1024 + [0] * 1024))
        self.refused("mask 1 covers nothing", "explain", CHEAT, "--input", IMAGE, "--eps", "1/255", "--segments", empty)
        hole = self.file("hole.npy", npy("|u1", (1, 32, 32), left))
        self.refused("row 0, column 16 lies in no mask", "explain", CHEAT, "--input", IMAGE, "--eps", "1/255", "--segments", hole)
        wrong = self.file("wrong.npy", npy("<i4", (3, 3), [0] * 9))
        self.refused("label image has 9 pixels", "explain", CHEAT, "--input", IMAGE, "--eps", "1/255", "--segments", wrong)
        for cells, sentence in (("33x33", "cover no pixel"), ("0x4", "at least one row"), ("many", "is not pixels, ROWSxCOLS or slic:COUNT"), ("slic:0", "between 1 and")):
            self.refused(sentence, "explain", CHEAT, "--input", IMAGE, "--eps", "1/255", "--cells", cells)

    def test_bad_radius_and_range(self):
        for eps, sentence in (("0", "radius of 0"), ("-0.1", "not negative"), ("inf", "not negative"), ("nan", "not negative"), ("1/0", "not a number"), ("wide", "not a number")):
            self.refused(sentence, "explain", CHEAT, "--input", IMAGE, "--cells", "8x8", "--eps=" + eps)
        self.refused("leaves the clipping range", "explain", CHEAT, "--input", IMAGE, *GRID, "--clip", "0,0.998")
        self.refused("farther than eps outside of the clipping range", "explain", CHEAT, "--input", IMAGE, *GRID, "--clip", "0.3,1")
        self.refused("linf balls", "explain", CHEAT, "--input", IMAGE, *GRID, "--norm", "l2")
        for option in ("--timeout=nan", "--tau=nan", "--budget=-1", "--budget=nan", "--timeout=-2", "--timeout=inf", "--tau=-1"):
            self.refused("finite number that is not negative", "explain", CHEAT, "--input", IMAGE, *GRID, option)

    def test_classes(self):
        self.refused("class 4 is out of range", "explain", CHEAT, "--input", IMAGE, *GRID, "--class", "4")
        self.refused("class 9 is out of range", "explain", CHEAT, "--input", IMAGE, *GRID, "--target", "9")
        logits = self.explain(CHEAT, IMAGE, *GRID, "--tier", "shared")["logits"]
        best = logits.index(max(logits))
        self.refused("explained class itself", "explain", CHEAT, "--input", IMAGE, *GRID, "--target", best)
        other = self.explain(CHEAT, IMAGE, *GRID, "--class", (best + 1) % 4)
        self.assertEqual(other["verdict"], "falsified")
        self.assertIn("The image itself is not classified as", other["words"][0])
        one = self.explain(CHEAT, IMAGE, *GRID, "--target", (best + 1) % 4)
        every = self.explain(CHEAT, IMAGE, *GRID)
        self.assertLessEqual(one["overlap"]["attained"], every["overlap"]["verified"])

    def test_halves(self):
        both, plus, minus = (self.explain(HONEST, IMAGE, *GRID, *half) for half in ((), ("--half", "plus"), ("--half", "minus")))
        for half in (plus, minus):
            self.assertLessEqual(half["overlap"]["attained"], both["overlap"]["verified"])

    def test_constant_images_and_one_output(self):
        flat = self.file("flat.npy", npy("<f4", (32, 32), [0.5] * 1024))
        report = self.explain(CHEAT, flat, *GRID)
        self.assertEqual(len(report["cells"]["estimate"]), 64)
        self.explain(CHEAT, flat, "--eps", "1/255", "--cells", "slic:16")
        # A network that ignores its input: every drop is exactly zero, and proven to be.
        still = self.file("still.onnx", onnx_gemm(16, [[0.0] * 16, [0.0] * 16]))
        x = self.file("x.npy", npy("<f4", (1, 16), [0.25] * 16))
        report = self.explain(still, x, "--eps", "0.1", "--cells", "4x4", "--image", "4x4")
        self.assertLess(max(report["cells"]["upper"]), 1e-200)
        single = self.file("single.onnx", onnx_gemm(16, [[1.0] * 16]))
        self.refused("one output", "explain", single, "--input", x, "--eps", "0.1", "--cells", "4x4", "--image", "4x4")

    def test_output_folders(self):
        taken = self.file("taken", "a file")
        self.refused("cannot make the folder", "explain", CHEAT, "--input", IMAGE, *GRID, "--out", taken)
        self.refused("cannot make the folder", "explain", CHEAT, "--input", IMAGE, *GRID, "--out", taken + "/below")
        if os.geteuid() != 0:
            closed = self.folder / "closed"
            closed.mkdir(mode=0o500)
            self.refused("cannot", "explain", CHEAT, "--input", IMAGE, *GRID, "--out", closed)
        (self.folder / "none").mkdir()
        self.refused("holds no PNG", "explain", CHEAT, "--input", self.folder / "none", *GRID)
        self.refused("missing.png", "explain", CHEAT, "--input", self.folder / "missing.png", *GRID)

    def test_interrupt_writes_the_best_so_far(self):
        process = subprocess.Popen([support.BINARY, "explain", HONEST, "--input", IMAGE, "--eps", "4/255", "--cells", "pixels", "--budget", "200", "--tau", "1e-9", "--out", "out"],
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        self.assertIsNone(process.poll(), "ended by itself")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.assertIn("Stopped early", out)
        report = json.loads((self.folder / "out/report.json").read_text())
        self.assertFalse(report["complete"])
        self.assertEqual(len(report["cells"]["estimate"]), 1024)

    def test_timeout(self):
        report = self.explain(HONEST, IMAGE, *GRID, "--timeout", "0.000001", code=TIMEOUT)
        self.assertFalse(report["complete"])
        full = self.explain(HONEST, IMAGE, *GRID)
        for late, early in zip(full["cells"]["upper"], report["cells"]["upper"]):
            self.assertTrue(early == "inf" or late <= early + 1e-9)


if __name__ == "__main__":
    support.main()
