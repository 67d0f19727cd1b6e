#!/usr/bin/env python3
"""Images with planted evidence: a shape on a texture, and a corner mark that may leak the label.

usage: make_images.py [--out FOLDER] [--count N] [--seed S]

Writes images.npz and a few PNG files. Needs numpy only; the same seed gives the same files.

An image is 32 x 32, grey. Somewhere lies one bright shape; its kind is the label: 0 disc, 1 square, 2 triangle, 3 cross.
Nothing else of the texture depends on the label, so the pixels of the shape (`masks`) are the true evidence. The lower
right 4 x 4 corner carries a mark: of its four 2 x 2 quadrants one is white. In `images` the white quadrant is drawn at
random; in `leaky` (the same images otherwise) it is the one with the label's number: whoever reads it need not look at
the shape.
"""
import argparse
import pathlib
import struct
import zlib

import numpy as np

SIZE = 32
LABELS = ["disc", "square", "triangle", "cross"]
MARK = slice(SIZE - 4, SIZE)  # rows and columns of the mark


def shape_mask(kind, row, column, radius, angle):
    """Pixels of a shape with centre (row, column), turned by `angle`; all kinds have about the same area."""
    r, q = np.mgrid[0:SIZE, 0:SIZE]
    y, x = r - row, q - column
    y, x = np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x
    if kind == 0:
        return x * x + y * y <= radius * radius
    if kind == 1:
        return np.maximum(abs(x), abs(y)) <= 0.886 * radius
    if kind == 2:  # the top is at y = -1.2 radius, the base at y = radius
        return (y <= radius) & (abs(x) <= 0.64 * (y + 1.2 * radius))
    arm = 0.4 * radius
    return (np.maximum(abs(x), abs(y)) <= 1.15 * radius) & (np.minimum(abs(x), abs(y)) <= arm)


def texture(random):
    """A smooth pattern of three waves with a little noise around a random grey."""
    r, q = np.mgrid[0:SIZE, 0:SIZE]
    grey = np.full((SIZE, SIZE), random.uniform(0.15, 0.4))
    for _ in range(3):
        wave, direction, phase = random.uniform(0.2, 1.2), random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
        grey += random.uniform(0.01, 0.05) * np.sin(wave * (np.cos(direction) * r + np.sin(direction) * q) + phase)
    return grey + random.normal(0, 0.02, (SIZE, SIZE))


def with_marks(images, quadrants):
    """Copies with the mark's white quadrant set (0 upper left, 1 upper right, 2 lower left, 3 lower right)."""
    images = images.copy()
    images[:, MARK, MARK] = 0
    for i, quadrant in enumerate(quadrants):
        top, left = SIZE - 4 + 2 * (quadrant // 2), SIZE - 4 + 2 * (quadrant % 2)
        images[i, top:top + 2, left:left + 2] = 255
    return images


def make(random, count):
    """(images without marks [count, 32, 32] uint8, labels [count], masks [count, 32, 32] bool)."""
    images = np.empty((count, SIZE, SIZE), np.uint8)
    masks = np.empty((count, SIZE, SIZE), bool)
    labels = random.permutation(np.arange(count) % len(LABELS))
    for i, label in enumerate(labels):
        radius, angle = random.uniform(5.2, 6.4), random.uniform(-0.2, 0.2)
        while True:  # inside the image and clear of the mark
            row, column = random.uniform(1.5 * radius, SIZE - 1 - 1.5 * radius, 2)
            mask = shape_mask(label, row, column, radius, angle)
            if not mask[MARK, MARK].any():
                break
        grey = texture(random)
        grey[mask] += random.uniform(0.4, 0.55)
        images[i] = np.clip(np.rint(255 * grey), 0, 255)
        masks[i] = mask
    return images, labels, masks


def write_png(path, image):
    """A grey 8-bit PNG [rows, columns]."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    plain, labels, masks = make(random, options.count)
    quadrants = random.integers(0, len(LABELS), options.count)
    images, leaky = with_marks(plain, quadrants), with_marks(plain, labels)
    np.savez_compressed(options.out / "images.npz", images=images, leaky=leaky, labels=labels.astype(np.int64),
                        masks=masks, marks=quadrants.astype(np.int64))
    for label, name in enumerate(LABELS):
        write_png(options.out / f"{name}.png", leaky[np.flatnonzero(labels == label)[0]])


if __name__ == "__main__":
    main()
