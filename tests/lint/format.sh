#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# .clang-format is the only authority on layout.
set -eu
cd "$(dirname "$0")/../.."
git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror --ferror-limit=3
echo "format: clean"
