#!/usr/bin/env python3
"""Which regime and recipe for which images: trains each over some seeds and prints a table in Markdown.

  python3 bench/recipe_table.py --graft build/graft --weights squeezenet1_1.safetensors \\
      --last features.11 --data ants=photos/hymenoptera flowers=photos/flowers5 --seeds 0 1 2

Cells: accuracy on the validation images after the last epoch, mean and, in brackets, lowest to highest
over the seeds; then the mean of the wall seconds. A data set that is one folder of classes is split 80 to
20 by file name. --rows picks rows by name, or by how names begin. Every run is one process with a cold start; a run
that fails ends the program with what it said.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Row -> options; LAST is what --last says.
ROWS = {
    "head, 10 epochs of SGD": ["--freeze", "trunk", "--epochs", "10", "--augment", "none"],
    "head, solved (L-BFGS)": ["--freeze", "trunk", "--head-solver", "lbfgs"],
    "last stage and head": ["--freeze", "until:LAST", "--epochs", "5"],
    "everything": ["--freeze", "none", "--epochs", "5"],
    "everything, rates falling by 0.75 per block": ["--freeze", "none", "--epochs", "5", "--lr-decay", "0.75"],
    "everything, L2-SP 0.01": ["--freeze", "none", "--epochs", "5", "--l2-sp", "0.01"],
    "LP-FT, last stage": ["--recipe", "lp-ft", "--freeze", "until:LAST", "--epochs", "5", "--lr", "1e-4"],
    "LP-FT, everything": ["--recipe", "lp-ft", "--freeze", "none", "--epochs", "5", "--lr", "1e-4"],
    "gradual, everything": ["--recipe", "gradual", "--freeze", "none", "--epochs", "6"],
}


def run(args, data, options, seed, folder):
    command = [args.graft, "train", "--weights", args.weights, "--data", data, "--seed", str(seed), "--json",
               "--out", str(folder), *options, *args.also]
    if not (Path(data) / "train").is_dir():
        command += ["--val-split", "0.2"]
    begin = time.time()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-1500:]}")
    return json.loads(done.stdout)["epochs"][-1]["val_accuracy"], time.time() - begin


def cell(args, data, options):
    with tempfile.TemporaryDirectory() as folder:
        runs = [run(args, data, options, seed, Path(folder) / str(seed)) for seed in args.seeds]
    accuracies = [accuracy for accuracy, _ in runs]
    return (f"{statistics.mean(accuracies):.3f} ({min(accuracies):.3f} to {max(accuracies):.3f}), "
            f"{statistics.mean(seconds for _, seconds in runs):.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--last", required=True, help="where the last stage begins: features.11, layer4")
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", help="names of rows, or how they begin")
    parser.add_argument("--also", nargs="+", default=[],
                        help="options of graft train for every row, as one word each: --also=--clip-norm=1")
    args = parser.parse_args()
    sets = dict(entry.split("=", 1) for entry in args.data)
    print("| regime and recipe | " + " | ".join(sets) + " |", flush=True)
    print("|---|" + "---|" * len(sets), flush=True)
    for name, options in ROWS.items():
        if args.rows and not any(name == row or (row not in ROWS and name.startswith(row)) for row in args.rows):
            continue
        options = [option.replace("LAST", args.last) for option in options]
        cells = [cell(args, data, options) for data in sets.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
