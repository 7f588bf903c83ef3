"""The table of bench/gpu.sh: our own kernels against NVIDIA's libraries and PyTorch, from what was measured.

  gpu_table.py OUT --commit HASH     reads OUT/bench.json, torch.json, tests.xml; writes OUT/gpu.md

Medians over the repetitions, which took turns. A ratio above 1 means that ours is faster."""
import argparse
import json
import math
import os
import statistics
import xml.etree.ElementTree
from collections import defaultdict

# Group -> what it is, and the ratio that is the goal.
GROUPS = {
    "G1": ("matrix products, cubes, bf16", 0.95),
    "G2": ("1x1 convolutions of ResNet-50 as products", 1.00),
    "G3": ("heads, VGG's first matrix", 1.0),
    "G4": ("matrix products in f32 and tf32", 0.90),
    "G5": ("matrix products, cubes, bf16, by Hopper's wgmma", 0.95),
    "C1": ("convolutions of ResNet-50, fprop", 0.90),
    "C2": ("the same, dgrad and wgrad", 0.85),
    "C3": ("convolutions of VGG-16, three passes", 0.92),
    "C4": ("first layer from bytes", 1.3),
    "C5": ("convolution with bias, residual, ReLU", 0.95),
    "B1": ("batch norm with ReLU in training, against PyTorch eager", 2.0),
    "B2": ("convolution with the batch norm before and behind it, against one and passes", 1.0),
    "O1": ("optimiser steps, against PyTorch fused", 1.0),
}


def load(path):
    """-> context, {case: {source: {counter: median}}}"""
    if not os.path.exists(path):
        return {}, {}
    with open(path) as file:
        document = json.load(file)
    runs = defaultdict(list)
    for row in document["benchmarks"]:
        if row.get("run_type") == "iteration" and not row.get("error_occurred"):
            runs[row["name"].split("/manual_time")[0]].append(row)
    cases = defaultdict(dict)
    for name, rows in runs.items():
        case, source = name.rsplit("/", 1)
        cases[case][source] = {
            key: statistics.median(row[key] for row in rows)
            for key in ("us", "TFLOP/s", "GB/s", "limit")
            if key in rows[0]
        }
    return document["context"], cases


def tests_line(path):
    if not os.path.exists(path):
        return "Tests on the GPU: not run."
    root = xml.etree.ElementTree.parse(path).getroot()
    count = {key: int(root.get(key, 0)) for key in ("tests", "failures", "disabled")}
    skipped = sum(case.get("result") == "skipped" for case in root.iter("testcase"))
    return f"Tests on the GPU: {count['tests'] - skipped} run, {count['failures']} failed, {skipped} skipped."


def number(values, key, digits):
    return f"{values[key]:.{digits}f}" if key in values else ""


def row(case, sources):
    own = sources.get("own", {})
    peer = sources.get("vendor") or sources.get("pytorch") or {}
    ratio = peer["us"] / own["us"] if own and peer else None
    cells = [case, number(own, "us", 1), number(own, "TFLOP/s", 0), number(own, "GB/s", 0),
             f"{own['limit']:.0%}" if "limit" in own else "", number(peer, "us", 1),
             f"{ratio:.2f}" if ratio else ""]
    return "| " + " | ".join(cells) + " |", ratio


def table(out, commit):
    context, cases = load(os.path.join(out, "bench.json"))
    torch_context, torch_cases = load(os.path.join(out, "torch.json"))
    for case, sources in torch_cases.items():
        cases.setdefault(case, {}).update(sources)
    device = context.get("device") or torch_context.get("device", "a GPU that was not named")
    lines = [f"Measured on {device} at commit {commit}.", tests_line(os.path.join(out, "tests.xml")), ""]
    groups, details = [], []
    for group, (what, goal) in GROUPS.items():
        ratios = []
        for case in sorted(name for name in cases if name.startswith(group + "/")):
            text, ratio = row(case, cases[case])
            details.append(text)
            ratios += [ratio] if ratio else []
        if ratios:
            mean = math.exp(statistics.mean(map(math.log, ratios)))
            groups.append(f"| {group} | {what} | {len(ratios)} | {mean:.2f} | {goal:.2f} | "
                          f"{'met' if mean >= goal else 'not met'} |")
    lines += ["| group | what | cases | times the peer (geometric mean) | goal | |", "|---|---|---|---|---|---|"]
    lines += groups + ["", "| case | us | TFLOP/s | GB/s | of the limit | peer, us | times the peer |",
                       "|---|---|---|---|---|---|---|"] + details
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--commit", default="unknown")
    args = parser.parse_args()
    with open(os.path.join(args.out, "gpu.md"), "w") as file:
        file.write(table(args.out, args.commit))


if __name__ == "__main__":
    main()
