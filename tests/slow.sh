#!/usr/bin/env bash
# What tests/run.sh leaves out because it takes hours, after it has passed: tests/slow.sh
# Compares the other networks with PyTorch, onnxruntime and Keras, and writes models/README.md.
# Environment: BUILD, the build folder (default build); GRAFT_PEER_PYTHON, a Python with Keras 3, without
# which that part is skipped. Takes 16 GB of memory.
set -uo pipefail
cd "$(dirname "$0")/.."
BUILD=$(realpath -m "${BUILD:-build}")
RESULTS=$BUILD/slow
export OMP_WAIT_POLICY=passive
rm -rf "$RESULTS" && mkdir -p "$RESULTS" || exit 1
failed=0

/usr/bin/python3 tests/golden.py --slow --run "$BUILD/graft_models_tests" --xml "$RESULTS" ||
  failed=1
GRAFT="$BUILD/graft" "$BUILD/python/bin/python" -m pytest --slow -m slow -v tests/cli \
  --junitxml="$RESULTS/cli.xml" || failed=1
/usr/bin/python3 tests/models_page.py "$BUILD/graft" models/README.md --slow "$RESULTS"/*.xml || failed=1
/usr/bin/python3 tests/count.py "$RESULTS"/*.xml || failed=1
exit $failed
