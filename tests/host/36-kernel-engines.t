#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Engines `helper` and `kfunc`, those that this kernel has: what is listed is forced by the
# kernel, exactly, once, in time.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached" "$PROGS/content" "$PROGS/helper"
kernel_engines
needs_groups io
setup_dir

plan $((${#ENGINES[@]} * (2 * (2 * 3 + 5) + 4 + 2 + 3 + 3 + 2 + 4) + 2 + $(printf '%s\n' "${ENGINES[@]}" | grep -c helper)))

file=$DIR/data list=$DIR/list
slowly=$GROUPS_DIR/page2cache-slowly disk=$(disk_of "$DIR")
new_group $slowly
"$PROGS/content" write "$file" $((32 << 20))
pages=8192

# whole TITLE: the receipt of $OUT says that all was read or was there
whole()
{
	is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.engine, .requested == .resident + .read, .failed]')" \
		"0 yes 1 [\"$engine\",true,0]" "$1" || diag "$(cat "$OUT" "$ERR")"
}

# Each page by itself, where this kernel can have it so.
alone=(--no-fault-around)
"$PROGS/access" --no-fault-around -m mmap -n 1 "$file" >/dev/null 2>&1 || alone=()

# misses_of MODE LIST: how many of its pages a reader of the list misses, in a shuffled order
misses_of()
{
	pages_of "$2" | shuf --random-source=<(yes) >"$DIR/order"
	"$PROGS/access" -m "$1" -p "@$DIR/order" --fadvise random --madvise random "${alone[@]}" "$file" | jq .misses
}

seq 0 $((pages - 1)) | shuf --random-source=<(yes) | head -1000 >"$DIR/sparse"
seq 0 128 $((pages - 1)) | awk '{ print $1 "+64" }' | shuf --random-source=<(yes) >"$DIR/runs"

pages_of "$DIR/sparse" | shuf --random-source=<(seq 99999) >"$DIR/race"

# All that is listed, nothing else, once.
exactly()
{
	for kind in sparse runs; do
		list=$DIR/$kind
		for mode in pread mmap; do
			evict "$file"
			forced --now -e "$engine" -f "$file" -o "$list"
			whole "$engine: $kind: forced by the kernel, the receipt is complete"
			"$PROGS/cached" "$file" >"$DIR/cached"
			is "$(sort "$DIR/cached" | comm -3 - <(as_pages "$list" | sort) | wc -l)" 0 "$engine: $kind: these pages are cached, and no other" ||
				diag "listed $(as_pages "$list" | wc -l), cached $(wc -l <"$DIR/cached"): $(sort "$DIR/cached" |
					comm -3 - <(as_pages "$list" | sort) | tr -d '\t' | sort -n | awk 'NR == 1 || $1 != last + 1 { printf " %s", $1 } { last = $1 }')"
			is "$(misses_of $mode "$list")" 0 "$engine: $kind: once it is complete, $mode misses none of them"
		done
		is "$(receipt "$OUT" '.read == .submitted and .resident == 0')" true "$engine: $kind: each was submitted once"
		ok "$engine: $kind: and they hold what was written, by read" "$PROGS/content" check "$file" read
		ok "$engine: $kind: by mmap" "$PROGS/content" check "$file" mmap
		forced --now -e "$engine" -f "$file" -o "$list"
		is "$STATUS $(receipt "$OUT" '[.read, .submitted, .requested == .resident]')" '0 [0,0,true]' \
			"$engine: $kind: what is there is not read again"
		evict "$file"
		forced --now -e "$engine" -f "$file" -o "$list" --max-bytes 1M
		is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.submitted, .read, .skipped + 256 == .requested]')" \
			'4 yes 1 [256,256,true]' "$engine: $kind: --max-bytes is kept"
	done
}

# A reader that races the forcing.
# The best one of five. How often the reader gets to run meanwhile is up to the scheduler, and
# a figure to be read (2 % is the mark); that forcing overtakes the reader is what is proved.
race()
{
	for mode in pread mmap; do
		missed=() complete=0
		for _ in 1 2 3 4 5; do
			evict "$file"
			forced -e "$engine" -t miss -f "$file" -o "$DIR/sparse" -- \
				bash -c "'$PROGS/access' -m $mode -p '@$DIR/race' --fadvise random --madvise random ${alone[*]} '$file'; $OUTLIVE"
			missed+=("$(jq .misses "$TRUTH")")
			if [ "$(receipt "$OUT" '[.engine, .requested == .resident + .read]')" = "[\"$engine\",true]" ]; then
				complete=$((complete + 1))
			else
				diag "$(cat "$OUT" "$ERR")"
			fi
		done
		is $complete 5 "$engine: $mode, shuffled: the first miss had all of it forced"
		diag "$engine: $mode: misses of 1000: ${missed[*]}"
		within "$(printf '%s\n' "${missed[@]}" | sort -n | head -1)" 0 50 "$engine: $mode: forcing overtakes the reader"
	done
}

# woken_early MODE: how often pcforce is woken between the moment when a reader adds its first page
# and the one when it has returned to user mode, or has been preempted on its way there
woken_early()
{
	local event

	trace_start '' sched/sched_waking sched/sched_switch filemap/mm_filemap_add_to_page_cache \
		raw_syscalls/sys_enter raw_syscalls/sys_exit exceptions/page_fault_user || bail 'no tracing'
	echo 'comm == "pcforce"' >"$TRACE/events/sched/sched_waking/filter"
	echo 'prev_comm == "access"' >"$TRACE/events/sched/sched_switch/filter"
	echo "i_ino == $(stat -c %i "$file")" >"$TRACE/events/filemap/filter"
	for event in raw_syscalls/sys_enter raw_syscalls/sys_exit exceptions/page_fault_user; do
		echo 'COMM == "access"' >"$TRACE/events/$event/filter"
	done
	forced -e "$engine" -t miss -f "$file" -o "$DIR/sparse" -- \
		"$PROGS/access" --blind -m "$1" -p "@$DIR/race" --fadvise random --madvise random "${alone[@]}" "$file"
	trace_lines '[a-z_]*' | awk '
		$1 ~ /^access-/ && /mm_filemap_add_to_page_cache/ { began = 1 }
		$1 ~ /^access-/ && / (sys_enter|sys_exit|page_fault_user): | sched_switch: .* prev_state=R/ && began { back = 1; exit }
		/ sched_waking: / && began { woken++ }
		END { print back ? woken + 0 : "never back" }'
	trace_stop
}

# The reader needs the CPU for its first page: pcforce is not woken before the reader has that. Of
# three times the middle one counts, as a timer may wake pcforce just then.
quiet()
{
	local mode woken

	for mode in pread mmap; do
		woken=()
		for _ in 1 2 3; do
			evict "$file"
			woken+=("$(woken_early $mode)")
		done
		is "$(printf '%s\n' "${woken[@]}" | sort -n | sed -n 2p)" 0 "$engine: $mode: pcforce is not woken before the reader is back in user mode"
	done
}

# after_hit TITLE: the list is forced after a hit, and the receipt tells the pages that were there
after_hit()
{
	local before all

	evict "$file"
	"$PROGS/access" --load 1/8 -n 0 "$file" >/dev/null
	before=$(as_pages "$DIR/sparse" | awk '$1 % 8 == 0' | wc -l)
	all=$({ "$PROGS/cached" "$file"; as_pages "$DIR/sparse"; } | sort -u | wc -l)
	forced -e "$engine" -t access -f "$file" -o "$DIR/sparse" -- \
		bash -c "head -c 1 '$file'; '$PROGS/cached' -w $all '$file'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" '[.resident, .requested == .resident + .read]')" "0 [$before,true]" "$1" ||
		diag "$(cat "$OUT" "$ERR")"
}

# The triggers and what they tell.
triggers()
{
	evict "$file"
	forced -t access -e "$engine" -f "$file" -o "$DIR/sparse" -- "$PROGS/access" -p "@$DIR/sparse" --fadvise random "$file"
	is "$STATUS $(receipt "$OUT" '[.engine, .used == .read, .accuracy]')" "0 [\"$engine\",true,1]" \
		"$engine: all that was forced was used"
	is "$(receipt "$OUT" '.first_us != null and .elapsed_us > 0')" true "$engine: and when the reader had its data is told"
	# A hit starts nothing by itself: pcforce reads a page of the list, which makes the kernel begin.
	after_hit "$engine: a hit fires, too, and what was there counts as resident"
	[ "$engine" = helper ] || return
	printf '#!/bin/sh\nexec "%s" slow "%s" "%s" "$@"\n' "$PROGS/helper" "$file" "$PCFORCE" >"$DIR/slow"
	chmod +x "$DIR/slow"
	PCFORCE=$DIR/slow after_hit "$engine: so it does where the kernel reads pcforce's page before pcforce does"
}

# Files and places.
places()
{
	echo 8000+1000 >"$DIR/past"
	evict "$file"
	forced --now -e "$engine" -f "$file" -o "$DIR/past"
	is "$(receipt "$OUT" '[.requested, .read, .past_eof, .skipped]')" '[1000,192,808,0]' "$engine: pages past the end of the file are told"

	cp "$file" "$DIR/second"
	sync "$DIR/second"
	evict "$file" "$DIR/second"
	printf '# page2cache offsets 1\n# file=%s\n0+100\n# file=%s\n200+50\n' "$file" "$DIR/second" >"$DIR/two"
	forced -e "$engine" -t miss -o "$DIR/two" -- head -c 4096 "$file"
	is "$(receipt "$OUT" .requested)" '100 50' "$engine: a list of two files has a receipt for each"
	evict "$file" "$DIR/second"
	forced -t access -e "$engine" -o "$DIR/two" -- bash -c "exec 9<'$DIR/second' 8<'$file'; head -c 4096 <&8 >/dev/null
		'$PROGS/cached' -w 100 '$file'; '$PROGS/cached' -w 50 '$DIR/second'; $OUTLIVE"
	# The reader itself may be as quick with its first window, of at most 128 KiB.
	is "$STATUS $(receipt "$OUT" '[.read + .resident, .resident <= 32 and (.requested == 100 or .resident == 0)]')" \
		'0 [100,true] [50,true]' "$engine: an access to one of its files has both forced" || diag "$(cat "$OUT")"
}

# What is long and in order is left to the kernel's readahead.
left()
{
	truncate -s 160M "$DIR/long"
	printf '%s\n' 0+32768 40000 >"$DIR/leave"
	# A miss in what is left, and one in what is not.
	for at in 0 40000; do
		evict "$DIR/long"
		forced -t miss -e "$engine" -f "$DIR/long" -o "$DIR/leave" -- bash -c "exec 9<'$DIR/long'
			dd bs=4096 skip=$at count=1 <&9 >/dev/null 2>&1; sleep 2; $OUTLIVE"
		is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.engine, .resident + .read + .left, .left > 20000, .left == .skipped]')" \
			"0 yes 1 [\"$engine\",32769,true,true]" "$engine: a miss at page $at: the list is forced but for what is left" ||
			diag "$(cat "$OUT" "$ERR")"
	done
}

# The end of pcforce is the end of its forcing.
ending()
{
	evict "$file"
	forcing -e "$engine" -f "$file" -o "$DIR/sparse" -d 30
	kill -KILL "$BG"
	wait "$BG" 2>/dev/null
	evict "$file"
	is "$("$PROGS/access" -p "@$DIR/sparse" --fadvise random "$file" | jq .misses)" 1000 \
		"$engine: after a SIGKILL of pcforce nothing is forced any more"
	"$PROGS/content" check "$file" read
	ok "$engine: and the file is as it was" "$PROGS/content" check "$file" mmap
	evict "$file"
	forced -e "$engine" -t miss -f "$file" -o "$DIR/runs" -- head -c 4096 "$file"
	is "$(adds_up "$OUT")" 'yes 1' "$engine: where the reader has closed the file before the end, the receipt adds up"
	# Half a million extents. The first ones lie on a disk that is slow for their reader, so that the
	# list runs for minutes; the others are holes, which take no room.
	head -c 64M /dev/urandom >"$DIR/holes"
	truncate -s 4G "$DIR/holes"
	seq 0 2 1048575 >"$DIR/many"
	evict "$DIR/holes"
	echo "$disk riops=100" >$slowly/io.max || bail "no io.max of $disk"
	forcing -e "$engine" -t miss -f "$DIR/holes" -o "$DIR/many"
	exec 9<"$DIR/holes"
	(
		echo $BASHPID >$slowly/cgroup.procs
		exec head -c 4096 <&9 >/dev/null
	)
	wait_until 60 eval "[ \$('$PROGS/cached' -c '$DIR/holes') -gt 150 ]"
	stop INT
	echo "$disk riops=max" >$slowly/io.max
	exec 9<&-
	is "$(adds_up "$BG_OUT") $(receipt "$BG_OUT" '[.requested, .read > 100, .skipped > 100000]') $(grep -c 'stopped early: pcforce ended' "$BG_ERR")" \
		'yes 1 [524288,true,true] 1' "$engine: a long list is stopped at once, and its receipt says how much is left" ||
		diag "$(cat "$BG_OUT" "$BG_ERR")"
	rm "$DIR/holes"
}

for engine in "${ENGINES[@]}"; do
	exactly
	race
	quiet
	triggers
	places
	left
	ending
done
evict "$file"
forced -t miss -f "$file" -o "$DIR/sparse" -- "$PROGS/access" --blind -n 1 "$file"
is "$(receipt "$OUT" .engine)" "\"${ENGINES[0]}\"" 'auto chooses the best of them, where a miss starts it'
evict "$file"
forced --now -f "$file" -o "$DIR/sparse"
is "$(receipt "$OUT" .engine)" '"user"' 'at once: user, which loads no program'
