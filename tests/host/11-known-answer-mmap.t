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

plan $((3 * 9 * 4 * 2 + 3 + 3 + 2 + 4 + 2))

file=$DIR/data
make_file "$file" 64m

known='[.mmap_accesses, .mmap_misses]'

# same NAME ACCESS_OPTIONS...; status 3 of the program: this kernel cannot
same()
{
	local name=$1
	shift
	watched -f "$file" -- "$PROGS/access" "$@" "$file"
	if [ "$(json "$OUT" 'select(.record == "command") | .status')" = 3 ]; then
		skip 1 "$name: $(head -1 "$ERR")"
		return
	fi
	is "$(record "$OUT" "$known")" "$(json "$TRUTH" "$known")" "$name"
}

for ra in 0 128 found; do
	set_ra $ra
	for kind in $kinds; do
		more=()
		case $kind in
		*+random) more=(--madvise random) ;;
		*+sequential) more=(--madvise sequential) ;;
		*+partly) more=(--load 3/7) ;;
		*+alone) more=(--no-fault-around) ;;
		esac
		for pattern in $patterns; do
			count=1500
			[ "$pattern$ra" = sequentialfound ] && count=8000
			name="read_ahead_kb $ra: $kind $pattern"
			same "$name" --evict -m "${kind%+*}" "${more[@]}" -p "$pattern" -n $count
			# Reads are none; what the kernel counts for the program is what the program counted.
			is "$(record "$OUT" '[.read_accesses, .read_misses]') $(json "$TRUTH" '.faults == .mmap_accesses')" \
				'[0,0] true' "$name: no reads, and the kernel's fault count agrees"
		done
	done
	# The kernel populates: no fault of the program's own, so only misses are known.
	watched -f "$file" -- "$PROGS/access" --evict -m mmap-populate -p random -n 1500 "$file"
	is "$(record "$OUT" .mmap_misses)" "$(json "$TRUTH" .mmap_misses)" "read_ahead_kb $ra: MADV_POPULATE_READ, misses"
done
set_ra found

for mode in mmap mmap-write mmap-kernel; do
	same "4 threads, $mode" --evict -T 4 -m $mode -p random --madvise random -n 4000
done

# Once all is cached in large folios (ordinary readahead makes them), one fault maps 2 MiB.
"$PROGS/access" --evict -b 128k "$file" >/dev/null
same 'all cached by a sequential read before: large folios' -m mmap -p random
same 'MADV_HUGEPAGE, cold' --evict -m mmap -p random --madvise hugepage

# What was resolved without filemap_fault().
watched -f "$file" -- "$PROGS/access" --evict -m mmap-write -p random -n 1500 "$file"
is "$(record "$OUT" .mmap_fault_around)" 0 'a private write is never resolved by fault-around'
watched -f "$file" -- "$PROGS/access" --evict -m mmap --madvise random -p random -n 1500 "$file"
is "$(record "$OUT" .mmap_fault_around)" 0 'nor is a page that was absent'
# Cached page by page, so that no fault maps more than fault-around would.
# The kernel may evict idle pages: then once more.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	"$PROGS/access" --evict --load 1/1 -n 0 "$file" >/dev/null
	watched -f "$file" -- "$PROGS/access" -m mmap -p sequential "$file"
	[ "$(json "$TRUTH" .mmap_misses)" = 0 ] && break
done
is "$(record "$OUT" '[.mmap_misses, .mmap_accesses - .mmap_fault_around]')" '[0,0]' \
	'all cached: every fault is resolved by fault-around'
is "$(record "$OUT" .mmap_accesses)" "$(json "$TRUTH" .mmap_accesses)" 'and is an access'

# Both ways into one file, one after the other.
watched -f "$file" -- bash -c "'$PROGS/access' --evict -p random -n 500 '$file' &&
	'$PROGS/access' --evict -m mmap -p random -n 500 '$file'"
is "$(record "$OUT" '[.read_accesses, .read_misses]')" "$(jq -sc '.[0] | [.read_accesses, .read_misses]' "$TRUTH")" \
	'reads and faults of one run: reads'
is "$(record "$OUT" "$known")" "$(jq -sc ".[1] | $known" "$TRUTH")" 'reads and faults of one run: faults'
