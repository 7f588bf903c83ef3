#!/usr/bin/env bash
# Fuzzes the readers of weights, each for so many seconds and two side by side, under the address
# and undefined-behaviour sanitizers: tests/fuzz.sh SECONDS [TARGET...]. The seeds and what earlier
# runs found worth keeping are replayed first. Fails when a target finds a crash, a leak or a hang;
# the input that does it is kept. What ends inside the HDF5 library, or takes all memory on its way
# through it, is counted only: the program reads such files in a child process with limits.
# Needs Debian's clang-16, libclang-rt-16-dev and libomp-16-dev; says so and does nothing without.
# Environment: BUILD, the build folder (default build), beside which BUILD-fuzz is made; in there
# corpus/ grows from run to run. RESULTS, a folder for a JUnit file (default none).
set -euo pipefail
cd "$(dirname "$0")/.."
source apps/setup.sh
EACH=${1:?usage: tests/fuzz.sh SECONDS [TARGET...]}
shift
TARGETS=("$@")
((${#TARGETS[@]})) || TARGETS=(pickle safetensors torch_file zip tar hdf5 model_file keras)
FOLDER=$(realpath -m "${BUILD:-build}")-fuzz
export EACH FOLDER UBSAN_OPTIONS=print_stacktrace=1
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

junit() { # one line for each target: name, then nothing, "skipped" or "failure"
  [ -n "${RESULTS:-}" ] || return 0
  { echo '<testsuite name="fuzz">'
    while read -r name end; do echo "<testcase name=\"$name\">${end:+<$end/>}</testcase>"; done
    echo '</testsuite>'; } >"$RESULTS/fuzz.xml"
}

can_fuzz() {
  command -v clang++-16 >/dev/null && clang++-16 -fsanitize=fuzzer,address -fopenmp -o /dev/null \
    -x c++ - 2>/dev/null <<<'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }'
}

fuzz_once() { # target, seconds, log
  "$FOLDER/fuzz_$1" -max_total_time="$2" -timeout=10 -max_len=16384 -print_final_stats=1 \
    -rss_limit_mb=2048 -malloc_limit_mb=1000000000 -detect_leaks="$LEAKS" \
    -artifact_prefix="$FOLDER/found/$1-" "$FOLDER/corpus/$1" "$FOLDER/seeds/$1" >"$3" 2>&1
}

in_library() { # log: the innermost stack goes through the HDF5 library, or many others did
  sed -n '/ERROR: /,/^$/p' "$1" | grep -q libhdf5 ||
    { ((!LEAKS)) && grep -q 'ERROR: libFuzzer: out-of-memory' "$1"; }
}

drop_input() { # target, file: it may be of the corpus, kept when it did not crash by luck
  rm -f "$2" "$FOLDER/corpus/$1/${2##*-}"
}

fuzz() { # target
  local log=$FOLDER/$1.log end=$((SECONDS + EACH)) runs=0 crashes=0 failed= LEAKS=1
  case $1 in hdf5 | model_file | keras) LEAKS=0 ;; esac # the library leaks, and to tell takes long
  mkdir -p "$FOLDER/corpus/$1" "$FOLDER/found"
  while ((SECONDS < end)) && [ -z "$failed" ]; do
    if ! fuzz_once "$1" $((end - SECONDS)) "$log"; then
      in_library "$log" && crashes=$((crashes + 1)) || failed=1
      [ -n "$failed" ] || drop_input "$1" "$(sed -n 's/.*Test unit written to //p' "$log")"
    fi
    runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log" || echo 0)))
  done
  printf '%-12s %8s executions, %4s inputs kept, %s crashes of the HDF5 library\n' "$1" "$runs" \
    "$(find "$FOLDER/corpus/$1" -type f | wc -l)" "$crashes"
  echo "$1 ${failed:+failure}" >>"$FOLDER/ends"
  [ -z "$failed" ] || grep -E 'ERROR|runtime error|SUMMARY|Test unit written' "$log" | head -5
}

if ! can_fuzz; then
  echo "skipped: there is no clang-16 with libFuzzer here"
  printf '%s skipped\n' "${TARGETS[@]}" | junit
  exit 0
fi
install_packages "${GRAFT_PACKAGES[@]}" ccache
cmake -S . -B "$FOLDER" -G Ninja -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16 \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGRAFT_FUZZ=ON -DGRAFT_TESTS=OFF -DGRAFT_BENCH=OFF \
  >"$FOLDER.log" 2>&1 || { tail -20 "$FOLDER.log"; exit 1; }
ninja -C "$FOLDER" fuzz_seeds "${TARGETS[@]/#/fuzz_}" >>"$FOLDER.log" 2>&1 ||
  { grep -A3 error "$FOLDER.log" | head -40; exit 1; }
"$FOLDER/fuzz_seeds" "$FOLDER/seeds"

: >"$FOLDER/ends"
export -f fuzz fuzz_once in_library drop_input
printf '%s\n' "${TARGETS[@]}" | xargs -P 2 -I{} bash -c 'fuzz {}'
junit <"$FOLDER/ends"
[ "$(wc -l <"$FOLDER/ends")" = "${#TARGETS[@]}" ] && ! grep -q failure "$FOLDER/ends"
