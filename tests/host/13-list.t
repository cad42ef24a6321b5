#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lists that cachemiss -w records: which pages, in which order, what is
# joined, how files are named, and that a list is written whole or not at all.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PROGS/access"
setup_dir

plan $((7 + 2 * 4 * 2 + 5 + 9 + 3 + 2 + 10 + 7 + 4 + 7 + 5 + 8 + 4 + 5 + 1))

file=$DIR/data list=$DIR/list
make_file "$file" 64m

# recorded ACCESS_OPTIONS...: list in $list, absent pages in $DIR/absent, all accesses in $DIR/all
recorded()
{
	rm -f "$list"
	watched -w "$list" -f "$file" -- "$PROGS/access" -r "$DIR/absent" -a "$DIR/all" "$@" "$file"
}

extents()
{
	grep -v '^#' "$1" | paste -sd' '
}

# Without readahead what was read is what was absent. With it the pages that
# readahead brought in and that were then read belong to the list too: once the
# list is forced, nobody else reads them in.
for ra in 0 found; do
	set_ra "$ra"
	while step; do
		for pattern in sequential reverse random strided; do
			recorded --evict -p "$pattern" -n 1000
			is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/all" | md5sum)" \
				"read_ahead_kb $ra: $pattern: the pages that were read, in that order"
			recorded --evict -p "$pattern" -n 1000 --fadvise random
			is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/absent" | md5sum)" \
				"read_ahead_kb $ra: $pattern, FADV_RANDOM: the pages that missed, in that order"
		done
	done
done
set_ra found

# Requests of many pages, with readahead: the kernel looks them up in parts, and a tracepoint does
# not tell of those that left out a page which was still being read.
while step; do
	for mode in pread sendfile; do
		recorded --evict -m $mode -b 50000
		is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/all" | md5sum)" "$mode, requests of 13 pages: all of them, in order"
	done
	printf '%s\n' 0 1 2 3 40 41 42 43 44 45 20 21 >"$DIR/order"
	recorded --evict -b 50000 -p "@$DIR/order"
	is "$(pages_of "$list" | sort -n | md5sum)" "$(sort -nu "$DIR/all" | md5sum)" 'and none that was read ahead only'
	evict "$file"
	watched -w "$list" -f "$file" -- dd if="$file" of=/dev/null bs=8M status=none
	is "$(pages_of "$list" | md5sum)" "$(seq 0 16383 | md5sum)" 'read(2), requests of 8 MiB: all pages'
	# Somebody else reads them in, as large folios, of which one lookup finds thousands of pages.
	evict "$file"
	reader "$file"
	watched -w "$list" -f "$file" -- bash -c "kill -USR1 $READER; tail --pid=$READER -f /dev/null; dd if='$file' of=/dev/null bs=64M status=none"
	wait "$READER"
	is "$(pages_of "$list" | md5sum)" "$(seq 0 16383 | md5sum)" 'one request of 64 MiB, of pages that are there: all of them'
done

while step; do
	"$PROGS/access" --evict --load 3/7 -n 0 "$file" >/dev/null
	recorded -p random -n 10000 --fadvise random
	is "$(pages_of "$list" | md5sum) $(test "$(wc -l <"$DIR/absent")" -lt 10000 && echo fewer)" \
		"$(first_of_each "$DIR/absent" | md5sum) fewer" 'what was cached before is not in the list'

	recorded --evict --rounds 2 -p random -n 500 --fadvise random
	is "$(wc -l <"$DIR/absent") $(pages_of "$list" | wc -l)" '1000 500' 'a page that misses twice is in the list once'
	is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/absent" | md5sum)" 'at its first place'

	recorded --evict -b 64k -p random -n 100 --fadvise random
	is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/absent" | md5sum)" 'requests of 16 pages, each page in order'

	recorded --evict -p sequential -T 4 -n 2000 --fadvise random
	is "$(pages_of "$list" | sort -n | md5sum)" "$(sort -n "$DIR/absent" | md5sum)" '4 threads: their pages, each once'

	recorded -p random -n 500
	"$PROGS/access" --load 1/1 -n 0 "$file" >/dev/null
	echo old >"$DIR/older"
	watched -w "$DIR/older" -f "$file" -- "$PROGS/access" -p random -n 500 "$file"
	is "$STATUS $(cat "$DIR/older") $(grep -c 'all 500 accesses of COMMAND and its descendants hit' "$ERR")" '1 old 1' \
		'all cached: no page to list: status 1, says so, and an older list stays'
	is "$("$CACHEMISS" -w "$DIR/older" -f "$file" -O "$OUT" -- "$PROGS/access" -n 1 "$file" >/dev/null 2>&1; echo $?)" 125 \
		'around a COMMAND that did well: 125'
	watched -w "$DIR/older" --allow-empty -f "$file" -- "$PROGS/access" -p random -n 500 "$file"
	is "$STATUS $(head -1 "$DIR/older") $(pages_of "$DIR/older" | wc -l)" '0 # page2cache offsets 1 0' \
		'--allow-empty: a list without pages'
	evict "$file"
	"$CACHEMISS" --resident -w "$DIR/none" -f "$file" >/dev/null 2>"$ERR"
	is "$? $(test -e "$DIR/none" && echo list) $(grep -c allow-empty "$ERR")" '1  1' '--resident of a file that is not cached: the same'
done

# A recording that caught nothing says what others did, and which option counts them.
while step; do
	evict "$file"
	reader -n 70 --fadvise random "$file"
	watched -w "$DIR/none" -f "$file" -- bash -c "kill -USR1 $READER; tail --pid=$READER -f /dev/null" 2>/dev/null
	wait "$READER"
	matches "$STATUS $(cat "$ERR")" '^1 .*COMMAND and its descendants accessed no page of the files.*other processes read 70 pages of these files.*-a counts everybody; -P PID' \
		'others read the files: how many pages, and what would count them'
	evict "$file"
	bash -c "until [ -e '$DIR/go' ]; do sleep 0.05; done; '$PROGS/access' -n 70 --fadvise random '$file' >/dev/null; : >'$DIR/went'; :" &
	server=$!
	background -w "$DIR/none" -p $server
	: >"$DIR/go"
	wait_until 30 test -e "$DIR/went"
	stop INT
	others=$(sed -n 's/.*other processes read \([0-9]*\) pages of files in meanwhile: -P PID counts its descendants.*/\1/p' "$BG_ERR")
	within "$others" 70 1000000 '-p of a server whose children read: -P is named'
	is "$STATUS $(test -e "$DIR/none" && echo list)" '1 ' 'status 1, and no list'
	rm "$DIR/go" "$DIR/went"
done

# Faults. MADV_RANDOM reads page by page; otherwise fault-around maps neighbours
# that nobody can see being touched, so the list holds at least what was.
while step; do
	recorded --evict -m mmap --madvise random -p random -n 1000
	is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/absent" | md5sum)" 'mmap, MADV_RANDOM: the pages that missed, in that order'
	recorded --evict -m mmap-write -p strided -n 1000 --madvise random
	is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/absent" | md5sum)" 'mmap, private writes, strided'
done
# Windows of 128 KiB make folios that are larger than what fault-around maps.
for ra in found 128; do
	set_ra "$ra"
	while step; do
		for pattern in random sequential; do
			recorded --evict -m mmap -p "$pattern" -n 1000
			is "$(first_of_each "$DIR/all" | grep -cvxFf <(pages_of "$list"))" 0 \
				"read_ahead_kb $ra: mmap $pattern: no touched page is missing"
			is "$(pages_of "$list" | sort | uniq -d | wc -l)" 0 "read_ahead_kb $ra: mmap $pattern: each page once"
		done
	done
done
set_ra found

# pattern MODE PATTERN WANTED: how the section says that the file was accessed
pattern()
{
	recorded --evict -m "$1" -p "$2" -n 1000
	is "$(sed -n '2s/.* pattern=//p' "$list")" "$3" "$1, $2: pattern=$3"
}

while step; do
	pattern pread sequential seq
	pattern pread strided seq
	pattern pread reverse random
	pattern pread random random
	pattern mmap sequential mmap
	pattern mmap random random
	"$CACHEMISS" --resident -f "$file" -w "$list" >/dev/null
	is "$(sed -n '2s/.* pattern=//p' "$list")" random '--resident: in an order that was not seen'
done

# --exact: only what was touched, as nothing else is there that a fault could map.
ra_now()
{
	cat "$BDI/read_ahead_kb"
}
while step; do
	for pattern in random sequential; do
		rm -f "$list"
		watched --exact -w "$list" -f "$file" -- "$PROGS/access" -a "$DIR/all" --evict -m mmap -p "$pattern" -n 1000 "$file"
		is "$(pages_of "$list" | md5sum)" "$(first_of_each "$DIR/all" | md5sum)" "--exact, mmap $pattern: the pages that were touched, in that order"
	done
	is "$(grep -c 'readahead is off on [1-9]' "$ERR") $(ra_now)" "1 $RA_FOUND" 'which says what it switches off, and it is on again'
done
env --default-signal=INT "$CACHEMISS" --exact -w "$list" -f "$file" -- sleep 60 >/dev/null 2>&1 &
BG=$!
at_exit "end_child $BG"
wait_until 60 pgrep -P $BG -x sleep
sleeper=$(pgrep -P $BG -x sleep)
is "$(ra_now)" 0 'while it records it is off'
watched --exact -w "$list" -f "$file" -- touch "$DIR/ran" 2>/dev/null
is "$STATUS $(grep -c 'another recording with --exact' "$ERR") $(test -e "$DIR/ran" && echo ran)" '1 1 ' 'a second one is refused meanwhile, before COMMAND runs'
stop KILL
ok 'SIGKILL: it is put back all the same' wait_until 60 eval "[ \$(ra_now) = $RA_FOUND ]"
kill "$sleeper"
if unshare -m mount -o remount,bind,ro /sys 2>/dev/null; then
	is "$(unshare -m bash -c 'mount -o remount,bind,ro /sys; "$@"' - "$CACHEMISS" --tool-status --exact -w "$list" -f "$file" -- touch "$DIR/ran" 2>"$ERR"; echo "$? $(grep -c 'cannot be switched off: /sys.*Read-only' "$ERR")$(test -e "$DIR/ran" && echo ran)")" \
		'3 1' 'where the settings cannot be written: status 3, and why'
else
	skip 1 'no mount namespaces here'
fi

# Joined only where one access followed the other.
while step; do
	printf '%s\n' 5 6 7 20 8 9 5 100 99 98 21 >"$DIR/order"
	recorded --evict -p "@$DIR/order" --fadvise random
	is "$(extents "$list")" '5+3 20 8+2 100 99 98 21' 'neighbours are joined only if accessed one after the other'
	printf '%s\n' 0 1 2 3 4 5 6 7 8 9 >"$DIR/order"
	recorded --evict -p "@$DIR/order" --fadvise random
	is "$(extents "$list")" '0+10' 'a run is one extent'
	is "$(head -1 "$list")" '# page2cache offsets 1' 'the first line names the format'
	# Sixteen zero bytes are no UUID, and findmnt says so as well.
	uuid=$(findmnt -no UUID -T "$DIR")
	matches "$(sed -n 2p "$list")" \
		"^# file=/[^ ]*/data fsid=[0-9a-f]+ ino=$(stat -c %i "$file") gen=[0-9]+ size=67108864 mtime_ns=[0-9]+ page_size=$(getconf PAGESIZE) misses=10${uuid:+ uuid=$uuid} pattern=seq\$" \
		'the second line says which file, by a name that works from anywhere, and how often it missed'
done

# Several files, without naming any: sections in order of access.
while step; do
	make_file "$DIR/one" 1m
	make_file "$DIR/two" 1m
	printf '%s\n' 3 1 2 >"$DIR/order"
	rm -f "$list"
	watched -w "$list" -- bash -c "for f in one two; do
		'$PROGS/access' --fadvise random -p '@$DIR/order' '$DIR/'\$f; done; '$PROGS/access' --fadvise random -o 400k -n 2 '$DIR/one'"
	is "$(owned_of "$list" | sed -nE "s,^$DIR/(one|two) ,\1 ,p" | paste -sd' ') $(grep -c "^# file=$DIR/one @" "$list")" \
		'one 3 one 1+2 two 3 two 1+2 one 100+2 1' 'two files, one of them twice, in order across files, and named once'
	is "$(json "$OUT" "select(.record == \"file\" and .file == \"$DIR/one\") | [.accesses, .misses]")" '[5,5]' \
		'and each is counted by name'
done

# A file that takes the place of a recorded one is not the one whose pages were read.
while step; do
	make_file "$DIR/one" 1m
	make_file "$DIR/two" 1m
	rm -f "$list"
	watched -w "$list" -f "$DIR/one" -f "$DIR/two" -- bash -c "'$PROGS/access' --fadvise random -n 3 '$DIR/one'
		'$PROGS/access' --fadvise random -n 4 '$DIR/two'; echo >'$DIR/new'; mv '$DIR/new' '$DIR/one'"
	is "$(extents "$list") $(grep -c '^# file=' "$list") $(grep -c "one: was replaced by another file" "$ERR")" '0+4 1 1' \
		'a file that was replaced meanwhile is left out, which is said'
	make_file "$DIR/one" 1m
	rm "$DIR/two"
	make_file "$DIR/two" 1m
	rm -f "$list"
	watched -w "$list" -f "$DIR/one" -f "$DIR/two" -- bash -c "'$PROGS/access' --evict --fadvise random -n 3 '$DIR/one'
		'$PROGS/access' --fadvise random -n 4 '$DIR/two'; rm '$DIR/two'"
	is "$(extents "$list") $(grep -c '^# file=' "$list") $(grep -c "two: No such file.*: the pages" "$ERR")" '0+3 1 1' 'one that was removed: the same'
done

# Names with any byte in them.
for name in 'a b' $'new\nline' '100%' '# file=x'; do
	make_file "$DIR/$name" 64k
	watched -w "$list" -f "$DIR/$name" -- "$PROGS/access" "$DIR/$name"
	got=$(sed -n '2s/^# file=\([^ ]*\) .*/\1/p' "$list")
	is "$(printf '%b' "${got//%/\\x}"; echo .)" "$(printf '%s' "$DIR/$name"; echo .)" "name: ${name@Q}"
	rm "$DIR/$name"
done
is "$(record "$OUT" .file | jq -r .)" "$DIR/$name" 'and in JSON'

# Whole or not at all.
echo old >"$list"
background -w "$list" -f "$file"
reader --evict -p random -n 10 --fadvise random "$file"
is "$(cat "$list")" old 'an older list stays while recording'
go
stop INT
is "$STATUS $(pages_of "$list" | wc -l)" '0 10' 'SIGINT writes the new one'
background -w "$list" -f "$file"
cp "$list" "$DIR/before"
stop KILL
ok 'SIGKILL leaves the older one' cmp "$list" "$DIR/before"
is "$(find "$DIR" -name 'list?*' | wc -l)" 0 'and no temporary file'
for signal in TERM HUP QUIT; do
	echo old >"$list"
	background -w "$list" --allow-empty -f "$file"
	stop $signal
	is "$STATUS $(head -1 "$list")" '0 # page2cache offsets 1' "SIG$signal: the list is written"
done
watched -w "$list" -f "$file" -- "$PROGS/access" -n 1 "$file"
is "$(find "$DIR" -name 'list?*' | wc -l)" 0 'no temporary file is left'

# What does not fit: the older list stays, and the reason is said.
while step; do
	"$PROGS/access" --evict -p random -n 2000 --fadvise random "$file" >/dev/null
	echo old >"$list"
	prlimit --fsize=4096 "$CACHEMISS" --resident -f "$file" -w "$list" >/dev/null 2>"$DIR/err"
	is "$? $(cat "$list") $(grep -c 'File too large: nothing was written' "$DIR/err")" '1 old 1' 'a limit of the size of files: status 1, the older list stays'
done
prlimit --fsize=200 "$CACHEMISS" --resident -j -f "$file" -O "$DIR/short" 2>"$DIR/err"
is "$? $(grep -c 'write error: File too large' "$DIR/err")" '1 1' 'the same of -O'
if mkdir "$DIR/full" && mount -t tmpfs -o size=8k page2cache-test "$DIR/full" 2>/dev/null; then
	at_exit "umount '$DIR/full'"
	while step; do
		"$PROGS/access" --evict -p random -n 2000 --fadvise random "$file" >/dev/null
		echo old >"$DIR/full/list"
		"$CACHEMISS" --resident -f "$file" -w "$DIR/full/list" >/dev/null 2>"$DIR/err"
		is "$? $(cat "$DIR/full/list") $(grep -c 'No space left on device: nothing was written' "$DIR/err") $(find "$DIR/full" -type f | wc -l)" '1 old 1 1' \
			'a full disk: status 1, the older list stays, nothing else'
	done
else
	skip 1 'no tmpfs can be mounted here'
fi
echo old >"$list"
prlimit --fsize=65536 "$CACHEMISS" -w "$list" -f "$file" -- "$PROGS/access" --evict -p random -n 16000 --fadvise random "$file" >/dev/null 2>"$DIR/err"
is "$? $(cat "$list") $(grep -c 'File too large: nothing was written' "$DIR/err")" '125 old 1' 'with COMMAND status 125'
# shellcheck disable=SC2016 # the inner shell expands it
prlimit --fsize=65536 "$CACHEMISS" -f "$file" -O "$DIR/out" -- bash -c 'head -c 80000 /dev/zero >"$0"' "$DIR/large" 2>/dev/null
is "$? $(stat -c %s "$DIR/large")" "$((128 + $(kill -l XFSZ))) 65536" 'COMMAND has the signal that the tool does not want'
mknod "$DIR/null" c 1 3 && mkfifo "$DIR/fifo"
"$CACHEMISS" -w "$DIR/null" -f "$file" -O "$OUT" -- "$PROGS/access" --evict -n 1 "$file" >/dev/null 2>&1
is "$? $(stat -c %F "$DIR/null")" '0 character special file' '-w to a device: it is written to, and stays one'
cat "$DIR/fifo" >"$DIR/from-fifo" &
"$CACHEMISS" -w "$DIR/fifo" -f "$file" -O "$OUT" -- "$PROGS/access" --evict -n 3 --fadvise random "$file" >/dev/null 2>&1
rc=$?
wait $!
is "$rc $(stat -c %F "$DIR/fifo") $(pages_of "$DIR/from-fifo" | paste -sd' ')" '0 fifo 0 1 2' '-w to a FIFO: its reader gets the list'
timeout -k 5 2 "$CACHEMISS" -w "$DIR/fifo" -f "$file" -- true >/dev/null 2>&1
is $? 124 'without a reader a signal ends the wait for one'
timeout -k 5 2 "$CACHEMISS" -O "$DIR/fifo" -f "$file" -- true >/dev/null 2>&1
is $? 124 'that of -O as well'
is "$("$CACHEMISS" -w - -f "$file" -O "$OUT" -- "$PROGS/access" --evict -n 3 --fadvise random "$file" 2>/dev/null | grep -v '^{' | pages_of /dev/stdin | paste -sd' ')" \
	'0 1 2' '-w -: the list on standard output'
is "$("$CACHEMISS" -w "$DIR" -f "$file" -- touch "$DIR/ran" >/dev/null 2>&1; echo $?) $(test -e "$DIR/ran" && echo ran)" '125 ' \
	'-w to a folder: noticed before COMMAND runs'
ln -s linked "$DIR/link"
"$CACHEMISS" -w "$DIR/link" -f "$file" -O "$OUT" -- "$PROGS/access" --evict -n 1 "$file" >/dev/null 2>&1
is "$? $(readlink "$DIR/link") $(head -1 "$DIR/linked")" '0 linked # page2cache offsets 1' '-w to a symbolic link: what it leads to is written'
ln -s "$DIR/secret" "$DIR/laid" && chown -h 65534 "$DIR/laid"
"$CACHEMISS" -w "$DIR/laid" -f "$file" -- true >/dev/null 2>&1
is "$? $(test -e "$DIR/secret" && echo written)" '125 ' 'unless somebody else has laid it'
"$CACHEMISS" -w /dev/stdout --allow-empty -f "$file" -O "$OUT" -- true >"$DIR/stdout" 2>/dev/null
is "$? $(head -1 "$DIR/stdout")" '0 # page2cache offsets 1' '-w /dev/stdout: as -w -, also where that is a file'
"$CACHEMISS" -w "$DIR/nowhere/list" -f "$file" -- touch "$DIR/ran" >/dev/null 2>"$DIR/err"
is "$? $(test -e "$DIR/ran" && echo ran) $(test -s "$DIR/err" && echo said)" '125  said' \
	'a list that cannot be written is known before COMMAND starts, which it then does not'
