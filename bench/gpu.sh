#!/usr/bin/env bash
# Proof on silicon: builds the CUDA kernels for the GPU of this machine, runs their tests on it, small ones
# under compute-sanitizer, the benchmarks against cuBLASLt, cuDNN and PyTorch, and, where graft's other
# libraries are found, the engine's tests and its training steps against PyTorch's: in nine minutes,
# bench/gpu.sh [OUT]
# Needs a GPU, nvcc, CMake and Ninja; GoogleTest and Google Benchmark for tests and benchmarks, installed
# or below DEPS/usr (packages unpacked with dpkg -x, as bench/gpu_packages.sh does). cuDNN and cuBLASLt may be
# of CUDA's folder or of PYTHON's wheels. What is not there is left out, and said.
#
# Each family of tests and each group of benchmarks is a process of its own with a time limit, and the table,
# OUT/gpu.md, is written anew after each: whatever ends this script, no more than one of them is lost.
# OUT (default build-gpu/out) also gets details.tar.gz, what BUILD/details has: the logs, bench_GROUP.json
# and runs.tsv, how each ended.
# Environment:
#   BUILD (default build-gpu), DEPS (default build-gpu-packages), PYTHON (default python3), CUDA_FOLDER
#                 (default nvcc's)
#   COMMIT        what the table names where there is no .git
#   STEPS         which steps, in their order (default: tests benchmarks sanitizer engine torch)
#   RACES         which training steps of ResNet-50, MODE_BATCH, in their order
#   BENCH         which groups of benchmarks, in their order; REPETITIONS of each (default 3)
#   SECONDS_LEFT  for all (default 540); at most, each: BUILD_SECONDS (300), TEST_SECONDS of a family (40),
#                 BENCH_SECONDS of a group (60), BENCHES_SECONDS of all (200), SANITIZER_SECONDS of all
#                 (90), ENGINE_BUILD_SECONDS (all), ENGINE_SECONDS of its tests (100), RACE_SECONDS of a
#                 race (40)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=$(realpath -m "${BUILD:-build-gpu}")
OUT=$(realpath -m "${1:-$BUILD/out}")
PYTHON=${PYTHON:-python3}
STEPS=${STEPS:-tests benchmarks sanitizer engine torch} # and in each what decides most comes first
RACES=${RACES:-train_64 layer4_64 train_256 head_64 train_8}
BENCH=${BENCH:-B2 G5 G1 G2 G4 G3 C1 C2 C4 C5 C3 O1 B1}
END=$((SECONDS + ${SECONDS_LEFT:-540} - 5))            # the last table takes a second or two
[ -n "${DEPS:-}" ] || [ ! -d build-gpu-packages/usr ] || DEPS=build-gpu-packages
library_path() { export LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; }
if [ -n "${DEPS:-}" ]; then
  DEPS=$(realpath "$DEPS") || exit 1
  for folder in "$DEPS"/usr/lib/*-linux-gnu; do library_path "$folder"; done
fi
failed=0 watch='' building=''
DETAILS=$BUILD/details
rm -rf "$DETAILS" "$OUT"/{gpu.md,details.tar.gz}
mkdir -p "$OUT" "$DETAILS"

left() { echo $((END - SECONDS)); }

step() { # title, command...
  printf '\n== %s (%d s left)\n' "$1" "$(left)"
  shift
  "$@" || { echo "   FAILED"; failed=1; return 1; }
}

table() { # arguments of gpu_table.py...
  "$PYTHON" bench/gpu_table.py "$DETAILS" "$@" || return 1
  cp "$DETAILS/gpu.md" "$OUT/gpu.md"
}

pack() { tar -C "$BUILD" -czf "$OUT/details.tar.gz" details; }

# How a run ended: a line of runs.tsv, an up-to-date table, and a line here.
note() { # step, name, exit code or "skipped", seconds it had or why it was skipped
  printf '%s\t%s\t%s\t%s\n' "$@" >>"$DETAILS/runs.tsv"
  table --say "$1" "$2" | sed 's/^/   /'
}

# One process, for so many seconds at most and never beyond the end.
run() { # step, name, seconds, log, command...
  local step=$1 name=$2 seconds=$3 log=$4 code
  shift 4
  ((seconds < $(left))) || seconds=$(left)
  if ((seconds <= 0)); then # "timeout 0" would mean no limit
    note "$step" "$name" skipped "out of time"
    return 1
  fi
  timeout -k 5 "$seconds" "$@" </dev/null >>"$log" 2>&1
  code=$?
  note "$step" "$name" "$code" "$seconds"
  return "$code"
}

# ---- what this is about

commit() {
  if [ -n "${COMMIT:-}" ]; then
    echo "$COMMIT"
  elif [ -e .git ] && git rev-parse --short=12 HEAD 2>/dev/null; then
    [ -z "$(git status --porcelain 2>/dev/null)" ] || echo "(with changes)"
  else
    echo "unknown"
  fi | paste -sd' '
}

machine() { # -> machine.tsv
  local query=name,driver_version,clocks.max.sm,power.limit
  printf 'commit\t%s\ndate\t%s\n' "$(commit)" "$(date -u +%F)"
  printf 'gpu\t%s\n' "$(nvidia-smi -i 0 --query-gpu=$query --format=csv,noheader 2>/dev/null)"
}

capability() { nvidia-smi -i 0 --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. \n'; }

families() { grep -v '^#' bench/gpu_families.txt | tr -d ' ' | grep .; } # the titles lose their spaces, too

# ---- build

# NVIDIA's wheels, folders of libraries, as pip has put them beside PyTorch.
wheel_folders() {
  timeout "$(seconds_of 60)" "$PYTHON" - <<'EOF' 2>/dev/null
import glob, nvidia
for root in nvidia.__path__:
    print(*sorted(glob.glob(f"{root}/*/lib")), sep="\n")
EOF
}

# cuDNN and cuBLASLt, where CUDA's own folder lacks one: those of wheels. They have no name that a linker looks
# for (libcudnn.so.9 alone), and load more of their kind, which only a path of folders finds.
use_wheels() { # -> wheels: options of CMake
  local cuda folders folder library name header links=$BUILD/wheels
  cuda=$(realpath -m "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")
  cuda=${CUDA_FOLDER:-${cuda%/bin/nvcc}}
  rm -rf "$links" && mkdir -p "$links/include"
  mapfile -t folders < <(wheel_folders)
  for folder in "${folders[@]}"; do
    for name in cudnn cublasLt; do
      library=$(find "$folder" -name "lib$name.so.[0-9]*" 2>/dev/null | sort | head -1)
      header=$folder/../include
      [ -n "$library" ] && [ -f "$header/$name.h" ] || continue
      [ -z "$(find "$cuda"/lib* "$cuda"/targets/*/lib -name "lib$name.so" 2>/dev/null)" ] || continue
      ln -sf "$library" "$links/lib$name.so"
      ln -sf "$header"/{cudnn,cublas}*.h "$links/include/" 2>/dev/null
      [ "$name" = cudnn ] || wheels+=(-DCUDA_cublasLt_LIBRARY="$links/lib$name.so")
      [ "$name" != cudnn ] || wheels+=(-DCUDNN_LIBRARY="$links/lib$name.so")
    done
  done
  [ ${#wheels[@]} -gt 0 ] || return 0
  wheels+=(-DCUDNN_INCLUDE_DIR="$links/include")
  for folder in "${folders[@]}"; do library_path "$folder"; done
}

configure() { # source, folder, compute capability, options...
  local source=$1 folder=$2 chip=$3
  shift 3
  timeout -k 5 "$(seconds_of "${BUILD_SECONDS:-300}")" cmake -S "$source" -B "$folder" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$chip-real" \
    ${DEPS:+-DCMAKE_PREFIX_PATH="$DEPS/usr"} "${wheels[@]}" "$@" \
    </dev/null >"$DETAILS/build_$(basename "$folder").log" 2>&1
}

seconds_of() { # a limit that is no later than the end, and never 0
  local seconds=$(($1 < $(left) ? $1 : $(left)))
  echo $((seconds > 0 ? seconds : 1))
}

# What CMake did not find, by the log of a configuration that failed.
missing() {
  local what
  what=$(sed -n '/CMake Error/,$p' "$1" | tr -s '\n ' ' ' |
    grep -oE 'Could NOT find [A-Za-z0-9_]+|Could not find [A-Z_]{3,}|provided by "[^"]+"|graft needs [^;:]+' |
    sed -E 's/^(Could not find|Could NOT find|provided by)/no/' | awk '!seen[$0]++' | paste -sd, | sed 's/,/, /g')
  echo "${what:-see $1}"
}

# All of graft where its libraries are found, else the kernels, which need CUDA alone.
build() {
  local target targets=() chip
  chip=$(capability)
  [[ $chip =~ ^[0-9]+$ ]] || { note build kernels skipped "nvidia-smi finds no GPU"; return 1; }
  [ "$chip" != 90 ] || chip=90a
  use_wheels
  if configure . "$BUILD/graft" "$chip" -DGRAFT_CUDA=ON; then
    FOLDER=$BUILD/graft KERNELS=$BUILD/graft/kernels/cuda
  else
    no_engine=$(missing "$DETAILS/build_graft.log")
    FOLDER=$BUILD/kernels KERNELS=$BUILD/kernels
    configure kernels/cuda "$BUILD/kernels" "$chip" ||
      { grep -A5 'CMake Error' "$DETAILS/build_kernels.log" | head -40; return 1; }
  fi
  sed -n 's/^set(CMAKE_CUDA_COMPILER_VERSION "\(.*\)")$/cuda\t\1/p' \
    "$FOLDER"/CMakeFiles/*/CMakeCUDACompiler.cmake >>"$DETAILS/machine.tsv" 2>/dev/null
  rm -f "$KERNELS/graft_cuda_tests" "$KERNELS/cuda_bench" # what is there afterwards is of this source
  for target in graft_cuda_tests cuda_bench; do
    ! ninja -C "$FOLDER" -t query "$target" >/dev/null 2>&1 || targets+=("$target")
  done
  [ ${#targets[@]} -gt 0 ] || targets=(graft_cuda)
  run build kernels "${BUILD_SECONDS:-300}" "$DETAILS/build.log" ninja -C "$FOLDER" -k 0 "${targets[@]}" ||
    { grep -s -E -A3 'error|FAILED' "$DETAILS/build.log" | head -40; return 1; }
}

# ---- steps

tests() {
  local name filter ok=0
  [ -x "$KERNELS/graft_cuda_tests" ] ||
    { note tests all skipped "there is no GoogleTest, or it was not built"; return 0; }
  while IFS='|' read -r name _ filter _ <&3; do
    run tests "$name" "${TEST_SECONDS:-40}" "$DETAILS/tests_$name.log" \
      "$KERNELS/graft_cuda_tests" --gtest_filter="$filter" || { spare_the_rest "$name" $?; ok=1; }
  done 3< <(families)
  return "$ok"
}

# Every family's plans may choose Hopper's kernels: where these crash, hang or leave a context in which
# nothing works, all that comes after goes without.
spare_the_rest() { # family, exit code of its tests
  [ "$1" = wgmma ] && { (($2 >= 124)) || grep -qs cudaError "$DETAILS/tests_wgmma.log"; } || return 0
  export GRAFT_WGMMA=off
  printf 'wgmma\toff, for their tests ended badly\n' >>"$DETAILS/machine.tsv"
  echo "   GRAFT_WGMMA=off from here"
}

sanitizer() { # its three tools side by side
  local tool tools name filter limit until=$((SECONDS + ${SANITIZER_SECONDS:-90})) ok=0
  if ! command -v compute-sanitizer >/dev/null || [ ! -x "$KERNELS/graft_cuda_tests" ]; then
    note sanitizer all skipped "there is no compute-sanitizer, or no tests"
    return 0
  fi
  while IFS='|' read -r name _ _ filter <&3; do
    [ "$filter" != - ] || continue
    limit=$((until - SECONDS < 20 ? until - SECONDS : 20)) tools=()
    for tool in memcheck racecheck synccheck; do
      run sanitizer "$tool/$name" "$limit" "$DETAILS/sanitizer_${tool}_$name.log" \
        compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 20 \
        "$KERNELS/graft_cuda_tests" --gtest_filter="$filter" &
      tools+=($!)
    done
    for tool in "${tools[@]}"; do
      wait "$tool" || ok=1
    done
    if [ "$name" = ptx ] && ((limit > 0 && $(left) > 0)) &&
      ! grep -qs '^\[       OK' "$DETAILS"/sanitizer_*_ptx.log; then
      echo "   no test passes under it: the rest is left out"
      return 1
    fi
  done 3< <(families)
  return "$ok"
}

has_python() { # modules, torch first
  timeout "$(seconds_of 60)" "$PYTHON" -c "import $1; assert torch.cuda.is_available()" </dev/null >/dev/null 2>&1
}

torch() {
  await_engine || failed=1
  has_python torch || { note torch all skipped "$PYTHON has no PyTorch with CUDA"; return 0; }
  run torch all 45 "$DETAILS/torch.log" "$PYTHON" bench/gpu_torch.py
}

benchmarks() {
  local group limit until=$((SECONDS + ${BENCHES_SECONDS:-200})) ok=0
  [ -x "$KERNELS/cuda_bench" ] ||
    { note bench all skipped "there is no Google Benchmark, or it was not built"; return 0; }
  timeout "$(seconds_of 3600)" nvidia-smi -i 0 --query-gpu=clocks.sm,power.draw \
    --format=csv,noheader,nounits -l 2 </dev/null >"$DETAILS/clocks.csv" 2>/dev/null &
  watch=$!
  pause_engine
  for group in $BENCH; do
    limit=$((until - SECONDS < ${BENCH_SECONDS:-60} ? until - SECONDS : ${BENCH_SECONDS:-60}))
    run bench "$group" "$limit" "$DETAILS/bench_$group.log" "$KERNELS/cuda_bench" \
      --benchmark_filter="^$group/" --benchmark_repetitions="${REPETITIONS:-3}" \
      --benchmark_enable_random_interleaving=true --benchmark_out="$DETAILS/bench_$group.json" \
      --benchmark_out_format=json || ok=1
  done
  resume_engine
  stop_watch
  return "$ok"
}

stop_watch() {
  [ -z "$watch" ] || { kill "$watch"; wait "$watch"; } 2>/dev/null
  watch=
}

# The engine is built beside what leaves the processor alone, and stands still while kernels are timed: a
# session of processes, for Ninja puts its compilers into groups of their own.
start_engine() {
  [ -z "$no_engine" ] || return 0
  rm -f "$FOLDER/graft_device_tests" "$FOLDER/model_bench"
  (($(left) > 0)) || { note engine build skipped "out of time"; return 1; }
  build_seconds=$(seconds_of "${ENGINE_BUILD_SECONDS:-3600}")
  setsid timeout -k 5 "$build_seconds" ninja -C "$FOLDER" -k 0 graft_device_tests model_bench \
    </dev/null >>"$DETAILS/engine_build.log" 2>&1 &
  building=$!
}

signal_engine() { [ -z "$building" ] || pkill "-$1" -s "$building"; }
pause_engine() { signal_engine STOP; }
resume_engine() { signal_engine CONT; }

await_engine() {
  [ -n "$building" ] || return 0
  wait "$building"
  local code=$?
  building=
  note engine build "$code" "$build_seconds"
  return "$code"
}

# Its tests on the device, and steps of ResNet-50.
engine() {
  local race ok=0 peer=0
  [ -z "$no_engine" ] || { note engine all skipped "$no_engine"; return 0; }
  await_engine || ok=1
  if [ ! -x "$FOLDER/graft_device_tests" ]; then
    note engine tests skipped "not built"
  else
    run engine tests "${ENGINE_SECONDS:-100}" "$DETAILS/engine_tests.log" "$FOLDER/graft_device_tests" || ok=1
  fi
  [ ! -x "$FOLDER/model_bench" ] || ! has_python "torch, torchvision" || peer=1
  for race in $RACES; do
    if [ ! -x "$FOLDER/model_bench" ]; then
      note engine "$race" skipped "not built"
    else
      race "${race%_*}" "${race#*_}" "$peer" || ok=1
    fi
  done
  return "$ok"
}

race() { # mode, batch, whether there is a peer
  local timed=(run engine "$1_$2" "${RACE_SECONDS:-40}" "$DETAILS/engine_$1_$2.log")
  if [ "$3" = 1 ]; then
    "${timed[@]}" "$PYTHON" bench/model_race.py --build "$FOLDER" --model resnet50 --batch "$2" --mode "$1" \
      --device cuda --warmup 5 --rounds 20
  else
    # shellcheck disable=SC2016
    "${timed[@]}" bash -c '{ yes "" | head -5; echo afresh; yes "" | head -19; } | "$0" resnet50 "$1" "$2" 1 cuda' \
      "$FOLDER/model_bench" "$2" "$1"
  fi
}

# ---- all of it

finish() {
  table || failed=1
  pack
  echo
  cat "$DETAILS/gpu.md"
  exit "$failed"
}

end_all() {
  stop_watch
  resume_engine
  signal_engine TERM
  [ -z "$building" ] || wait "$building" 2>/dev/null
}

trap end_all EXIT
trap 'exit 130' INT TERM
no_engine='' wheels=() FOLDER=$BUILD/none KERNELS=$BUILD/none
machine >"$DETAILS/machine.tsv"
step "build" build || [ -x "$KERNELS/graft_cuda_tests" ] || [ -x "$KERNELS/cuda_bench" ] || finish
[[ " $STEPS " != *" engine "* ]] || start_engine || failed=1
for one in $STEPS; do
  case $one in
    tests) step "tests on the GPU" tests ;;
    sanitizer) step "compute-sanitizer" sanitizer ;;
    torch) step "PyTorch's batch norm, losses and optimisers" torch ;;
    benchmarks) step "benchmarks" benchmarks ;;
    engine) step "the engine on the GPU" engine ;;
    *) echo "STEPS: '$one' is unknown"; failed=1 ;;
  esac
  pack
done
finish
