#!/usr/bin/env python3
"""Draws what is proven about pairs of cells against the seconds spent: rows of `bench_explain budgets` in, SVG out.

usage: bench_explain budgets | plot_budgets.py > docs/budgets.svg      Standard library only.
"""
import csv
import sys

COLOURS = (("ordered", "#2166ac"), ("equal", "#92c5de"), ("undecided", "#dddddd"))


def main():
    rows = list(csv.DictReader(sys.stdin))
    cases = list(dict.fromkeys((r["model"], r["image"], r["cells"]) for r in rows))
    height = 30 + 26 * len(rows) + 34 * len(cases)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="720" height="%d" font-family="sans-serif" font-size="13">' % (height + 30)]
    y = 20
    for model, image, cells in cases:
        out.append('<text x="10" y="%d" font-weight="bold">%s, image %s, %s cells</text>' % (y + 12, model, image, cells))
        y += 22
        for r in rows:
            if (r["model"], r["image"], r["cells"]) != (model, image, cells):
                continue
            total = sum(int(r[name]) for name, _ in COLOURS) or 1
            out.append('<text x="80" y="%d" text-anchor="end">%.1f s</text>' % (y + 14, float(r["seconds"])))
            x = 90.0
            for name, colour in COLOURS:
                width = 500 * int(r[name]) / total
                out.append('<rect x="%.1f" y="%d" width="%.1f" height="20" fill="%s"/>' % (x, y, width, colour))
                x += width
            out.append('<text x="600" y="%d">%.1f %% ordered</text>' % (y + 14, 100 * int(r["ordered"]) / total))
            y += 26
        y += 12
    for k, (name, colour) in enumerate(COLOURS):
        out.append('<rect x="%d" y="%d" width="14" height="14" fill="%s"/><text x="%d" y="%d">%s</text>' % (90 + 120 * k, y, colour, 110 + 120 * k, y + 12, name))
    print("\n".join(out) + "\n</svg>")


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    main()
