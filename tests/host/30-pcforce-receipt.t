#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pcforce's receipt: its parts add up to what was requested, whatever happens
# meanwhile, and say what the page cache says: the listed pages are there, and
# no page beside them was read.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((2 * 25 + 4 + 10 + 3 + 2 + 7 + 5 + 6 + 3 + 9 + 5))

file=$DIR/data list=$DIR/list
counts='[.requested, .resident, .read, .failed, .past_eof, .skipped]'
make_file "$file" 128m
pages=32768

# exactly LIST FILE NAME: the listed pages are cached and valid, and no other is
exactly()
{
	"$PROGS/cached" "$2" >"$DIR/cached"
	as_pages "$1" >"$DIR/wanted"
	is "$(sort "$DIR/cached" | comm -3 - <(sort "$DIR/wanted") | wc -l)" 0 "$3" ||
		diag "listed $(wc -l <"$DIR/wanted"), cached $(wc -l <"$DIR/cached"), first difference: $(
			sort "$DIR/cached" | comm -3 - <(sort "$DIR/wanted") | sort -n | head -3 | paste -sd' ')"
}

# run_of FIRST COUNT TITLE: one long extent. The kernel marks pages of what it reads ahead: who comes
# to such a page has it read further on. No mark is left where that would go beyond the extent.
run_of()
{
	evict "$file"
	echo "$1+$2" >"$list"
	forced --now -f "$file" -o "$list"
	exactly "$list" "$file" "$3"
	dd if="$file" of=/dev/null bs=4k skip="$1" count="$2" status=none
	exactly "$list" "$file" 'and so when it has been read in order'
}

seq 0 $((pages - 1)) | shuf --random-source=<(yes) | head -2000 >"$DIR/sparse"

for ra in 128 8192; do
	set_ra $ra
	while step; do
		# --- scattered pages

		evict "$file"
		forced --now -f "$file" -o "$DIR/sparse"
		exactly "$DIR/sparse" "$file" "read_ahead_kb $ra: 2000 scattered pages: they are cached, and no other"
		is "$STATUS $(receipt "$OUT" "$counts")" '0 [2000,0,2000,0,0,0]' 'and the receipt says that all were read'
		is "$(receipt "$OUT" '[.submitted, .bytes, .engine, .trigger]')" "[2000,$((2000 * $(getconf PAGESIZE))),\"user\",\"now\"]" \
			'submitted once each; bytes are those of the pages read'
		evict "$file"
		forced --now --jobs 8 -f "$file" -o "$DIR/sparse"
		exactly "$DIR/sparse" "$file" 'and so with 8 threads'

		# --- what is there is not read again

		forced --now -f "$file" -o "$DIR/sparse"
		is "$STATUS $(receipt "$OUT" "$counts") $(receipt "$OUT" .submitted)" '0 [2000,2000,0,0,0,0] 0' 'all resident: nothing is submitted'
		# Some may have been pushed out by now: the kernel does so with what is idle.
		is "$("$PROGS/cached" "$file" | sort | comm -23 - <(as_pages "$DIR/sparse" | sort) | wc -l)" 0 'and no other page is cached'

		# --- partly resident

		"$PROGS/access" --evict --load 3/7 -n 0 "$file" >/dev/null
		had=$("$PROGS/cached" "$file" | sort | comm -12 - <(sort "$DIR/sparse") | wc -l)
		trace_start "$file" filemap/mm_filemap_add_to_page_cache
		forced --now -f "$file" -o "$DIR/sparse"
		inserted=$(trace_count mm_filemap_add_to_page_cache)
		is "$STATUS $(receipt "$OUT" "$counts")" "0 [2000,$had,$((2000 - had)),0,0,0]" "$had of them resident before: the others are read"
		is "$inserted" $((2000 - had)) 'the kernel saw just these enter the cache'
		within "$had" 500 1200 'and there were some of both'
		trace_stop
		is "$("$PROGS/cached" "$file" | grep -c '!')" 0 'all of them valid'

		# --- overlapping and repeated extents

		evict "$file"
		printf '%s\n' 1010+10 1015-1025 1012 1000-1030 1012 1000+31 >"$list"
		forced --now -f "$file" -o "$list"
		is "$STATUS $(receipt "$OUT" "$counts")" '0 [31,0,31,0,0,0]' 'overlapping extents: each page once'
		exactly "$list" "$file" 'and all of them'
		printf '%s\n' 1030-1035 2000+2 >>"$list"
		forced --now -f "$file" -o "$list"
		is "$(receipt "$OUT" "$counts")" '[38,31,7,0,0,0]' 'and again with a few more'

		# --- long runs in the middle, at the end, next to each other

		run_of 4321 512 "read_ahead_kb $ra: 2 MiB from the middle: exactly that"
		run_of 4096 1024 '4 MiB, aligned: exactly that'
		evict "$file"
		printf '%s\n' 5001+2570 9001+1 9100+600 17000-19000 >"$list"
		forced --now -f "$file" -o "$list"
		exactly "$list" "$file" '10 MiB, a page, 2 MiB, 8 MiB: exactly these'
		is "$STATUS $(receipt "$OUT" "$counts")" '0 [5172,0,5172,0,0,0]' 'and the receipt says so'
		run_of 4567 10240 '40 MiB from the middle: exactly that'
		is "$STATUS $(receipt "$OUT" "$counts")" '0 [10240,0,10240,0,0,0]' 'and the receipt says so'
		run_of $((pages - 3333)) 3333 '13 MiB up to the end of the file: exactly that'
		"$PROGS/access" --evict --load 3/701 -n 0 "$file" >/dev/null
		had=$("$PROGS/cached" "$file" | awk '$1 >= 3000 && $1 < 13000' | wc -l)
		echo 3000+10000 >"$list"
		forced --now -f "$file" -o "$list"
		is "$STATUS $(receipt "$OUT" "$counts")" "0 [10000,$had,$((10000 - had)),0,0,0]" 'a long run with cached pages in it'
	done
done

# --- the whole file, and its parts

while step; do
	evict "$file"
	forced --now -f "$file"
	is "$STATUS $(receipt "$OUT" "$counts")" "0 [$pages,0,$pages,0,0,0]" 'without a list: the whole file'
	is "$("$PROGS/cached" "$file" | grep -vc '!')" $pages 'all of it is cached'
	head -c 43000 "$file" >"$DIR/odd"
	sync "$DIR/odd"
	evict "$DIR/odd"
	forced --now -f "$DIR/odd"
	is "$STATUS $(receipt "$OUT" "$counts")" '0 [11,0,11,0,0,0]' 'a last page that is not full'
	seq 0 $((pages - 1)) >"$list"
	evict "$file"
	forced --now -f "$file" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" "0 [$pages,0,$pages,0,0,0]" 'page by page in the list: the same'
done

# --- what is long and in order is left to the kernel's readahead, beside a reader

# left PATTERN PCFORCE_OPTIONS... [-- COMMAND]: force a list of the whole file, in order; PATTERN none: without a section
left()
{
	[ "$1" = none ] || printf '# file=%s pattern=%s\n' "$file" "$1" >"$list"
	[ "$1" != none ] || : >"$list"
	printf '%s\n' "0+$((pages - 1))" $((pages - 1)) >>"$list"
	evict "$file"
	forced "${@:2}"
}

counts_left='[.requested, .resident, .read, .skipped, .left]'
while step; do
	beside=(-f "$file" -o "$list" -- "${OUTLIVED[@]}")
	for pattern in none mmap later; do
		left $pattern "${beside[@]}"
		is "$STATUS $(receipt "$OUT" "$counts_left") $(adds_up "$OUT") $("$PROGS/cached" -c "$file")" "0 [$pages,0,0,$pages,$pages] yes 1 0" \
			"pattern $pattern: all is left, and that is status 0"
	done
	"$PROGS/access" --evict -p random -n 100 --fadvise random "$file" >/dev/null
	had=$("$PROGS/cached" -c "$file")
	forced "${beside[@]}"
	is "$STATUS $(receipt "$OUT" "$counts_left")" "0 [$pages,$had,0,$((pages - had)),$((pages - had))]" 'what of it is cached counts as resident'
	evict "$file" "$DIR/odd"
	# Pages of another file show that the trigger has fired.
	{ printf '# file=%s\n' "$file"; cat "$list"; printf '# file=%s\n8\n2\n5\n' "$DIR/odd"; } >"$DIR/both"
	forced -t access -o "$DIR/both" -- bash -c "head -c 1 '$file' >/dev/null; '$PROGS/cached' -w 3 '$DIR/odd'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" '[.requested - .resident - .left, .read]')" '0 [0,0] [3,3]' '-t access: so, too'
	is "$("$PCFORCE" -f "$file" -o "$list" -- "${OUTLIVED[@]}" 2>&1 >/dev/null | grep -c "[0-9] left ")" 1 'the table has a word for it'
	is "$("$PCFORCE" --raw -n --columns skipped -f "$file" -o "$list" -- "${OUTLIVED[@]}" 2>&1 >/dev/null | grep -cx '[0-9]*')" 1 'but not that for scripts'
	left seq -f "$file" -o "$list" -- bash -c "'$PROGS/cached' -w $pages '$file'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" "$counts_left")" "0 [$pages,0,$pages,0,0]" 'pattern=seq: reads gain, nothing is left'
	left mmap --now -f "$file" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts_left")" "0 [$pages,0,$pages,0,0]" '--now leaves nothing'
	export PAGE2CACHE_ALWAYS=1
	left mmap -f "$file" -o "$list" -- bash -c "'$PROGS/cached' -w $pages '$file'; $OUTLIVE"
	unset PAGE2CACHE_ALWAYS
	is "$STATUS $(receipt "$OUT" "$counts_left")" "0 [$pages,0,$pages,0,0]" 'nor does PAGE2CACHE_ALWAYS=1'
done

# --- past the end

while step; do
	evict "$DIR/odd"
	printf '%s\n' 5-20 100+5 11 0 4000000000+2 >"$list"
	forced --now -f "$DIR/odd" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" '4 [25,0,7,0,18,0]' 'past the end: counted and skipped, the others are read'
	printf '%s\n' 5-10 0 >"$list"
	exactly "$list" "$DIR/odd" 'and only they'
	printf '%s\n' 11 9223372036854775808 18446744073709551615 >"$list"
	forced --now -f "$DIR/odd" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" '4 [3,0,0,0,3,0]' 'all of it past the end, up to the last index there is'
done

# --- holes

while step; do
	truncate -s 32m "$DIR/holes"
	for at in 0 5 4095 8191; do
		dd if="$file" of="$DIR/holes" bs=4096 count=1 seek=$at conv=notrunc status=none
	done
	sync "$DIR/holes"
	evict "$DIR/holes"
	printf '%s\n' 3-8 1000+2000 8191 4095 >"$list"
	forced --now -f "$DIR/holes" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" '0 [2008,0,2008,0,0,0]' 'holes: read as well, they could be missed'
	exactly "$list" "$DIR/holes" 'exactly the listed ones'
done

# --- --max-bytes

while step; do
	for ra in 128 found; do
		set_ra $ra
		evict "$file"
		echo 4000+10000 >"$list"
		forced --now --max-bytes 6M -f "$file" -o "$list"
		is "$STATUS $(receipt "$OUT" "$counts")" '4 [10000,0,1536,0,0,8464]' "read_ahead_kb $ra: --max-bytes 6M of 40 MiB: the rest is skipped"
		is "$("$PROGS/cached" -c "$file")" 1536 'and no more than that was read'
	done
	evict "$file"
	forced --now --max-bytes 4M -f "$file" -o "$DIR/sparse"
	is "$STATUS $(receipt "$OUT" "$counts") $("$PROGS/cached" -c "$file")" '4 [2000,0,1024,0,0,976] 1024' '--max-bytes 4M of scattered pages'
	forced --now --max-bytes 4M -f "$file" -o "$DIR/sparse"
	is "$STATUS $(receipt "$OUT" "$counts")" '0 [2000,1024,976,0,0,0]' 'what is resident costs nothing of it'
	evict "$file"
	forced --now --max-bytes 4095 -f "$file" -o "$DIR/sparse"
	is "$STATUS $(receipt "$OUT" "$counts") $("$PROGS/cached" -c "$file")" '4 [2000,0,0,0,0,2000] 0' 'less than a page: nothing'
done

# --- the file is truncated in mid-run

while step; do
	make_file "$DIR/shrinking" 64m
	seq 0 2 16383 | shuf --random-source=<(yes) >"$DIR/half"

	anything_cached()
	{
		[ "$("$PROGS/cached" -c "$1")" -gt 64 ]
	}

	# shrink_in_mid_run HOW: until it really was in the middle; each receipt must add up
	shrink_in_mid_run()
	{
		local try pace=()
		added=yes hit=no
		for ((try = 0; try < 12; try++)); do
			# Where it is always over before it is stopped: half a minute.
			[ $try -lt 8 ] || pace=(--rate 1M)
			truncate -s 64m "$DIR/shrinking"
			evict "$DIR/shrinking"
			BG_OUT=$DIR/shrinking.out
			"$PCFORCE" -j -O "$BG_OUT" --now "${pace[@]}" -f "$DIR/shrinking" -o "$DIR/half" >/dev/null 2>&1 </dev/null &
			BG=$!
			# Held where it is, however quick it would be.
			until anything_cached "$DIR/shrinking" || gone "$BG"; do :; done
			kill -STOP "$BG"
			truncate -s 8m "$DIR/shrinking"
			[ "$1" = shrunk ] || truncate -s 64m "$DIR/shrinking"
			kill -CONT "$BG"
			wait "$BG"
			STATUS=$?
			[ "$(adds_up "$BG_OUT")" = 'yes 1' ] || { added=no; break; }
			[ "$(receipt "$BG_OUT" '.read > 0 and .read < 8192 and .past_eof > 0')" = true ] && { hit=yes; break; }
			[ "$1" != shrunk ] && [ "$(receipt "$BG_OUT" '.read == 8192')" = true ] && { hit=yes; break; }
		done
	}

	shrink_in_mid_run shrunk
	is "$added $hit" 'yes yes' 'truncated in mid-run: the receipt adds up, some read, some past the end'
	is "$STATUS $(receipt "$BG_OUT" '[.requested, .failed, .skipped]')" '4 [8192,0,0]' 'status 4, and nothing counts as failed or skipped'
	shrink_in_mid_run grown
	is "$added" yes 'truncated and grown again in mid-run: the receipt adds up'
	is "$(receipt "$BG_OUT" '.resident + .read + .past_eof')" 8192 'and says of each page what became of it'
	rm "$DIR/shrinking"
	forced --now -f "$DIR/odd"
	is "$STATUS" 0 'the next run is as good as ever'
done

# --- rivals

# rival COMMAND...: over and over until `no_rival`
rival()
{
	("$@"; while [ ! -e "$DIR/enough" ]; do "$@"; done) >/dev/null 2>&1 &
	RIVAL=$!
	at_exit "touch '$DIR/enough'; wait $RIVAL"
}

no_rival()
{
	touch "$DIR/enough"
	wait "$RIVAL"
	rm "$DIR/enough"
}

while step; do
	evict "$file"
	rival "$PROGS/access" --blind -p random -n 4000 "$file"
	forced --now -f "$file" -o "$DIR/sparse"
	no_rival
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]') $(adds_up "$OUT")" '0 [2000,2000] yes 1' 'a rival reads: complete, and adds up'
	evict "$file"
	rival cat "$file"
	forced --now -f "$file"
	no_rival
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]') $(adds_up "$OUT")" "0 [$pages,$pages] yes 1" 'a rival reads the whole file, so do we: complete, and adds up'
	evict "$file"
	rival dd if="$file" iflag=nocache count=0 status=none
	forced --now -f "$file" -o "$DIR/sparse"
	no_rival
	is "$STATUS $(receipt "$OUT" '[.requested, .failed, .past_eof, .skipped]') $(adds_up "$OUT")" '0 [2000,0,0,0] yes 1' 'a rival evicts: every page was there when it was looked at'
	evict "$file"
	forcing --now -f "$file" -o "$DIR/sparse"
	first=$BG first_out=$BG_OUT
	forcing --now -f "$file" -o "$DIR/sparse"
	wait "$first"
	first=$?
	wait "$BG"
	is "$first $? $(adds_up "$first_out") $(adds_up "$BG_OUT")" '0 0 yes 1 yes 1' 'two pcforces at once: both complete, both add up'
	exactly "$DIR/sparse" "$file" 'and together they read just the list'
	is "$(jq -s 'map(select(.record == "receipt") | .resident + .read) | add' "$first_out" "$BG_OUT")" 4000 'each accounts for all of it'
done

# --- dry run

while step; do
	evict "$file"
	forced --dry-run -f "$file" -o "$DIR/sparse"
	is "$STATUS $(receipt "$OUT" "$counts")" '0 [2000,0,0,0,0,2000]' '--dry-run: what would be read is skipped'
	is "$("$PROGS/cached" -c "$file")" 0 'and was not read'
	"$PROGS/access" --load 1/2 -n 0 "$file" >/dev/null
	had=$("$PROGS/cached" "$file" | sort | comm -12 - <(sort "$DIR/sparse") | wc -l)
	forced --dry-run -f "$file" -o "$DIR/sparse"
	is "$(receipt "$OUT" "$counts")" "[2000,$had,0,0,0,$((2000 - had))]" 'and what is there is resident'
done

# --- what becomes of forced pages

# reads LIST: a program for bash that reads these pages
reads()
{
	echo "'$PROGS/access' --fadvise random -p '@$DIR/$1' '$file'"
}

while step; do
	evict "$file"
	head -1000 "$DIR/sparse" >"$DIR/used"
	head -1 "$DIR/sparse" >"$DIR/first"
	began=$EPOCHREALTIME
	forced -t access -f "$file" -o "$DIR/sparse" -- bash -c "$(reads first); '$PROGS/cached' -w 2000 '$file'; $(reads used); $OUTLIVE"
	ended=$EPOCHREALTIME
	is "$(adds_up "$OUT") $(receipt "$OUT" '[.requested, .resident + .read]')" 'yes 1 [2000,2000]' 'on a trigger: complete'
	is "$STATUS $(receipt "$OUT" "[.elapsed_us, .first_us] | all(. > 0 and . < $((${ended/./} - ${began/./})))")" '0 true' 'with its times'
	# The page that fired is the reader's own, or was on its way.
	within "$(receipt "$OUT" .used)" 999 1000 'used: the forced pages that were looked up'
	is "$(receipt "$OUT" '(.accuracy - .used / .read) | fabs < 0.000001')" true 'accuracy: used of those read'
	within "$(receipt "$OUT" '.read')" 1999 2000 'all other pages came by forcing'
	is "$(receipt "$OUT" '[.coverage, .unused_removed]')" '[null,0]' 'no coverage without recorded misses'
	evict "$file"
	printf '# file=%s misses=1000\n' "$file" | cat - "$DIR/used" >"$list"
	sed -n 1001,1200p "$DIR/sparse" >"$DIR/unlisted"
	forced -t access -f "$file" -o "$list" -- bash -c "$(reads first); '$PROGS/cached' -w 1000 '$file'; $(reads used); $(reads unlisted); $OUTLIVE"
	misses=$(jq -s 'map(.misses) | add' "$TRUTH")
	is "$misses $(receipt "$OUT" '.coverage * 1000 | round')" '201 799' "coverage: all but the reader's own misses"
	evict "$file"
	seq 100 7 177 >"$DIR/twelve"
	forced --follow --once -f "$file" -o "$DIR/twelve" -- bash -c "'$PROGS/cached' -w 12 '$file'; $(until_let_go "$file")
		dd if='$file' iflag=nocache count=0 status=none; '$PROGS/access' --fadvise random -p '@$DIR/twelve' '$file'; $OUTLIVE"
	is "$(receipt "$OUT" '[.read, .unused_removed, .used, .accuracy]')" '[12,12,0,0]' 'evicted before anybody used them: a reader reads them himself then'
	rm -f "$DIR/huge"
	truncate -s 15T "$DIR/huge"
	printf '# file=%s\n4000000000\n# file=%s\n0-11\n' "$DIR/huge" "$file" >"$list"
	evict "$file"
	forced --follow -o "$list" -- bash -c "'$PROGS/cached' -w 12 '$file'; head -c 48k '$file' >/dev/null; $OUTLIVE"
	is "$(receipt "$OUT" '[.read, .used]' | paste -sd' ')" '[1,null] [12,12]' 'a file with more pages than can be followed: the others are'
done

# --- pages that cannot be read

broken_file_system()
{
	truncate -s 32m "$DIR/image" && mkfs.ext4 -q -F -b 4096 -O ^metadata_csum,^has_journal "$DIR/image" &&
		mkdir -p "$DIR/mnt" && mount -o loop "$DIR/image" "$DIR/mnt" || return 1
	at_exit "umount '$DIR/mnt'"
	# Every other page, so that the extents need a block of their own to break.
	truncate -s 1m "$DIR/mnt/bad" && for ((at = 0; at < 256; at += 2)); do
		dd if="$file" of="$DIR/mnt/bad" bs=4096 count=1 seek=$at conv=notrunc status=none
	done
	head -c 1m "$file" >"$DIR/mnt/good"
	umount "$DIR/mnt" && debugfs -w -R 'bmap bad 100 9999999' "$DIR/image" && mount -o loop,errors=continue "$DIR/image" "$DIR/mnt" &&
		! head -c 1 "$DIR/mnt/bad"
}

while step; do
	if broken_file_system >/dev/null 2>&1; then
		evict "$DIR/mnt/good"
		printf '# file=%s/mnt/bad\n0-255\n# file=%s/mnt/good\n0-255\n' "$DIR" "$DIR" >"$list"
		forced --now -o "$list"
		is "$STATUS $(adds_up "$OUT")" '4 yes 2' 'unreadable pages: status 4, and it adds up'
		is "$(receipt "$OUT" "select(.file | endswith(\"bad\")) | $counts")" '[256,0,0,256,0,0]' 'they count as failed, cached or not'
		is "$(receipt "$OUT" "select(.file | endswith(\"good\")) | [.requested, .resident + .read]")" '[256,256]' 'the other file is forced'
		is "$("$PROGS/cached" "$DIR/mnt/bad" | grep -vc '!')" 0 'and not one of the bad ones is valid'
		forced --now -o "$list"
		is "$STATUS $(receipt "$OUT" "select(.file | endswith(\"bad\")) | $counts")" '4 [256,0,0,256,0,0]' 'the same again, now that all of them are cached'
		umount "$DIR/mnt"
	else
		skip 5 'no loop device, mkfs.ext4 or debugfs to break a file system with'
	fi
done
