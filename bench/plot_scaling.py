#!/usr/bin/env python3
"""Draws the CSV of bench_scaling as an SVG: milliseconds against width, depth and batch, both axes logarithmic.

usage: bench_scaling | plot_scaling.py > scaling.svg
"""
import csv
import math
import sys

WIDTH, HEIGHT, MARGIN, GAP = 260, 220, 46, 20


def ticks(low, high):
    return [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) if low <= 10.0**e <= high] or [low, high]


def panel(rows, name, left, y_range):
    xs = [float(r["value"]) for r in rows]
    ys = [float(r["cpu_ms"]) for r in rows]
    span = math.log(xs[-1] / xs[0])
    x_at = lambda x: left + WIDTH * math.log(x / xs[0]) / span
    y_at = lambda y: MARGIN + HEIGHT * (1 - math.log(y / y_range[0]) / math.log(y_range[1] / y_range[0]))
    out = [f'<rect x="{left}" y="{MARGIN}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>']
    for t in ticks(*y_range):
        out.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y_at(t):.1f}" y2="{y_at(t):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 4}" y="{y_at(t) + 4:.1f}" text-anchor="end">{t:g}</text>')
    for x in xs:
        out.append(f'<text x="{x_at(x):.1f}" y="{MARGIN + HEIGHT + 14}" text-anchor="middle">{x:g}</text>')
    points = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in zip(xs, ys))
    out.append(f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/>')
    out += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="#06c"/>' for x, y in zip(xs, ys)]
    out.append(f'<text x="{left + WIDTH / 2}" y="{MARGIN + HEIGHT + 32}" text-anchor="middle">{name}</text>')
    return out


def main():
    rows = list(csv.DictReader(sys.stdin))
    names = list(dict.fromkeys(r["varies"] for r in rows))
    ms = [float(r["cpu_ms"]) for r in rows]
    y_range = (10.0 ** math.floor(math.log10(min(ms))), 10.0 ** math.ceil(math.log10(max(ms))))
    total = MARGIN + len(names) * (WIDTH + GAP + MARGIN)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT + 2 * MARGIN + 10}" font-family="sans-serif" font-size="11">')
    print('<rect width="100%" height="100%" fill="white"/>')
    print(f'<text x="{MARGIN}" y="24" font-size="13">crown, one call with all intermediate bounds: milliseconds of processor time</text>')
    for k, name in enumerate(names):
        print("\n".join(panel([r for r in rows if r["varies"] == name], name, MARGIN + k * (WIDTH + GAP + MARGIN), y_range)))
    print("</svg>")


main()
