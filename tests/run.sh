#!/usr/bin/env bash
# Builds graft and passes every test, on a fresh Debian or Ubuntu machine: tests/run.sh
# Installs what is missing from the distribution's packages (as root, or with sudo).
# Environment: GRAFT_TEST_DATA, a folder of real weights and photographs (those tests are skipped
# without it); BUILD, the build folder (default build); GRAFT_QUICK=1 leaves out the sanitizer builds
# and the fuzzing, which also needs clang-16.
set -euo pipefail
cd "$(dirname "$0")/.."
source apps/setup.sh
install_packages "${GRAFT_PACKAGES[@]}" ccache libgtest-dev libbenchmark-dev python3-torch \
  python3-torchvision python3-pil python3-numpy python3-pytest python3-pytest-xdist python3-h5py \
  python3-venv time \
  libopenblas0-pthread # PyTorch would multiply with the reference BLAS, ten times slower

BUILD=$(realpath -m "${BUILD:-build}")
PYTHON=/usr/bin/python3 # the one that Debian's packages belong to
RESULTS=$BUILD/results
LIMIT=$((20 * 60))      # seconds that a part of a test program may take
export GRAFT_REFERENCE_DIR=$BUILD/reference GRAFT_ONNX_DIR=$BUILD/onnx OMP_WAIT_POLICY=passive
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 # one cache for every clone
rm -rf "$RESULTS" "$GRAFT_ONNX_DIR" && mkdir -p "$RESULTS" "$GRAFT_REFERENCE_DIR" "$GRAFT_ONNX_DIR"
# Of warnings the optimised build is judge: with a sanitizer gcc sees uninitialised values in good code.
LIGHT=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-Og -w" -DGRAFT_BENCH=OFF -DGRAFT_TESTS=ON
  -DGRAFT_UNITY=all)
failed=0
LAST=$(($(date +%s) + 42 * 60)) # when no part of a test program begins any more

step() { # title, command...
  printf '\n== %s\n' "$1"
  shift
  local begin=$SECONDS
  if "$@"; then echo "   ok, $((SECONDS - begin)) s"; else
    echo "   FAILED, $((SECONDS - begin)) s: $*"
    failed=1
  fi
}

# A step that begins before this minute, or says why not: 45 minutes are the limit, and from a cold start,
# without a compiler's cache, on a slow machine, the steps before it may take most of them.
late=0 # whether the last one came too late
by() { # minute, title, command...
  late=0
  if ((SECONDS < $1 * 60)); then step "${@:2}"; else
    late=1
    printf '\n== %s: skipped, the rest took %d minutes\n' "$2" $((SECONDS / 60))
  fi
}

build() { # folder, targets ("all"), cmake options...
  local folder=$1 targets=$2
  shift 2
  cmake -S . -B "$folder" -G Ninja "$@" >"$folder.log" 2>&1 &&
    ninja -C "$folder" -t cleandead >>"$folder.log" 2>&1 && # or programs() finds what is no target now
    ninja -C "$folder" $targets >>"$folder.log" 2>&1 || {
    grep -E -A3 'error|FAILED|CMake Error' "$folder.log" | head -60
    return 1
  }
  ! grep -E 'warning:' "$folder.log" || { echo "warnings are errors here"; return 1; }
}

# Every test program of a folder, 16 parts of each, two at a time: ctest starts a program anew for each of its
# tests, and a start takes 0.02 s, under a sanitizer up to 0.3 s.
programs() { # name, folder, tests to leave out, as a filter of GoogleTest
  local log
  local -x ASAN_OPTIONS=detect_stack_use_after_return=0 GTEST_TOTAL_SHARDS=16
  find "$2" -name '*_tests' -type f -executable | sort | while IFS= read -r program; do
    for part in {0..15}; do echo "$program $part $RESULTS/$1.$(basename "$program").$part"; done
  done | xargs -P2 -L1 bash -c '(($(date +%s) < '"$LAST"')) || { echo "$1, part $2: left out, it is late"; exit 0; }
    GTEST_SHARD_INDEX=$2 timeout '"$LIMIT"' "$1" --gtest_brief=1 \
    --gtest_filter="-$0" --gtest_output="xml:$3.xml" >"$3.log" 2>&1 || { echo "$1 failed"; exit 1; }' "$3" && return
  for log in "$RESULTS/$1".*.log; do
    grep -qE '^\[  PASSED' "$log" && ! grep -q '^\[  FAILED' "$log" ||
      { echo "$log:" && grep -E 'FAILED|Failure|rror' "$log" | head -20; }
  done
  return 1
}

embed() { # the README's program, against the installed package
  cmake --install "$BUILD" --prefix "$BUILD/install" >/dev/null || return 1
  cmake -S tests/embed -B "$BUILD/embed" -G Ninja -DCMAKE_PREFIX_PATH="$BUILD/install" \
    >"$BUILD/embed.log" 2>&1 || { tail -20 "$BUILD/embed.log"; return 1; }
  ninja -C "$BUILD/embed" >>"$BUILD/embed.log" 2>&1 || { tail -20 "$BUILD/embed.log"; return 1; }
  "$BUILD/graft" train --model resnet10_small --weights none --data "$BUILD/embed/photos" \
    --epochs 1 --freeze none --augment none --out "$BUILD/embed/run" 2>/dev/null || return 1
  "$BUILD/embed/embed" "$BUILD/embed/run/model.h5" | grep 'right: 8 of 8' || return 1
  $PYTHON tests/readme.py README.md tests/embed/embed.cpp
}

# What is compiled in another way where there is no cuDNN.
without_cudnn() {
  local folder=$BUILD-no-cudnn objects=CMakeFiles/graft_core.dir/core/vendor_kernels.cpp.o
  local without=(-DGRAFT_TESTS=OFF -DCUDNN_LIBRARY=OFF) # at CUDNN_LIBRARY-NOTFOUND CMake would look once more
  build "$folder" "$objects" "${without[@]}" || return 1
  objects+=" $(ninja -C "$folder" -t targets all | sed -n 's/^\(.*cuda_bench\.dir.*\.o\):.*/\1/p' | paste -sd' ')"
  build "$folder" "$objects" "${without[@]}" || return 1
  ! ninja -C "$folder" -t query graft_vendor_kernels >/dev/null 2>&1 || { echo "it was found all the same"; return 1; }
}

peer_python() { # what is no Debian package: from PyPI, into the build folder
  local packages=(onnx==1.15.0 onnxruntime==1.17.3) # for Python 3.11 and NumPy 1.24
  local timm=(timm==1.0.31 huggingface_hub safetensors pyyaml) # on Debian's PyTorch
  local pip=("$BUILD/python/bin/pip" install -q --disable-pip-version-check --retries 1)
  [ "$(cat "$BUILD/python/made_of" 2>/dev/null)" = "${packages[*]} ${timm[*]}" ] && return
  rm -rf "$BUILD/python"
  { $PYTHON -m venv --system-site-packages "$BUILD/python" && "${pip[@]}" "${packages[@]}" &&
    "${pip[@]}" --no-deps "${timm[0]}" && "${pip[@]}" "${timm[@]:1}" &&
    echo "${packages[*]} ${timm[*]}" >"$BUILD/python/made_of"; } >"$BUILD/python.log" 2>&1
}

photos() { # two classes of four pictures each
  $PYTHON - "$BUILD/embed/photos" <<'EOF'
import sys, os
from PIL import Image
for part in ("train", "val"):
    for name, colour in (("dark", (30, 40, 50)), ("light", (220, 210, 200))):
        folder = os.path.join(sys.argv[1], part, name)
        os.makedirs(folder, exist_ok=True)
        for i in range(4):
            Image.new("RGB", (40, 40), tuple(c + 5 * i for c in colour)).save(f"{folder}/{part}{i}.png")
EOF
}

step "layering" $PYTHON tests/layering.py .
step "CUDA sources" $PYTHON tests/cuda_sources.py .
step "catalogue of published weights" $PYTHON tests/catalogue.py
step "bench/gpu.sh without a GPU" $PYTHON -m pytest -q -n2 tests/gpu --junitxml="$RESULTS/gpu.xml"
# Kernels are tested for races here, and under the sanitizers below, which see more than the plain build.
CUSIM=race
[ "${GRAFT_QUICK:-0}" = 0 ] || CUSIM="plain;race"
step "build" build "$BUILD" all -DGRAFT_TESTS=ON -DGRAFT_BENCH=ON -DGRAFT_UNITY=tests \
  -DCMAKE_CUDA_FLAGS=-Xptxas=-v "-DGRAFT_CUSIM=$CUSIM"
# From a cold start, without a compiler's cache, there is no time for more than one order of threads.
((SECONDS < 12 * 60)) || { export GRAFT_ORDER=random && printf '\n   kernels in one order of threads from here\n'; }
step "build without cuDNN" without_cudnn
step "reference values: operations" $PYTHON tests/op_reference.py "$GRAFT_REFERENCE_DIR"
step "reference values: images" $PYTHON tests/decode_reference.py "$GRAFT_REFERENCE_DIR"
step "unit tests" programs unit "$BUILD" ""
step "whole networks against PyTorch" $PYTHON tests/golden.py --run "$BUILD/graft_models_tests" --jobs 2 \
  --xml "$RESULTS"
step "photographs" photos
step "embedding" embed
if peer_python; then CLI_PYTHON=$BUILD/python/bin/python; else
  CLI_PYTHON=$PYTHON
  echo "   PyPI gives no onnxruntime or timm ($BUILD/python.log): what needs them is skipped"
fi
export GRAFT_PEER_PYTHON=${GRAFT_PEER_PYTHON:-$CLI_PYTHON}
step "command line" env GRAFT="$BUILD/graft" "$CLI_PYTHON" -m pytest -q -n2 --maxfail=20 tests/cli \
  --junitxml="$RESULTS/cli.xml"
step "CUDA kernels: registers" $PYTHON tests/ptxas_budget.py --log "$BUILD.log" \
  --out "$RESULTS/registers.txt"
step "page of networks" $PYTHON tests/models_page.py "$BUILD/graft" models/README.md \
  "$RESULTS"/graft_models_tests*.xml "$RESULTS/cli.xml" --out "$RESULTS/networks.md"
if [ "${GRAFT_QUICK:-0}" = 0 ]; then
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
  by 30 "build with address and undefined-behaviour sanitizers" build "$BUILD-asan" \
    all "${LIGHT[@]}" -DGRAFT_SANITIZE=address,undefined -DGRAFT_CUDA=SIM
  if [ $late = 0 ]; then
    # Not again: what does the same once more, for every network, element or photograph.
    step "unit tests under both" programs asan "$BUILD-asan" \
      '*OnnxZoo*:*RealSqueezeNet*:Prefix.*:HeadSolver.ForwardIsItsThreeParts:*GradientsAreCentralDifferences*'
    by 39 "command line on a simulated CUDA device" env GRAFT="$BUILD/graft" GRAFT_SIM="$BUILD-asan/graft" \
      "$CLI_PYTHON" -m pytest -q -n2 tests/cli/test_device.py -k "not measured" \
      --junitxml="$RESULTS/cli_device.xml"
  fi
  by 40 "build with the thread sanitizer" build "$BUILD-tsan" \
    graft_thread_tests "${LIGHT[@]}" -DGRAFT_SANITIZE=thread
  [ $late = 1 ] || step "loader and thread pool under it" programs tsan "$BUILD-tsan" ''
  by 38 "CUDA kernels: planted bugs" tests/cusim/seeded.sh
  ((SECONDS >= 30 * 60)) || install_packages clang-16 libclang-rt-16-dev libomp-16-dev || true # without, it is skipped
  by 30 "damaged files, 20 s for each reader" env BUILD="$BUILD" RESULTS="$RESULTS" tests/fuzz.sh 20
fi

$PYTHON tests/count.py "$RESULTS"/*.xml || failed=1
exit $failed
