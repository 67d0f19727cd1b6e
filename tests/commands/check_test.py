"""boundlight check: what is accepted, what is rejected and where, and how it is said."""
import hashlib
import pathlib
import random
import re

import support
from support import BAD_INPUT, CHEAT, DONE, EXAMPLES, HONEST, TIMEOUT, UNKNOWN, VIOLATED


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Check(support.Case):
    def property(self, claims, name="property.vnnlib"):
        return self.file(name, support.image_spec(0, 0.0001, claims))

    def certificate(self, spec, lambdas, model=HONEST, **more):
        return self.file("proof.blcert", support.leaf_certificate(sha256(model), sha256(spec), lambdas, **more))

    def test_accepted_in_words(self):
        spec = self.property(["(or (>= Y_0 1000000) (and (<= Y_1 -1000000) (<= (+ X_0 X_1) 0.5)))"])
        certificate = self.certificate(spec, [[1.0], [1.0, 0.0]], engine="by hand\n\x1b[31mrejected")
        done = self.run_command("check", certificate, HONEST, spec, code=DONE)
        self.assertTrue(done.stdout.startswith("accepted\n"), done.stdout)
        for piece in ("the property file", "2 disjuncts", "2 leaves", "complete", "real", sha256(HONEST), sha256(spec), "made by:   by hand??[31mrejected\n"):
            self.assertIn(piece, done.stdout)
        self.assertEqual(done.stderr, "")

    def test_json(self):
        spec = self.property(["(>= Y_0 1000000)"])
        found = self.run_json("check", self.certificate(spec, [[0.5]]), HONEST, spec, code=DONE)
        self.assertEqual((found["verdict"], found["complete"], found["disjuncts"], found["leaves"], found["nodes"], found["vacuous"]), ("accepted", True, 1, 1, 1, 0))
        self.assertEqual((found["model_sha256"], found["property_sha256"], found["semantics"]), (sha256(HONEST), sha256(spec), "real"))
        self.assertEqual((found["trusted"], len(found["proved"])), ([], 1))
        # 0.5 (1e6 - Y_0) with Y_0 of an image's network far below 1000
        self.assertTrue(499_000 < found["least_margin"] < 501_000, found["least_margin"])
        self.assertNotIn("fails_at", found)

    def rejected(self, because, *words):
        done = self.run_command("check", *words, code=VIOLATED)
        self.assertTrue(done.stdout.startswith("rejected\n"), done.stdout)
        self.assertRegex(done.stdout, r"fails at:  \S")
        self.assertRegex(done.stdout, because)
        self.assertNotIn("proved:", done.stdout)

    def test_rejected_where(self):
        spec = self.property(["(>= Y_0 1000000)"])
        certificate = self.certificate(spec, [[1.0]])
        self.rejected("header\n.*another model", certificate, CHEAT, spec)
        self.rejected("header\n.*another property file", certificate, HONEST, self.property(["(>= Y_0 1000001)"], "other.vnnlib"))
        self.rejected("header\n.*give that file", certificate, HONEST)
        self.rejected("proof 0: node 0\n", self.certificate(spec, [[0.0]]), HONEST, spec)
        self.rejected("proof 0: node 0\n", self.certificate(spec, [[-1.0]]), HONEST, spec)
        self.rejected("proof 0: node 0\n", self.certificate(spec, [[float("nan")]]), HONEST, spec)
        self.rejected("disjunct 0\n.*no proof", self.certificate(spec, []), HONEST, spec)
        self.rejected("disjunct that is not there", self.certificate(spec, [[1.0], [1.0]]), HONEST, spec)
        self.rejected("certificate, byte", self.file("cut.blcert", pathlib.Path(self.certificate(spec, [[1.0]])).read_bytes()[:-3]), HONEST, spec)
        self.rejected("certificate, ", HONEST, HONEST, spec)  # the words in the wrong order
        found = self.run_json("check", certificate, CHEAT, spec, code=VIOLATED)
        self.assertEqual((found["verdict"], found["complete"], found["fails_at"], found["proved"]), ("rejected", False, "header", []))

    def test_false_claims_are_never_accepted(self):
        # The true value at the image itself, and a threshold just below it: a counterexample exists.
        values = self.run_json("run", HONEST, "--input", support.IMAGES + "[0]", code=DONE)["outputs"][0]["values"]
        spec = self.property([f"(>= Y_0 {values[0] - 0.001!r})"])
        honest = support.leaf_certificate(sha256(HONEST), sha256(spec), [[1.0]])
        self.rejected("proof 0: node 0\n", self.file("false.blcert", honest), HONEST, spec)
        chance = random.Random(6)
        for i in range(25):
            changed = bytearray(honest)
            for _ in range(chance.randint(1, 3)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            code = self.run_command("check", self.file("changed.blcert", bytes(changed)), HONEST, spec).returncode
            self.assertEqual(code, VIOLATED, f"change {i}: {bytes(changed).hex()}")

    def test_semantics(self):
        spec = self.property(["(>= Y_0 1000000)"])
        found = self.run_json("check", self.certificate(spec, [[1.0]], semantics=1), HONEST, spec, code=DONE)
        self.assertEqual(found["semantics"], "float32-any-order")

    def test_bad_input(self):
        spec = self.property(["(>= Y_0 1000000)"])
        certificate = self.certificate(spec, [[1.0]])
        self.refused("missing.blcert", "check", "missing.blcert", HONEST, spec)
        self.refused("missing.onnx", "check", certificate, "missing.onnx", spec)
        self.refused("examples", "check", certificate, EXAMPLES, spec)
        self.assertEqual(self.run_command("check", certificate).returncode, BAD_INPUT)
        self.assertEqual(self.run_command("check", certificate, HONEST, spec, "--timeout", "-1").returncode, BAD_INPUT)
        self.assertEqual(self.run_command("check", certificate, HONEST, spec, "--timeout", "1e-9").returncode, TIMEOUT)

    def test_help_names_the_exit_codes(self):
        text = self.run_command("check", "--help", code=DONE).stdout
        for code in (DONE, VIOLATED, UNKNOWN, TIMEOUT):
            self.assertRegex(text, rf"\b{code} ")


if __name__ == "__main__":
    support.main()
