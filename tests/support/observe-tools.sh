#!/usr/bin/env bash
# What metrics, alert rules and traces are read with: the parsers of others.
#
#   observe-tools.sh install          fetches them from PyPI (5 MB), once
#   observe-tools.sh metrics FILE     reads the text format of Prometheus; prints every family as JSON
#   observe-tools.sh promql FILE      parses a JSON list of expressions; prints how many
#   observe-tools.sh rules FILE       reads alert rules (YAML); prints them as JSON
#   observe-tools.sh otlp FILE        reads an ExportTraceServiceRequest (FILE.json as JSON, else protobuf);
#                                     prints it as JSON
#
# The versions are those of observe-tools/requirements.txt. They live in
# ${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests. Needs python3 >= 3.10 with pip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/observe-tools
version=$(sha256sum <"$here/requirements.txt" | cut -c 1-12)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/observe-tools-$version

fail() { echo "observe-tools: $*" >&2; exit 1; }

install() {
  [[ -d $tools ]] && return
  python3 -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 >= 3.10 with pip is needed"
  mkdir -p "$(dirname "$tools")"
  exec 9>"$(dirname "$tools")/observe-tools.lock"
  flock 9 # two test runs may install at once
  [[ -d $tools ]] && return
  local work=$tools.unfinished
  rm -rf "$work"
  python3 -m pip --quiet --disable-pip-version-check --no-input install --root-user-action=ignore \
    --only-binary=:all: --no-deps --target "$work" --requirement "$here/requirements.txt"
  mv "$work" "$tools"
}

read_with() {
  [[ -d $tools ]] || fail "the tools are not installed in $tools: run ./dev setup"
  PYTHONPATH=$tools exec python3 "$here/read.py" "$1" "$2"
}

case ${1:-}:$# in
  install:1) install ;;
  metrics:2 | promql:2 | rules:2 | otlp:2) read_with "$1" "$2" ;;
  *) fail "usage: observe-tools.sh install | metrics FILE | promql FILE | rules FILE | otlp FILE" ;;
esac
