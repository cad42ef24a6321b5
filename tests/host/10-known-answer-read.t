#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cachemiss against a program that asks the kernel, before each of its reads,
# whether the page is cached: accesses and misses are the same numbers.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS" "$PROGS/access"
setup_dir

modes='pread preadv2-nowait nowait-once nowait-pread io_uring io_uring-async splice sendfile'
patterns='sequential reverse random strided'

# No readahead, and the machine's own; how much there is makes no difference to what is counted.
readahead=(0 found) large_with=(0 found random)
[ -z "${PAGE2CACHE_TEST_READAHEAD:-}" ] || readahead=("$PAGE2CACHE_TEST_READAHEAD") large_with=(random)
plan $((${#readahead[@]} * (8 * 4 + 4) + 3 + ${#large_with[@]} * 3 + 6 + 1))

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
done
run_scenarios
compare_scenarios "$counts" "$counts"
end_scenarios

# More than a page at once. Accesses cannot be told from outside; misses are those that
# the kernel itself counts. Without readahead they are no fewer than the program saw coming:
# FADV_RANDOM reads all that a request lacks at the first absent page, read_ahead_kb 0 page
# after page. (One more, when a page is pushed out between two lookups of its request.)
size=$FILE_SIZE FILE_SIZE=${PAGE2CACHE_TEST_QUICK:+4m} FILE_SIZE=${FILE_SIZE:-16m}
for with in "${large_with[@]}"; do
	set_ra found
	options=()
	case $with in
	0)
		set_ra 0
		options=(-l 4m)
		;;
	random) options=(--fadvise random) ;;
	esac
	for block in 16k 128k 1m; do
		scenario "readahead $with: misses of requests of $block, the kernel's own count" \
			access --evict --load 3/7 -b $block -p random "${options[@]}"
	done
done
large=${#SCENARIOS[@]}
set_ra found

# Each thread its own part, of 2 MiB or more; without readahead none reaches into another's.
FILE_SIZE=16m
for mode in pread io_uring splice; do
	scenario "4 threads, $mode" access --evict -T 4 -m $mode -p random --fadvise random -n $((2 * ACCESSES))
done
scenario 'io_uring, 32 requests in flight' access --evict -m io_uring -q 32 --fadvise random -p random -n 960
# A last page that is not full, and holes, which no device is asked for.
make_file "$DIR/scenario.${#SCENARIOS[@]}" 5000001
scenario 'a file that ends within a page' access --evict -p reverse
truncate -s 32m "$DIR/scenario.${#SCENARIOS[@]}"
scenario 'a file of nothing but a hole' access --evict -p random -n $((ACCESSES * 16 / 3))
FILE_SIZE=$size
all_cached=${#SCENARIOS[@]}
scenario 'all cached' access --load 1/1 -p random -n $((ACCESSES * 8 / 3))

traced=
trace_start '' readahead/page_cache_sync_ra && traced=yes
run_scenarios
compare_scenarios "$counts" "$counts" '' '[!r]*'
is "$(scenario_record "$all_cached" '[.mmap_accesses, .mmap_misses]')" '[0,0]' 'reads are no mmap accesses'
is "$(scenario_record "$all_cached" '.hits == .accesses - .misses and .read_hits == .read_accesses - .read_misses')" true \
	'hits and misses make accesses'

# traced_of I: events of that scenario's reader; a tracepoint names the file as well
traced_of()
{
	local ino
	ino=$(printf %x "$(stat -c %i "$DIR/scenario.$1")")
	grep -cE -- "-$(cat "$DIR/scenario.$1.pid") +\[.*: (\(|dev=.* ino=$ino )" "$DIR/traced"
}

if [ -n "$traced" ]; then
	trace_lines page_cache_sync_ra >"$DIR/traced" || echo lost >"$DIR/traced"
	trace_stop
	answers .read_misses '[.absent_pages, .absent_requests]'
fi
for ((i = 0; i < large; i++)); do
	[ -n "$traced" ] || { skip 1 'no way to have the kernel count its misses'; continue; }
	IFS='[,]' read -r _ pages requests _ <<<"${KNOWN[i]}"
	case ${SCENARIOS[i]} in
	*ahead\ 0:*) least=$pages ;;
	*ahead\ random:*) least=$requests ;;
	*) least=0 ;;
	esac
	is "${COUNTED[i]} $((COUNTED[i] >= least))" "$(traced_of "$i") 1" "${SCENARIOS[i]}"
done

# Large requests of a compressed file wait for the last page of each part that is looked up: no
# tracepoint tells that the lookup which missed has ended, and the next miss is another one.
cat >"$DIR/again.py" <<-'END'
	import os, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	for i in range(10):
	    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
	    os.pread(fd, 131072, 0)
END
mkdir "$DIR/tree" "$DIR/erofs"
seq 1000000 >"$DIR/tree/file"
if mkfs.erofs -zlz4 "$DIR/image" "$DIR/tree" >/dev/null 2>&1 && mount -o loop "$DIR/image" "$DIR/erofs" 2>/dev/null; then
	at_exit "umount '$DIR/erofs'"
	watched -f "$DIR/erofs/file" -- python3 "$DIR/again.py" "$DIR/erofs/file"
	is "$(record "$OUT" .read_misses)" 10 'a compressed EROFS: ten cold reads of 32 pages miss ten times'
else
	skip 1 'no mkfs.erofs, or a kernel without EROFS or loop devices'
fi
