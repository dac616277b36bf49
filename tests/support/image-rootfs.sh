#!/usr/bin/env bash
# The file system of the image, built without a container engine, and programs run in it.
#
#   image-rootfs.sh build EXECUTABLE FOLDER
#       lays out FOLDER as the Dockerfile's final stage says: the packages of Debian that the executable needs and that
#       the stage installs, its user, its folder /data, and the executable. What else Debian's slim image has (a shell,
#       coreutils, apt) is left out on purpose: the program has to do without.
#   image-rootfs.sh run FOLDER DATA HOSTNAME [NAME=VALUE...] -- ARGUMENT...
#       runs the entry point of the Dockerfile in it, as the Dockerfile's user and with its environment, the root file
#       system read-only, DATA mounted at /data, /proc and /dev/null of the machine, the network of the machine. The process
#       that it is told by its number is the program itself.
#
# `run` takes root, or else a user namespace; where neither is allowed it says so and exits with 77. As root the program runs
# as the image's user; in a user namespace there is but one user, who is mapped to the one who started it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dockerfile=$here/../../Dockerfile

fail() { echo "image-rootfs: $*" >&2; exit 1; }

# The instructions of the final stage, one a line.
final_stage() {
  sed -e ':a;/\\$/{N;s/\\\n[[:space:]]*/ /;ba}' "$dockerfile" | awk '/^FROM /{stage = ""} {stage = stage $0 "\n"} END {printf "%s", stage}' | grep -v '^#'
}

instruction() { final_stage | sed -n "s/^$1 //p" | tail -1; }

# ["a", "b"] as words, one a line.
words() { python3 -c 'import json, sys; print("\n".join(json.loads(sys.argv[1])))' "$1"; }

build() {
  local executable=$1 root=$2 packages package user group home
  packages=$("$here/deploy-tools.sh" packages)
  [ "$(final_stage | sed -n 's/.*--no-install-recommends \([^&]*[^& ]\) *&&.*/\1/p')" = ca-certificates ] ||
    fail "the Dockerfile installs other packages than deploy-tools.sh knows"
  # As merged as Debian has it.
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64,local/bin} "$root"/{etc,proc,dev,tmp,data}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  for package in "$packages"/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"; done
  # What the script of ca-certificates does after its installation.
  mkdir -p "$root/etc/ssl/certs"
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
  user=$(final_stage | sed -n 's/.*useradd .*--uid \([0-9]*\).*/\1/p')
  group=$(final_stage | sed -n 's/.*groupadd .*--gid \([0-9]*\).*/\1/p')
  home=$(final_stage | sed -n 's/.*--home-dir \([^ ]*\).*/\1/p')
  [ "$(instruction USER)" = "$user:$group" ] || fail "USER is not the user that is made"
  [ "$(instruction WORKDIR)" = "$home" ] || fail "WORKDIR is not the home of the user"
  printf 'root:x:0:0:root:/root:/bin/sh\nproductforge:x:%s:%s::%s:/usr/sbin/nologin\n' "$user" "$group" "$home" >"$root/etc/passwd"
  printf 'root:x:0:\nproductforge:x:%s:\n' "$group" >"$root/etc/group"
  # A name in /etc/hosts is what an engine adds.
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  touch "$root/dev/null"
  chmod 1777 "$root/tmp"
  ln "$executable" "$root/usr/local/bin/productforge" 2>/dev/null || cp "$executable" "$root/usr/local/bin/productforge"
}

run() {
  local root=$1 data=$2 name=$3 user environment=() entry identity=()
  shift 3
  read -r -a environment <<<"$(instruction ENV)"
  while [ $# -gt 0 ] && [ "$1" != -- ]; do environment+=("$1"); shift; done
  [ "${1:-}" = -- ] || fail "no -- before the arguments"
  shift
  mapfile -t entry < <(words "$(instruction ENTRYPOINT)")
  user=$(instruction USER)
  local way=(unshare --mount --uts)
  if [ "$(id -u)" -eq 0 ]; then
    identity=(--setgid="${user#*:}" --setuid="${user%:*}")
    chown "$user" "$data"
  else
    way=(unshare --user --map-root-user --mount --uts)
  fi
  "${way[@]}" true 2>/dev/null || {
    echo "image-rootfs: neither root nor a user namespace: the image's file system cannot be entered here" >&2
    exit 77
  }
  # Each step takes the place of the one before, so the number of the process stays. What the program finds in its
  # environment is what the image and the caller say, and the PATH that engines set.
  # shellcheck disable=SC2016
  exec "${way[@]}" bash -c '
    set -euo pipefail
    root=$1 data=$2 name=$3
    shift 3
    hostname "$name"
    mount --bind "$root" "$root"
    mount --rbind /proc "$root/proc"
    mount --bind /dev/null "$root/dev/null"
    mount --bind "$data" "$root/data"
    mount -o remount,bind,ro "$root"
    exec env --ignore-environment "$@"
  ' image "$root" "$data" "$name" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" \
    "$(command -v unshare)" --root="$root" --wd="$(instruction WORKDIR)" "${identity[@]}" "${entry[@]}" "$@" </dev/null
}

case ${1:-}:$# in
  build:3) build "$2" "$3" ;;
  run:*) [ $# -ge 5 ] || fail "run FOLDER DATA HOSTNAME [NAME=VALUE...] -- ARGUMENT..."; run "${@:2}" ;;
  *) fail "usage: image-rootfs.sh build EXECUTABLE FOLDER | run FOLDER DATA HOSTNAME [NAME=VALUE...] -- ARGUMENT..." ;;
esac
