"""bench/gpu_table.py on what a run may have left: whole, cut short, or missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import gpu_table  # noqa: E402

CUBE = "G1/gemm_4096x4096x4096_nt/bf16"


def bench(times, **context):
    """JSON of Google Benchmark, two repetitions a case: {case/source: us}, None for one that failed."""
    rows = []
    for name, us in times.items():
        row = {"name": f"{name}/iterations:8/manual_time", "run_type": "iteration"}
        if us is None:
            rows.append({**row, "error_occurred": True, "error_message": "no such plan"})
        else:
            rows += [{**row, "us": factor * us, "GB/s": 1.0, "limit": 0.5} for factor in (0.9, 1.1)]
            rows.append({**row, "run_type": "aggregate", "us": 1e9})
    return json.dumps({"context": context, "benchmarks": rows})


def gtest(passed, failed=0, skipped=0, whole=True):
    kinds = ["      OK"] * passed + ["  FAILED"] * failed + [" SKIPPED"] * skipped
    lines = [f"[ RUN      ] A.t{i}\n[{kind} ] A.t{i} (3 ms)" for i, kind in enumerate(kinds)]
    if whole:
        lines += [f"[==========] {len(kinds)} tests from 1 test suite ran. (9 ms total)", "[  PASSED  ] some"]
        lines += [f"[  FAILED  ] {failed} tests, listed below:", "[  FAILED  ] A.t9"] if failed else []
    else:
        lines.append("[ RUN      ] A.hangs")
    return "\n".join(lines) + "\n"


SUMMARY = "========= ERROR SUMMARY: {} errors\n"
RACES = "========= RACECHECK SUMMARY: {0} hazards displayed ({0} errors, 0 warnings)\n"
REPORT = "========= Invalid __global__ write of size 4 bytes\n=========     at kernel(float*)+0x90\n"


@pytest.fixture
def run(tmp_path):
    """-> a function that writes files of a run and gives the lines of its table by their first cell."""

    def table(files, runs="", **machine):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "runs.tsv").write_text("".join(line.replace(" | ", "\t") + "\n" for line in runs.splitlines()))
        (tmp_path / "machine.tsv").write_text("".join(f"{key}\t{value}\n" for key, value in machine.items()))
        script = [sys.executable, ROOT / "bench/gpu_table.py", tmp_path]
        subprocess.run(script, check=True)
        lines = (tmp_path / "gpu.md").read_text().splitlines()
        rows = {cells[0].split("`")[1] if "`" in cells[0] else cells[0]: cells[1:]
                for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in lines if line.startswith("|"))}
        return {**rows, "": [line for line in lines if line and not line.startswith("|")]}

    return table


def test_nothing_at_all(run):
    rows = run({})
    assert rows["ptx"] == ["not run"] * 4
    assert rows["vendor"] == ["not run", "-", "-", "-"]
    assert rows["G1"][-1] == "**not measured**: not run"
    assert rows["train, batch 64"][5] == "**not measured**: not run"
    assert rows[""][0] == "a GPU that was not named; commit unknown."


def test_the_machine(run):
    files = {"bench_G1.json": bench({}, libraries="cuBLASLt 130002, cuDNN 91300"),
             "clocks.csv": "1980, 100.5\n345, 80\n1755, 650.2\n[N/A], [N/A]\n",
             "torch.log": "a warning\n" + bench({}, torch="2.11.0")}
    rows = run(files, gpu="NVIDIA H200, 580.1, 1980 MHz, 700.00 W", commit="abc1234 (with changes)", cuda="13.0.88",
               date="2026-01-31")
    assert rows[""][:2] == [
        "NVIDIA H200; driver 580.1; at most 1980 MHz and 700.00 W; CUDA 13.0.88; cuBLASLt 130002, cuDNN 91300; "
        "PyTorch 2.11.0; commit abc1234 (with changes); 2026-01-31.",
        "While the benchmarks ran: SM clock 1755 (345 to 1980) MHz, power 100 (80 to 650) W."]


def test_goals_are_geometric_means_of_medians(run):
    rows = run({"bench_G1.json": bench({f"{CUBE}/own": 10, f"{CUBE}/vendor": 10.4,
                                        "G1/gemm_8192x8192x8192_nt/bf16/own": 10,
                                        "G1/gemm_8192x8192x8192_nt/bf16/vendor": 9})})
    assert rows["G1"][1:] == ["2", "0.97", "0.95", "met"]
    assert rows["G1 at 4096"][1:] == ["1", "1.04", "1.03", "met"]
    assert rows[CUBE] == ["10.0", "", "1", "50%", "10.4", "1.04", "", ""]


def test_passes_and_precisions_have_goals_of_their_own(run):
    times = {"C2/a_b32_dgrad/bf16": 0.86, "C2/a_b32_wgrad/bf16": 0.84, "G4/a/f32": 0.92, "G4/a/tf32": 0.86}
    rows = run({
        f"bench_{group}.json": bench({f"{case}/{source}": us for case, ratio in times.items() if case[:2] == group
                                      for source, us in (("own", 1), ("vendor", ratio))})
        for group in ("C2", "G4")})
    assert [rows[key][-1] for key in ("C2 dgrad", "C2 wgrad", "G4 f32", "G4 tf32")] == \
        ["met", "not met", "not met", "met"]


def test_the_best_tile_of_a_shape_counts(run):
    times = {f"G5/gemm_4096x4096x4096_nt_wgmma{tile}/bf16/{source}": us
             for tile, own in (("128x128", 20), ("128x256", 8)) for source, us in (("own", own), ("vendor", 10))}
    rows = run({"bench_G5.json": bench(times)})
    assert rows["G5"][1:] == ["1", "1.25", "0.95", "met"]


def test_pytorch_is_the_peer_where_there_is_no_library(run):
    rows = run({"bench_O1.json": bench({"O1/adamw/f32/own": 10}), "torch.log": bench({"O1/adamw/f32/pytorch": 11})})
    assert rows["O1"][1:] == ["1", "1.10", "1.00", "met"]
    assert rows["O1/adamw/f32"] == ["10.0", "", "1", "50%", "no vendor kernel", "", "11.0", "1.10"]
    rows = run({"torch.log": "Traceback: no memory"})
    assert rows["O1"][1:] == ["0", "", "1.00", "nothing to compare with"]


def test_each_goal_has_its_own_peer(run):
    case = "B1/batch_norm_relu_56x64_forward/bf16"
    head, product = "G3/head_32x10x2048_loss/bf16", "G3/gemm_32x10x2048_nt/bf16"
    rows = run({"bench_B1.json": bench({f"{case}/own": 10, f"{case}/vendor": 9}),
                "bench_G3.json": bench({f"{head}/own": 10, f"{product}/own": 10, f"{product}/vendor": 16}),
                "torch.log": bench({f"{case}/pytorch": 21, f"{head}/pytorch": 40})})
    assert rows["B1"][1:] == ["1", "2.10", "2.00", "met"]
    assert rows["B1 cuDNN"][1:] == ["1", "0.90", "1.00", "not met"]
    assert rows[case][4:] == ["9.0", "0.90", "21.0", "2.10"]
    assert rows["G3"][1:] == ["1", "1.60", "1.50", "met"]
    assert rows["G3 loss"][1:] == ["1", "4.00", "1.50", "met"]
    assert rows[head][4:] == ["no vendor kernel", "", "40.0", "4.00"]
    assert rows[product][4:] == ["16.0", "1.60", "", ""]


def test_what_a_library_does_not_support_costs_its_own_goal_alone(run):
    case = "B1/batch_norm_relu_56x64_forward/bf16"
    rows = run({"bench_B1.json": bench({f"{case}/own": 10, f"{case}/vendor": None}),
                "torch.log": bench({f"{case}/pytorch": 21})})
    assert rows["B1"][1:] == ["1", "2.10", "2.00", "met"]
    assert rows["B1 cuDNN"][1:] == ["0, 1 failed", "", "1.00", "nothing to compare with"]
    assert f"Failed: {case}/vendor: no such plan" in rows[""]


def test_cases_that_failed_are_counted(run):
    rows = run({"bench_C1.json": bench({"C1/a_fprop/bf16/own": 1, "C1/a_fprop/bf16/vendor": None})})
    assert rows["C1"][1:3] == ["0, 1 failed", ""]
    assert "Failed: C1/a_fprop/bf16/vendor: no such plan" in rows[""]
    rows = run({"bench_C1.json": bench({"C1/a_fprop/bf16/own": None})})
    assert rows["C1"][-1] == "**not measured**: every case failed"


@pytest.mark.parametrize("damaged", [bench({f"{CUBE}/own": 1})[:-40], "", "[]", '{"context": {}}', '{"benchmarks": 7}'])
def test_a_damaged_file_costs_its_group_alone(run, damaged):
    rows = run({"bench_G1.json": damaged, "bench_G2.json": bench({"G2/a/bf16/own": 1, "G2/a/bf16/vendor": 1})},
               "bench | G1 | 124 | 60\nbench | G2 | 0 | 60\nbench | G3 | skipped | out of time\nbench | C1 | 139 | 60")
    assert rows["G1"][-1] == "**not measured**: stopped after 60 s"
    assert rows["G2"][-1] == "met"
    assert rows["G3"][-1] == "**not measured**: skipped: out of time"
    assert rows["C1"][-1] == "**not measured**: exit code 139"
    assert rows["C5"][-1] == "**not measured**: not run"


def test_no_case_on_this_gpu(run):
    rows = run({"bench_G5.json": "", "bench_G5.log": "Failed to match any benchmarks against regex: ^G5/"},
               "bench | G5 | 0 | 60")
    assert rows["G5"][-1] == "**not measured**: no such case on this GPU"


def test_tests_by_family(run):
    rows = run({"tests_ptx.log": gtest(12), "tests_gemm.log": gtest(9, 2, 1), "tests_wgmma.log": gtest(0, 0, 16),
                "tests_conv2d.log": gtest(3, 1, whole=False), "tests_norm.log": gtest(2, whole=False),
                "tests_layout.log": gtest(0), "tests_pool.log": gtest(4)},
               "tests | ptx | 0 | 40\ntests | gemm | 1 | 40\ntests | wgmma | 0 | 40\ntests | conv2d | 124 | 40\n"
               "tests | norm | 139 | 40\ntests | layout | 0 | 40\ntests | pool | 134 | 40\n"
               "tests | vendor | skipped | out of time")
    assert rows["ptx"][0] == "12 passed"
    assert rows["gemm"][0] == "**2 failed, 9 passed, 1 skipped**"
    assert rows["wgmma"][0] == "16 skipped"
    assert rows["conv2d"][0] == "**not finished**, stopped after 40 s in A.hangs; until then 1 failed, 3 passed"
    assert rows["norm"][0] == "**not finished**, exit code 139 in A.hangs; until then 2 passed"
    assert rows["layout"][0] == "no test"
    assert rows["pool"][0] == "**4 passed** (exit code 134)"
    assert rows["vendor"][0] == "skipped: out of time"


@pytest.mark.parametrize("log, code, text", [
    (gtest(5) + SUMMARY.format(0), 0, "nothing found, 5 passed"),
    (gtest(5) + RACES.format(0), 0, "nothing found, 5 passed"),
    (gtest(5) + REPORT + SUMMARY.format(3), 9, "**3 errors**: Invalid __global__ write of size 4 bytes"),
    (gtest(5) + RACES.format(2), 9, "**2 hazards**"),
    (gtest(5, whole=False), 124, "**not finished**, stopped after 20 s; 5 passed, nothing reported so far"),
    (gtest(5, whole=False) + REPORT, 124,
     "**1 reports so far**: Invalid __global__ write of size 4 bytes; stopped after 20 s"),
    ("========= COMPUTE-SANITIZER\n", 124, "**not finished**, stopped after 20 s; no test, nothing known"),
    ("========= COMPUTE-SANITIZER\n========= Error: Device not supported.\n", 1,
     "**1 reports so far**: Error: Device not supported.; exit code 1"),
    (gtest(0) + SUMMARY.format(0), 0, "nothing found, but no test"),
    (gtest(4, 1) + SUMMARY.format(0), 1, "nothing found, but 1 failed, 4 passed (exit code 1)"),
])
def test_compute_sanitizer_says_what_is_known(run, log, code, text):
    rows = run({"sanitizer_memcheck_gemm.log": "========= COMPUTE-SANITIZER\n" + log},
               f"sanitizer | memcheck/gemm | {code} | 20\nsanitizer | racecheck/gemm | skipped | out of time")
    assert rows["gemm"][1:] == [text, "skipped: out of time", "not run"]


def race(ours, peer, memory=(900, 1000)):
    sides = {"graft": (ours, memory[0]), "torch": (peer, memory[1])}
    return json.dumps({side: {"images_per_second": rate, "peak_device_mb": mb} for side, (rate, mb) in sides.items()})


def test_training_steps(run):
    rows = run({"engine_train_64.log": f"a warning\n{race(5100.4, 1700)}\n", "engine_train_256.log": race(5900, 4500),
                "engine_layer4_64.log": race(9000, 3000, (590, 1000))})
    assert rows["train, batch 64"] == \
        ["everything learns", "5100", "1700", "3.00", "3.0", "met", "900", "1000", "0.90", "", ""]
    assert rows["train, batch 256"][3:6] == ["1.31", "1.4", "not met"]
    assert rows["layer4, batch 64"][1:] == \
        ["9000", "3000", "3.00", "2.0", "met", "590", "1000", "0.59", "0.6", "met"]
    assert rows["head, batch 64"] == \
        ["the head alone, its trunk not cached", "", "", "", "2.5", "**not measured**: not run", "", "", "", "", ""]
    rows = run({"engine_layer4_64.log": race(9000, 3000, (610, 1000))})
    assert rows["layer4, batch 64"][8:] == ["0.61", "0.6", "not met"]


def test_training_steps_without_a_peer(run):
    alone = "ready\n" + "0.500000 700\n" * 5 + "0.016000 900\n" * 20
    rows = run({"engine_train_64.log": alone, "engine_layer4_64.log": alone})
    assert rows["train, batch 64"][1:] == ["4000", "", "", "3.0", "no peer", "900", "", "", "", ""]
    assert rows["layer4, batch 64"][1:] == ["4000", "", "", "2.0", "no peer", "900", "", "", "0.6", "no peer"]


@pytest.mark.parametrize("log, runs, why", [
    (race(5100, 1700)[:30], "engine | train_64 | 124 | 40", "stopped after 40 s"),
    (race(5100, 1700)[:30], "engine | train_64 | 0 | 40", "its output is damaged"),
    ('{"graft": {}}', "engine | train_64 | 0 | 40", "its output is damaged"),
    ("ready\n" + "0.016 900\n" * 5, "engine | train_64 | 134 | 40", "exit code 134"),
    ("", "engine | train_64 | skipped | out of time", "skipped: out of time"),
    ("", "engine | all | skipped | Could NOT find HDF5", "skipped: Could NOT find HDF5"),
])
def test_training_steps_that_were_not_measured(run, log, runs, why):
    rows = run({"engine_train_64.log": log}, runs)
    assert rows["train, batch 64"][5] == f"**not measured**: {why}"


def test_an_engine_that_is_skipped(run):
    assert run({}, "engine | all | skipped | Could NOT find HDF5")["engine"][0] == "skipped: Could NOT find HDF5"


def test_only_what_ended_and_passed_is_proven(run, tmp_path):
    run({"tests_ptx.log": gtest(12), "tests_gemm.log": gtest(9, 1), "tests_wgmma.log": gtest(0, 0, 16),
         "tests_conv2d.log": gtest(3, whole=False), "tests_pool.log": gtest(4), "engine_tests.log": gtest(7, 0, 1)},
        "tests | ptx | 0 | 40\ntests | gemm | 1 | 40\ntests | wgmma | 0 | 40\ntests | conv2d | 124 | 40\n"
        "tests | pool | 134 | 40\nengine | tests | 0 | 150",
        gpu="NVIDIA H200, 580.1, 1980 MHz, 700 W", commit="abc1234")
    results = tmp_path / "RESULTS.md"
    before = (ROOT / "bench/RESULTS.md").read_text()
    results.write_text(before)
    subprocess.run([sys.executable, ROOT / "bench/gpu_table.py", tmp_path, "--results", results], check=True)
    after = results.read_text().splitlines()
    changed = [line for old, line in zip(before.splitlines(), after, strict=True) if old != line]
    assert [(line.split("`")[1], line.split("|")[-2].strip()) for line in changed] == [
        ("ptx", "NVIDIA H200, commit abc1234: 12 passed"),
        ("engine", "NVIDIA H200, commit abc1234: 7 passed, 1 skipped")]


def test_goals_are_those_of_the_project():
    assert {goal.name: goal.ratio for goal in gpu_table.GOALS} == {
        "G1": 0.95, "G1 at 4096": 1.03, "G2": 1.0, "G3": 1.5, "G3 loss": 1.5, "G4 f32": 0.93, "G4 tf32": 0.85,
        "G5": 0.95, "G5 at 4096": 1.03, "C1": 0.9, "C2 dgrad": 0.85, "C2 wgrad": 0.85, "C3": 0.92, "C4": 1.3,
        "C5": 0.95, "B1": 2.0, "B1 cuDNN": 1.0, "B2": 0.85, "O1": 1.0}
    assert {(race.mode, race.batch): (race.ratio, race.memory) for race in gpu_table.RACES} == {
        ("train", 256): (1.4, 0), ("train", 64): (3, 0), ("train", 8): (3, 0), ("head", 64): (2.5, 0),
        ("layer4", 64): (2, 0.6)}
