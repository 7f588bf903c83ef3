#!/usr/bin/env python3
"""A part of a large set of images, as a folder of links: so many of each class, evenly from the sorted names.

  python3 bench/thin_folder.py photos/flowers5 few --train 100 --val 50 \\
      --lists photos/flowers5_train.txt photos/flowers5_val.txt

SOURCE has train/ and val/, or classes; then --lists say which images, CLASS/NAME a line, are for which.
"""
import argparse
import sys
from collections import defaultdict
from pathlib import Path


def by_class(source, part, lists):
    """Class -> sorted image files."""
    if lists:
        images = [source / line for line in lists[part].read_text().split("\n") if line]
    else:
        images = [path for path in (source / part).glob("*/*") if path.is_file()]
    classes = defaultdict(list)
    for path in images:
        classes[path.parent.name].append(path)
    return {name: sorted(paths) for name, paths in sorted(classes.items())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, required=True)
    parser.add_argument("--val", type=int, required=True)
    parser.add_argument("--lists", type=Path, nargs=2, metavar=("TRAIN", "VAL"))
    args = parser.parse_args()
    lists = dict(zip(("train", "val"), args.lists)) if args.lists else None
    for part, count in (("train", args.train), ("val", args.val)):
        for name, paths in by_class(args.source, part, lists).items():
            if len(paths) < count:
                sys.exit(f"{args.source}: {part}/{name} has {len(paths)} images, fewer than {count}")
            (args.out / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                path = paths[i * len(paths) // count]
                link = args.out / part / name / path.name
                link.unlink(missing_ok=True)
                link.symlink_to(path.resolve())


if __name__ == "__main__":
    main()
