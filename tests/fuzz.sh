#!/usr/bin/env bash
# Fuzzes the readers of weights, each for so many seconds, under the address and undefined-behaviour
# sanitizers: tests/fuzz.sh SECONDS [TARGET...]. Fails when a target finds a crash, a leak or a hang;
# the input that does it is kept. Environment: BUILD, the build folder (default build), beside which
# BUILD-fuzz is made; in there corpus/ grows from run to run.
set -euo pipefail
cd "$(dirname "$0")/.."
source apps/setup.sh
SECONDS_EACH=${1:?usage: tests/fuzz.sh SECONDS [TARGET...]}
shift
TARGETS=("$@")
((${#TARGETS[@]})) || TARGETS=(pickle torch_file safetensors)
install_packages "${GRAFT_PACKAGES[@]}" ccache clang-16 libclang-rt-16-dev libomp-16-dev

BUILD=$(realpath -m "${BUILD:-build}")-fuzz
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export UBSAN_OPTIONS=print_stacktrace=1
cmake -S . -B "$BUILD" -G Ninja -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16 \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGRAFT_FUZZ=ON -DGRAFT_TESTS=OFF -DGRAFT_BENCH=OFF \
  >"$BUILD.log" 2>&1 || { tail -20 "$BUILD.log"; exit 1; }
ninja -C "$BUILD" fuzz_seeds "${TARGETS[@]/#/fuzz_}" >>"$BUILD.log" 2>&1 ||
  { grep -A3 error "$BUILD.log" | head -40; exit 1; }

"$BUILD/fuzz_seeds" "$BUILD/seeds"
failed=0
for target in "${TARGETS[@]}"; do
  mkdir -p "$BUILD/corpus/$target" "$BUILD/found"
  log=$BUILD/$target.log
  "$BUILD/fuzz_$target" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=1024 \
    -max_len=16384 -print_final_stats=1 -artifact_prefix="$BUILD/found/$target-" \
    "$BUILD/corpus/$target" "$BUILD/seeds/$target" >"$log" 2>&1 || failed=1
  printf '%-12s %s executions, %s inputs kept\n' "$target" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
    "$(find "$BUILD/corpus/$target" -type f | wc -l)"
  grep -E 'ERROR|runtime error|SUMMARY|Test unit written' "$log" | head -5 || true
done
exit $failed
