#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# pcforce --learn: what is in the list, which starts change it, and which lists are replaced.
# shellcheck disable=SC2016 # COMMAND's shell expands it

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs python3 python3
needs strace strace
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((8 + 5 + 5 + 7 + 7 + 2 + 5 + 6 + 7))

list=$DIR/list ERR=$DIR/err
for name in data other; do
	make_file "$DIR/$name" 4m
done

# learn PCFORCE_OPTIONS... -- COMMAND...: its status in $STATUS, what it says in $ERR
learn()
{
	timeout 60 "$PCFORCE" -O "$DIR/out" --learn -o "$list" "$@" >"$DIR/stdout" 2>"$ERR" </dev/null
	STATUS=$?
}

# app FILE ACCESSES: what reads pages of a file at random; which ones, in this order, is in $DIR/read
app=("$PROGS/access" -a "$DIR/read" -p random --fadvise random)

# listed NAME [MARK]: the pages that the list has of a file, in its order; those behind a line
listed()
{
	awk -v name="$DIR/$1" -v mark="${2:-}" '
		mark == "" || $0 == mark { on = 1 }
		/^# file=/ {
			path = substr($2, 6)
			file = $3 ~ /^@/ ? $3 : "last"
			of[file] = path
		}
		/^#/ { next }
		on && of[NF > 1 ? $2 : "last"] == name { print $1 }' "$list" >"$DIR/listed"
	pages_of "$DIR/listed"
}

# files: of the list
files()
{
	sed -n 's/^# file=\([^ ]*\).*/\1/p' "$list" | sort -u
}

# --- what is in it

while step; do
	rm -f "$list"
	evict "$DIR/data"
	learn -- "${app[@]}" -n 300 "$DIR/data"
	is "$STATUS $(cat "$ERR") $(stat -c '%u %a' "$list")" '0  0 644' 'no list yet: one is made'
	matches "$(head -n 2 "$list" | tail -n 1)" "^# learned version=[0-9.]+ kernel=$(uname -r) time=20[-0-9]+T[:0-9]+Z$" 'it says when and where it was learned'
	is "$(grep -c misses= "$list")" 0 'and has no counts'
	is "$(listed data)" "$(first_of_each "$DIR/read")" 'the pages that were read, in that order'
	files >"$DIR/files"
	cp "$list" "$DIR/first"
	touch -d '1 hour ago' "$list"
	for i in 1 2 3; do
		learn -- "${app[@]}" -n 300 "$DIR/data"
	done
	is "$(cmp "$list" "$DIR/first" 2>&1) $((($(date +%s) - $(stat -c %Y "$list")) / 1800))" ' 0' \
		'restarts with everything cached leave it as it is, with a new time'
	evict "$DIR/data"
	learn -j -- "${app[@]}" -n 300 "$DIR/data"
	is "$(receipt "$DIR/out" "select(.file == \"$DIR/data\") | .requested") $(cmp "$list" "$DIR/first" 2>&1)" '300 ' \
		'from cold it is forced, and stays the same: hit or miss, forced or not'
	rm "$list"
	learn -- "${app[@]}" -n 300 "$DIR/data"
	is "$(files)" "$(cat "$DIR/files")" 'a first start with everything cached records the same files'
	is "$(listed data)" "$(first_of_each "$DIR/read")" 'and the same pages'
done

# --- what no start uses any more

while step; do
	rm -f "$list"
	learn -- "${app[@]}" -n 50 "$DIR/other"
	learn --learn-keep 2 -- "${app[@]}" -n 100 "$DIR/data"
	is "$(listed other | wc -l) $(listed other '# unused=1' | wc -l) $(listed data '# unused=1' | wc -l)" '50 50 0' \
		'pages that this start did without stand last, under # unused=1'
	is "$(listed data)" "$(first_of_each "$DIR/read")" 'behind those that it accessed'
	learn --learn-keep 2 -- "${app[@]}" -n 100 "$DIR/data"
	is "$(listed other | wc -l) $(grep '^# unused' "$list")" '50 # unused=2' 'then under # unused=2'
	learn --learn-keep 2 -- "${app[@]}" -n 100 "$DIR/data"
	is "$(listed other | wc -l) $(grep -c '^# unused' "$list")" '0 0' 'and after --learn-keep starts they are gone'
	listed data >"$DIR/aged"
	rm "$list"
	learn -- "${app[@]}" -n 100 "$DIR/data"
	is "$(listed data)" "$(cat "$DIR/aged")" 'what is left is what a fresh recording has'
done

# --- a file that was replaced

while step; do
	rm -f "$list"
	learn -- "${app[@]}" -n 200 "$DIR/other"
	cp "$DIR/other" "$DIR/copy"
	mv "$DIR/copy" "$DIR/other"
	evict "$DIR/other"
	learn --strict --tool-status -- bash -c "$OUTLIVE; exit 7"
	is "$STATUS $(grep -c "$DIR/other: it was replaced" "$ERR")" '4 1' '--strict: a file of the list was replaced: it is said'
	learn -j --tool-status -- bash -c "\"\$@\"; $OUTLIVE" - "${app[@]}" -n 20 "$DIR/other"
	is "$STATUS $(receipt "$DIR/out" 'select(.file | endswith("/other")) | [.requested == .resident + .read, .read > 180]') $(grep -c 'it was replaced' "$ERR")" '0 [true,true] 0' \
		'else it is forced all the same'
	is "$(listed other)" "$(first_of_each "$DIR/read")" 'and recorded anew, without what was known of the other'
	cp "$DIR/data" "$DIR/copy"
	learn -- bash -c 'cat "$@" >/dev/null' - "$DIR/data" "$DIR/other" "$DIR/copy"
	rm "$DIR/copy"
	: >"$DIR/small"
	learn --tool-status --tolerate 100 -- cat "$DIR/data" "$DIR/other"
	is "$STATUS" 0 'one that is gone is tolerated as far as --tolerate says'
	is "$(files | grep -c /copy)" 0 'and goes'
done

# --- which start counts

while step; do
	rm -f "$list"
	learn -- bash -c 'cat "$1" >/dev/null; exit 7' - "$DIR/data"
	is "$STATUS $(test -e "$list" && echo list) $(grep -c 'not learned: COMMAND has ended with status 7' "$ERR")" '7  1' 'COMMAND failed: nothing is learned'
	learn -- bash -c 'cat "$1" >/dev/null; kill -KILL $$' - "$DIR/data" 2>/dev/null
	is "$STATUS $(test -e "$list" && echo list) $(grep -c 'ended by signal 9' "$ERR")" '137  1' 'nor where a signal ended it'
	learn --learn-status 1,7 -- bash -c 'cat "$1" >/dev/null; exit 7' - "$DIR/data"
	is "$STATUS $(listed data | wc -l)" '7 1024' '--learn-status: that is a good end'
	cp "$list" "$DIR/first"
	learn --learn-status 1,7 -- true
	is "$STATUS $(cmp "$list" "$DIR/first" 2>&1)" '0 ' 'and 0 is none any more'
	# Longer where a busy machine has not read the file by then.
	for seconds in 0.2 2 20; do
		rm "$list"
		learn --learn-for $seconds -- bash -c 'cat "$1" >/dev/null; until [ -s "$2" ]; do sleep 0.05; done; exit 9' - "$DIR/data" "$list"
		[ "$(listed data | wc -l)" -ne 1024 ] || break
	done
	is "$STATUS $(listed data | wc -l) $(cat "$ERR")" '9 1024 ' '--learn-for: the list is written while COMMAND goes on'
	rm "$list"
	learn -D -- bash -c 'cat "$1" >/dev/null' - "$DIR/data"
	is "$STATUS" 0 '-D: COMMAND runs'
	wait_until 60 test ! -e "$list"
	is "$(test -e "$list" && echo list)" '' 'how it ended is not known: nothing is learned'
done

# --- what it replaces

# stays NAME: the list is what it was, COMMAND has run, and a line says what NAME says
stays()
{
	cp -p "$list" "$DIR/first"
	learn -- bash -c 'cat "$1" >/dev/null; echo ran' - "$DIR/data"
	is "$STATUS $(cat "$DIR/stdout") $(cmp "$list" "$DIR/first" 2>&1) $(grep -c "$1" "$ERR")" '0 ran  1' "$1"
}

while step; do
	echo hello >"$list"
	stays 'not a list: not replaced'
	printf '# file=%s/data\n0-9\n' "$DIR" >"$list"
	evict "$DIR/data"
	learn -j -- true
	is "$(receipt "$DIR/out" .requested) $(grep -c 'not a list: not replaced' "$ERR")" '10 1' 'a list without its first line is forced all the same'
	# Of a large read that waits for the device Linux 6.12 and later do not show all pages.
	cat "$DIR/data" >/dev/null
	: >"$list"
	learn -- cat "$DIR/data"
	is "$STATUS $(cat "$ERR") $(listed data | wc -l)" '0  1024' 'an empty file'
	sed -i 's/^# learned.*/&\nx y/' "$list"
	truncate -s -3 "$list"
	learn -- cat "$DIR/data"
	is "$STATUS $(cat "$ERR") $(listed data | wc -l) $(grep -c '^x' "$list")" '0  1024 0' 'and a torn list are no error'
	chgrp 65534 "$list"
	chmod 640 "$list"
	learn -- cat "$DIR/other"
	is "$(listed other | wc -l) $(stat -c '%a %g' "$list")" '1024 640 65534' 'mode and owner stay'
	cp -p "$list" "$DIR/first"
	flock "$list" timeout 60 "$PCFORCE" -v -j -O "$DIR/out" --learn -o "$list" -- true 2>"$ERR"
	is "$(cmp "$list" "$DIR/first" 2>&1) $(grep -c 'another pcforce learns this list' "$ERR") $(receipt "$DIR/out" '.resident + .read' | wc -l)" ' 1 1' \
		'somebody else learns it: it is only forced'
	ln -s list "$DIR/link"
	timeout 60 "$PCFORCE" -q --learn -o "$DIR/link" -- cat "$DIR/data" "$DIR/other" >/dev/null
	is "$(test -L "$DIR/link" && echo link) $(cmp -s "$list" "$DIR/first" || echo learned)" 'link learned' 'a symbolic link stays one'
done

# The list's first place is an empty file that is locked, and the signal comes right after that.
timeout 60 strace -o "$DIR/strace" -e trace=flock -e inject=flock:signal=TERM:when=1 "$PCFORCE" --learn --uid 0 -o "$DIR/new" >/dev/null 2>"$ERR"
is "$(grep -c 'flock(.*= 0' "$DIR/strace") $(grep -c "$DIR/new: not learned: pcforce was ended" "$ERR") $(stat -c %s "$DIR/new" 2>/dev/null)" '1 1 ' \
	'SIGTERM before a first list: no empty one is left'
mkfifo "$DIR/fifo"
timeout 20 "$PCFORCE" --learn -o "$DIR/fifo" -- echo ran >"$DIR/stdout" 2>"$ERR"
is "$? $(cat "$DIR/stdout") $(grep -c "$DIR/fifo: not learned: not a regular file" "$ERR")" '0 ran 1' 'a FIFO without a reader: COMMAND runs'

# --- whose list root uses

while step; do
	rm -f "$list"
	learn -- cat "$DIR/data"
	chmod 662 "$list"
	stays 'not used: with --learn, root takes no list that others can write or replace'
	chmod 644 "$list"
	chown 65534 "$list"
	stays 'root takes no list that others'
	chown 0 "$list"
	mkdir "$DIR/folder"
	mv "$list" "$DIR/folder/list"
	list=$DIR/folder/list
	chmod 777 "$DIR/folder"
	stays 'others can write or replace'
	chmod 1777 "$DIR/folder"
	learn -- cat "$DIR/other"
	is "$STATUS $(cat "$ERR")" '0 ' 'a folder with the sticky bit will do'
	list=$DIR/list
	rm -r "$DIR/folder"
	timeout 60 "$PCFORCE" --learn -o "$DIR/no/list" -- echo ran >"$DIR/stdout" 2>"$ERR"
	is "$? $(cat "$DIR/stdout") $(grep -c "$DIR/no/list: not learned" "$ERR")" '0 ran 1' 'no such folder: COMMAND runs'
done

# --- --relearn-after

# learned WHAT: with --relearn-after 7d, was a start that accesses other pages recorded? "yes" or "no"
learned()
{
	learn --relearn-after 7d -- cat "$DIR/$1"
	[ "$(listed "$1" | wc -l)" -eq 1024 ] && echo yes || echo no
}

while step; do
	rm -f "$list"
	is "$(learned data)" yes 'no list: recorded'
	is "$(learned other)" no 'a list of this kernel that is younger: only forced'
	touch -d '8 days ago' "$list"
	is "$(learned other)" yes 'one that is older'
	sed -i 's/ kernel=[^ ]*/ kernel=1.2.3/' "$list"
	is "$(learned data) $(grep -c " kernel=$(uname -r) " "$list")" 'yes 1' 'one of another kernel'
	learn -- cat "$DIR/data" "$DIR/other"
	cp "$DIR/data" "$DIR/copy"
	mv "$DIR/copy" "$DIR/data"
	# Where it is not known in time that so much is stale, the next start learns.
	learned data >/dev/null
	is "$(learned data)" yes 'one of which more than 5 % is stale'
	is "$(learned other)" yes 'which then is as good as new'
done

# --- a process that runs already

# recorded SOCKET PCFORCE_OPTIONS...: pcforce in the background, which has said that it records
recorded()
{
	python3 -c 'if 1:
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		print(s.recv(100).decode(), flush=True)' "$1" >"$1.said" &
	wait_until 60 test -S "$1"
	NOTIFY_SOCKET=$1 forcing --learn -o "$list" "${@:2}"
	wait_until 30 grep -q READY=1 "$1.said"
}

# learn_from PID [LIST]: of a process with its descendants, which reads `data` again and again, with LIST as what
# was learned before. Longer where a busy machine has not read the file by then.
learn_from()
{
	local seconds

	for seconds in 0.5 5 25; do
		rm -f "$list"
		[ $# -eq 1 ] || cp "$2" "$list"
		learn -P "$1" --learn-for $seconds
		[ "$(listed data | wc -l)" -ne 1024 ] || break
	done
}

while step; do
	bash -c 'while sleep 0.05; do cat "$1" >/dev/null; done' - "$DIR/data" &
	server=$!
	learn_from $server
	is "$STATUS $(listed data | wc -l) $(cat "$ERR")" '0 1024 ' '-P: a process with its descendants is recorded for --learn-for seconds'
	sed "s,^# file=/,# file=$DIR/gone/," "$list" >"$DIR/gone.list"
	learn_from $server "$DIR/gone.list"
	is "$STATUS $(listed data | wc -l) $(grep -c "$DIR/gone/" "$list")" '4 1024 0' 'and anew where all files of the list are gone'
	{ end_child $server && wait $server; } 2>/dev/null
	learn -j -c /sys/fs/cgroup --learn-for 0.1
	is "$STATUS $(receipt "$DIR/out" .requested | tr ' ' '\n' | awk '{ n += $1 } END { print n >= 1024 }')" '0 1' '-c: what it has is forced at once'
	learn -c /sys/fs/cgroup --learn-for 0.1
	is "$(wc -l <"$DIR/out") $(grep -c 'all [0-9]* files' "$DIR/out")" '2 1' 'a service has one row in its journal for all files'
done
cp "$list" "$DIR/first"
for option in -p -P; do
	rm -f "$DIR/number"
	bash -c 'sleep 60 & echo $!; exec sleep 60' >"$DIR/number" &
	parent=$!
	wait_until 60 test -s "$DIR/number"
	recorded "$DIR/ready.$option" $option "$(<"$DIR/number")" --learn-for 30
	kill "$(<"$DIR/number")"
	wait "$BG"
	is "$(cmp "$list" "$DIR/first" 2>&1) $(grep -c "process $(<"$DIR/number") has ended" "$BG_ERR")" ' 1' \
		"$option of a process that ends before, though nobody waits for it: the list stays"
	end_child $parent
	wait $parent 2>/dev/null
done
learn -p "$parent" --learn-for 30
is "$(cmp "$list" "$DIR/first" 2>&1) $(grep -c 'no such process' "$ERR")" ' 1' 'and so it does without one'
