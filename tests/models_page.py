#!/usr/bin/python3
"""The page of networks: what can be built and how near to PyTorch it was seen to be.

  tests/models_page.py GRAFT PAGE REPORT... [--slow REPORT...] [--out FILE]

REPORTs are JUnit files: of models_golden_test.cpp and of tests/cli (tests/run.sh leaves them in
build/results, tests/slow.sh in build/slow, whose figures get a mark). A network keeps the figures
that PAGE has for it where no report has newer ones, and its training where a report has it in fewer
regimes. Writes FILE, and fails when PAGE lists other networks, or other counts, than it; without
--out, PAGE is written anew.
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
no scale, shift or statistic is an identity, ten classes, small images. The networks of Keras (`_v1`,
`_keras`) are torchvision's there, with Keras' epsilons, paddings, strides and biases.

- **parameters**: with the published number of classes; equal to what is published.
- **logits**: the largest difference from PyTorch's in float64, as a share of the largest logit. At
  most 1e-4 passes. The weights are read from `.safetensors`, from PyTorch's `.pth` (zip) and from
  its legacy form; all three give the same bits.
- **gradients**: of every parameter that learns, **steps**: loss, logits and running statistics over
  three steps of SGD with momentum, in the regimes that are named (`head` trains the last layer,
  `last` the last stage too, `all` everything). The worst difference, in units of PyTorch's own
  between float32 and float64, or of a small share of the value (2.5e-4 of a gradient, 2.5e-6 of
  others) where that is larger. At most 8 passes.
- **ONNX**: of the logits that onnxruntime computes from what `graft convert` writes; at most 1e-4.
- **Keras**: of those that Keras 3 computes from the file that graft has read; at most 1e-4. Empty where
  keras.applications has no such network.

A dash: not compared. °: by `tests/slow.sh`, which takes hours; `tests/run.sh` compares the others
each time and keeps these. `regnet_y_128gf` is too large for a file of ONNX.
"""
HEADER = """\
| network | parameters | logits | gradients | steps | regimes | ONNX | Keras |
|---|---:|---:|---:|---:|---|---:|---:|
"""
REGIMES = ["head", "last", "all"]
FORMS = {"logits": ".0e", "gradients": ".2g", "steps": ".2g", "onnx": ".0e", "keras": ".0e"}
SLOW = "°"


def measured(reports):
    """{network: {what: largest value, "regimes": names}} of the tests that passed."""
    found = {}
    for path in reports:
        for case in xml.parse(path).getroot().iter("testcase"):
            if any(case.find(bad) is not None for bad in ("failure", "error", "skipped")):
                continue
            said = dict(case.attrib) | {p.get("name"): p.get("value") for p in case.iter("property")}
            trained = re.fullmatch(r"AsPyTorch/(\w+)__(\w+)", said["name"])
            network = trained[1] if trained else said.get("network")
            values = {what: float(said[what]) for what in FORMS if what in said}
            if not network or not values:
                continue
            of_it = found.setdefault(network, {"regimes": []})
            for what, value in values.items():
                of_it[what] = max(value, of_it.get(what, 0))
            if trained and trained[2] in REGIMES:
                of_it["regimes"].append(trained[2])
    return found


def update(cells, figures, mark):
    """Puts newer figures into the {what: text} of one line."""
    new = {what: format(figures[what], form) + mark for what, form in FORMS.items() if what in figures}
    new["regimes"] = ", ".join(r for r in REGIMES if r in figures["regimes"])
    known = set(cells["regimes"].strip("–").split(", ")) - {""}
    if not figures["regimes"] or not known <= set(figures["regimes"]):
        for what in ("gradients", "steps", "regimes"):
            new.pop(what, None)
    cells.update(new)


def read_page(path):
    """{network: {what: text}} of a page that was written before."""
    try:
        text = open(path, encoding="utf-8").read()
    except FileNotFoundError:
        return {}
    columns = ["parameters", "logits", "gradients", "steps", "regimes", "onnx", "keras"]
    lines = re.findall(r"^\| `(\w+)` \|(.+)\|$", text, re.M)
    return {name: dict(zip(columns, map(str.strip, line.split("|")))) for name, line in lines}


def write_page(networks, cells):
    page, family = INTRODUCTION, None
    for network in networks:
        if network["family"] != family:
            family = network["family"]
            page += f"\n## {family}\n\n{HEADER}"
        page += f"| `{network['name']}` | " + " | ".join(cells[network["name"]].values()) + " |\n"
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graft")
    parser.add_argument("page")
    parser.add_argument("report", nargs="*")
    parser.add_argument("--slow", metavar="REPORT", nargs="*", default=[])
    parser.add_argument("--out")
    args = parser.parse_args()
    networks = json.loads(subprocess.run([args.graft, "models", "--json"], check=True,
                                         capture_output=True, text=True).stdout)
    old, slow, usual, cells = read_page(args.page), measured(args.slow), measured(args.report), {}
    nothing = {what: "–" for what in ("logits", "gradients", "steps", "regimes", "onnx")} | {"keras": ""}
    for network in networks:
        name, count = network["name"], f"{network['parameters']:,}"
        line = cells[name] = {"parameters": count} | nothing | old.get(name, {})
        line["parameters"] = count
        for seen, mark in ((slow, SLOW), (usual, "")):
            if name in seen:
                update(line, seen[name], mark)
    with open(args.out or args.page, "w", encoding="utf-8") as file:
        file.write(write_page(networks, cells))
    print(f"{len(slow.keys() | usual.keys())} of {len(networks)} networks measured")
    counts = [{name: line["parameters"] for name, line in page.items()} for page in (old, cells)]
    if args.out and counts[0] != counts[1]:
        sys.exit(f"{args.page} lists other networks or counts: copy {args.out} over it")


if __name__ == "__main__":
    main()
