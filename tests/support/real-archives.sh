#!/bin/sh
# Fetches the archives of real_archives.txt into the cache of the tests: only what is missing, and
# only with the right SHA-256. Needs pip.
set -eu

list=$(dirname "$0")/real_archives.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/productforge-tests/archives
mkdir -p "$cache"

right() {
    echo "$2  $1" | sha256sum --check --status 2>/dev/null
}

part=$(mktemp -d -p "$cache")
trap 'rm -rf "$part"' EXIT
grep -v '^#' "$list" | while read -r package sha256 file; do
    right "$cache/$file" "$sha256" && continue
    printf '%s --hash=sha256:%s\n' "$package" "$sha256" >"$part/requirement.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --dest "$part" --requirement "$part/requirement.txt"
    right "$part/$file" "$sha256" || { echo "$file is not what the list says" >&2; exit 1; }
    mv "$part/$file" "$cache/$file"
done
