"""bench/gpu.sh without a GPU: the programs that it calls are stubs, which say what they are told to. Its order,
its limits, and what it says of what is missing, slow or broken."""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import gpu_table  # noqa: E402

# Each writes its name and arguments to $CALLS, and where it is to go without wgmma also to $CALLS.without. $SLOW
# and $BROKEN are patterns of calls that hang or fail, and say $SAYS.
STUB = """#!/bin/bash
call="$(basename "$0") $*"
echo "$call" >>"$CALLS"
[ "$GRAFT_WGMMA" != off ] || echo "$call" >>"$CALLS.without"
[[ -n $SLOW && $call =~ $SLOW ]] && { echo '[ RUN      ] A.hangs'; exec sleep 60; }
[[ -n $BROKEN && $call =~ $BROKEN ]] && { echo "${SAYS:-it is broken}"; exit 3; }
"""
STUBS = {
    "nvidia-smi": """case $* in
*compute_cap*) echo 9.0 ;;
*name,driver*) echo 'NVIDIA H200, 580.1, 1980 MHz, 700.00 W' ;;
*-l*) echo '1755, 600.5'; exec sleep 60 ;;
esac""",
    "cmake": """[[ $* == *'-S . '* && -n $MISSING ]] && { printf 'CMake Error at x:\\n  %s\\n' "$MISSING"; exit 1; }
while [ "$1" != -B ]; do shift; done
mkdir -p "$2/CMakeFiles/3.25.1"
echo 'set(CMAKE_CUDA_COMPILER_VERSION "13.0.88")' >"$2/CMakeFiles/3.25.1/CMakeCUDACompiler.cmake" """,
    "ninja": """[ "$3" = -t ] && { [[ -z $WITHOUT || ! $5 =~ $WITHOUT ]]; exit; }
folder=$2 kernels=$2
[ "$(basename "$folder")" = kernels ] || kernels=$folder/kernels/cuda
mkdir -p "$kernels"
for target in "${@:5}"; do
  to=$folder; [[ $target == *cuda* ]] && to=$kernels
  [[ -n $UNBUILT && $target =~ $UNBUILT ]] || cp "$PROGRAMS/$target" "$to/"
done
[ -z "$UNBUILT" ]""",
    "pkill": 'exec /usr/bin/pkill "$@"',
    "compute-sanitizer": """echo '========= COMPUTE-SANITIZER'
"${@:7}"
echo '========= ERROR SUMMARY: 0 errors'""",
}
PASSES = r"""printf '[ RUN      ] A.b\n[       OK ] A.b (1 ms)\n[==========] 1 test from 1 test suite ran.\n'"""
PROGRAMS = {
    "graft_cuda_tests": PASSES,
    "graft_device_tests": PASSES,
    "graft_cuda": "",
    "model_bench": "mb=1500; while read -r line; do [ -z \"$line\" ] || mb=900; echo \"0.032000 $mb\"; done",
    "cuda_bench": r"""for a in "$@"; do
  [[ $a == --benchmark_filter=* ]] && group=${a//[^A-Z0-9]/}
  [[ $a == --benchmark_out=* ]] && out=${a#*=}
done
row() { echo "{\"name\": \"$group/a/bf16/$1/manual_time\", \"run_type\": \"iteration\", \"us\": $2}"; }
echo "{\"context\": {\"libraries\": \"cuDNN 91300\"}, \"benchmarks\": [$(row own 1.0), $(row vendor 2.0)]}" >"$out" """,
}


class Result:
    def __init__(self, code, said, calls, out, seconds):
        self.code, self.said, self.calls, self.seconds = code, said, calls, seconds
        self.table = (out / "gpu.md").read_text()

    def row(self, name):
        for line in self.table.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if cells and name in (cells[0], cells[0].split(":")[0].strip("`")):
                return cells[1:]
        raise AssertionError(f"no row {name} in\n{self.table}")

    def of(self, program):
        return [call.split(" ", 1)[1] for call in self.calls if call.startswith(program + " ")]


@pytest.fixture
def script(tmp_path):
    calls = tmp_path / "calls"
    folders = {name: tmp_path / name for name in ("bin", "programs", "out", "build")}
    for folder in folders.values():
        folder.mkdir()
    python = folders["bin"] / "python"  # with PyTorch where TORCH says so, whatever this one has
    python.write_text(STUB + f"""[ "$1" = -c ] && exit "${{TORCH:-1}}"
[ "$1" = - ] && {{ echo "$WHEELS"; exit; }}
[[ $1 == bench/gpu_table.py ]] && exec {sys.executable} "$@"
echo '{{"graft": {{"images_per_second": 6000, "peak_device_mb": 500}},
"torch": {{"images_per_second": 2000, "peak_device_mb": 1000}}}}' | paste -sd' '
""")
    for folder, programs in (("bin", STUBS), ("programs", PROGRAMS)):
        for name, body in programs.items():
            (folders[folder] / name).write_text(STUB + body + "\n")
    for path in [*folders["bin"].iterdir(), *folders["programs"].iterdir()]:
        path.chmod(0o755)

    def start(**environment):
        calls.write_text("")
        given = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        given |= {"PATH": f"{folders['bin']}:/usr/bin:/bin", "CALLS": str(calls), "PROGRAMS": str(folders["programs"]),
                  "BUILD": str(folders["build"]), "PYTHON": str(python), "COMMIT": "abc1234", "SLOW": "", "BROKEN": "",
                  "MISSING": "", "WHEELS": "", "WITHOUT": "", "UNBUILT": "", **environment}
        return subprocess.Popen([ROOT / "bench/gpu.sh", folders["out"]], env=given, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(without=(), **environment):
        for name in without:
            (folders["bin"] / name).unlink()
        begin = time.monotonic()
        process = start(**environment)
        said, errors = process.communicate(timeout=300)
        assert errors == ""
        seconds = time.monotonic() - begin
        return Result(process.returncode, said, calls.read_text().splitlines(), folders["out"], seconds)

    run.start, run.out, run.details = start, folders["out"], folders["build"] / "details"
    return run


def test_all_of_it(script):
    r = script()
    assert r.code == 0, r.said
    families = gpu_table.families()
    filters = [call.removeprefix("--gtest_filter=") for call in r.of("graft_cuda_tests")]
    small = [family.small for family in families if family.small != "-"]
    assert filters == [family.tests for family in families] + [one for one in small for _ in gpu_table.TOOLS]
    tools = [call.split()[1] for call in r.of("compute-sanitizer")]
    assert sorted(tools[:3]) == sorted(gpu_table.TOOLS) and len(tools) == 3 * len(small)
    groups = [call.split("^")[1].split("/")[0] for call in r.of("cuda_bench")]
    assert groups == "B2 G5 G1 G2 G4 G3 C1 C2 C4 C5 C3 O1 B1".split()
    assert set(groups) == {goal.group for goal in gpu_table.GOALS}
    order = ["cmake", "graft_cuda_tests", "cuda_bench", "compute-sanitizer", "graft_device_tests", "model_bench"]
    assert sorted(order, key=[call.split()[0] for call in r.calls].index) == order
    assert r.table.startswith("NVIDIA H200; driver 580.1; at most 1980 MHz and 700.00 W; CUDA 13.0.88; cuDNN 91300; "
                              "commit abc1234; ")
    assert "SM clock 1755 (1755 to 1755) MHz, power 600" in r.table
    assert r.row("ptx") == ["1 passed"] + 3 * ["nothing found, 1 passed"]
    assert r.row("engine")[0] == "1 passed"
    assert r.row("B2")[1:] == ["1", "2.00", "0.85", "met"]
    steps = [call.split()[:3] for call in r.of("model_bench")]
    assert sorted(steps) == sorted(["resnet50", str(race.batch), race.mode] for race in gpu_table.RACES)
    assert r.row("train, batch 64")[1:7] == ["2000", "", "", "3.0", "no peer", "900"]
    assert "-DCMAKE_CUDA_ARCHITECTURES=90a-real" in r.of("cmake")[0]
    assert r.said.endswith(r.table)
    assert sorted(path.name for path in script.out.iterdir()) == ["details.tar.gz", "gpu.md"]
    with tarfile.open(script.out / "details.tar.gz") as details:
        assert {"details/runs.tsv", "details/bench_G1.json", "details/tests_ptx.log"} <= set(details.getnames())


def test_races_against_pytorch(script):
    r = script(TORCH="0", STEPS="engine", SLOW="model_race.* --batch 8 ", RACE_SECONDS="2")
    assert r.code == 1
    calls = [call for call in r.calls if "bench/model_race.py" in call]
    assert [re.search(r"--batch (\d+) --mode (\w+) --device cuda", call).groups()[::-1] for call in calls] == \
        [tuple(name.split("_")) for name in ("train_64", "layer4_64", "train_256", "head_64", "train_8")]
    assert r.row("layer4, batch 64")[1:] == \
        ["6000", "2000", "3.00", "2.0", "met", "500", "1000", "0.50", "0.6", "met"]
    assert r.row("train, batch 8")[5] == "**not measured**: stopped after 2 s"
    assert "train_64: 6000 images/s against 2000 images/s" in r.said


def test_the_engine_is_built_beside_the_tests_and_stands_still_while_kernels_are_timed(script):
    r = script(SLOW="ninja .* graft_device_tests", ENGINE_BUILD_SECONDS="4", STEPS="tests benchmarks engine",
               BENCH="G1")
    assert r.code == 1
    assert r.said.index("ptx: 1 passed") < r.said.index("G1: 1 cases") < r.said.index("build: stopped after 4 s")
    calls = [call.split()[0] for call in r.calls]
    assert calls.index("pkill") < calls.index("cuda_bench") < len(calls) - calls[::-1].index("pkill") - 1
    assert [call.split()[0] for call in r.of("pkill")][:2] == ["-STOP", "-CONT"]
    assert r.row("engine")[0] == "skipped: not built"
    assert r.row("G1")[-1] == "met"


def test_what_is_slow_is_lost_alone(script):
    r = script(SLOW="(graft_cuda_tests .*TensorCores|cuda_bench .*G1)", TEST_SECONDS="2", BENCH_SECONDS="2",
               SANITIZER_SECONDS="4", BENCH="G1 G2")
    assert r.code == 1
    assert r.row("gemm")[0] == "**not finished**, stopped after 2 s in A.hangs; until then no test"
    assert all(re.fullmatch(r"\*\*not finished\*\*, stopped after [1-4] s; no test, nothing known", cell)
               for cell in r.row("gemm")[1:])
    assert r.row("conv2d")[:2] == ["1 passed", "skipped: out of time"]
    assert r.row("ptx")[1] == "nothing found, 1 passed"
    assert r.row("G1")[-1] == "**not measured**: stopped after 2 s"
    assert r.row("G2")[-1] == "met"
    assert r.row("C1")[-1] == "**not measured**: not run"
    assert r.seconds < 60


@pytest.mark.parametrize("how, off", [
    ({"SLOW": "graft_cuda_tests .*Wgmma", "TEST_SECONDS": "2"}, True),
    ({"BROKEN": "graft_cuda_tests .*Wgmma", "SAYS": "launch: unknown (cudaErrorIllegalAddress)"}, True),
    ({"BROKEN": "graft_cuda_tests .*Wgmma", "SAYS": "wrong sums"}, False),
    ({"BROKEN": "graft_cuda_tests .*Ptx", "SAYS": "launch: unknown (cudaErrorIllegalAddress)"}, False),
])
def test_where_hoppers_kernels_end_badly_the_rest_goes_without(script, how, off):
    r = script(STEPS="tests benchmarks", BENCH="G1", **how)
    assert r.code == 1
    assert ("GRAFT_WGMMA=off from here" in r.said) == off
    assert ("**Hopper's kernels (GRAFT_WGMMA): off, for their tests ended badly" in r.table) == off
    tests = [call for call in r.calls if call.startswith("graft_cuda_tests")]
    without = script.out.parent / "calls.without"
    later = without.read_text().splitlines() if off else []
    assert [call for call in later if call.startswith("graft_cuda_tests")] == (tests[2:] if off else [])
    assert off == any(call.startswith("cuda_bench") for call in later) and off == without.exists()
    assert r.row("gemm")[0] == "1 passed" and r.row("G1")[-1] == "met"


def test_no_time_is_left(script):
    r = script(SECONDS_LEFT="14", SLOW="graft_cuda_tests .*Ptx", BENCH="B2")
    assert r.code == 1
    assert r.row("ptx")[0].startswith("**not finished**, stopped after ")
    assert r.row("gemm") == ["skipped: out of time"] * 4
    assert r.row("B2")[-1] == "**not measured**: skipped: out of time"
    assert r.row("engine")[0] == "skipped: out of time"
    assert r.seconds < 60
    assert r.of("cuda_bench") == []
    assert "(0 s left)" in r.said or "(-" in r.said
    assert r.row("train, batch 64")[5] == "**not measured**: skipped: out of time"


def test_no_time_at_all(script):
    r = script(SECONDS_LEFT="0")
    assert r.code == 1
    assert "**Build: skipped: out of time.**" in r.table
    assert r.of("ninja") == [call for call in r.of("ninja") if " -t " in call]


def test_a_build_that_hangs(script):
    r = script(SLOW="ninja .*-k 0", BUILD_SECONDS="2")
    assert r.code == 1
    assert "**Build: stopped after 2 s.**" in r.table
    assert r.row("ptx") == ["not run"] * 4


def test_a_program_that_is_not_built(script):
    r = script(UNBUILT="cuda_bench", STEPS="tests benchmarks")
    assert r.code == 1
    assert "**Build: exit code 1.**" in r.table
    assert r.row("ptx")[0] == "1 passed"
    assert r.row("G1")[-1] == "**not measured**: skipped: there is no Google Benchmark, or it was not built"


def test_what_was_built_before_does_not_count(script):
    assert script(STEPS="tests").row("ptx")[0] == "1 passed"
    r = script(UNBUILT="cuda", STEPS="tests")
    assert r.row("ptx")[0] == "not run"
    assert r.code == 1


@pytest.mark.parametrize("error, said", [
    ("Could NOT find HDF5 (missing: HDF5_LIBRARIES C)", "no HDF5"),
    ("Could not find DNNL_INCLUDE_DIR using the\n  following files: dnnl.hpp", "no DNNL_INCLUDE_DIR"),
    ('By not providing "Findfmt.cmake" CMake looked for one provided by\n  "fmt"\n' + 2 * "Could NOT find HDF5\n",
     'no "fmt", no HDF5'),
    ("graft needs oneDNN 2 (of Debian 12)", "graft needs oneDNN 2 (of Debian 12)"),
])
def test_without_libraries_there_are_the_kernels(script, error, said):
    r = script(MISSING=error, STEPS="engine tests", BENCH="G1")
    assert r.code == 0, r.said
    assert r.row("engine")[0] == f"skipped: {said}"
    assert r.row("ptx")[0] == "1 passed"
    assert r.of("graft_device_tests") == []


def test_without_google_tests(script):
    r = script(MISSING="Could NOT find GTest", WITHOUT="graft_cuda_tests|cuda_bench")
    assert r.code == 0, r.said
    assert r.row("ptx") == ["skipped: there is no GoogleTest, or it was not built"] + \
        ["skipped: there is no compute-sanitizer, or no tests"] * 3


def test_without_compute_sanitizer(script):
    r = script(without=["compute-sanitizer"], STEPS="sanitizer")
    assert r.code == 0
    assert r.row("ptx")[1:] == ["skipped: there is no compute-sanitizer, or no tests"] * 3


def test_where_compute_sanitizer_cannot_run(script):
    r = script(BROKEN="compute-sanitizer", STEPS="sanitizer")
    assert r.code == 1
    assert len(r.of("compute-sanitizer")) == 3
    assert r.row("ptx")[1] == "**not finished**, exit code 3; no test, nothing known"
    assert r.row("gemm")[1] == "not run"


def test_libraries_of_wheels(script, tmp_path):
    folder = tmp_path / "nvidia/cudnn"
    for name, text in (("lib/libcudnn.so.9", ""), ("include/cudnn.h", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    r = script(STEPS="tests", CUDA_FOLDER=str(tmp_path / "cuda"), WHEELS=str(folder / "lib"))
    links = script.details.parent / "wheels"
    assert f"-DCUDNN_LIBRARY={links}/libcudnn.so -DCUDNN_INCLUDE_DIR={links}/include" in r.of("cmake")[0]
    assert (links / "libcudnn.so").resolve() == folder / "lib/libcudnn.so.9"
    assert (links / "include/cudnn.h").exists()
    assert "cublasLt" not in r.of("cmake")[0]


def test_without_a_gpu(script):
    r = script(BROKEN="nvidia-smi")
    assert r.code == 1
    assert "**Build: skipped: nvidia-smi finds no GPU.**" in r.table
    assert r.of("cmake") == []


def test_results_of_an_earlier_run_are_gone(script):
    script.details.mkdir()
    for name in ("bench_G1.json", "tests_ptx.log", "sanitizer_memcheck_ptx.log", "torch.log"):
        (script.details / name).write_text(json.dumps({}))
    r = script(STEPS="tests", BROKEN="^graft_cuda_tests")
    assert r.row("ptx")[0] == "**not finished**, exit code 3; until then no test"
    assert sorted(path.name for path in script.details.glob("*_*") if path.name != "build_graft.log") == \
        sorted(f"tests_{family.name}.log" for family in gpu_table.families())


def test_unknown_steps_are_said(script):
    r = script(STEPS="tests speed", COMMIT="")
    assert r.code == 1
    assert "STEPS: 'speed' is unknown" in r.said
    assert re.search(r"; commit (unknown|[0-9a-f]{12}( \(with changes\))?); ", r.table)


@pytest.mark.parametrize("signal", ["kill", "terminate"])
def test_whatever_ends_it_the_table_is_there(script, signal):
    process = script.start(SLOW="graft_cuda_tests .*TensorCores", TEST_SECONDS="2")
    while "TensorCores" not in (script.out.parent / "calls").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    getattr(process, signal)()
    process.communicate(timeout=300)
    assert process.returncode != 0
    r = Result(process.returncode, "", [], script.out, 0)
    assert r.row("ptx")[0] == "1 passed"
