"""--device: a device that is not there is refused in one sentence by every command, one that fails in the middle is told of, and
the emulated back end answers as the cpu does."""
import os
import subprocess

import support
from support import BAD_INPUT, BINARY, DONE, HONEST, IMAGES

IMAGE = ["--input", IMAGES + "[0]", "--eps", "1/255"]
# Enough of every command to reach its device.
COMMANDS = {
    "bounds": ["bounds", HONEST, *IMAGE],
    "run": ["run", HONEST, "--input", IMAGES + "[0]"],
    "verify": ["verify", HONEST, *IMAGE],
    "explain": ["explain", HONEST, *IMAGE, "--cells", "8x8"],
    "compare": ["compare", HONEST, IMAGES + "[0]", "--eps", "1/255", "--cells", "8x8", "--methods", "saliency", "--metrics", "none"],
    "audit": ["audit", HONEST, IMAGES, "--eps", "1/255"],
}
ABSENT = "^boundlight: device cuda: (there is no CUDA device here|this installation has no libboundlight_cuda.so|its module cannot be loaded here)" \
         ".*use --device cpu$"


class Device(support.Case):
    def on(self, words, device, **environment):
        return subprocess.run([BINARY, *words, "--device", device], capture_output=True, text=True, cwd=self.folder, timeout=300,
                              env={**os.environ, **environment})

    def test_cuda_answers_or_says_in_a_sentence_why_it_cannot(self):
        for name, words in COMMANDS.items():
            # CUDA_VISIBLE_DEVICES hides GPUs that are there: both ways are tried on a machine with one.
            for environment in ({"CUDA_VISIBLE_DEVICES": ""}, {}):
                with self.subTest(command=name, **environment):
                    done = self.on(words, "cuda", **environment)
                    if not environment and done.returncode == DONE:
                        continue  # a GPU
                    self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
                    last = done.stderr.splitlines()[-1]
                    self.assertRegex(last, ABSENT)
                    self.assertNotIn("Traceback", done.stderr)

    def test_an_unknown_device_is_refused(self):
        for words in COMMANDS.values():
            done = self.on(words, "tpu")
            self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
            self.assertRegex(done.stderr.splitlines()[-1], "device tpu: .*use cpu, cuda or emulated")

    def test_a_device_that_fails_in_the_middle_is_told_of(self):
        failed = 0
        for launch in (1, 2, 5, 20, 60):
            for name in ("bounds", "run"):
                done = self.on(COMMANDS[name], "emulated", BOUNDLIGHT_EMULATED_FAIL=str(launch))
                if done.returncode == DONE:
                    continue  # the command was done with fewer launches
                failed += 1
                self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertRegex(done.stderr.splitlines()[-1], "^boundlight: device emulated: .*a launch failed")
        self.assertGreaterEqual(failed, 5)

    def test_emulated_bounds_are_those_of_the_cpu_up_to_rounding(self):
        for method in ("interval", "forward", "crown", "combined", "alpha"):
            sides = [self.run_json("bounds", HONEST, *IMAGE, "--method", method, "--precision", "double", "--device", device)["outputs"][0]
                     for device in ("cpu", "emulated")]
            for end in ("lower", "upper"):
                for a, b in zip(sides[0][end], sides[1][end]):
                    self.assertAlmostEqual(a, b, delta=(1e-9 if method != "alpha" else 1e-4) * (1 + abs(a)), msg=method)


if __name__ == "__main__":
    support.main()
