#!/usr/bin/env python3
"""Masks of the corner patches of a decoy data set, for `boundlight compare --planted`.

usage: decoy_masks.py IMAGES.npz ARRAY OUT.npy [COUNT]

The patch is the 4 x 4 corner of one grey level other than black. Standard library only.
"""
import re
import struct
import sys
import zipfile


def main(source, name, target, count="0"):
    with zipfile.ZipFile(source) as archive:
        data = archive.read(name + ".npy")
    start = 10 + struct.unpack("<H", data[8:10])[0]
    shape = [int(n) for n in re.findall(r"\d+", re.search(r"'shape': \(([^)]*)\)", data[:start].decode("latin1")).group(1))]
    images, height, width = shape
    images = min(images, int(count) or images)
    pixels = data[start:]
    masks = bytearray(images * height * width)
    for i in range(images):
        at = i * height * width
        corners = [(r, c) for r in (0, height - 4) for c in (0, width - 4)]
        patches = [k for k in corners if len(levels(pixels, at, width, k)) == 1 and levels(pixels, at, width, k) != {0}]
        if len(patches) != 1:
            sys.exit(f"{source}: image {i} has {len(patches)} corners of one grey level")
        row, column = patches[0]
        for r in range(row, row + 4):
            for c in range(column, column + 4):
                masks[at + r * width + c] = 1
    header = ("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d, %d), }" % (images, height, width)).ljust(117) + "\n"
    with open(target, "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + masks)


def levels(pixels, at, width, corner):
    row, column = corner
    return {pixels[at + r * width + c] for r in range(row, row + 4) for c in range(column, column + 4)}


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
