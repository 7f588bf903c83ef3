#!/usr/bin/env bash
# From a fresh clone on Debian or Ubuntu to transfer learning: apps/demo.sh [options of graft demo]
# Installs what is missing from the distribution's packages (as root, or with sudo), builds graft
# into build/, and runs graft demo. All of it may be repeated.
set -euo pipefail
home=$(realpath "$(dirname "$0")/..")
source "$home/apps/setup.sh"
install_packages "${GRAFT_PACKAGES[@]}"

echo "Building graft; the first time takes a few minutes" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake -S "$home" -B "$home/build" -G Ninja -DGRAFT_TESTS=OFF -DGRAFT_BENCH=OFF >"$log" 2>&1 &&
  cmake --build "$home/build" --target graft >"$log" 2>&1 || {
  tail -40 "$log" >&2
  exit 1
}
"$home/build/graft" demo "$@"
