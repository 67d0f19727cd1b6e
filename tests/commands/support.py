"""What the tests of the command share: running it, small properties, arrays and certificates written by hand."""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

BINARY, SOURCE = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
EXAMPLES = SOURCE / "examples"
HONEST = str(EXAMPLES / "honest.onnx")
CHEAT = str(EXAMPLES / "cheat.onnx")
IMAGES = str(EXAMPLES / "images.npz") + ":images"
DONE, BAD_INPUT, VIOLATED, UNKNOWN, TIMEOUT, INTERRUPTED = 0, 2, 10, 11, 12, 130


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run_command(self, *words, code=None, cwd=None, timeout=300):
        """Runs boundlight; `code`: the exit code it must have."""
        done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, cwd=cwd or self.folder, timeout=timeout)
        if code is not None:
            self.assertEqual(done.returncode, code, f"boundlight {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done

    def run_json(self, *words, code=None):
        """The JSON of `--json -`, which must be all that standard output holds."""
        done = self.run_command(*words, "--json", "-", code=code)
        return json.loads(done.stdout)

    def refused(self, sentence, *words):
        """Bad input: exit code 2, one line on standard error that matches, nothing on standard output."""
        done = self.run_command(*words, code=BAD_INPUT)
        self.assertEqual(done.stdout, "", words)
        lines = [line for line in done.stderr.splitlines() if not line.startswith(("note:", "input:"))]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertRegex(lines[0], "^boundlight: ")
        self.assertRegex(lines[0], sentence)


def images():
    """examples/images.npz without NumPy: the images as lists of bytes, and the labels."""
    with zipfile.ZipFile(EXAMPLES / "images.npz") as archive:
        pixels, labels = (_npy(archive.read(name + ".npy")) for name in ("images", "labels"))
    size = len(pixels) // len(labels)
    return [pixels[i * size:(i + 1) * size] for i in range(len(labels))], labels


def _npy(data):
    length = struct.unpack("<H", data[8:10])[0]
    header = data[10:10 + length].decode()
    kind = re.search(r"'descr': '([^']*)'", header).group(1)
    width = int(kind[2:])
    body = data[10 + length:]
    if kind[1] == "f":
        return list(struct.unpack("<%d%s" % (len(body) // width, {4: "f", 8: "d"}[width]), body))
    return [int.from_bytes(body[i:i + width], "little", signed=kind[1] == "i") for i in range(0, len(body), width)]


def npy_values(path):
    return _npy(pathlib.Path(path).read_bytes())


def box_spec(lower, upper, outputs, claims):
    """VNN-LIB text: a box, and one assertion per claim."""
    lines = [f"(declare-const X_{i} Real)" for i in range(len(lower))] + [f"(declare-const Y_{j} Real)" for j in range(outputs)]
    for i, (low, high) in enumerate(zip(lower, upper)):
        lines += [f"(assert (>= X_{i} {low!r}))", f"(assert (<= X_{i} {high!r}))"]
    return "\n".join(lines + [f"(assert {claim})" for claim in claims]) + "\n"


def image_spec(index, eps, claims):
    """The box of `eps` around an example image, pixels in [0, 1]."""
    pixels = [byte / 255 for byte in images()[0][index]]
    return box_spec([max(0.0, p - eps) for p in pixels], [min(1.0, p + eps) for p in pixels], 4, claims)


def rivals(label, classes=4):
    """Violated when another class reaches the label."""
    return ["(or " + " ".join(f"(>= Y_{k} Y_{label})" for k in range(classes) if k != label) + ")"]


# Certificates as docs/certificates.md describes the bytes: written here from that page, not from the sources.
def uint(n):
    out = bytearray()
    while True:
        out.append((n & 127) | (128 if n > 127 else 0))
        n >>= 7
        if n == 0:
            return bytes(out)


def text(t):
    return uint(len(t.encode())) + t.encode()


def numbers(format, values):
    return uint(len(values)) + b"".join(struct.pack(format, v) for v in values)


def leaf_certificate(model_sha256, spec_sha256, lambdas, semantics=0, engine="by hand"):
    """One file statement whose disjunct d is closed by a single leaf with the multipliers lambdas[d], on interval boxes."""
    proofs = b"".join(uint(0) + uint(d) + uint(0) + uint(0) + uint(0) + uint(0) + numbers("<d", l) + numbers("<f", []) for d, l in enumerate(lambdas))
    return (b"BLCERT\x02\x0a" + text(engine) + text(model_sha256) + text(spec_sha256) + uint(semantics) + uint(0) + uint(0) +
            uint(1) + uint(0) + text("") + uint(len(lambdas)) + proofs + uint(0))


def main():
    unittest.main(argv=sys.argv[:1])
