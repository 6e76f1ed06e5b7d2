#!/usr/bin/env bash
# Puts ONNX Runtime's library where tintype looks for it: out of the wheel that scripts/onnxruntime.txt names, into
# ${TINTYPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tintype}/onnxruntime/<version>/.
#
# The wheel's and the library's hashes are checked. Quiet when the library is already there, or when TINTYPE_ORT_LIB
# names another. The local Python only runs pip: its own version does not matter.
set -euo pipefail
cd "$(dirname "$0")"

version=1.31.1
library=libonnxruntime.so.$version

fail() {
    echo "error: $1" >&2
    [ $# -lt 2 ] || echo "hint: $2" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || fail "only Linux is supported, found $(uname -s)"
machine=$(uname -m)
case $machine in
    x86_64) sha256=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
    aarch64) sha256=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
    *) fail "there is no ONNX Runtime $version for $machine, only for x86_64 and aarch64" ;;
esac

if [ -n "${TINTYPE_ORT_LIB:-}" ] && [ -f "$TINTYPE_ORT_LIB" ]; then
    exit 0
fi
cache=${TINTYPE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set}/.cache}/tintype}
folder=$cache/onnxruntime/$version

is_right() {
    [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status
}

if is_right "$folder/$library"; then
    exit 0
fi

python3 -m pip --version >/dev/null 2>&1 ||
    fail "python3 with pip is needed to download ONNX Runtime" "on Debian: \`apt-get install python3-pip\`"

mkdir -p "$folder"
# Beside its destination, so that the last step is a rename and nobody ever sees half a library.
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "downloading ONNX Runtime $version for $machine" >&2
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --platform "manylinux_2_28_$machine" --python-version 3.11 --implementation cp --abi cp311 \
    --dest "$work" --requirement onnxruntime.txt >"$work/log" 2>&1; then
    sed 's/^/  /' "$work/log" >&2
    fail "pip could not download the wheel of ONNX Runtime $version" \
        "with no network, set TINTYPE_ORT_LIB to a copy of $library"
fi
python3 - "$work"/*.whl "onnxruntime/capi/$library" "$work/$library" <<'EOF'
import shutil, sys, zipfile

wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel).open(member) as source, open(target, "wb") as sink:
    shutil.copyfileobj(source, sink)
EOF
is_right "$work/$library" || fail "the library in the wheel is not the expected one: its SHA-256 is not $sha256"
chmod 755 "$work/$library"
mv -f "$work/$library" "$folder/$library"
echo "put $folder/$library" >&2
