#!/usr/bin/env python3
"""Checks that CUDA's own ways stay behind the files that wrap them, so that cusim can stand in for those,
and that every file of kernels/cuda and kernels/vendor begins with what it is about, the former also with
what was measured, or that no GPU has run it.

  python3 tests/cuda_sources.py [ROOT]
"""
import itertools
import pathlib
import re
import sys

RULES = [  # pattern, the files of kernels/ that may have it, what to do instead
    (r"\basm\b", {"cuda/ptx.cuh"}, "inline PTX belongs in kernels/cuda/ptx.cuh, behind a named function"),
    (r"<<<|\bcudaLaunch\w*\(", {"cuda/launch.cuh"}, "kernels start with launch() of kernels/cuda/launch.cuh"),
    (r"\b__shared__\b", {"cuda/launch.cuh"}, "shared memory is declared with GRAFT_SHARED"),
    (r"\bcuda[A-Z]\w*\(", {"cuda/launch.cuh", "cuda/check.h", "cuda/runtime.cpp", "cuda/graph.cpp"},
     "the CUDA runtime is called through kernels/runtime.h and graph.h"),
    (r"__CUDA_ARCH__", set(), "what depends on the architecture is a function of kernels/cuda/ptx.cuh"),
]
FUNCTION = re.compile(r"__forceinline__ \w+ (\w+)(?:<\w+>)?\(")
INTERNAL = {"shared_address", "pin"}  # of ptx.cuh


MEASURED = re.compile(r"Not yet (run on|held against) a GPU|Measured on ")


def head_of(path):
    """The comment that a file begins with, as one line."""
    lines = itertools.takewhile(lambda line: line.startswith("//"), path.read_text().splitlines())
    return " ".join(line.removeprefix("//").strip() for line in lines)


def fault_of_head(path, folder):
    head = head_of(path)
    if folder in ("cuda", "vendor") and not head:
        return "begins without a comment that says what it is about"
    if folder == "cuda" and not MEASURED.search(head):
        return "its first comment says neither 'Measured on ...' nor 'Not yet run on a GPU.'"
    return None


def code_of(path):
    return [line.split("//")[0] for line in path.read_text().splitlines()]


def check(root):
    kernels = root / "kernels"
    files = [p for p in sorted(kernels.rglob("*")) if p.suffix in (".h", ".cpp", ".cu", ".cuh")]
    for path in files:
        name = path.relative_to(kernels).as_posix()
        if fault := fault_of_head(path, name.split("/")[0]):
            yield f"{path}:1: {fault}"
        for number, line in enumerate(code_of(path), 1):
            for pattern, owners, instead in RULES:
                if name not in owners and re.search(pattern, line):
                    yield f"{path}:{number}: {instead}: {line.strip()}"
    shadow = (root / "tests/cusim/shadow/kernels/cuda/ptx.cuh").read_text()
    for name in set(FUNCTION.findall((kernels / "cuda/ptx.cuh").read_text())) - INTERNAL:
        if not re.search(rf"\bcusim::{name};", shadow):
            yield f"ptx.cuh: {name}() is missing in tests/cusim/shadow"


def main():
    faults = list(check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    print("\n".join(faults) or "CUDA sources: PTX, launches, shared memory and runtime calls are where they belong, "
          "files say what they are about")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
