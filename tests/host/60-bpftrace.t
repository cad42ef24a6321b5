#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The bpftrace scripts against a program that knows the right answer. Each has a variant on
# tracepoints and one on kprobes; those that this kernel cannot run have to say so.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs bpftrace bpftrace
needs_built "$PROGS/access"
setup_dir

variants='pagemiss pagemiss-kprobe mmapfaults mmapfaults-kprobe rawindows rawindows-kprobe
	coldread coldread-kprobe blockio'

plan $((9 * 2 + 2 * 2 + 2 * 2 + 2 * 4 + 2 * 3 + 4 + 5 + 2))

file=$DIR/data
make_file "$file" 16m
inode=$(stat -c %i "$file")
OUT=$DIR/out ERR=$DIR/err TRUTH=$DIR/truth

begun()
{
	grep -sq 'Ctrl-C ends it' "$OUT" || gone "$BG"
}

# start NAME [ARGUMENT...]: attached when it returns, for bpftrace reads what BEGIN has printed
# once all probes are attached. Fails if it cannot run; its status is in STATUS then.
start()
{
	rm -f "$OUT" "$TRUTH"
	env --default-signal=INT scripts/bt "$@" >"$OUT" 2>"$ERR" &
	BG=$!
	at_exit "end_child $BG"
	wait_until 300 begun || diag "$1 does not start: $(head -3 "$ERR")"
	gone "$BG" || return 0
	wait "$BG"
	STATUS=$?
	return 1
}

# bpftrace 0.17 misses a signal that comes just when it does not wait for one: then once more. One that it has seen
# ends it by the next, while it prints and detaches, which takes an emulated machine its time.
interrupt()
{
	for _ in 1 2 3; do
		kill -INT "$BG"
		wait_until 60 gone "$BG" && break
	done 2>/dev/null
	gone "$BG" || kill -KILL "$BG"
	wait "$BG"
	STATUS=$?
}

# The truth of all that is read until the script is stopped.
access()
{
	"$PROGS/access" --evict -p random -n 1000 "$@" "$file" >>"$TRUTH"
}

truth()
{
	jq -s "map($1) | add" "$TRUTH"
}

# value MAP [KIND]: of the file
value()
{
	local found
	found=$(sed -nE "s/^@$1\[(.*, )?$inode${2:+, $2}\]: //p" "$OUT")
	echo "${found:-0}"
}

# total MAP [KIND]: over all its lines
total()
{
	sed -nE "s/^@$1\[.*${2:+, $2}\]: (.* )?([0-9]+)$/\2/p" "$OUT" | awk '{ n += $1 } END { printf "%d\n", n }'
}

# samples MAP [KIND]: in all its histograms, or in those of a kind
samples()
{
	awk -v head="^@$1\\\\[.*${2:+, $2}\\\\]: \$" '
		/^@/ { on = $0 ~ head }
		on && /\|/ { split($0, part, "|"); k = split(part[1], word, " "); n += word[k] }
		END { printf "%d\n", n }' "$OUT"
}

# explained SCRIPT: it prints no map but those that its head explains
explained()
{
	grep -oE '^@[a-z_]*' "$OUT" | while read -r map; do
		grep -qE "^ \* $map\b" "scripts/$1.bt" || exit 1
	done
}

check_pagemiss()
{
	access -m pread
	access -m io_uring
	access -p sequential
	access -m mmap
	access -m mmap --madvise sequential
	access -m mmap-write --madvise random
	interrupt
	is "$(value read_misses)" "$(truth .read_misses)" "$1: misses of reads"
	is "$(value mmap_misses)" "$(truth .mmap_misses)" "$1: misses by mmap"
}

check_mmapfaults()
{
	access -m mmap
	access -m mmap --load 3/7
	access -m mmap --madvise sequential
	access -m mmap-write
	access -m pread
	interrupt
	is "$(value major)" "$(truth .mmap_misses)" "$1: major faults are the misses"
	is $(($(value around) + $(value minor) + $(value major))) "$(truth .mmap_accesses)" "$1: all faults"
}

check_rawindows()
{
	access -m pread
	access -m pread -p sequential -n 4000
	access -m mmap -p sequential
	interrupt
	is "$(value windows sync)" "$(truth .read_misses)" "$1: each read that misses is a sync readahead"
	is "$(value windows around)" "$(truth .mmap_misses)" "$1: each fault that misses reads around"
	ok "$1: reading on is async readahead" test "$(value windows async)" -gt 0
	is "$(samples pages sync)" "$(value windows sync)" "$1: each window has a size"
}

check_coldread()
{
	local stage sum=0
	access -m pread --fadvise random
	interrupt
	is "$(sed -nE 's/^@total_ns\[.*: count ([0-9]+),.*/\1/p' "$OUT")" "$(truth .read_misses)" "$1: all cold reads"
	for stage in lookup fs queue device wake copy wait; do
		sum=$((sum + $(total ${stage}_ns)))
	done
	is "$sum" "$(total total_ns)" "$1: the stages add up to the whole"
	within "$(total total_ns)" "$(total device_ns)" "$(truth '.elapsed_us * 1000')" \
		"$1: of which the device is a part, as it is of the run"
}

check_blockio()
{
	local missed
	access -m pread --fadvise random
	interrupt
	missed=$(truth .read_misses)
	within "$(total bytes read)" $((missed * $(getconf PAGESIZE))) $((1 << 40)) "$1: bytes of the pages missed"
	within "$(samples size read)" "$missed" $((1 << 30)) "$1: one request a page"
	is "$(samples queue_us)" "$(samples size)" "$1: each request has its time in the queue"
	# Completions that interrupt other programs are lost, and some may not have come yet.
	within "$(samples device_us read)" $((missed * 9 / 10)) $((1 << 30)) "$1: and in the device"
}

for name in $variants; do
	check=check_${name%-kprobe}
	case $check in
	*rawindows | *blockio) checks=4 ;;
	*coldread) checks=3 ;;
	*) checks=2 ;;
	esac
	narrow=("$inode")
	[ "$name" != blockio ] || narrow=()
	while step; do
		if start "$name.bt" "${narrow[@]}"; then
			$check "$name"
			is "$STATUS" 0 "$name: ends with Ctrl-C"
			ok "$name: prints what its head explains" explained "$name"
		else
			is "$STATUS" 3 "$name: refused"
			matches "$(cat "$ERR")" "^bt: this kernel cannot run $name.bt: $name.bt needs [a-z]+:" "$name: says why"
			skip $checks "$name cannot run here"
		fi
	done
done

# Whatever this kernel has, one of the two runs, over all files.
for name in pagemiss mmapfaults rawindows coldread blockio; do
	if start "$name"; then
		access -m pread --fadvise random
		interrupt
		ok "$name: one line at least" grep -q '^@' "$OUT"
	else
		is "$STATUS" 3 "$name: no variant runs here"
	fi
done

scripts/bt no-such-script 2>"$ERR"
is $? 2 'an unknown script is bad usage'
matches "$(cat "$ERR")" 'pagemiss .*\?' 'and the answer names those that there are'
