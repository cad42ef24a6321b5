#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Late hits: a hit that had to sleep for I/O somebody else had started. The
# program starts a page's I/O elsewhere, sees the page in flight, reads it, and
# knows from its own context switches whether it slept.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PROGS/access" "$PROGS/late"
setup_dir

plan $((3 * 2 * 2 * 3 + 3 * 2 + 2))

# Windows of 64 pages: no more than what readahead(2) reads in one call anywhere.
windows=${PAGE2CACHE_TEST_QUICK:+16} windows=${windows:-64}
FILE_SIZE=$((windows * 256))k
starts='readahead nowait'
if ! nowait_reads; then
	skip 18 'a refused RWF_NOWAIT read starts no I/O in this kernel'
	starts=readahead
fi
for mode in pread splice mmap; do
	for start in $starts; do
		scenario "$mode, I/O started by $start in another thread" late -n "$windows" -w 64 -m $mode -s "$start"
		scenario "$mode, I/O started by $start in another process" late -n "$windows" -w 64 -m $mode -s "$start" -P
	done
done
# An answer of 0 that is right by luck would prove nothing: try again.
tries=10
[ -z "${PAGE2CACHE_TEST_QUICK:-}" ] || tries=2
for ((try = 0; try < tries; try++)); do
	run_scenarios
	[ "$(jq -s 'map(.late > 0) | all' "$DIR"/scenario.*.truth)" = true ] && break
done
compare_scenarios '[.accesses, .misses]' '[.accesses + .starter_accesses, .misses + .starter_misses]' ': accesses and misses'
compare_scenarios .late .late ': late hits'
for i in "${!SCENARIOS[@]}"; do
	# In a guest with one processor the emulated disk has mostly answered by the reader's turn.
	if [ -n "${PAGE2CACHE_TEST_QUICK:-}" ] && [ "${KNOWN[i]}" = 0 ]; then
		skip 1 'no page was in flight when the reader came'
	else
		within "${KNOWN[i]}" 1 "$windows" "${SCENARIOS[i]}: some were late for certain"
	fi
done
end_scenarios

# One reader and its own readahead: pages of a window that is still on its way.
# A sleep on a page that was in flight is late for certain; one that submitted
# readahead may be counted, whoever it slept for.
for ra in 128 found; do
	set_ra $ra
	for mode in pread splice mmap; do
		scenario "read_ahead_kb $ra: $mode behind its own readahead" access --evict -m $mode
	done
done
set_ra found
# The kernel may evict idle pages (DAMON does): what the program saw is what counts.
for mode in pread mmap; do
	scenario "all cached: $mode is not late" access --load 1/1 -m $mode -p random
done
run_scenarios
answers .late '[.read_late + .mmap_late, .hits_slept_otherwise]'
for i in "${!SCENARIOS[@]}"; do
	IFS='[,]' read -r _ low more _ <<<"${KNOWN[i]:-}"
	within "${COUNTED[i]:-}" "$low" $((low + more)) "${SCENARIOS[i]}"
done
