#!/usr/bin/env python3
"""Verdicts on shared competition instances must not contradict those on which all deciding tools agree.

usage: shared_verdicts_test.py BOUNDLIGHT SOURCE [--budget SECONDS] [--match TEXT] [--certificates] [--table FILE.csv]

The shared folder is $BOUNDLIGHT_SHARED or SOURCE/../shared; without it the test is skipped. In the suite every row has half a
second; the whole table: --budget 60 --certificates. Every unsat's certificate is then replayed; every sat's input is
evaluated again in double. Rows expected sat run a second time without the attack: never unsat.
"""
import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SAT, UNSAT = "sat", "unsat"


def run(binary, *words, timeout):
    done = subprocess.run([str(binary), *map(str, words), "--json", "-"], capture_output=True, text=True, timeout=timeout)
    if done.returncode not in (0, 4, 10, 11, 12):
        raise SystemExit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--match", default="")
    parser.add_argument("--certificates", action="store_true")
    parser.add_argument("--table")
    options = parser.parse_args()
    shared = pathlib.Path(os.environ.get("BOUNDLIGHT_SHARED", options.source / ".." / "shared"))
    listed = shared / "data" / "expected" / "vnncomp2021_verdicts.csv"
    if not listed.exists():
        print(f"skipped: no {listed}; set BOUNDLIGHT_SHARED to the folder of shared models")
        return 77
    rows = [row for row in csv.DictReader(listed.open()) if options.match in row["model"] + " " + row["property"]]
    if not rows:
        raise SystemExit(f"no row matches {options.match}")
    wrong, table, patience = [], [], options.budget * 10 + 120
    for row in rows:
        model, spec, expected = shared / "data" / row["model"], shared / "data" / row["property"], row["verdict"]
        with tempfile.TemporaryDirectory() as folder:
            proof = pathlib.Path(folder) / "proof.blcert"
            more = ["--certificate", proof] if options.certificates else []
            start = time.monotonic()
            found = run(options.binary, "verify", model, spec, "--timeout", options.budget, *more, timeout=patience)
            verdict, seconds, checked, size = found["verdict"], time.monotonic() - start, "", 0
            if {verdict, expected} == {SAT, UNSAT}:
                wrong.append(f"{row['model']} {row['property']}: {verdict}, expected {expected}")
            if verdict == UNSAT and options.certificates:
                size = proof.stat().st_size if proof.exists() else 0
                began = time.monotonic()
                checked = run(options.binary, "check", proof, model, spec, timeout=3600)["verdict"] if size else "none"
                checked += f" {time.monotonic() - began:.2f}"
                if not checked.startswith("accepted"):
                    wrong.append(f"{row['model']} {row['property']}: unsat, and its certificate is {checked}")
            if expected == SAT and run(options.binary, "verify", model, spec, "--timeout", options.budget, "--no-attack", timeout=patience)["verdict"] == UNSAT:
                wrong.append(f"{row['model']} {row['property']}: unsat without the attack, expected sat")
        table.append([row["model"], row["property"], expected, verdict, f"{seconds:.3f}", found["domains"], found["leaves"], size, checked])
        if options.budget > 1:
            print(*table[-1], flush=True)
    if options.table:
        with open(options.table, "w", newline="") as out:
            csv.writer(out).writerows([["model", "property", "expected", "verdict", "seconds", "regions", "leaves", "certificate_bytes", "checked"], *table])
    decided = sum(line[3] in (SAT, UNSAT) for line in table)
    print(f"{decided} of {len(table)} rows decided within {options.budget} s each, {len(wrong)} wrong")
    print(*wrong, sep="\n")
    # Nothing decided would mean that nothing was tested: the smallest networks take milliseconds.
    return 1 if wrong or (not options.match and decided < 5) else 0


if __name__ == "__main__":
    sys.exit(main())
