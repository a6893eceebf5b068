#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, runs every test. The last lines are ctest's. Arguments go to ctest (-R NAME, -j 1).
set -eu
cd "$(dirname "$0")/.."

sh deploy/packages.sh test
build=build/release
cmake --preset release -DWRIT_TESTS=ON >"${TMPDIR:-/tmp}/writ-cmake.$$" 2>&1 || { cat "${TMPDIR:-/tmp}/writ-cmake.$$"; exit 1; }
rm -f "${TMPDIR:-/tmp}/writ-cmake.$$"
cmake --build "$build" -- --quiet

sh tests/clients/prepare.sh "$build/clients"
exec ctest --test-dir "$build" --output-on-failure -j 2 "$@"
