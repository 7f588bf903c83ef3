#!/usr/bin/env bash
# What bench/gpu.sh needs and a bare machine with a GPU lacks, GoogleTest and Google Benchmark of Debian 12,
# in a folder that git ignores, that gpu.sh finds by itself and that can be carried to that machine with the
# sources:   bench/gpu_packages.sh [FOLDER]   (default build-gpu-packages)
# Needs Debian 12, x86-64 and the network, but not root. Nothing of C's or C++'s libraries comes along:
# programs run with those of the machine that they are built on.
set -euo pipefail
cd "$(dirname "$0")/.."
FOLDER=$(realpath -m "${1:-build-gpu-packages}")
PACKAGES=(libgtest-dev libbenchmark-dev libbenchmark1debian)

grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release ||
  { echo "gpu_packages.sh: this is not Debian 12"; exit 1; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -o APT::Sandbox::User=root download "${PACKAGES[@]}")
rm -rf "$FOLDER" && mkdir -p "$FOLDER"
for package in "$work"/*.deb; do dpkg -x "$package" "$FOLDER"; done
rm -rf "$FOLDER/usr/share/doc" "$FOLDER/usr/share/man"
du -sh "$FOLDER"
