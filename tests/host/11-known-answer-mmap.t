#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cachemiss against a program that looks, before each touch of its mapping, at
# its page tables (present: no fault, no access) and at the page cache (absent: a
# miss). The program's own fault counters (getrusage) check the program.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PROGS/access"
setup_dir

patterns='sequential reverse random strided'
kinds='mmap mmap+random mmap+sequential mmap-exec mmap-kernel mmap-write mmap-shared mmap+partly mmap+alone'

# No readahead, and the machine's own; how much there is makes no difference to what is counted.
readahead=(0 found)
[ -z "${PAGE2CACHE_TEST_READAHEAD:-}" ] || readahead=("$PAGE2CACHE_TEST_READAHEAD")
plan $((${#readahead[@]} * (9 * 4 * 2 + 1) + 3 + 2 + 2 + 2 + 2 + 2))

known='[.mmap_accesses, .mmap_misses]'

# An asynchronous userfaultfd, which turns fault-around off, is younger than Linux 6.1.
alone=yes
make_file "$DIR/alone" 64k
"$PROGS/access" --no-fault-around -m mmap -n 1 "$DIR/alone" >/dev/null 2>&1 || alone=

for ra in "${readahead[@]}"; do
	set_ra "$ra"
	for kind in $kinds; do
		more=()
		case $kind in
		*+random) more=(--madvise random) ;;
		*+sequential) more=(--madvise sequential) ;;
		*+partly) more=(--load 3/7) ;;
		*+alone) more=(--no-fault-around) ;;
		esac
		if [ "${kind#*+}" = alone ] && [ -z "$alone" ]; then
			skip 8 'this kernel cannot turn fault-around off for a process'
			continue
		fi
		for pattern in $patterns; do
			count=$ACCESSES
			[ "$pattern" = sequential ] && count=1000000
			scenario "read_ahead_kb $ra: $kind $pattern" access --evict -m "${kind%+*}" "${more[@]}" -p "$pattern" -n "$count"
		done
	done
	# The kernel populates: no fault of the program's own, so only misses are known.
	scenario "MADV_POPULATE_READ, misses, read_ahead_kb $ra" access --evict -m mmap-populate -p random -n "$ACCESSES"
done
set_ra found
run_scenarios
compare_scenarios "$known" "$known" '' 'read_ahead_kb*'
# There are no reads, and the kernel's own count of the program's faults is the program's.
compare_scenarios '[.read_accesses, .read_misses]' \
	'if .faults == .mmap_accesses then [0, 0] else .faults end' ': no reads, and the kernel agrees' 'read_ahead_kb*'
compare_scenarios .mmap_misses .mmap_misses '' 'MADV_POPULATE*'
end_scenarios

size=$FILE_SIZE FILE_SIZE=16m
for mode in mmap mmap-write mmap-kernel; do
	scenario "4 threads, $mode" access --evict -T 4 -m $mode -p random --madvise random -n $((2 * ACCESSES))
done
# Once all is cached in large folios (ordinary readahead makes them), one fault maps 2 MiB.
BEFORE="'$PROGS/access' --evict -b 128k \$f >'$DIR/before'" \
	scenario 'all cached by a sequential read before: large folios' access -m mmap -p random
scenario 'MADV_HUGEPAGE, cold' access --evict -m mmap -p random --madvise hugepage
# What was resolved without filemap_fault().
FILE_SIZE=$size
scenario 'private writes' access --evict -m mmap-write -p random -n "$ACCESSES"
scenario 'MADV_RANDOM' access --evict -m mmap --madvise random -p random -n "$ACCESSES"
# Cached page by page, so that no fault maps more than fault-around would.
scenario 'all cached' access --evict --load 1/1 -m mmap -p sequential
# Both ways into one file, one after the other.
AFTER="'$PROGS/access' --evict -m mmap -p random -n 500 \$f >'$DIR/faults'" \
	scenario 'reads, then faults' access --evict -p random -n 500
run_scenarios
compare_scenarios "$known" "$known" '' '[!r]*'
is "$(scenario_record 5 .mmap_fault_around)" 0 'a private write is never resolved by fault-around'
is "$(scenario_record 6 .mmap_fault_around)" 0 'nor is a page that was absent'
is "$(scenario_record 7 '[.mmap_misses, .mmap_accesses - .mmap_fault_around]')" '[0,0]' \
	'all cached: every fault is resolved by fault-around'
for kind in read mmap; do
	is "$(scenario_record 8 "[.${kind}_accesses, .${kind}_misses]")" \
		"$(jq -sc "map(.${kind}_accesses) + map(.${kind}_misses) | [.[0] + .[1], .[2] + .[3]]" "$DIR/scenario.8.truth" "$DIR/faults")" \
		"reads, then faults, of one run: $kind"
done
