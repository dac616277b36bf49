#!/bin/sh
# Re-packs the vendored front-end files from npm. Run by hand, never by the build:
#   sh assets/vendor.sh          writes assets/static/vendor anew
#   sh assets/vendor.sh --check  only compares the files with CHECKSUMS
# Same versions in, same bytes out (gzip -n -9), so `git diff` shows whether npm still serves what it did.
set -eu
cd "$(dirname "$0")/static/vendor"

if [ "${1:-}" = "--check" ]; then
    exec sha256sum --check --strict CHECKSUMS
fi

REDOC=2.5.4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "redoc@$REDOC" && tar xzf "redoc-$REDOC.tgz")

# ReDoc's badge is the one thing it would fetch from another host: put a data: URI in its place.
logo='data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 10 10%22%3E%3Ccircle cx=%225%22 cy=%225%22 r=%224%22 fill=%22%23777%22/%3E%3C/svg%3E'
sed "s#https://cdn.redoc.ly/redoc/logo-mini.svg#$logo#g" "$work/package/bundles/redoc.standalone.js" >"$work/redoc.js"
if grep -q 'cdn.redoc.ly' "$work/redoc.js"; then
    echo "redoc.standalone.js still names cdn.redoc.ly" >&2
    exit 1
fi
gzip -n -9 <"$work/redoc.js" >redoc.standalone.js.gz

{
    echo "# Licences of the vendored files"
    echo
    echo "Written by \`assets/vendor.sh\`; the files are what npm packs, gzipped, with the change named there."
    echo
    echo "## redoc $REDOC (redoc.standalone.js.gz), MIT"
    echo
    sed 's/^/    /' "$work/package/LICENSE"
    echo
    echo "Bundled in it (its own list, \`redoc.standalone.js.LICENSE.txt\`):"
    echo
    sed 's/^/    /' "$work/package/bundles/redoc.standalone.js.LICENSE.txt"
} >LICENSES.md
sed -i 's/[[:space:]]*$//' LICENSES.md

sha256sum -- *.gz LICENSES.md >CHECKSUMS
cat CHECKSUMS
