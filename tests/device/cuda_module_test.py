#!/usr/bin/env python3
"""What libboundlight_cuda.so holds: machine code for every GPU asked for in every object, PTX of one for later GPUs, and the floating
point that docs/soundness.md counts on.

usage: cuda_module_test.py MODULE CODES PTX ON_DEVICE
CODES as in BOUNDLIGHT_CUDA_CODE: sm_80,sm_90,compute_80; PTX: of arithmetic.cu; ON_DEVICE: the program of tests/tools/on_device.cpp
"""
import ctypes
import os
import pathlib
import re
import struct
import subprocess
import sys
import unittest

FATBIN, PTX, ELF = 0xBA55ED50, 1, 2  # magic number of a fat binary; kinds of its entries


def sections(elf):
    """{name: [contents]} of a 64-bit little-endian ELF file."""
    table, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    found = {}
    for name, _, _, _, at, length in headers:
        start = headers[names][4] + name
        found.setdefault(elf[start:elf.index(b"\0", start)].decode(), []).append(elf[at:at + length])
    return found


def entries(section):
    """[(kind, architecture)] of every fat binary in a section, one list each: header (magic, version, size, length), then entries
    (kind, version, header size, length, compressed length, ..., version of the architecture at byte 28)."""
    at, fatbins = 0, []
    while at + 16 <= len(section):
        if struct.unpack_from("<I", section, at)[0] != FATBIN:
            at += 8
            continue
        header, length = struct.unpack_from("<HQ", section, at + 6)
        entry, end, inside = at + header, at + header + length, []
        while entry < end:
            kind, _, entry_header, entry_length = struct.unpack_from("<HHIQ", section, entry)
            inside.append((kind, struct.unpack_from("<I", section, entry + 28)[0]))
            entry += entry_header + entry_length
        fatbins.append(inside)
        at = end
    return fatbins


class Module(unittest.TestCase):
    def test_every_object_has_code_for_every_gpu(self):
        expected = {({"sm": ELF, "compute": PTX}[kind], int(number)) for kind, number in re.findall(r"(sm|compute)_(\d+)", CODES)}
        self.assertGreaterEqual({n for kind, n in expected if kind == ELF}, {80, 90, 100})
        self.assertTrue(any(kind == PTX for kind, _ in expected), "no PTX for GPUs that come later")
        fatbins = [f for part in sections(MODULE.read_bytes())[".nv_fatbin"] for f in entries(part)]
        self.assertGreater(len(fatbins), 3)
        for fatbin in fatbins:
            self.assertEqual(sorted(fatbin), sorted(expected))

    def test_it_is_linked_with_cublas_and_needs_no_driver_to_load(self):
        names = set(re.findall(rb"[A-Za-z0-9_+.-]+\.so[.0-9]*", b"".join(sections(MODULE.read_bytes())[".dynstr"])))
        self.assertTrue(any(n.startswith(b"libcublas.so") for n in names), names)
        self.assertFalse(any(n.startswith(b"libcuda.so") for n in names), "linked with the driver: it would not load without one")

    def test_it_is_opened_where_no_gpu_is_and_says_so_in_a_sentence(self):
        self.assertTrue(ctypes.CDLL(str(MODULE)).boundlight_backend_cuda)
        done = subprocess.run([ON_DEVICE, "cuda", "true"], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})  # hides GPUs that are there
        self.assertEqual((done.returncode, done.stderr), (77, ""))
        self.assertRegex(done.stdout, r"\Askipped: device cuda: there is no CUDA device here \([^\n]+\); use --device cpu\n\Z")

    # Nothing may be contracted, flushed or approximated, and every rounding is written down: PTX without .rn leaves contraction to
    # the assembler.
    def test_arithmetic_is_rounded_as_written(self):
        text = TEXT.read_text()
        words = set(re.findall(r"^\s*(?:@!?%p\d+ )?((?:add|sub|mul|mad|fma|div|sqrt|rcp|rsqrt|cvt)\.[a-z0-9.]*f(?:32|64))", text, re.MULTILINE))
        for kind in ("f32", "f64"):
            self.assertLessEqual({f"{verb}.rn.{kind}" for verb in ("add", "sub", "mul", "div", "sqrt")}, words)
        for word in words:
            with self.subTest(word):
                self.assertNotRegex(word, r"^(fma|mad|rcp|rsqrt)|approx|full|ftz")
                if word != "cvt.f64.f32":  # exact
                    self.assertRegex(word, r"\.rn\.")


if __name__ == "__main__":
    MODULE, CODES, TEXT, ON_DEVICE = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
    unittest.main(argv=sys.argv[:1])
