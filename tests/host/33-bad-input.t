#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bad input to pcforce: malformed lists, lists of other and of changed files,
# files that are none, numbers beyond all bounds, names with any byte in them.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/access" "$PROGS/cached"
setup_dir

malformed=(
	'x' '-1' '+1' '1+' '1-' '1+x' '1-x' '1 2' '1,2' '1+2+3' '1-2-3' '1+-2' '0x10' '1.5' '1e3' '1k' '٣' '1+0' '5-4'
	'18446744073709551616' '99999999999999999999999' '1+18446744073709551616' '18446744073709551615+2' '2+18446744073709551615'
	'0-18446744073709551615' '1;2' '17 # comment' 'file=/x' $'1\v' $'1\f2'
	'# file=' '# file= ino=1' '# file=/x%' '# file=/x%4' '# file=/x%zz' '# file=/x%00'
	'# file=/x ino=x' '# file=/x ino=-1' '# file=/x ino=' '# file=/x ino=1x' '# file=/x ino=18446744073709551616' '# file=/x gen=4294967296'
	'# file=/x size=1G' '# file=/x fsid=xyz' '# file=/x fsid=0x12' '# file=/x mtime_ns=--1' '# file=/x page_size=-4096' '# file=/x misses=1.5'
	'# page2cache offsets 3' '# page2cache offsets 0' '# page2cache offsets 99999999999999999999' '# page2cache offsets one'
	"# file=/x page_size=$((2 * $(getconf PAGESIZE)))" '3 @1' '3-4 @1' '3 @0'
)
# In version 2, behind the files @1 and @7
misnumbered=('3 @2' '3 @0' '3@1' '3 @' '3 @x' '3 @4294967296' '3 @1 @7' '# file=/x @7' '# file=/x @0' '# file=/x ino=1 @3')
wellformed=('' ' ' $'\t' $'\r' '#' '# x' '#5' '  7' '7  ' $'7\r' '# file' '# page2cache' "# file=$PWD/x later=field" '0' '0+1' '0-0' '007')

plan $((${#malformed[@]} + 4 + ${#misnumbered[@]} + ${#wellformed[@]} + 8 + 3 + 14 + 9 + 15 + 13 + 6 * 3 + 2 + 6))

file=$DIR/data list=$DIR/list
counts='[.requested, .resident, .read, .failed, .past_eof, .skipped]'
make_file "$file" 8m

# fails STATUS NAME PCFORCE_OPTIONS...: with that status, a word about it, and no data
fails()
{
	local want=$1 name=$2
	shift 2
	timeout -k 5 30 "$PCFORCE" "$@" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	is "$? $(test -s "$DIR/stderr" && echo said) $(wc -c <"$DIR/stdout")" "$want said 0" "$name: status $want, and says why" ||
		diag "$(head -3 "$DIR/stderr")"
}

# --- lines

for line in "${malformed[@]}"; do
	printf '# file=%s\n3\n\n%s\n4\n' "$file" "$line" >"$list"
	"$PCFORCE" --now -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
	matches "$? $(wc -c <"$DIR/stdout") $(cat "$DIR/stderr")" "^2 0 pcforce: $list:4: [a-z].{5}" "malformed: ${line@Q}: status 2, its line number, a reason"
done
is "$("$PROGS/cached" -c "$file")" 0 'no list with a bad line was forced in part'
printf '3\nx' >"$list"
timeout -k 5 30 "$PCFORCE" --now -o - >"$DIR/stdout" 2>"$DIR/stderr" <&-
is "$? $(grep -c 'standard input: Bad file descriptor' "$DIR/stderr")" '2 1' 'standard input is closed: no empty list'
fails 2 'a last line without a newline' --now -f "$file" -o "$list"
matches "$(cat "$DIR/stderr")" ":2: " 'has its number, too'
for line in "${misnumbered[@]}"; do
	printf '# page2cache offsets 2\n# file=%s @1\n# file=%s @7\n3 @1\n%s\n' "$file" "$file" "$line" >"$list"
	"$PCFORCE" --now -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
	matches "$? $(wc -c <"$DIR/stdout") $(cat "$DIR/stderr")" "^2 0 pcforce: $list:5: [a-z].{5}" "numbers: ${line@Q}: status 2, its line number, a reason"
done
for line in "${wellformed[@]}"; do
	printf '# file=%s\n3\n%s\n4\n' "$file" "$line" >"$list"
	[ "${line:0:7}" != '# file=' ] || printf '# file=%s\n3\n4\n%s\n' "$file" "$line" >"$list"
	"$PCFORCE" --dry-run -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
	rc=$?
	[ "${line:0:7}" != '# file=' ] || rc=$((rc & ~4))
	is "$rc $(grep -c :3: "$DIR/stderr")" '0 0' "well-formed: ${line@Q}"
done

# Long lines: a limit, but the same one wherever the line lies.
for pad in 0 262000; do
	python3 - "$pad" "$file" >"$list" <<-'END'
		import sys
		print("#" * int(sys.argv[1]))
		print("# file=" + "".join("%%%02x" % b for b in sys.argv[2].encode()))
		print("# " + "x" * 12000)
		print(5)
	END
	[ "$pad" -eq 0 ] || { grep -v '^###' "$list" | sed '1i# short' >"$list.2"; python3 -c "print('#\n' * 130000, end='')" | cat - "$list.2" >"$list"; }
	"$PCFORCE" --dry-run -j -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
	is "$? $(receipt "$DIR/stdout" .requested)" '0 1' "a comment of 12,000 bytes after $pad bytes"
	{ python3 -c "print('#\n' * ($pad // 2), end=''); print('# ' + 'x' * 100000); print(5)"; } >"$list"
	"$PCFORCE" --dry-run -j -f "$file" -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
	echo "$? $(grep -o ': the line is too long' "$DIR/stderr")" >>"$DIR/long"
done
is "$(sort -u "$DIR/long" | wc -l)" 1 'one of 100,000 bytes: the same answer wherever it lies' || diag "$(cat "$DIR/long")"
head -c 1000000 /dev/urandom >"$list"
fails 2 'a megabyte of noise' --now -f "$file" -o "$list"
printf '1\n\0\n2\n' >"$list"
fails 2 'a NUL byte in a line' --now -f "$file" -o "$list"
printf '# file=%s\0junk\n2\n' "$file" >"$list"
fails 2 'a NUL byte in a name' --now -o "$list"
head -c 3000000 /dev/zero >"$list"
fails 2 'three megabytes of NULs' --now -f "$file" -o "$list"
fails 2 'a list that is a program' --now -f "$file" -o "$PCFORCE"

# --- lists that cannot be read

fails 2 'a list that is missing' --now -f "$file" -o "$DIR/missing"
fails 2 'a list that is a folder' --now -f "$file" -o "$DIR"
printf '5\n' >"$list"
fails 2 'pages, but of which file?' --now -o "$list"

# --- the file has changed since the recording

# A list as cachemiss records it
recorded()
{
	make_file "$file" 8m
	rm -f "$list"
	"$CACHEMISS" -w "$list" -f "$file" -O /dev/null -- "$PROGS/access" --evict -n 100 --fadvise random "$file" >/dev/null
	evict "$file"
}

# altered FIELD VALUE: the list, with another value in its header
altered()
{
	sed -E "2s/ $1=[0-9a-f]+/ $1=$2/" "$list" >"$DIR/altered"
}

while step; do
	recorded
	forced --now -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts") $(cat "$ERR")" '0 [100,0,100,0,0,0] ' 'as it was recorded: forced'
	for change in 'fsid 123456789abcdef:another file system' 'ino 1:another inode' 'gen 1:another generation' 'size 99999999:it has shrunk'; do
		evict "$file"
		# shellcheck disable=SC2086 # field and value
		altered ${change%%:*}
		fails 2 "stale: ${change#*:}" --now -o "$DIR/altered"
		forced --now --stale-ok -o "$DIR/altered"
		is "$STATUS $(receipt "$OUT" .read)" '0 100' '--stale-ok forces it'
	done
	evict "$file"
	touch "$file"
	forced --now -o "$list"
	is "$STATUS $(receipt "$OUT" .read) $(grep -c warning "$ERR")" '0 100 1' 'a newer mtime: a warning'
	fails 2 '--strict: a newer mtime is stale' --now --strict -o "$list"
	touch -d 2001-01-01 "$file"
	forced --now --strict -o "$list"
	is "$STATUS $(grep -c warning "$ERR")" '0 0' 'an older one is none'
	cp "$file" "$DIR/copy"
	mv "$DIR/copy" "$file"
	fails 2 'replaced by a copy' --now -o "$list"
	truncate -s 4m "$file"
	fails 2 'and truncated' --now -o "$list"
	make_file "$DIR/other" 8m
done

# --- a list of another file

while step; do
	recorded
	fails 2 '-f names another file' --now -f "$DIR/other" -o "$list"
	matches "$(cat "$DIR/stderr")" "another file.*$DIR/other|$DIR/other.*another file" 'and the message names it'
	evict "$DIR/other"
	forced --now --stale-ok -f "$DIR/other" -o "$list"
	is "$STATUS $(receipt "$OUT" '[.file, .read]')" "0 [\"$DIR/other\",100]" '--stale-ok: forced for that one'
	is "$("$PROGS/cached" -c "$file")" 0 'and not for the one recorded'
	mv "$file" "$DIR/renamed"
	fails 2 'the recorded file is gone' --now -o "$list"
	forced --now -f "$DIR/renamed" -o "$list"
	is "$STATUS $(receipt "$OUT" '[.file, .read]')" "0 [\"$DIR/renamed\",100]" '-f, renamed: the same file all the same'
	mv "$DIR/renamed" "$file"
	evict "$file"
	(cd "$DIR" && timeout 30 "$PCFORCE" --now -j -f ./data -o list) >"$DIR/stdout" 2>&1
	is "$(receipt "$DIR/stdout" .read)" 100 '-f by a relative name: the same file'
	evict "$file"
	ln -sf data "$DIR/symlink"
	forced --now -f "$DIR/symlink" -o "$list"
	is "$STATUS $(receipt "$OUT" .read)" '0 100' '-f by a symbolic link: the same file'
	evict "$file"
	{ printf '# file=%s/other\n9\n' "$DIR"; tail -n +2 "$list"; } >"$DIR/two"
	forced --now -f "$file" -o "$DIR/two"
	is "$STATUS $(receipt "$OUT" '[.file, .read]') $("$PROGS/cached" -c "$DIR/other")" "0 [\"$file\",100] $("$PROGS/cached" -c "$DIR/other")" '-f picks its section of several'
done

# --- what is no regular file on a disk

mkdir "$DIR/folder"
mkfifo "$DIR/fifo"
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$DIR/socket')"
mknod "$DIR/null" c 1 3
ln -s loop "$DIR/loop"
echo 5 >"$list"
fails 2 'missing file' --now -f "$DIR/missing" -o "$list"
fails 2 'folder' --now -f "$DIR/folder" -o "$list"
fails 2 'FIFO' --now -f "$DIR/fifo" -o "$list"
fails 2 'socket' --now -f "$DIR/socket" -o "$list"
fails 2 'device node' --now -f "$DIR/null" -o "$list"
fails 2 'terminal' --now -f /dev/tty -o "$list"
fails 2 'a link to itself' --now -f "$DIR/loop" -o "$list"
fails 2 'empty name' --now -f '' -o "$list"
fails 2 'a name that is too long' --now -f "/$(printf 'x%.0s' {1..5000})" -o "$list"
fails 2 'a file behind a file' --now -f "$file/x" -o "$list"
fails 2 'procfs' --now -f /proc/version -o "$list"
fails 2 'sysfs' --now -f /sys/kernel/notes -o "$list"
fails 2 'FIFO, waiting for a trigger' -f "$DIR/fifo" -o "$list"
if mkdir "$DIR/tmpfs" && mount -t tmpfs page2cache-test "$DIR/tmpfs" 2>/dev/null; then
	at_exit "umount '$DIR/tmpfs'"
	head -c 1m /dev/zero >"$DIR/tmpfs/file"
	fails 2 'tmpfs' --now -f "$DIR/tmpfs/file" -o "$list"
	fails 2 'tmpfs, waiting for a trigger' -f "$DIR/tmpfs/file" -o "$list"
else
	skip 2 'no tmpfs can be mounted here'
fi

# --- one bad file of several: the others are forced

while step; do
	recorded
	for name in one two; do
		make_file "$DIR/$name" 1m
	done
	{
		printf '# page2cache offsets 1\n# file=%s/one\n1\n2\n# file=%s/missing\n5+5\n# file=%s/folder\n7\n# file=%s/fifo\n8\n9\n' "$DIR" "$DIR" "$DIR" "$DIR"
		sed -n '2,$p' "$list" | sed 's/ ino=[0-9]*/ ino=1/'
		printf '# file=%s/two\n10+20\n# file=%s/one\n200\n' "$DIR" "$DIR"
	} >"$DIR/many"
	forced --now -o "$DIR/many"
	is "$STATUS" 4 'some files are gone, some stale: status 4'
	is "$(receipt "$OUT" "select(.reason == null) | [(.file | split(\"/\") | .[-1])] + $counts")" '["one",3,0,3,0,0,0] ["two",20,0,20,0,0,0]' 'the others are forced'
	is "$(receipt "$OUT" "select(.reason != null) | [(.file | split(\"/\") | .[-1]), .requested, .skipped]")" \
		'["missing",5,5] ["folder",1,1] ["fifo",2,2] ["data",100,100]' 'their pages are skipped'
	is "$(receipt "$OUT" 'select(.reason != null) | .reason | length > 20')" 'true true true true' 'the receipt says why'
	is "$(wc -l <"$ERR") $(grep -c "4 of the list's 6 files cannot be forced (108 pages)" "$ERR")" '1 1' 'a line on stderr says how many they are'
	is "$(adds_up "$OUT") $("$PROGS/cached" -c "$file")" 'yes 6 0' 'all of it adds up, nothing stale was forced'
	forced --now -v --tolerate 82.4 -o "$DIR/many"
	is "$STATUS $(grep -c -e /missing: -e /folder: -e /fifo: -e /data: "$ERR")" '4 4' '-v names them; --tolerate: 108 of 131 pages are more than 82.4 %'
	forced --now --tolerate 82.5 -o "$DIR/many"
	is "$STATUS $(adds_up "$OUT")" '0 yes 6' 'and no more than 82.5 %: status 0, the receipts are as before'
	is "$("$PCFORCE" --now --raw -o "$DIR/many" 2>/dev/null | awk 'END { print NR, $1, $2 + $3, $6, $NF }')" '8 131 23 108 (all\x206\x20files)' 'a table has a row for all of them'
	evict "$DIR/one" "$DIR/two"
	forced -t access -o "$DIR/many" -- bash -c "head -c 1 '$DIR/two' >/dev/null; '$PROGS/cached' -w 3 '$DIR/one'; '$PROGS/cached' -w 20 '$DIR/two'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" 'select(.reason == null) | [.requested, .resident + .read]')" '4 [3,3] [20,20]' 'the same on a trigger'
	forced --now --stale-ok -o "$DIR/many"
	is "$STATUS $(receipt "$OUT" 'select(.reason == null) | .requested')" '4 3 100 20' '--stale-ok forces what is stale, not what is gone'
	evict "$DIR/one"
	forced --now -f "$DIR/one" -o "$DIR/many"
	is "$STATUS $(receipt "$OUT" "$counts") $(wc -l <"$ERR")" '0 [3,0,3,0,0,0] 0' '-f picks one that is there: status 0, no word about the others'
	printf '# file=%s/missing\n5+5\n# file=%s/folder\n7\n' "$DIR" "$DIR" >"$DIR/none"
	fails 2 'not one file is there' --now -o "$DIR/none"
done

# --- names with any byte in them: recorded, forced

while step; do
	for name in 'a b' $'new\nline' '100%' '# file=x' $'\xff\xfe\x80' $'\t\e[1m'; do
		make_file "$DIR/$name" 64k
		rm -f "$list"
		"$CACHEMISS" -w "$list" -f "$DIR/$name" -O /dev/null -- "$PROGS/access" --fadvise random -n 7 "$DIR/$name" >/dev/null
		evict "$DIR/$name"
		forced --now -o "$list"
		is "$STATUS $(receipt "$OUT" "$counts") $("$PROGS/cached" -c "$DIR/$name")" '0 [7,0,7,0,0,0] 7' "name: ${name@Q}: recorded, and forced"
		evict "$DIR/$name"
		forced --now -f "$DIR/$name" -o "$list"
		is "$STATUS $("$PROGS/cached" -c "$DIR/$name")" '0 7' 'also by -f'
		"$PCFORCE" --now -o "$list" >"$DIR/stdout" 2>"$DIR/stderr"
		is "$? $(wc -l <"$DIR/stdout") $(tr -d '[:print:]\n' <"$DIR/stdout" | wc -c)" '0 2 0' 'and in a table it is one line of printable characters'
		rm "$DIR/$name"
	done
	forced --now -o "$list"
	is "$STATUS $(wc -l <"$ERR") $(tr -d '[:print:]\n' <"$ERR" | wc -c)" '2 1 0' 'in a message as well'
	printf '# file=%s\n5\n' "$(printf '%s' "$file" | od -An -tx1 -v | tr -d '\n' | tr ' ' %)" >"$list"
	forced --dry-run -o "$list"
	is "$STATUS $(receipt "$OUT" '[.file, .requested]')" "0 [\"$file\",1]" 'a name of nothing but %XX'
done

# --- numbers beyond all bounds

while step; do
	evict "$file"
	printf '%s\n' 9223372036854775808 18446744073709551615 18446744073709551615+1 9223372036854775807-9223372036854775808 4611686018427387904+3 \
		18446744073709551614-18446744073709551615 5 >"$list"
	forced --now -f "$file" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" '4 [11,0,1,0,10,0]' 'indexes of 2^63 and 2^64-1: past the end, the others are read'
	printf '%s\n' 5 0+18446744073709551615 1-18446744073709551615 6 >"$list"
	forced --now -f "$file" -o "$list"
	is "$STATUS $(adds_up "$OUT") $(receipt "$OUT" '[.resident + .read, .past_eof > 1000000000000000]')" '4 yes 1 [2048,true]' \
		'extents of 2^64 pages: the file is read whole, the rest counted without an overflow'
	truncate -s 5T "$DIR/sparse"
	evict "$DIR/sparse"
	printf '%s\n' 1342177279 0 1073741824+10 1342177280 >"$list"
	forced --now -f "$DIR/sparse" -o "$list"
	is "$STATUS $(receipt "$OUT" "$counts")" '4 [13,0,12,0,1,0]' 'a sparse file of 5 TiB: its first and its last page'
	evict "$DIR/sparse"
	forced -t access -f "$DIR/sparse" -o "$list" -- bash -c "head -c 1 '$DIR/sparse' >/dev/null; for i in {1..500}; do
	[ \$('$PROGS/access' --blind -l 4k -n 0 '$DIR/sparse' | jq .resident_after) -lt 12 ] || break; sleep 0.02; done; $OUTLIVE"
	is "$(adds_up "$OUT") $(receipt "$OUT" '[.requested, .resident + .read, .past_eof]')" 'yes 1 [13,12,1]' 'and on a trigger'
	evict "$DIR/sparse"
	echo '0-1342177279' >"$list"
	forced --now --max-bytes 1M -f "$DIR/sparse" -o "$list"
	is "$STATUS $(receipt "$OUT" '[.requested, .skipped + .read + .resident]')" '4 [1342177280,1342177280]' 'all of it, within --max-bytes'
	forced --now --dry-run -f "$DIR/sparse"
	is "$STATUS $(receipt "$OUT" .requested)" '0 1342177280' 'and as a dry run'
done
