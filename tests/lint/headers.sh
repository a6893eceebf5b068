#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each header compiles alone. Usage: headers.sh BUILD_DIR (for the generated protobuf headers).
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/release}
bad=0
for h in $(git ls-files 'lib/*.h' 'include/*.h' 'server/*.h' 'agent/*.h' 'gate/*.h' 'cli/*.h'); do
	dir=${h%%/*}
	printf '#include "%s"\n' "$PWD/$h" |
		${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -x c \
			-Ilib -Iinclude "-I$dir" -isystem "$build/proto/gen" - || { echo "$h: does not compile alone"; bad=1; }
done
[ "$bad" = 0 ] && echo "headers: each compiles alone"
exit "$bad"
