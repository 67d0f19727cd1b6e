#!/usr/bin/env python3
"""Nothing that the cuda back end asks of the runtime or of cuBLAS goes unlooked at: kernels are launched in one place, and the status of
every call is handed to must(), compared, or dropped where nobody is left to tell.

usage: cuda_calls_test.py SOURCE
"""
import pathlib
import re
import sys
import unittest

# Calls whose status is dropped: clearing an error that was told otherwise, and what destructors give back.
DROPPED = {"cudaGetLastError", "cudaStreamDestroy", "cublasDestroy", "cudaFree", "cudaStreamSynchronize"}
TEXTS = {"cudaGetErrorString", "cublasGetStatusString"}  # these return a text


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def unchecked(text):
    """Names of calls whose status nobody looks at."""
    text, found = without_comments(text), []
    for call in re.finditer(r"\b(?:cuda|cublas)[A-Z]\w*(?=\()", text):
        before = text[:call.start()]
        statement = re.split(r"[;{}]", before)[-1].strip()
        if call.group() in TEXTS:
            continue
        looked_at = re.search(r"must\($", statement) or re.search(r"const (cudaError_t|cublasStatus_t) code =$", statement) or \
            (re.search(r"\bif \((.*\|\|)?$", statement, re.DOTALL) and re.match(r"\w+\([^;{]*?\)\s*[!=]=", text[call.start():]))
        dropped = call.group() in DROPPED and statement == ""
        if not looked_at and not dropped:
            found.append(call.group())
    return found


class Calls(unittest.TestCase):
    def test_every_status_is_looked_at(self):
        calls = 0
        for path in sorted((SOURCE / "boundlight/device/cuda").glob("*.hpp")):
            text = path.read_text()
            calls += len(re.findall(r"must\((?:cuda|cublas)", text))
            self.assertEqual(unchecked(text), [], path)
        self.assertGreater(calls, 8)

    def test_destructors_alone_drop_a_synchronisation(self):
        text = without_comments("".join(p.read_text() for p in sorted((SOURCE / "boundlight/device/cuda").glob("*.hpp"))))
        for call in re.finditer(r"(?<!must\()\bcudaStreamSynchronize\(", text):
            self.assertRegex(text[:call.start()].splitlines()[-1], r"~\w+\(\) \{ $")

    def test_kernels_are_launched_in_one_place(self):
        launches = []
        for path in sorted((SOURCE / "boundlight").rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".cu", ".inl"):
                launches += [path.name] * without_comments(path.read_text()).count("<<<")
        self.assertEqual(launches, ["runtime.hpp"])
        text = (SOURCE / "boundlight/device/cuda/runtime.hpp").read_text()
        self.assertRegex(text, r">>>\(args\.\.\.\);\n  const cudaError_t code = cudaGetLastError\(\);\n  if \(code != cudaSuccess\) throw DeviceError")

    def test_the_runtime_is_called_in_the_back_end_alone(self):
        for path in sorted((SOURCE / "boundlight").rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".inl") and path.parent.name not in ("cuda", "emulated"):
                self.assertNotRegex(without_comments(path.read_text()), r"\b(cuda|cublas)[A-Z]\w*\(", path)

    def test_a_planted_call_is_found(self):
        self.assertEqual(unchecked("{ cudaMemcpyAsync(a, b, n, kind, s); }"), ["cudaMemcpyAsync"])
        self.assertEqual(unchecked("must(cublasCreate(&at), \"x\"); cublasSetStream(at, s);"), ["cublasSetStream"])
        self.assertEqual(unchecked("if (n > 0) cudaSetDevice(1);"), ["cudaSetDevice"])
        self.assertEqual(unchecked("must(cudaSetDevice(1), \"x\"); if (cudaMalloc(&m, n) == cudaSuccess) return m;"), [])


if __name__ == "__main__":
    SOURCE = pathlib.Path(sys.argv[1])
    unittest.main(argv=sys.argv[:1])
