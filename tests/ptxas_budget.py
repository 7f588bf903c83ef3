#!/usr/bin/env python3
"""Holds every compiled CUDA kernel to its registers: none may spill, none may use more than the table says,
and those of Hopper's that share them out anew must begin with the number that they count on. Nor may ptxas
say that it did not do what a kernel of Hopper's is built on.

  python3 tests/ptxas_budget.py [--log FILE] [--out FILE]

Needs nvcc, no GPU; passes with a line where there is no nvcc. Kernels are compiled here, but for those whose
compilation is in the log: what ninja printed of a build with -DCMAKE_CUDA_FLAGS=-Xptxas=-v.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ARCHITECTURES = ["sm_80", "sm_90a"]
BUDGET = [  # kernel, its template arguments; registers of a thread at most; 65536 / (threads * blocks) is the limit
    (r"gemm_mma<float, 0,", 248),   # sums 64 x 64 a warp: 128 registers for them alone
    (r"gemm_mma<\w+, 0,", 216),
    (r"gemm_mma<float, 1,", 184),   # 64 x 32 a warp
    (r"gemm_mma<\w+, 1,", 148),
    (r"gemm_mma<float, 2,", 128),   # 32 x 32 a warp
    (r"gemm_mma<\w+, 2,", 108),
    (r"gemm_mma<\w+, 3,", 104),
    (r"(gemm|conv2d)_wgmma<", 168),  # what 384 threads begin with: EXACT
    (r"gemm_simt<", 128),
    (r"gemm_add_splits", 48),
    (r"conv2d_mma<.*float, 0,", 255),  # as gemm_mma, and where each copied row is
    (r"conv2d_mma<.*, 0,", 244),
    (r"conv2d_mma<.*float, 1,", 192),
    (r"conv2d_mma<.*, 1,", 180),
    (r"conv2d_mma<.*, 2,", 144),
    (r"conv2d_mma<.*, 3,", 128),
    (r"conv2d_simt<", 128),
    (r"conv2d_first_layer<.*Float", 168),  # two blocks of 128 threads, for their shared memory
    (r"conv2d_first_layer<", 136),
    (r"conv2d_first_gradient<.*Float", 152),
    (r"conv2d_first_gradient<.*<float", 255),  # sums 64 x 56 a warp: 112 registers for them alone
    (r"conv2d_first_gradient<", 212),
    (r"conv2d_add_splits<.*1>", 60),   # dgrad: with the channels of a norm
    (r"conv2d_add_splits", 48),
    (r"depthwise", 56),
    (r"add_shares", 40),
    (r"merge_moments", 40),
    (r"each_element<", 40),          # six blocks of 256 threads: memory wants many on their way
    (r"each_column<|sum_columns<", 64),
    (r"each_row<", 64),
    (r"(sum|finish)_flat<|finish_columns<", 40),
    (r"drop<", 48),                  # eight Philox blocks of four words
    (r"(max|mean)_(of_windows|gradient)<", 64),
    (r"(normalize|mix)_pixels<|resize_(rows|columns)|transpose_tiles<|copy_packs<", 40),
    (r"attend<float, 128", 255),     # attention: a warp sums up 16 x width, and has scores of 16 x 32
    (r"attend<.*, 128", 216),
    (r"(attend|query_rows)<", 188),
    (r"_gradients?<.*f16, 32", 168),  # three blocks of 128 threads, the others two
    (r"_gradients<.*f16, 64", 200),
    (r"(score|value)_gradients<.*, (64|128)|bias_gradient<float", 255),
    (r"(score|value)_gradients<|bias_gradient<", 232),
    (r"move_pixels<|cosine_(forward|gradient)<|look_up|sum_looked_up", 48),
    (r"make_taps", 64),              # double
    (r"do_nothing", 16),
]
EXACT = re.compile(r"_wgmma<")  # on Hopper: setmaxnreg gives to some warps what it has taken from others
LOST = re.compile(r"\(C75\d\d\)|setmaxnreg.* ignored|wgmma.* serialized", re.I)  # of ptxas, warning or advice
ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
BUILDING = re.compile(r"\[\d+/\d+\] Building CUDA object \S*/graft_cuda\.dir/(\w+\.cu)\.o")
REGISTERS = re.compile(r"Used (\d+) registers")


def find_nvcc():
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def compile_one(nvcc, source, architecture):
    command = [nvcc, "-std=c++20", f"-arch={architecture}", "--expt-relaxed-constexpr", "-I.", "-Xptxas", "-v", "-cubin",
               "-o", os.devnull, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{source}: does not compile\n{done.stderr}")
    return done.stderr


def compiled_by(log):
    """Of a build's log: source -> what the compiler said of it."""
    said, source = {}, None
    for line in log.splitlines(keepends=True):
        if line.startswith("["):
            source = (match := BUILDING.match(line)) and match[1]
        elif source:
            said[source] = said.get(source, "") + line
    return said


def demangled(names):
    return subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True).stdout.splitlines()


def kernels_of(log):
    kernel = {}
    for line in log.splitlines():
        if match := ENTRY.search(line):
            kernel = {"symbol": match[1], "architecture": match[2]}
        elif match := SPILLS.search(line):
            kernel.update(stack=int(match[1]), spills=int(match[2]) + int(match[3]))
        elif (match := REGISTERS.search(line)) and kernel:
            yield kernel | {"registers": int(match[1])}
            kernel = {}


def check(kernels):
    used = set()
    for k in kernels:
        row = next((row for row in BUDGET if re.search(row[0], k["name"])), None)
        used.add(row)
        where = f"{k['name']}, {k['architecture']}"
        if row is None:
            yield f"{where}: has no row in the table of {pathlib.Path(__file__).name}; it uses {k['registers']} registers"
        elif k["registers"] > row[1]:
            yield f"{where}: {k['registers']} registers, {row[1]} allowed"
        elif EXACT.search(k["name"]) and k["architecture"] == "sm_90a" and k["registers"] != row[1]:
            yield f"{where}: {k['registers']} registers, setmaxnreg counts on {row[1]}"
        if k["spills"] or k["stack"]:
            yield f"{where}: {k['spills']} bytes spilled, {k['stack']} bytes of stack"
    for row in BUDGET:
        if row not in used:
            yield f"no kernel is called {row[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", help="of a build that lately compiled the kernels, some or all")
    parser.add_argument("--out", help="also write the table of what was found here")
    options = parser.parse_args()
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    nvcc = find_nvcc()
    if not nvcc:
        print("registers: no nvcc, skipped")
        return 0
    said = compiled_by(pathlib.Path(options.log).read_text()) if options.log else {}
    jobs = [(s, a) for s in sorted(pathlib.Path("kernels/cuda").glob("*.cu")) if s.name not in said
            for a in ARCHITECTURES]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        logs = [*said.values(), *pool.map(lambda job: compile_one(nvcc, *job), jobs)]
    lost = [line.strip() for log in logs for line in log.splitlines() if LOST.search(line)]
    kernels = [k for log in logs for k in kernels_of(log)]
    for k, name in zip(kernels, demangled([k["symbol"] for k in kernels])):
        name = re.sub(r"^void |graft::cuda::|\(anonymous namespace\)::|\(int\)|\(bool\)", "", name)
        k["name"] = re.sub(r"(?<=[>\w])\(.*\)$", "", name)  # without its parameters
    table = "".join(f"{k['registers']:4} registers {k['stack']:4} stack {k['spills']:4} spilled  {k['architecture']:7} {k['name']}\n"
                    for k in kernels)
    if options.out:
        pathlib.Path(options.out).write_text(table)
    faults = lost + list(check(kernels))
    print("\n".join(faults) or f"registers: {len(kernels)} kernels, no spills, the largest "
          f"{max(k['registers'] for k in kernels)} registers; {len(said)} of the files from the log")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
