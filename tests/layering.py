#!/usr/bin/env python3
"""Checks the one direction of the house: which folder may include which, and who may use what.

  python3 tests/layering.py [ROOT]
"""
import pathlib
import re
import sys

BELOW = {  # folder -> folders it may include besides its own
    "kernels": [],
    "core": ["kernels"],
    "layers": ["core", "kernels"],
    "io": ["core", "kernels"],
    "models": ["layers", "io", "core", "kernels"],
    "apps": ["models", "layers", "io", "core", "kernels"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]')
# The library neither prints nor exits; only kernels know oneDNN; only io knows file formats.
FORBIDDEN = re.compile(r"\b(std::cout|std::cerr|printf\(|puts\(|exit\(|abort\()")
OWNERS = {"dnnl.h": "kernels", "dnnl.hpp": "kernels", "omp.h": "kernels", "hdf5.h": "io",
          "jpeglib.h": "io", "zip.h": "io", "stb/stb_image.h": "io", "onnx/onnx_pb.h": "io", "cuda_runtime.h": "kernels",
          "CLI/CLI.hpp": "apps"}


def check(path, folder):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{number}"
        if folder != "apps" and FORBIDDEN.search(line.split("//")[0]):
            yield f"{where}: the library must not print or exit: {line.strip()}"
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        top = target.split("/")[0]
        if top in BELOW and top != folder and top not in BELOW[folder]:
            yield f"{where}: {folder} must not include {target}"
        if OWNERS.get(target, folder) != folder:
            yield f"{where}: only {OWNERS[target]} may include {target}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = [(p, f) for f in BELOW for p in sorted((root / f).rglob("*")) if p.suffix in (".h", ".cpp", ".cu", ".cuh")]
    faults = [fault for path, folder in files for fault in check(path, folder)]
    print("\n".join(faults) or f"layering: {len(files)} files, every include points down")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
