#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs libwrit into a folder and uses it from there: with pkg-config, shared and static, and with find_package.
# BUILD, PREFIX, LIBDIR, CC, SANITIZE come from the build.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
flags=${SANITIZE:+-fsanitize=$SANITIZE}
fail() { echo "install.sh: $*" >&2; exit 1; }

DESTDIR=$root cmake --install "$BUILD" --component sdk > "$root/install.log"
lib=$root$PREFIX/$LIBDIR
[ "$(readlink "$lib/libwrit.so.0")" ] || fail "no libwrit.so.0"
readelf -d "$lib/libwrit.so" | grep -q 'SONAME.*libwrit.so.0' || fail "the soname is not libwrit.so.0"

# Exported is what the headers declare, from both forms.
grep -ho 'writ_[a-z0-9_]*(' "$root$PREFIX"/include/writ/*.h | tr -d '(' | sort -u > "$root/declared"
nm -D --defined-only --format=posix "$lib/libwrit.so" | sed 's/@.*//; s/ .*//' | grep -v '^WRIT_0$' | sort -u > "$root/exported"
diff -u "$root/declared" "$root/exported" || fail "libwrit.so does not export what the headers declare"
nm -g --defined-only --format=posix "$lib/libwrit.a" | sed -n 's/ [TDBRVW] .*//p' | sort -u > "$root/static"
diff -u "$root/declared" "$root/static" || fail "libwrit.a does not export what the headers declare"

# Warnings of the headers are errors, in C and in C++.
PKG_CONFIG_PATH=$lib/pkgconfig:${PKG_CONFIG_PATH:-}
PKG_CONFIG_SYSROOT_DIR=
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
pc() { pkg-config --define-variable=libdir="$lib" --define-variable=includedir="$root$PREFIX/include" "$@" writ; }
[ "$(pc --modversion)" = 0.1.0 ] || fail "pkg-config does not know the version"
run() { "$@" > "$root/out" 2> "$root/err" || { cat "$root/out" "$root/err"; fail "$1 failed"; }
	[ ! -s "$root/err" ] || { cat "$root/err"; fail "the library prints"; } }
# shellcheck disable=SC2046,SC2086
$CC $flags -Wall -Wextra -Wpedantic -Werror "$here/program.c" -o "$root/shared" $(pc --cflags --libs) -Wl,-rpath,"$lib"
run "$root/shared"
# shellcheck disable=SC2046,SC2086
$CC $flags "$here/program.c" -o "$root/in-one" $(pc --cflags) "$lib/libwrit.a" $(pc --static --libs-only-l | sed 's/-lwrit//')
run "$root/in-one"
if command -v c++ > /dev/null; then
	echo '#include <writ/tls.h>' > "$root/h.cpp"
	# shellcheck disable=SC2046
	c++ -Wall -Wextra -Wpedantic -Werror $(pc --cflags) -fsyntax-only "$root/h.cpp"
fi

cmake -G Ninja -S "$here" -B "$root/user" -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$flags" -DCMAKE_PREFIX_PATH="$root$PREFIX" > "$root/cmake.log" ||
	{ cat "$root/cmake.log"; fail "find_package(writ) failed"; }
cmake --build "$root/user" > "$root/cmake.log" || { cat "$root/cmake.log"; fail "the project does not build"; }
run "$root/user/program"
echo "libwrit: installed, found and used"
