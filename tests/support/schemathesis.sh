#!/usr/bin/env bash
# Schemathesis: requests made up from the OpenAPI document, right ones and wrong ones, and its checks of the answers.
#
#   schemathesis.sh install              fetches it from PyPI (70 MB), once
#   schemathesis.sh run URL [OPTION...]  runs it against the server at URL with the key $API_KEY; options go to
#                                        `schemathesis run`
#
# The versions are those of schemathesis/requirements.txt beside this, what it is told is in schemathesis/schemathesis.toml,
# which also names the things that have to be there ($AGENT, $JOB_ID, …). It lives in
# ${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests. Needs python3 >= 3.10 with pip.
set -euo pipefail

own=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/schemathesis
version=$(sha256sum "$own/requirements.txt" | cut -c 1-12)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/schemathesis-$version

fail() { echo "schemathesis: $*" >&2; exit 1; }

install() {
  [[ -d $tools ]] && return
  python3 -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 >= 3.10 with pip is needed"
  mkdir -p "$(dirname "$tools")"
  exec 9>"$(dirname "$tools")/schemathesis.lock"
  flock 9 # two test runs may install at once
  [[ -d $tools ]] && return
  local work=$tools.unfinished
  rm -rf "$work"
  python3 -m pip --quiet --disable-pip-version-check --no-input install --root-user-action=ignore \
    --no-deps --target "$work" --requirement "$own/requirements.txt"
  mv "$work" "$tools"
}

run() {
  [[ -d $tools ]] || fail "it is not installed in $tools: run ./dev setup"
  local url=$1
  shift
  PYTHONPATH=$tools exec python3 -m schemathesis.cli --config-file "$own/schemathesis.toml" \
    run "$url/openapi.json" --no-color "$@"
}

case ${1:-}:$# in
  install:1) install ;;
  run:1) fail "usage: schemathesis.sh run URL [OPTION...]" ;;
  run:*) shift; run "$@" ;;
  *) fail "usage: schemathesis.sh install | run URL [OPTION...]" ;;
esac
