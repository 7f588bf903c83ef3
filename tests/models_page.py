#!/usr/bin/python3
"""The page of networks: what can be built and how near to PyTorch it was seen to be.

  tests/models_page.py GRAFT PAGE REPORT... [--out FILE]

REPORTs are the JUnit files of models_golden_test.cpp (tests/run.sh leaves them in build/results).
A network keeps the figures that PAGE has for it where no report has newer ones. Writes FILE, and
fails when PAGE lists other networks, or other counts, than it; without --out, PAGE is written anew.
"""
import argparse
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

INTRODUCTION = """\
# Networks

What `graft models` lists, family by family, each with torchvision's names for its tensors (or the
names of where it comes from), and how near to PyTorch it was seen to be. This page is written by the
test run, from `tests/golden.py` and `tests/models_golden_test.cpp`: seeded random weights in which
no scale, shift or statistic is an identity, ten classes, small images.

- **parameters**: with the published number of classes; equal to what is published.
- **logits**: the largest difference from PyTorch's in float64, as a share of the largest logit. At
  most 1e-4 passes. The weights are read from `.safetensors`, from PyTorch's `.pth` (zip) and from
  its legacy form; all three give the same bits.
- **gradients**: of every parameter that learns, **steps**: loss, logits and running statistics over
  three steps of SGD with momentum, in the regimes that are named (`head` trains the last layer,
  `last` the last stage too, `all` everything). The worst difference, in units of PyTorch's own
  between float32 and float64, or of a small share of the value (2.5e-4 of a gradient, 2.5e-6 of
  others) where that is larger. At most 8 passes.

A dash: not compared by the runs so far; its layers are those of its family. With these random weights the
largest EfficientNets (B4 and up, V2 M and L) magnify rounding too much to be compared, in PyTorch as well.
"""
HEADER = """\
| network | parameters | logits | gradients | steps | regimes |
|---|---:|---:|---:|---:|---|
"""
REGIMES = ["head", "last", "all"]


def measured(reports):
    """{network: {regime: {what: value}}} of the tests that passed."""
    found = {}
    for path in reports:
        for case in xml.parse(path).getroot().iter("testcase"):
            match = re.fullmatch(r"AsPyTorch/(\w+)__(\w+)", case.get("name"))
            if not match or case.find("failure") is not None or case.find("skipped") is not None:
                continue
            network, regime = match.groups()
            values = {p.get("name"): float(p.get("value")) for p in case.iter("property")}
            values |= {key: float(case.get(key)) for key in ("logits", "gradients", "steps") if case.get(key)}
            if values:
                found.setdefault(network, {})[regime] = values
    return found


def row_of(network, regimes):
    """The figures of one line, as text."""
    def worst(what, form):
        values = [r[what] for r in regimes.values() if what in r]
        return format(max(values), form) if values else "–"

    trained = [name for name in REGIMES if name in regimes]
    return [worst("logits", ".0e"), worst("gradients", ".2g"), worst("steps", ".2g"),
            ", ".join(trained) or "–"]


def read_page(path):
    """{network: cells of its line} of a page that was written before."""
    try:
        text = open(path, encoding="utf-8").read()
    except FileNotFoundError:
        return {}
    lines = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.M)
    return {name: cells.split(" | ") for name, cells in lines}


def write_page(networks, cells):
    page, family = INTRODUCTION, None
    for network in networks:
        if network["family"] != family:
            family = network["family"]
            page += f"\n## {family}\n\n{HEADER}"
        page += f"| `{network['name']}` | " + " | ".join(cells[network["name"]]) + " |\n"
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graft")
    parser.add_argument("page")
    parser.add_argument("report", nargs="*")
    parser.add_argument("--out")
    args = parser.parse_args()
    networks = json.loads(subprocess.run([args.graft, "models", "--json"], check=True,
                                         capture_output=True, text=True).stdout)
    old, seen, cells = read_page(args.page), measured(args.report), {}
    for network in networks:
        name, count = network["name"], f"{network['parameters']:,}"
        known = old.get(name, [count] + ["–"] * 4)[1:]
        new = row_of(name, seen[name]) if name in seen else known
        if new[1] == "–" and known[1] != "–":
            new[1:] = known[1:]  # this run compared its logits only
        cells[name] = [count, *new]
    with open(args.out or args.page, "w", encoding="utf-8") as file:
        file.write(write_page(networks, cells))
    print(f"{len(seen)} of {len(networks)} networks measured")
    if args.out and {n: c[0] for n, c in old.items()} != {n: c[0] for n, c in cells.items()}:
        sys.exit(f"{args.page} lists other networks or counts: copy {args.out} over it")


if __name__ == "__main__":
    main()
