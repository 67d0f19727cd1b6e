"""The competition's scripts on instances of the project's own network."""
import gzip
import os
import pathlib
import re
import subprocess

import support
from support import BINARY, HONEST, SOURCE

LABEL = support.images()[1][0]


class Vnncomp(support.Case):
    def script(self, name, *words, code=0, **environment):
        done = subprocess.run(["bash", str(SOURCE / "vnncomp" / name), *map(str, words)], capture_output=True, text=True, cwd=self.folder, timeout=300,
                              env={**os.environ, "BOUNDLIGHT": str(BINARY), **environment})
        self.assertEqual(done.returncode, code, f"{name} {words}\n{done.stdout}\n{done.stderr}")
        return done

    def result(self, model, spec, timeout="60", **environment):
        self.script("prepare_instance.sh", "v1", "own", model, spec)
        self.script("run_instance.sh", "v1", "own", model, spec, "result.txt", timeout, **environment)
        return (self.folder / "result.txt").read_text()

    def spec(self, eps, name="p.vnnlib"):
        return self.file(name, support.image_spec(0, eps, support.rivals(LABEL)))

    def test_unsat_with_a_certificate(self):
        spec = self.spec(0.001)
        self.assertEqual(self.result(HONEST, spec, BOUNDLIGHT_OPTIONS="--certificate proof.blcert --threads 2"), "unsat\n")
        self.run_command("check", "proof.blcert", HONEST, spec, code=0)

    def test_sat_from_packed_files(self):
        model = self.file("m.onnx.gz", gzip.compress(pathlib.Path(HONEST).read_bytes()))
        spec = self.file("p.vnnlib.gz", gzip.compress(support.image_spec(0, 0.1, support.rivals(LABEL)).encode()))
        text = self.result(model, spec)
        lines = text.splitlines()
        self.assertEqual(lines[0], "sat")
        self.assertRegex(lines[1], r"^\(\(X_0 \S+\)$")
        self.assertRegex(lines[-1], r"^ \(Y_3 \S+\)\)$")
        self.assertEqual(len(re.findall(r"\(X_\d+ ", text)), 1024)
        self.assertEqual(len(re.findall(r"\(Y_\d+ ", text)), 4)

    def test_timeout(self):
        text = self.result(HONEST, self.spec(0.03), "1", BOUNDLIGHT_OPTIONS="--no-attack --splits inputs")
        self.assertEqual(text, "timeout\n")

    def test_what_cannot_be_read(self):
        broken = self.file("broken.vnnlib", "(assert (<= X_0")
        self.script("run_instance.sh", "v1", "own", HONEST, broken, "result.txt", "60")
        self.assertEqual((self.folder / "result.txt").read_text(), "error\n")
        self.script("run_instance.sh", "v1", "own", HONEST, "missing.vnnlib", "result.txt", "60")
        self.assertEqual((self.folder / "result.txt").read_text(), "error\n")
        self.assertIn("missing.vnnlib", self.script("prepare_instance.sh", "v1", "own", HONEST, "missing.vnnlib", code=2).stderr)
        self.assertIn("model", self.script("prepare_instance.sh", "v1", "own", self.file("model.onnx", "no"), broken, code=2).stderr)

    def test_words(self):
        for name in ("install_tool.sh", "prepare_instance.sh", "run_instance.sh"):
            self.assertIn("v1", self.script(name, "v2", code=2).stderr)
        self.assertIn("usage", self.script("run_instance.sh", "v1", "own", HONEST, code=2).stderr)
        self.assertIn("usage", self.script("prepare_instance.sh", "v1", "own", code=2).stderr)
        self.assertIn("run install_tool.sh", self.script("prepare_instance.sh", "v1", "own", HONEST, self.spec(0.1), code=1, BOUNDLIGHT="nowhere/boundlight").stderr)


if __name__ == "__main__":
    support.main()
