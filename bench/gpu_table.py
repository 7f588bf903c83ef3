"""The table of bench/gpu.sh: which families of kernels are proven on this GPU, and our own kernels against
NVIDIA's libraries and PyTorch, from what was measured.

  gpu_table.py OUT                            reads what is in OUT so far; writes OUT/gpu.md
  gpu_table.py OUT --say STEP NAME            the same, and prints how this run of OUT/runs.tsv ended
  gpu_table.py OUT --results RESULTS.md       writes what is proven into its column "last proven on", too

Medians over the repetitions, which took turns. A ratio above 1 means that ours is faster. Whatever is
missing or cut short is named as such: only tests that ended count, and only files that are whole."""
import argparse
import json
import math
import os
import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

TOOLS = ("memcheck", "racecheck", "synccheck")
STOPPED = (124, 137)  # exit codes of timeout


class Goal(NamedTuple):
    name: str  # begins with the group
    what: str
    ratio: float
    cases: str = ""  # a regular expression; else all of the group
    best: bool = False  # of the tiles that were tried for a shape, the best counts
    peer: str = "vendor"  # or "pytorch"

    @property
    def group(self):
        return self.name.split()[0]

    def has(self, case):
        return case.startswith(self.group + "/") and bool(re.search(self.cases, case))


GOALS = [
    Goal("G1", "matrix products, cubes, bf16", 0.95),
    Goal("G1 at 4096", "of them 4096 cubed", 1.03, r"_4096x4096x4096_"),
    Goal("G2", "1x1 convolutions of ResNet-50 as products", 1.00),
    Goal("G3", "VGG's first matrix and heads, products alone", 1.5, r"/gemm_"),
    Goal("G3 loss", "heads with their loss and its gradient, against PyTorch eager", 1.5, r"_loss/", peer="pytorch"),
    Goal("G4 f32", "matrix products in f32", 0.93, r"/f32$"),
    Goal("G4 tf32", "matrix products in tf32", 0.85, r"/tf32$"),
    Goal("G5", "cubes by Hopper's wgmma, bf16, the best tile of each", 0.95, best=True),
    Goal("G5 at 4096", "of them 4096 cubed", 1.03, r"_4096x4096x4096_", best=True),
    Goal("C1", "convolutions of ResNet-50, fprop", 0.90),
    Goal("C2 dgrad", "the same, dgrad", 0.85, r"_dgrad/"),
    Goal("C2 wgrad", "the same, wgrad", 0.85, r"_wgrad/"),
    Goal("C3", "convolutions of VGG-16, three passes", 0.92),
    Goal("C4", "first layer from bytes", 1.3),
    Goal("C5", "convolution with bias, residual, ReLU", 0.95),
    Goal("B1", "batch norm with ReLU in training, against PyTorch eager", 2.0, peer="pytorch"),
    Goal("B1 cuDNN", "the same, against cuDNN's graphs", 1.0),
    Goal("B2", "convolution with the batch norms next to it, against cuDNN's and passes of ours", 0.85),
    Goal("O1", "optimiser steps, against PyTorch fused", 1.0, peer="pytorch"),
]


class Race(NamedTuple):
    """Training steps of ResNet-50 in bf16, on images of 224 x 224, against PyTorch eager."""

    mode: str
    batch: int
    what: str
    ratio: float
    memory: float = 0  # at most this share of the peer's; 0: no goal

    @property
    def name(self):
        return f"{self.mode}_{self.batch}"


RACES = [
    Race("train", 256, "everything learns", 1.4),
    Race("train", 64, "everything learns", 3),
    Race("train", 8, "everything learns", 3),
    Race("head", 64, "the head alone, its trunk not cached", 2.5),
    Race("layer4", 64, "the last stage and the head", 2, 0.6),
]
WARMUP = 5  # steps that do not count, as in gpu.sh


class Family(NamedTuple):
    name: str
    what: str
    tests: str  # filters of GoogleTest
    small: str  # under compute-sanitizer; "-": none


def families(path=Path(__file__).with_name("gpu_families.txt")):
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [Family(*(cell.strip() for cell in line.split("|"))) for line in lines]


# ---- what gpu.sh has left


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


def pairs(path):
    return dict(line.split("\t", 1) for line in read(path).splitlines() if "\t" in line)


class Out:
    """The folder of one run of gpu.sh."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.machine = pairs(self.folder / "machine.tsv")
        self.runs = {}  # (step, name) -> exit code or "skipped", seconds or reason
        for line in read(self.folder / "runs.tsv").splitlines():
            step, name, code, rest = line.split("\t", 3)
            self.runs[step, name] = (code if code == "skipped" else int(code), rest)

    def log(self, name):
        return read(self.folder / f"{name}.log")

    def ended(self, step, name):
        """How a run ended, unless it ended well."""
        code, rest = self.runs.get((step, name)) or self.runs.get((step, "all")) or ("skipped", "")
        if code == "skipped":
            return f"skipped: {rest}" if rest else "not run"
        if code in STOPPED:
            return f"stopped after {rest} s"
        return f"exit code {code}" if code else ""


# ---- tests


class Tests:
    """What GoogleTest has said so far, line by line, for its own report comes only at the end."""

    def __init__(self, log):
        ends = re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] .*\(\d+ ms\)$", log, re.M)
        self.passed, self.failed, self.skipped = (ends.count(key) for key in ("OK", "FAILED", "SKIPPED"))
        self.count = len(ends)
        begun = re.findall(r"^\[ RUN +\] (\S+)", log, re.M)
        self.within = begun[-1] if len(begun) > len(ends) else ""
        self.whole = bool(re.search(r"^\[=+\] \d+ tests? from .* ran\.", log, re.M))

    def text(self):
        counts = [(self.failed, "failed"), (self.passed, "passed"), (self.skipped, "skipped")]
        return ", ".join(f"{count} {what}" for count, what in counts if count) or "no test"


def tests_text(log, ended):
    tests = Tests(log)
    if tests.whole and not tests.failed and not ended:
        return tests.text()
    if tests.whole:
        return f"**{tests.text()}**" + ("" if tests.failed else f" ({ended})")
    if not log:
        return ended or "not run"
    within = f" in {tests.within}" if tests.within else ""
    return f"**not finished**, {ended or 'cut short'}{within}; until then {tests.text()}"


def proven(log, ended):
    tests = Tests(log)
    return tests.whole and not ended and not tests.failed and tests.passed > 0


def sanitizer_text(log, ended):
    tests = Tests(log)
    summary = re.search(r"^=+ (?:ERROR|RACECHECK) SUMMARY: (\d+) (error|hazard)", log, re.M)
    reports = re.findall(r"^=+ (?!COMPUTE-SANITIZER|Target application|This tool|\w+ SUMMARY)(\S.*)$", log, re.M)
    first = f": {reports[0]}" if reports else ""
    if not log:
        return ended or "not run"
    if not summary and not reports:
        known = "nothing reported so far" if tests.count else "nothing known"
        return f"**not finished**, {ended or 'cut short'}; {tests.text()}, {known}"
    if not summary:
        return f"**{len(reports)} reports so far**{first}; {ended or 'cut short'}"
    if int(summary[1]):
        return f"**{summary[1]} {summary[2]}s**{first}"
    if tests.failed or not tests.whole or not tests.passed:
        return f"nothing found, but {tests.text()}" + (f" ({ended})" if ended else "")
    return f"nothing found, {tests.text()}" + (f" ({ended})" if ended else "")


def families_table(out):
    lines = ["| family | tests on the GPU | " + " | ".join(TOOLS) + " |", "|---|---|" + "---|" * len(TOOLS)]
    for family in families():
        cells = [tests_text(out.log(f"tests_{family.name}"), out.ended("tests", family.name))]
        for tool in TOOLS:
            log, ended = out.log(f"sanitizer_{tool}_{family.name}"), out.ended("sanitizer", f"{tool}/{family.name}")
            cells.append("-" if family.small == "-" else sanitizer_text(log, ended))
        lines.append(f"| `{family.name}`: {family.what} | " + " | ".join(cells) + " |")
    cells = [tests_text(out.log("engine_tests"), out.ended("engine", "tests"))] + ["-"] * len(TOOLS)
    return lines + ["| `engine`: graft on the GPU | " + " | ".join(cells) + " |"]


def proven_on(out):
    """-> {family: where and by what}, of those whose tests ended and passed."""
    logs = {family.name: ("tests", family.name, f"tests_{family.name}") for family in families()}
    logs["engine"] = ("engine", "tests", "engine_tests")
    where = f"{gpu_name(out)}, commit {out.machine.get('commit', 'unknown')}"
    return {
        name: f"{where}: {Tests(out.log(log)).text()}"
        for name, (step, run, log) in logs.items()
        if proven(out.log(log), out.ended(step, run))
    }


def with_proofs(text, proofs):
    """RESULTS.md with the last cell of each proven family's row, "| `name`: ... |", changed."""
    for name, proof in proofs.items():
        text = re.sub(rf"^(\| `{name}`: .*\| )[^|]*( \|)$", lambda m: m[1] + proof + m[2], text, flags=re.M)
    return text


# ---- benchmarks


class Bench:
    """Cases that were measured: {case: {"own" | "vendor" | "pytorch": {counter: median}}}."""

    def __init__(self, out):
        self.context, self.cases, self.errors, self.missing = {}, defaultdict(dict), {}, {}
        for group in dict.fromkeys(goal.group for goal in GOALS):
            ended = out.ended("bench", group)
            try:
                self.add(json.loads(read(out.folder / f"bench_{group}.json")))
                if ended and ("bench", group) in out.runs:
                    self.missing[group] = ended
            except (ValueError, KeyError, TypeError, AttributeError):  # none, or cut short
                none = "Failed to match any benchmarks" in out.log(f"bench_{group}")
                self.missing[group] = "no such case on this GPU" if none else ended or "its file is damaged"
        try:
            lines = [line for line in out.log("torch").splitlines() if line.startswith("{")]
            self.add(json.loads(lines[-1]))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            pass

    def add(self, document):
        runs = defaultdict(list)
        for row in document["benchmarks"]:
            case, source = re.split(r"/(?:iterations:|repeats:|manual_time)", row["name"])[0].rsplit("/", 1)
            if row.get("error_occurred"):
                self.errors[case, source] = row.get("error_message", "")
            elif row.get("run_type") == "iteration":
                runs[case, source].append(row)
        for (case, source), rows in runs.items():
            self.cases[case][source] = {
                key: statistics.median(row[key] for row in rows)
                for key in ("us", "TFLOP/s", "GB/s", "limit")
                if key in rows[0]
            }
        self.context.update(document["context"])

    def ratio(self, case, peer):
        ours, theirs = self.cases[case].get("own"), self.cases[case].get(peer)
        return theirs["us"] / ours["us"] if ours and theirs else None


def has_vendor(case):
    return any(goal.peer == "vendor" and goal.has(case) for goal in GOALS)


def goal_row(bench, goal):
    shapes = defaultdict(list)
    for case in filter(goal.has, sorted(bench.cases)):
        shape = re.sub(r"_wgmma[^/]*", "", case) if goal.best else case
        shapes[shape] += [ratio for ratio in [bench.ratio(case, goal.peer)] if ratio]
    ratios = [max(all_of_shape) for all_of_shape in shapes.values() if all_of_shape]
    failed = sum(goal.has(case) and source in ("own", goal.peer) for case, source in bench.errors)
    why = bench.missing.get(goal.group, "every case failed" if failed else "no such case")
    mean, verdict = "", f"**not measured**: {why}"
    if ratios:
        value = math.exp(statistics.mean(map(math.log, ratios)))
        mean, verdict = f"{value:.2f}", "met" if value >= goal.ratio else "not met"
        if goal.group in bench.missing:
            verdict += f" ({bench.missing[goal.group]})"
    elif shapes and goal.group not in bench.missing:
        verdict = "nothing to compare with"
    counts = f"{len(ratios)}" + (f", {failed} failed" if failed else "")
    return f"| {goal.name} | {goal.what} | {counts} | {mean} | {goal.ratio:.2f} | {verdict} |"


def case_row(bench, case):
    own = bench.cases[case].get("own", {})

    def number(values, key, form):
        return format(values[key], form) if key in values else ""

    cells = [case, number(own, "us", ".1f"), number(own, "TFLOP/s", ".0f"), number(own, "GB/s", ".0f"),
             number(own, "limit", ".0%")]
    for peer in ("vendor", "pytorch"):
        ratio = bench.ratio(case, peer)
        cells += [number(bench.cases[case].get(peer, {}), "us", ".1f"), f"{ratio:.2f}" if ratio else ""]
    if not has_vendor(case):
        cells[5] = "no vendor kernel"
    return "| " + " | ".join(cells) + " |"


def benchmark_tables(bench):
    lines = ["| group | what | cases | times the peer (geometric mean) | goal | |", "|---|---|---|---|---|---|"]
    lines += [goal_row(bench, goal) for goal in GOALS]
    if bench.cases:
        lines += ["", "| case | us | TFLOP/s | GB/s | of the limit | vendor, us | times as fast | PyTorch, us | "
                  "times as fast |", "|---" * 9 + "|"] + [case_row(bench, case) for case in sorted(bench.cases)]
    if bench.errors:
        lines += [""] + [f"Failed: {case}/{source}: {why}" for (case, source), why in sorted(bench.errors.items())]
    return lines


# ---- the whole


def gpu_name(out):
    return out.machine.get("gpu", "").split(", ")[0] or "a GPU that was not named"


def machine_lines(out, bench):
    gpu = out.machine.get("gpu", "").split(", ")
    facts = [gpu_name(out)]
    if len(gpu) == 4:
        facts += [f"driver {gpu[1]}", f"at most {gpu[2]} and {gpu[3]}"]
    facts += [f"CUDA {out.machine['cuda']}"] if "cuda" in out.machine else []
    facts += [bench.context["libraries"]] if "libraries" in bench.context else []
    facts += [f"PyTorch {bench.context['torch']}"] if "torch" in bench.context else []
    facts += [f"commit {out.machine.get('commit', 'unknown')}"]
    facts += [out.machine["date"]] if "date" in out.machine else []
    lines = ["; ".join(facts) + "."]
    if "wgmma" in out.machine:
        lines.append(f"**Hopper's kernels (GRAFT_WGMMA): {out.machine['wgmma']}; all else ran without them.**")
    samples = re.findall(r"^([\d.]+), ([\d.]+)$", read(out.folder / "clocks.csv"), re.M)
    if samples:
        clocks, watts = (sorted(float(sample[i]) for sample in samples) for i in (0, 1))
        lines.append(f"While the benchmarks ran: SM clock {spread(clocks)} MHz, power {spread(watts)} W.")
    return lines


def spread(values):
    return f"{statistics.median(values):.0f} ({values[0]:.0f} to {values[-1]:.0f})"


class Raced(NamedTuple):
    """Of ours and, where it ran, of the peer."""

    rates: list  # images/s
    memory: list  # most that tensors held on the device, MB


def raced(out, race):
    """-> what bench/model_race.py has found, or model_bench alone; or why there is nothing"""
    log = out.log(f"engine_{race.name}")
    try:
        if found := [json.loads(line) for line in log.splitlines() if line.startswith("{")]:
            sides = [found[-1][side] for side in ("graft", "torch")]
            return Raced(*([float(side[key]) for side in sides] for key in ("images_per_second", "peak_device_mb")))
        steps = [line.split() for line in log.splitlines() if re.fullmatch(r"[\d.]+ \d+", line)][WARMUP:]
        if steps:
            return Raced([race.batch / statistics.median(float(step[0]) for step in steps)], [float(steps[-1][1])])
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        pass
    return f"**not measured**: {out.ended('engine', race.name) or 'its output is damaged'}"


def against(values, goal, reached):
    """-> cells: ours, the peer's, how many times the peer's, goal, verdict"""
    times = values[0] / values[1] if len(values) == 2 else None
    verdict = "" if not goal else "no peer" if times is None else "met" if reached(times) else "not met"
    return [*(f"{value:.0f}" for value in values), *[""] * (2 - len(values)), f"{times:.2f}" if times else "",
            f"{goal:.1f}" if goal else "", verdict]


def race_row(out, race):
    result = raced(out, race)
    if isinstance(result, str):
        cells = ["", "", "", f"{race.ratio:.1f}", result] + [""] * 5
    else:
        cells = against(result.rates, race.ratio, lambda times: times >= race.ratio)
        cells += against(result.memory, race.memory, lambda times: times <= race.memory)
    return f"| {race.mode}, batch {race.batch} | {race.what} | " + " | ".join(cells) + " |"


def races_table(out):
    return ["Training steps of ResNet-50 in bf16, images of 224 x 224, against PyTorch eager; of memory less is better:",
            "", "| step | what learns | images/s | peer | times the peer | goal | | device memory, MB | peer | "
            "times the peer | goal | |", "|---" * 12 + "|"] + [race_row(out, race) for race in RACES]


def table(out):
    bench = Bench(out)
    lines = machine_lines(out, bench) + [""]
    ended = out.ended("build", "kernels")
    if out.runs and ended:
        lines += [f"**Build: {ended}.**", ""]
    lines += families_table(out) + [""] + races_table(out) + [""] + benchmark_tables(bench)
    return "\n".join(lines) + "\n"


def said(out, step, name):
    ended = out.ended(step, name)
    if step == "tests" or (step, name) == ("engine", "tests"):
        text = tests_text(out.log(f"{step}_{name}"), ended)
    elif step == "sanitizer":
        text = sanitizer_text(out.log("sanitizer_" + name.replace("/", "_")), ended)
    elif step == "bench":
        bench = Bench(out)
        count = sum(case.startswith(name + "/") for case in bench.cases)
        text = f"{count} cases" if count else "not measured: " + bench.missing.get(name, ended)
    elif step == "engine" and name in (race.name for race in RACES):
        result = raced(out, next(race for race in RACES if race.name == name))
        text = result if isinstance(result, str) else " against ".join(f"{rate:.0f} images/s" for rate in result.rates)
    else:
        text = ended or "done"
    return text if name == "all" else f"{name}: {text}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--say", nargs=2, metavar=("STEP", "NAME"))
    parser.add_argument("--results", type=Path)
    args = parser.parse_args()
    out = Out(args.out)
    unfinished = out.folder / f"gpu.md.{os.getpid()}"
    unfinished.write_text(table(out))
    unfinished.replace(out.folder / "gpu.md")
    if args.say:
        print(said(out, *args.say))
    if args.results:
        args.results.write_text(with_proofs(args.results.read_text(), proven_on(out)))


if __name__ == "__main__":
    main()
