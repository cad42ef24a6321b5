#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The patched kernel's helper: what its verifier takes, which files and lists it
# refuses, and that engine `helper` forces exactly what is listed, in time.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/helper" "$PROGS/access" "$PROGS/cached" "$PROGS/content"
grep -qw filemap_miss /proc/kallsyms || skip_all 'this kernel has no helper: patches/ brings it'
setup_dir

plan $((11 + 9 + 5 + 2 * (2 * 3 + 5) + 4 + 3 + 3 + 2 + 3))

# loads NAME WORD TITLE
loads()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/load")" "$2" "$3"
}

"$PROGS/helper" load >"$DIR/load"
loads at_miss taken 'the verifier takes the helper in a sleepable program at the hook'
loads not_sleepable refused 'not in one that must not sleep'
loads wrong_type refused 'not with a task for a file'
loads number_for_file refused 'not with a number for a file'
loads other_hook refused 'not at another hook, even if that may sleep'
loads lsm_not_sleepable refused 'not in an LSM program that must not sleep'
loads other_type_tracepoint refused 'not in a tracepoint program'
loads other_type_syscall refused 'not in a program that is called by bpf(2)'
loads other_type_kprobe refused 'not in a kprobe program'
loads count_miss taken 'a program at the hook may touch user memory'
if grep -qw bpf_lsm_file_post_open /proc/kallsyms; then
	loads at_open taken 'the verifier takes it in file_post_open'
else
	skip 1 'this kernel has no LSM hook file_post_open'
fi

# --- calls that are refused: -EINVAL for lists and maps, -EOPNOTSUPP for files

file=$DIR/data list=$DIR/list
"$PROGS/content" write "$file" $((32 << 20))
pages=8192

# calls NAME RESULT TITLE
calls()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/call")" "$2" "$3"
}

"$PROGS/helper" call "$file" >"$DIR/call"
calls right 0 'a list of a regular file is taken'
calls not_mmapable -22 'a map that cannot be mapped is -EINVAL'
calls hash -22 'and so is a hash'
calls ringbuf -22 'a ring buffer'
calls odd_values -22 'and so are other values than extents'
calls too_few -22 'a map that is too small for a head'
calls first -22 'a list that begins behind its end'
calls flags -22 'and flags'
"$PROGS/helper" full "$file" >"$DIR/call"
calls right -22 'a list that is longer than its map is -EINVAL'

refused_file()
{
	"$PROGS/helper" call "$2" ${3:+"$3"} >"$DIR/call"
	calls right -95 "$1 is refused: -EOPNOTSUPP"
}

mkdir -p "$DIR/tmpfs"
mount -t tmpfs tmpfs "$DIR/tmpfs"
at_exit "umount '$DIR/tmpfs'"
head -c 65536 /dev/zero >"$DIR/tmpfs/file"
refused_file 'a file on tmpfs' "$DIR/tmpfs/file"
refused_file 'one of procfs' /proc/self/maps
refused_file 'a directory' "$DIR"
refused_file 'a file that is open for writing only' "$file" wrong
if [ -b /dev/pmem0 ]; then
	mkdir -p "$DIR/dax"
	mke2fs -q -t ext4 -b 4096 /dev/pmem0
	if mount -o dax /dev/pmem0 "$DIR/dax"; then
		at_exit "umount '$DIR/dax'"
		head -c 65536 /dev/zero >"$DIR/dax/file"
		refused_file 'a DAX file' "$DIR/dax/file"
	else
		result 1 'a DAX file is refused'
	fi
else
	skip 1 'no persistent memory'
fi

# --- engine helper: all that is listed, nothing else, once

# whole TITLE: the receipt of $OUT says that all was read or was there
whole()
{
	is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.engine, .requested == .resident + .read, .failed]')" \
		'0 yes 1 ["helper",true,0]' "$1" || diag "$(cat "$OUT" "$ERR")"
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

for kind in sparse runs; do
	list=$DIR/$kind
	for mode in pread mmap; do
		evict "$file"
		forced --now -e helper -f "$file" -o "$list"
		whole "$kind: forced by the kernel, the receipt is complete"
		"$PROGS/cached" "$file" >"$DIR/cached"
		is "$(sort "$DIR/cached" | comm -3 - <(as_pages "$list" | sort) | wc -l)" 0 "$kind: these pages are cached, and no other" ||
			diag "listed $(as_pages "$list" | wc -l), cached $(wc -l <"$DIR/cached"): $(sort "$DIR/cached" |
				comm -3 - <(as_pages "$list" | sort) | tr -d '\t' | sort -n | awk 'NR == 1 || $1 != last + 1 { printf " %s", $1 } { last = $1 }')"
		is "$(misses_of $mode "$list")" 0 "$kind: once it is complete, $mode misses none of them"
	done
	is "$(receipt "$OUT" '.read == .submitted and .resident == 0')" true "$kind: each was submitted once"
	ok "$kind: and they hold what was written, by read" "$PROGS/content" check "$file" read
	ok "$kind: by mmap" "$PROGS/content" check "$file" mmap
	forced --now -e helper -f "$file" -o "$list"
	is "$STATUS $(receipt "$OUT" '[.read, .submitted, .requested == .resident]')" '0 [0,0,true]' \
		"$kind: what is there is not read again"
	evict "$file"
	forced --now -e helper -f "$file" -o "$list" --max-bytes 1M
	is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.submitted, .read, .skipped + 256 == .requested]')" \
		'4 yes 1 [256,256,true]' "$kind: --max-bytes is kept"
done

# --- a reader that races the forcing

# The middle one of five. How often the reader gets to run meanwhile is up to the scheduler, and
# a figure to be read (2 % is the mark); that forcing overtakes the reader is what is proved.
pages_of "$DIR/sparse" | shuf --random-source=<(seq 99999) >"$DIR/order"
for mode in pread mmap; do
	missed=() complete=0
	for _ in 1 2 3 4 5; do
		evict "$file"
		forced -e helper -t miss -f "$file" -o "$DIR/sparse" -- \
			"$PROGS/access" -m $mode -p "@$DIR/order" --fadvise random --madvise random "${alone[@]}" "$file"
		missed+=("$(jq .misses "$TRUTH")")
		[ "$(receipt "$OUT" '[.engine, .requested == .resident + .read]')" = '["helper",true]' ] && complete=$((complete + 1))
	done
	is $complete 5 "$mode, shuffled: the first miss had all of it forced"
	diag "$mode: misses of 1000: ${missed[*]}"
	within "$(printf '%s\n' "${missed[@]}" | sort -n | sed -n 3p)" 0 150 "$mode: forcing overtakes the reader"
done

# --- the triggers and what they tell

evict "$file"
forced -f "$file" -o "$DIR/sparse" -- "$PROGS/access" -p "@$DIR/sparse" --fadvise random "$file"
is "$STATUS $(receipt "$OUT" '[.engine, .used == .read, .accuracy]')" '0 ["helper",true,1]' \
	'auto chooses the helper; all that was forced was used'
is "$(receipt "$OUT" '.first_us != null and .elapsed_us > 0')" true 'and when the reader had its data is told'
evict "$file"
"$PROGS/access" --load 1/8 -n 0 "$file" >/dev/null
before=$(as_pages "$DIR/sparse" | awk '$1 % 8 == 0' | wc -l)
forced -e helper -t access -f "$file" -o "$DIR/sparse" -- bash -c "head -c 1 '$file'; sleep 2"
is "$STATUS $(receipt "$OUT" '.resident')" "0 $before" 'a hit fires, too, and what was there counts as resident'

# --- files and places

echo 8000+1000 >"$DIR/past"
evict "$file"
forced --now -e helper -f "$file" -o "$DIR/past"
is "$(receipt "$OUT" '[.requested, .read, .past_eof, .skipped]')" '[1000,192,808,0]' 'pages past the end of the file are told'

cp "$file" "$DIR/second"
sync "$DIR/second"
evict "$file" "$DIR/second"
printf '# page2cache offsets 1\n# file=%s\n0+100\n# file=%s\n200+50\n' "$file" "$DIR/second" >"$DIR/two"
forced -e helper -t miss -o "$DIR/two" -- head -c 4096 "$file"
is "$(receipt "$OUT" .requested)" '100 50' 'a list of two files has a receipt for each'
evict "$file" "$DIR/second"
forced -e helper -o "$DIR/two" -- bash -c "exec 9<'$DIR/second' 8<'$file'; head -c 4096 <&8 >/dev/null; sleep 2"
is "$STATUS $(receipt "$OUT" .read)" '0 100 50' 'an access to one of its files has both forced'

# --- the hook

is "$("$PROGS/helper" miss "$file" 100 | awk '{ print $1, $2 }' | paste -sd' ')" 'read 1 fault 1 populate 1' \
	'the hook is called once for a read, a fault and a fault by the kernel, each of an absent page'
"$PROGS/content" check "$file" read
is "$("$PROGS/access" -n 64 "$file" | jq .misses)" 0 'what is cached is missed by nobody'

# --- the end of pcforce is the end of its forcing

evict "$file"
forcing -e helper -f "$file" -o "$DIR/sparse" -d 30
kill -KILL "$BG"
wait "$BG" 2>/dev/null
evict "$file"
is "$("$PROGS/access" -p "@$DIR/sparse" --fadvise random "$file" | jq .misses)" 1000 \
	'after a SIGKILL of pcforce nothing is forced any more'
"$PROGS/content" check "$file" read
ok 'and the file is as it was' "$PROGS/content" check "$file" mmap
evict "$file"
forced -e helper -t miss -f "$file" -o "$DIR/runs" -- head -c 4096 "$file"
is "$(adds_up "$OUT")" 'yes 1' 'where the reader has closed the file before the end, the receipt adds up'
