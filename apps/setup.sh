# Sourced by demo.sh and tests/run.sh: installs Debian or Ubuntu packages that are missing.

GRAFT_PACKAGES=(build-essential cmake ninja-build libdnnl-dev libhdf5-dev libfmt-dev
  nlohmann-json3-dev libcli11-dev libjpeg-dev zlib1g-dev libzip-dev
  libcurl4-openssl-dev libstb-dev libonnx-dev libprotobuf-dev)

# Installs those of the packages that are missing. Without apt-get, or without the right to use it,
# says what to install by hand and goes on.
install_packages() {
  local package missing=() root=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here; graft needs what Debian calls: ${missing[*]}" >&2
    return 0
  fi
  if ((EUID)); then
    if ! command -v sudo >/dev/null; then
      echo "Neither root nor sudo; have somebody run: apt-get install ${missing[*]}" >&2
      return 0
    fi
    root=(sudo)
  fi
  echo "Installing with apt-get: ${missing[*]}" >&2
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' \
    apt "${missing[@]}" </dev/null >&2
}
