#!/usr/bin/env bash
# Proof on silicon: builds the CUDA kernels for the GPU of this machine, runs their tests on it, the same
# small cases under compute-sanitizer, and the benchmarks against cuBLASLt, cuDNN and PyTorch, in nine
# minutes: bench/gpu.sh [OUT]
# Needs a GPU, nvcc, CMake and Ninja; GoogleTest and Google Benchmark for tests and benchmarks, installed
# or below DEPS/usr (packages unpacked with dpkg -x). What is not there is left out, and said.
# OUT (default build-gpu/out) gets tests.xml, sanitizer.log, bench.json, torch.json and gpu.md, the table.
# Environment: BUILD (default build-gpu), DEPS, FILTER (benchmarks, a regular expression), SECONDS_LEFT
# (default 540), PYTHON (default python3).
set -uo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath -m "${BUILD:-build-gpu}")
OUT=$(realpath -m "${1:-$BUILD/out}")
PYTHON=${PYTHON:-python3}
END=$((SECONDS + ${SECONDS_LEFT:-540}))
mkdir -p "$OUT" "$BUILD"
failed=0

left() { echo $((END - SECONDS)); }

step() { # title, command...
  printf '\n== %s (%d s left)\n' "$1" "$(left)"
  shift
  "$@" || { echo "   FAILED: $*"; failed=1; return 1; }
}

capability() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .; }

build() {
  local chip
  chip=$(capability) || { echo "nvidia-smi finds no GPU"; return 1; }
  [ "$chip" = 90 ] && chip=90a
  cmake -S kernels/cuda -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CUDA_ARCHITECTURES="$chip-real" ${DEPS:+-DCMAKE_PREFIX_PATH="$(realpath "$DEPS")/usr"} \
    >"$OUT/build.log" 2>&1 && ninja -C "$BUILD" >>"$OUT/build.log" 2>&1 ||
    { grep -E -A3 'error|CMake Error' "$OUT/build.log" | head -40; return 1; }
}

tests() {
  [ -x "$BUILD/graft_cuda_tests" ] || { echo "   skipped: there is no GoogleTest"; return 0; }
  timeout $(($(left) < 150 ? $(left) : 150)) "$BUILD/graft_cuda_tests" --gtest_brief=1 \
    --gtest_output="xml:$OUT/tests.xml" 2>&1 | tail -60
}

# Small cases of each family, one tool after the other.
sanitizer() {
  [ -x "$BUILD/graft_cuda_tests" ] && command -v compute-sanitizer >/dev/null ||
    { echo "   skipped: there is no compute-sanitizer, or no tests"; return 0; }
  local small='*Small*:*Odd*:*Edge*:*Norm*:*Pool*:*Softmax*:*Reduce*:*Optimizer*' tool ok=0
  for tool in memcheck racecheck synccheck; do
    timeout 40 compute-sanitizer --tool $tool --error-exitcode 9 "$BUILD/graft_cuda_tests" \
      --gtest_brief=1 --gtest_filter="$small" >>"$OUT/sanitizer.log" 2>&1
    case $? in
      0) echo "   $tool: nothing found" ;;
      124) echo "   $tool: nothing found in 40 s, not finished" ;;
      *) echo "   $tool: see $OUT/sanitizer.log"; ok=1 ;;
    esac
  done
  return $ok
}

benchmarks() {
  [ -x "$BUILD/cuda_bench" ] || { echo "   skipped: there is no Google Benchmark"; return 0; }
  timeout $(($(left) - 40)) "$BUILD/cuda_bench" --benchmark_filter="${FILTER:-.}" --benchmark_min_time=0.02 \
    --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true \
    --benchmark_out="$OUT/bench.json" --benchmark_out_format=json >"$OUT/bench.log" 2>&1
}

torch() {
  $PYTHON -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null ||
    { echo "   skipped: $PYTHON has no PyTorch with CUDA"; return 0; }
  timeout 60 $PYTHON bench/gpu_torch.py >"$OUT/torch.json"
}

step "build" build || exit 1
step "tests on the GPU" tests
step "compute-sanitizer" sanitizer
step "PyTorch's batch norm and optimisers" torch
step "benchmarks" benchmarks
step "table" $PYTHON bench/gpu_table.py "$OUT" --commit "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
cat "$OUT/gpu.md" 2>/dev/null
exit $failed
