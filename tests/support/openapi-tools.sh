#!/usr/bin/env bash
# What the OpenAPI document is held against: two validators, and a client that is generated from it.
#
#   openapi-tools.sh install            fetches them from npm and PyPI (90 MB), once
#   openapi-tools.sh check DOCUMENT     validates it (openapi-spec-validator, Redocly with its recommended rules)
#   openapi-tools.sh client DOCUMENT SCRIPT.ts FOLDER
#                                       generates types from it in FOLDER and compiles the script with them, strictly;
#                                       FOLDER/build/SCRIPT.js is then ready for node
#
# The versions are those of package-lock.json and requirements.txt beside this. They live in
# ${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests. Needs node >= 20 with npm, and python3 >= 3.10 with pip.
set -euo pipefail

pins=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/openapi-tools
version=$(cat "$pins/package-lock.json" "$pins/requirements.txt" | sha256sum | cut -c 1-12)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/openapi-tools-$version

fail() { echo "openapi-tools: $*" >&2; exit 1; }
needs_tools() { [[ -d $tools ]] || fail "the tools are not installed in $tools: run ./dev setup"; }

install() {
  [[ -d $tools ]] && return
  command -v npm >/dev/null || fail "node >= 20 with npm is needed"
  python3 -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 >= 3.10 with pip is needed"
  mkdir -p "$(dirname "$tools")"
  exec 9>"$(dirname "$tools")/openapi-tools.lock"
  flock 9 # two test runs may install at once
  [[ -d $tools ]] && return
  local work=$tools.unfinished
  rm -rf "$work" && mkdir "$work"
  cp "$pins/package.json" "$pins/package-lock.json" "$work"
  npm --prefix "$work" ci --no-audit --no-fund --no-update-notifier --ignore-scripts --loglevel error &
  python3 -m pip --quiet --disable-pip-version-check --no-input install --root-user-action=ignore \
    --only-binary=:all: --no-deps --target "$work/python" --requirement "$pins/requirements.txt"
  wait $! || fail "npm could not install what package-lock.json names"
  mv "$work" "$tools"
}

check() {
  needs_tools
  PYTHONPATH=$tools/python python3 -m openapi_spec_validator "$1"
  # Redocly sends figures of its use and looks for newer versions unless told otherwise.
  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true NO_COLOR=1 \
    "$tools/node_modules/.bin/redocly" lint --config "$pins/redocly.yaml" --format stylish --max-problems 1000 "$1"
}

client() {
  needs_tools
  local document=$1 script=$2 folder=$3
  cp "$script" "$folder"
  ln -s "$tools/node_modules" "$folder/node_modules"
  echo '{"type": "module"}' >"$folder/package.json"
  "$tools/node_modules/.bin/openapi-typescript" "$document" --output "$folder/api.d.ts"
  cp "$pins/tsconfig.json" "$folder"
  "$tools/node_modules/.bin/tsc" --project "$folder"
}

case ${1:-}:$# in
  install:1) install ;;
  check:2) check "$2" ;;
  client:4) client "$2" "$3" "$4" ;;
  *) fail "usage: openapi-tools.sh install | check DOCUMENT | client DOCUMENT SCRIPT.ts FOLDER" ;;
esac
