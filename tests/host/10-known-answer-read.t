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

plan $((3 * 8 * 4 + 12 + 3 + 9 + 6))

file=$DIR/data
make_file "$file" 64m

# What the two must agree on; a null is no number and never equal.
known='[.read_accesses, .read_misses, .accesses, .misses]'
counted="[.read_accesses, .read_misses, .accesses, .misses]"

# same NAME ACCESS_OPTIONS...
same()
{
	local name=$1
	shift
	watched -f "$file" -- "$PROGS/access" "$@" "$file"
	is "$(record "$OUT" "$counted")" "$(json "$TRUTH" "$known")" "$name"
}

# Sequential far enough to leave the first readahead windows, backwards and
# apart only so far that one miss a page stays quick.
for ra in 0 128 found; do
	set_ra $ra
	for mode in $modes; do
		for pattern in $patterns; do
			count=1500
			[ "$pattern$ra" = sequentialfound ] && count=6000
			same "read_ahead_kb $ra: $mode $pattern" --evict -m "$mode" -p "$pattern" -n $count
		done
	done
	same "read_ahead_kb $ra: part of the file was cached before" --evict --load 3/7 -p random -n 1500
	same "read_ahead_kb $ra: requests smaller than a page" --evict -b 512 -p sequential -n 4000
	same "read_ahead_kb $ra: random, FADV_RANDOM" --evict -p random -n 1500 --fadvise random
	same "read_ahead_kb $ra: sequential, FADV_SEQUENTIAL" --evict -n 4000 --fadvise sequential
done
set_ra found

# Each thread its own part; without readahead none reaches into another's.
for mode in pread io_uring splice; do
	same "4 threads, $mode" --evict -T 4 -m $mode -p random --fadvise random -n 4000
done

# More than a page at once. Accesses cannot be told from outside; misses are those that
# the kernel itself counts. Without readahead they are no fewer than the program saw coming:
# FADV_RANDOM reads all that a request lacks at the first absent page, read_ahead_kb 0 page
# after page. (One more, when a page is pushed out between two lookups of its request.)
for ra in 0 128 found; do
	set_ra $ra
	for block in 16k 128k 1m; do
		name="read_ahead_kb $ra: misses of requests of $block, the kernel's own count"
		case $ra in
		0) truth=.absent_pages options=(-l 8m) ;;
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

same 'io_uring, 32 requests in flight' --evict -m io_uring -q 32 --fadvise random -p random -n 3200

"$PROGS/access" --load 1/1 -n 0 "$file" >/dev/null
same 'all cached' -p random -n 4000
is "$(record "$OUT" '[.mmap_accesses, .mmap_misses]')" '[0,0]' 'reads are no mmap accesses'
is "$(record "$OUT" '.hits == .accesses - .misses and .read_hits == .read_accesses - .read_misses')" true \
	'hits and misses make accesses'

# A last page that is not full, and holes, which no device is asked for.
rm "$file"
make_file "$file" 5000001
same 'a file that ends within a page' --evict -p reverse
rm "$file"
truncate -s 32m "$file"
same 'a file of nothing but a hole' --evict -p random
