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

file=$DIR/data
make_file "$file" 64m

for mode in pread splice mmap; do
	for start in readahead nowait; do
		for who in thread process; do
			name="$mode, I/O started by $start in another $who"
			option=()
			[ $who = process ] && option=(-P)
			# An answer of 0 that is right by luck would prove nothing: try again.
			for _ in 1 2 3 4 5 6 7 8 9 10; do
				watched -f "$file" -- "$PROGS/late" -m $mode -s $start "${option[@]}" "$file"
				[ "$(json "$TRUTH" .late)" -gt 0 ] && break
			done
			is "$(record "$OUT" '[.accesses, .misses]')" \
				"$(json "$TRUTH" '[.accesses + .starter_accesses, .misses + .starter_misses]')" \
				"$name: accesses and misses"
			is "$(record "$OUT" .late)" "$(json "$TRUTH" .late)" "$name: late hits"
			within "$(json "$TRUTH" .late)" 1 64 "$name: some were late for certain"
		done
	done
done

# One reader and its own readahead: pages of a window that is still on its way.
# A sleep on a page that was in flight is late for certain; one that submitted
# readahead may be counted, whoever it slept for.
for ra in 128 found; do
	set_ra $ra
	for mode in pread splice mmap; do
		watched -f "$file" -- "$PROGS/access" --evict -m $mode "$file"
		low=$(json "$TRUTH" '.read_late + .mmap_late')
		within "$(record "$OUT" .late)" "$low" $((low + $(json "$TRUTH" .hits_slept_otherwise))) \
			"read_ahead_kb $ra: $mode behind its own readahead"
	done
done
set_ra found

# The kernel may evict idle pages (DAMON does): what the program saw is what counts.
"$PROGS/access" --load 1/1 -n 0 "$file" >/dev/null
for mode in pread mmap; do
	watched -f "$file" -- "$PROGS/access" -m $mode -p random "$file"
	low=$(json "$TRUTH" '.read_late + .mmap_late')
	within "$(record "$OUT" .late)" "$low" $((low + $(json "$TRUTH" .hits_slept_otherwise))) \
		"all cached: $mode is not late"
done
