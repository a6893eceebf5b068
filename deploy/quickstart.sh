#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a clean clone to a call between two identified processes: installs what is missing, builds, runs `writ dev --once`.
set -eu
cd "$(dirname "$0")/.."

sh deploy/packages.sh build
build=build/release
[ -f "$build/build.ninja" ] || cmake --preset release -DWRIT_TESTS=OFF >/dev/null
echo "Building; the first time this takes a few minutes."
cmake --build "$build" -- --quiet

"$build/bin/writ" dev --once
cat <<END

What next?
  export PATH="\$PWD/$build/bin:\$PATH"
  writ dev                 the same, and it stays: two shells, one calls, one watches
  writ help                everything there is
  sh tests/run.sh          all tests
  README.md                a server and agents of your own
END
