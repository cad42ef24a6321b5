#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cachemiss against a program that asks the kernel, before each of its reads,
# whether the page is cached: accesses and misses are the same numbers.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PROGS/access"
setup_dir

modes='pread preadv2-nowait nowait-once nowait-pread io_uring io_uring-async splice sendfile'
patterns='sequential reverse random strided'

# A bed whose readahead is 128 KiB anyway has nothing more to show.
readahead=(0 128 found)
[ "$RA_FOUND" != 128 ] || readahead=(0 128)
[ -z "${PAGE2CACHE_TEST_READAHEAD:-}" ] || readahead=("$PAGE2CACHE_TEST_READAHEAD")
plan $((${#readahead[@]} * (8 * 4 + 4) + 3 + ${#readahead[@]} * 3 + 6))

file=$DIR/data
make_file "$file" 16m

# What the two must agree on; a null is no number and never equal.
counts='[.read_accesses, .read_misses, .accesses, .misses]'

if ! nowait_reads; then
	skip $((${#readahead[@]} * 8)) 'a refused RWF_NOWAIT read starts no I/O in this kernel'
	modes=${modes/preadv2-nowait nowait-once/}
fi

# Sequential far enough to leave the first readahead windows.
for ra in "${readahead[@]}"; do
	set_ra "$ra"
	for mode in $modes; do
		for pattern in $patterns; do
			count=$ACCESSES
			[ "$pattern" = sequential ] && count=1000000
			scenario "read_ahead_kb $ra: $mode $pattern" access --evict -m "$mode" -p "$pattern" -n "$count"
		done
	done
	scenario "read_ahead_kb $ra: part of the file was cached before" access --evict --load 3/7 -p random -n "$ACCESSES"
	scenario "read_ahead_kb $ra: requests smaller than a page" access --evict -b 512 -p sequential -n $((ACCESSES * 8 / 3))
	scenario "read_ahead_kb $ra: random, FADV_RANDOM" access --evict -p random -n "$ACCESSES" --fadvise random
	scenario "read_ahead_kb $ra: sequential, FADV_SEQUENTIAL" access --evict --fadvise sequential
	run_scenarios
	compare_scenarios "$counts" "$counts"
	end_scenarios
done
set_ra found

# More than a page at once. Accesses cannot be told from outside; misses are those that
# the kernel itself counts. Without readahead they are no fewer than the program saw coming:
# FADV_RANDOM reads all that a request lacks at the first absent page, read_ahead_kb 0 page
# after page. (One more, when a page is pushed out between two lookups of its request.)
for ra in "${readahead[@]}"; do
	set_ra "$ra"
	for block in 16k 128k 1m; do
		name="read_ahead_kb $ra: misses of requests of $block, the kernel's own count"
		case "$ra" in
		0) truth=.absent_pages options=(-l 4m) ;;
		128) truth=.absent_requests options=(--fadvise random) ;;
		*) truth=0 options=() ;;
		esac
		if trace_start "$file" readahead/page_cache_sync_ra; then
			watched -f "$file" -- "$PROGS/access" --evict --load 3/7 -b $block -p random "${options[@]}" "$file"
			missed=$(record "$OUT" .read_misses)
			is "$missed $((missed >= $(json "$TRUTH" $truth)))" "$(trace_count page_cache_sync_ra) 1" "$name"
			trace_stop
		else
			skip 1 'this kernel has no readahead tracepoints'
		fi
	done
done
set_ra found

rm "$DIR"/scenario.*
FILE_SIZE=16m # a part of 2 MiB or more for each thread
# Each thread its own part; without readahead none reaches into another's.
for mode in pread io_uring splice; do
	scenario "4 threads, $mode" access --evict -T 4 -m "$mode" -p random --fadvise random -n $((2 * ACCESSES))
done
scenario 'io_uring, 32 requests in flight' access --evict -m io_uring -q 32 --fadvise random -p random -n 960
scenario 'all cached' access --load 1/1 -p random -n $((ACCESSES * 8 / 3))
run_scenarios
compare_scenarios "$counts" "$counts"
is "$(scenario_record 4 '[.mmap_accesses, .mmap_misses]')" '[0,0]' 'reads are no mmap accesses'
is "$(scenario_record 4 '.hits == .accesses - .misses and .read_hits == .read_accesses - .read_misses')" true \
	'hits and misses make accesses'
end_scenarios

# A last page that is not full, and holes, which no device is asked for.
rm "$DIR/scenario.0" "$DIR/scenario.1"
make_file "$DIR/scenario.0" 5000001
truncate -s 32m "$DIR/scenario.1"
scenario 'a file that ends within a page' access --evict -p reverse
scenario 'a file of nothing but a hole' access --evict -p random -n $((ACCESSES * 16 / 3))
run_scenarios
compare_scenarios "$counts" "$counts"
