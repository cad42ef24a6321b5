#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# When pcforce forces, and when it does not: never before the first open or
# access that counts, then at once, and again after the next open.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((6 + 8 + 8 + 8 + 6 + 4 + 6 + 4 + 6 + 6 + 5 + 2))

file=$DIR/data list=$DIR/list
make_file "$file" 64m
seq 0 16383 | shuf --random-source=<(yes) | head -1500 >"$list"
head -300 "$list" >"$DIR/some"
some=(--fadvise random -p "@$DIR/some")
whole=(-f "$file" -o "$list")

# then_all N FILE: a program for bash that ends when N pages of FILE are cached, and lets pcforce finish
then_all()
{
	echo "'$PROGS/cached' -w $1 '$2'; $OUTLIVE"
}

cached_are()
{
	[ "$("$PROGS/cached" -c "$1")" = "$2" ]
}

receipts_are()
{
	[ "$(grep -c '"receipt"' "$1")" -ge "$2" ]
}

# all_forced: all pages are cached, and the pcforce in the background has looked at them
all_forced()
{
	wait_until 60 cached_are "$file" 1500 && wait_until 60 let_go "$BG" "$file"
}

# read_until_forced: an open arms the trigger; on a busy machine that can come after its own accesses
read_until_forced()
{
	for _ in {1..20}; do
		"$PROGS/access" "${some[@]}" "$file" >/dev/null
		wait_until 3 cached_are "$file" 1500 || continue
		all_forced
		return
	done
	return 1
}

# quiet TIME FILE: for that long nothing of FILE is cached
quiet()
{
	! wait_until "$1" eval "! cached_are '$2' 0"
}

# --- a service holds no file while it waits

# While the other tests run: after a while it has marked the files again.
mnt=$DIR/mnt
mkdir "$mnt" "$DIR/marks"
if truncate -s 64m "$DIR/image" && mkfs.ext4 -q -F "$DIR/image" && cp "$DIR/image" "$DIR/marks.image" &&
	mount -o loop "$DIR/marks.image" "$DIR/marks" && mount -o loop "$DIR/image" "$mnt"; then
	at_exit "umount '$DIR/marks' '$mnt'"
	head -c 4m "$file" | tee "$mnt/a" "$mnt/b" >"$DIR/marks/a"
	sync -f "$mnt" && sync -f "$DIR/marks"
	printf '# file=%s\n0-1023\n' "$DIR/marks/a" >"$DIR/marks.list"
	forcing -t open --once -o "$DIR/marks.list"
	marks=$BG marks_out=$BG_OUT
	umount "$DIR/marks" && mount -o loop "$DIR/marks.image" "$DIR/marks"
	marked=$SECONDS

	printf '# file=%s\n0-1023\n' "$mnt/a" "$mnt/b" >"$DIR/mnt.list"
	evict "$mnt/a" "$mnt/b"
	forcing -o "$DIR/mnt.list"
	ok 'its file system can be unmounted' umount "$mnt"
	mount -o loop "$DIR/image" "$mnt"
	head -c 4k "$mnt/a" >/dev/null
	ok 'mounted again, an access has all forced' wait_until 60 cached_are "$mnt/b" 1024
	wait_until 60 let_go "$BG" "$mnt/b"
	free=$(df --output=avail "$mnt" | tail -1)
	rm "$mnt/b"
	sync -f "$mnt"
	is $(($(df --output=avail "$mnt" | tail -1) - free)) 4096 'a deleted file frees its space'
	cp "$mnt/a" "$mnt/b"
	sync -f "$mnt"
	# An open arms the trigger: on a busy machine that can come after its own accesses.
	for _ in {1..10}; do
		evict "$mnt/a" "$mnt/b"
		cat "$mnt/a" >/dev/null
		wait_until 2 receipts_are "$BG_OUT" 2 && break
	done
	stop INT
	is "$(json "$BG_OUT" 'select(.record == "receipt" and (.file | endswith("/b"))) | [.skipped, .reason]' | head -2 | paste -sd' ')" \
		"[0,null] [1024,\"$mnt/b: it was replaced by another file since the list was loaded\"]" \
		'the file that has its name now is not forced, and the receipt says why'
	ok 'and nothing is held after that' umount "$mnt"
else
	skip 5 'no loop device, or no mkfs.ext4'
fi

# --- not a moment before COMMAND's own first access

while step; do
	# How many of 300 accesses miss before the forcing overtakes is a figure of the machine and its load
	# (make bench). That it goes on without them is what is proved.
	for mode in pread mmap; do
		evict "$file"
		forced -t access "${whole[@]}" -- bash -c "'$PROGS/cached' -c '$file'; '$PROGS/access' -m $mode ${some[*]} --madvise random '$file'; $(then_all 1500 "$file")"
		is "$(head -1 "$TRUTH") $(sed 1d "$TRUTH" | jq .resident_before)" '0 0' "$mode: open and mapped, nothing is cached before COMMAND's first access"
		is "$STATUS $(receipt "$OUT" '[.resident + .read, .read >= 1200]')" '0 [1500,true]' "$mode: then all is forced, by pcforce what COMMAND does not read"
		is "$(adds_up "$OUT") $(receipt "$OUT" '[.trigger, .requested]')" 'yes 1 ["access",1500]' "$mode: the receipt adds up"
	done
done

# --- a descriptor that was open before pcforce started

while step; do
	for mode in pread mmap; do
		evict "$file"
		reader -m $mode "${some[@]}" --madvise random "$file"
		forcing --once "${whole[@]}"
		is "$("$PROGS/cached" -c "$file")" 0 "$mode: opened before pcforce started: nothing is forced yet"
		go
		wait_until 30 gone "$BG"
		wait "$BG"
		is "$? $(receipt "$BG_OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' "$mode: its first access has all forced; --once ends"
		within "$(receipt "$BG_OUT" .read)" 1200 1500 "$mode: by pcforce all but what the reader has read"
		is "$(json "$DIR/reader" .resident_before)" 0 "$mode: nothing was cached before them"
	done
done

# --- -t: access, miss, open, now

while step; do
	evict "$file"
	"$PROGS/access" "${some[@]}" "$file" >/dev/null
	"$PROGS/cached" "$file" >"$DIR/before"
	forced -t miss "${whole[@]}" -- "$PROGS/access" "${some[@]}" "$file"
	is "$(json "$TRUTH" '[.accesses, .misses]') $(receipt "$OUT" .read)" '[300,0] 0' '-t miss: hits do not fire'
	is "$STATUS $(receipt "$OUT" .skipped) $(grep -c . "$ERR")" '4 1500 1' 'nothing was forced: status 4 and a word about it'
	forced -t access "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file")"
	is "$STATUS $(json "$TRUTH" .misses) $(receipt "$OUT" '[.resident, .read]')" '0 0 [300,1200]' '-t access: a hit fires'
	evict "$file"
	forced -t miss "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file")"
	is "$STATUS $(json "$TRUTH" .resident_before) $(receipt "$OUT" '[.trigger, .requested, .resident + .read]')" \
		'0 0 ["miss",1500,1500]' '-t miss: a miss fires'
	evict "$file"
	forced -t open "${whole[@]}" -- bash -c "'$PROGS/cached' -c '$file'; $(then_all 1500 "$file")"
	is "$STATUS $(receipt "$OUT" '[.trigger, .read, .first_us]')" '0 ["open",1500,null]' '-t open: an open fires, without any access'
	evict "$file"
	forced -t open "${whole[@]}" -- stat "$file"
	is "$STATUS $(receipt "$OUT" .skipped) $("$PROGS/cached" -c "$file")" '4 1500 0' '-t open: stat(2) is no open'
	evict "$file"
	forced -t now "${whole[@]}" -- bash -c "$(then_all 1500 "$file"); '$PROGS/access' ${some[*]} '$file'"
	is "$STATUS $(json "$TRUTH" .misses) $(receipt "$OUT" '[.trigger, .read]')" '0 0 ["now",1500]' '-t now: forced though nobody opened or read'
	evict "$file"
	forcing --once -t open "${whole[@]}"
	exec 9<"$file"
	wait_until 30 gone "$BG"
	exec 9<&-
	wait "$BG"
	is "$? $(receipt "$BG_OUT" .read)" '0 1500' "-t open, no COMMAND: anybody's open"
done

# --- again at the next open, or --once

while step; do
	evict "$file"
	forcing "${whole[@]}"
	"$PROGS/access" "${some[@]}" "$file" >/dev/null
	ok 'without --once: forced' all_forced
	# The receipt of the first comes when the second begins.
	evict "$file"
	ok 'evicted, opened and read again: forced again' read_until_forced
	evict "$file"
	exec 9<"$file"
	ok 'and again' read_until_forced
	exec 9<&-
	stop INT
	is "$STATUS $(adds_up "$BG_OUT")" '0 yes 3' 'a receipt for each of the three, each adds up'
	is "$(receipt "$BG_OUT" '[.requested, .resident + .read]')" '[1500,1500] [1500,1500] [1500,1500]' 'and is complete'
	evict "$file"
	forced -t access --once "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file")
	$(until_let_go "$file"); '$PROGS/access' --evict ${some[*]} '$file' && '$PROGS/access' ${some[*]} '$file'"
	is "$STATUS $(adds_up "$OUT")" '0 yes 1' '--once: one receipt'
	is "$(sed -n 2p "$TRUTH" | jq -c '[.accesses, .misses]') $("$PROGS/cached" -c "$file")" '[300,300] 300' 'and no more forcing'
	evict "$file"
	forced -t access --once "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file"); sleep 1
	cut -d' ' -f14,15 /proc/\$PPID/stat >'$DIR/cpu.1'; sleep 1; cut -d' ' -f14,15 /proc/\$PPID/stat >'$DIR/cpu.2'"
	# Ticks of 10 ms; a loop that never sleeps takes 100 of them.
	within "$(paste -d' ' "$DIR/cpu.1" "$DIR/cpu.2" | awk '{ print $3 + $4 - $1 - $2 }')" 0 30 '--once: pcforce sleeps until COMMAND ends'
done

# --- what becomes of the pages refines the rule

# once_more OTHER: a start that uses all listed pages of `used`, and of `other` if OTHER is not empty
once_more()
{
	evict "$DIR/other" "$DIR/used"
	# An open arms the trigger: on a busy machine that can come after its own accesses.
	for _ in {1..20}; do
		"$PROGS/access" -n 1 --fadvise random "$DIR/used" >/dev/null
		wait_until 2 cached_are "$DIR/used" 501 && break
	done
	"$PROGS/access" --fadvise random -p "@$DIR/used.pages" "$DIR/used" >/dev/null
	[ -z "$1" ] || "$PROGS/access" --fadvise random -p "@$DIR/other.pages" "$DIR/other" >/dev/null
}

# receipts_of NAME: the receipts of a file as yet. That of a firing comes when the next begins.
receipts_of()
{
	json "$BG_OUT" "select(.record == \"receipt\" and (.file | endswith(\"/$1\"))) | [.resident + .read, .left, .changed]"
}

# starts_until OTHER RECEIPT: starts as once_more has them, until that is the latest one of `other`
starts_until()
{
	for _ in {1..30}; do
		once_more "$1"
		[ "$(receipts_of other | tail -1)" != "$2" ] || return 0
	done
	return 1
}

while step; do
	make_file "$DIR/used" 8m
	make_file "$DIR/other" 8m
	seq 1 4 2000 >"$DIR/used.pages"
	seq 10 10 1000 >"$DIR/other.pages"
	for name in other used; do
		echo "# file=$DIR/$name"
		cat "$DIR/$name.pages"
	done >"$DIR/two"
	forcing -e user -o "$DIR/two"
	ok 'a file whose pages nobody uses is left after some starts' starts_until '' '[0,100,100]'
	within "$(receipts_of other | grep -c -x '\[100,0,0\]')" 3 30 'but not before three of them'
	ok 'once it is read, it is forced again' starts_until used '[100,0,0]'
	stop INT
	is "$STATUS $(receipts_of used | jq '.[2]' | sort -u)" '0 0' 'and nothing of this changed the file that is used'
done

# --- several files in one list

while step; do
	for name in one two three; do
		make_file "$DIR/$name" 4m
		echo "# file=$DIR/$name"
		echo '100+50'
		echo '7'
	done >"$DIR/many"
	echo "# file=$DIR/one
500-509" >>"$DIR/many"
	forced -t access -o "$DIR/many" -- bash -c "'$PROGS/access' -n 1 --fadvise random '$DIR/two'; $(then_all 61 "$DIR/one"); $(then_all 51 "$DIR/three")"
	is "$STATUS $(json "$TRUTH" .resident_before)" '0 0' 'a list of three files: nothing is forced before'
	is "$(receipt "$OUT" '[(.file | split("/") | .[-1]), .requested, .read]')" '["one",61,61] ["two",51,51] ["three",51,51]' \
		'the first access to any of them fires all; a receipt each'
	is "$("$PROGS/cached" -c "$DIR/one") $("$PROGS/cached" -c "$DIR/two") $("$PROGS/cached" -c "$DIR/three")" '61 52 51' \
		'just the listed pages, and the one that was read'
	evict "$DIR/one" "$DIR/two" "$DIR/three"
	forced -t access -f "$DIR/two" -o "$DIR/many" -- bash -c "'$PROGS/access' -n 1 '$DIR/one'; '$PROGS/access' -n 1 -o 400k --fadvise random '$DIR/two'; $(then_all 51 "$DIR/two")"
	is "$(sed -n 2p "$TRUTH" | jq .resident_before)" 0 "-f picks one section: another file's access does not fire"
	is "$STATUS $(receipt "$OUT" '[(.file | split("/") | .[-1]), .requested, .resident + .read]')" '0 ["two",51,51]' 'one receipt'
	is "$("$PROGS/cached" -c "$DIR/three")" 0 'no other file is forced'
done

# --- who counts

while step; do
	evict "$file"
	forced -t access "${whole[@]}" -- bash -c "(bash -c \"'$PROGS/access' ${some[*]} '$file'\" &) ; $(then_all 1500 "$file")"
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' "COMMAND's descendants fire"
	evict "$file"
	# Its threads alone read.
	forced -t access "${whole[@]}" -- bash -c "'$PROGS/access' -T 2 -n 2 --fadvise random '$file' && $(then_all 1500 "$file")"
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' "COMMAND's threads fire"
	evict "$file"
	reader "${some[@]}" "$file"
	forced -t access "${whole[@]}" -- bash -c "kill -USR1 $READER; while kill -0 $READER 2>/dev/null; do sleep 0.02; done"
	is "$STATUS $(receipt "$OUT" '[.read, .skipped]')" '4 [0,1500]' "others' accesses do not fire"
	wait "$READER"
	is "$(json "$DIR/reader" '[.accesses, .misses]') $("$PROGS/cached" -c "$file")" '[300,300] 300' 'and get nothing'
	evict "$file"
	reader "${some[@]}" "$file"
	forced -t open "${whole[@]}" -- bash -c "kill -USR1 $READER; while kill -0 $READER 2>/dev/null; do sleep 0.02; done"
	wait "$READER"
	is "$STATUS $(receipt "$OUT" '[.read, .skipped]')" '4 [0,1500]' "-t open: nor do others' opens"
	evict "$file"
	forced -t access "${whole[@]}" -- "$PROGS/cached" "$file"
	is "$STATUS $("$PROGS/cached" -c "$file")" '4 0' 'asking what is cached is no access'
done

# --- the file, not its name

while step; do
	ln "$file" "$DIR/link"
	evict "$file"
	forced -t access "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$DIR/link'; $(then_all 1500 "$file")"
	is "$STATUS $(receipt "$OUT" '.resident + .read')" '0 1500' 'by a hard link'
	rm "$DIR/link"
	ln -sf data "$DIR/symlink"
	evict "$file"
	forced -t access -f "$DIR/symlink" -o "$list" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file")"
	is "$STATUS $(receipt "$OUT" '.resident + .read')" '0 1500' 'by a symbolic link'
	mkdir -p "$DIR/bind"
	if mount --bind "$DIR" "$DIR/bind" 2>/dev/null; then
		at_exit "umount '$DIR/bind'"
		evict "$file"
		forced -t access "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$DIR/bind/data'; $(then_all 1500 "$file")"
		is "$STATUS $(receipt "$OUT" '.resident + .read')" '0 1500' 'by a bind mount'
		umount "$DIR/bind"
	else
		skip 1 'no bind mounts here'
	fi
	evict "$file" "$DIR/one"
	forced -t access "${whole[@]}" -- "$PROGS/access" -n 100 "$DIR/one"
	is "$STATUS $("$PROGS/cached" -c "$file")" '4 0' "another file's accesses do not fire"
done

# --- --hold

while step; do
	evict "$file"
	forced --hold 60000 "${whole[@]}" -- "$PROGS/access" "${some[@]}" "$file"
	is "$STATUS $(json "$TRUTH" '[.resident_before, .accesses, .misses]')" '0 [1500,300,0]' '--hold: who opens the file finds all forced, and misses nothing'
	is "$(receipt "$OUT" '[.requested, .resident, .read]')" '[1500,0,1500]' 'one receipt, that of the forcing'
	evict "$file"
	forced --hold 1 --rate 64K "${whole[@]}" -- bash -c "exec 9<'$file'; '$PROGS/cached' -c '$file'"
	within "$(cat "$TRUTH")" 0 1499 '--hold 1: an open is let go when the time is over, not when all is forced'
	evict "$file"
	forced --hold 1 "${whole[@]}" -- bash -c "'$PROGS/access' ${some[*]} '$file'; $(then_all 1500 "$file")"
	is "$(adds_up "$OUT" | cut -d' ' -f1) $(jq -s 'map(select(.record == "receipt") | .read) | add >= 1000' "$OUT")" 'yes true' 'and all is forced'
	evict "$file"
	reader "${some[@]}" "$file"
	forcing --hold 60000 "${whole[@]}"
	start=$SECONDS
	head -c 1 "$file" >"$DIR/byte"
	within $((SECONDS - start)) 0 50 'no COMMAND: an open by anybody is held no longer than forcing takes'
	within "$("$PROGS/cached" -c "$file")" 1499 1600 'and finds it forced'
	stop TERM
	kill "$READER" 2>/dev/null
done

# --- the time that is given

while step; do
	evict "$file"
	forced -d 0.3 "${whole[@]}"
	is "$STATUS $("$PROGS/cached" -c "$file") $(receipt "$OUT" .skipped)" '4 0 1500' '-d: over without an access, nothing forced'
	forcing -d 300 "${whole[@]}"
	"$PROGS/access" "${some[@]}" "$file" >/dev/null
	all_forced
	stop TERM
	is "$STATUS $(receipt "$BG_OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' 'a signal before that: the receipt, and status 0'
	evict "$file"
	forcing "${whole[@]}"
	ids=$BG
	is "$(quiet 1 "$file" && echo quiet) $(kill -0 "$ids" && echo runs)" 'quiet runs' 'no COMMAND, no access: it waits, and forces nothing'
	stop INT
	is "$STATUS $(receipt "$BG_OUT" '[.requested, .skipped, .elapsed_us]')" '0 [1500,1500,null]' 'SIGINT ends it with the receipt of nothing'
	forcing --once "${whole[@]}"
	first=$BG first_out=$BG_OUT
	forcing --once "${whole[@]}"
	"$PROGS/access" "${some[@]}" "$file" >/dev/null
	wait_until 60 gone "$BG"
	wait "$BG"
	is "$? $(receipt "$BG_OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' 'two wait for the same file: the one'
	wait_until 60 gone "$first"
	wait "$first"
	is "$? $(receipt "$first_out" '[.requested, .resident + .read]')" '0 [1500,1500]' 'and the other'
done

# --- the service that has waited since the start

if [ -n "${marks:-}" ]; then
	sleep $((marked + 11 > SECONDS ? marked + 11 - SECONDS : 0))
	evict "$DIR/marks/a"
	# Marking anew can be late; an open reads nothing, and one of them fires.
	wait_until 60 eval ": <'$DIR/marks/a'; gone $marks"
	wait "$marks"
	is "$?" 0 'opens are seen again ten seconds after the inode has left memory'
	is "$(receipt "$marks_out" '[.requested, .read]')" '[1024,1024]' 'and the list is forced'
else
	skip 2 'no loop device, or no mkfs.ext4'
fi
