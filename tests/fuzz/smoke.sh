#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the libFuzzer targets and runs each for a few seconds from its seeds. Usage: smoke.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-5}
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target fuzz_targets -- --quiet
for target in build/fuzz/fuzz/fuzz_*; do
	name=$(basename "$target")
	work=build/fuzz/corpus/$name
	mkdir -p "$work"
	if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		"$work" "tests/fuzz/corpus/$name" >"$work.log" 2>&1; then
		printf '%-24s %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work.log")"
	else
		tail -n 40 "$work.log"
		echo "$name: failed; the input is named above"
		exit 1
	fi
done
