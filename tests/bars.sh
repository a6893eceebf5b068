#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The long bars, outside CI: prints figures, each beside what is wanted. Usage: bars.sh 5|6|7|10|13|qemu [arguments]
set -eu
cd "$(dirname "$0")/.."
build=${WRIT_BUILD:-build/release}
n=${1:-}
if [ -z "$n" ] || { [ "$n" != qemu ] && [ ! -f "tests/bars/bar$n.py" ]; }; then
	echo "usage: bars.sh NUMBER [arguments]; there are:" >&2
	for bar in tests/bars/bar[0-9]*.py; do sed -n '2,3s/^"""/  /p' "$bar" >&2; done
	echo "  Bar qemu: a real systemd, cgroup v2 alone, Linux 6.1: tests/bars/qemu.sh" >&2
	exit 2
fi
shift
if [ -z "${WRIT_BUILD:-}" ]; then
	sh deploy/packages.sh test
	cmake --preset release >/dev/null
	cmake --build "$build" -- --quiet
fi
sh tests/clients/prepare.sh "$build/clients"
[ "$n" != qemu ] || WRIT_BUILD=$build exec sh tests/bars/qemu.sh "$@"
export WRIT_BIN="$build/bin" WRIT_CLIENTS="$build/clients"
exec python3 -B "tests/bars/bar$n.py" "$@"
