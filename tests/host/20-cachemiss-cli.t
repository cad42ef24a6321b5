#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cachemiss as a command: records, statuses, signals, who is counted, and what
# happens to the file, the disk or the tool in the middle of a run.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs bpftool bpftool
needs_built "$CACHEMISS" "$PROGS/access"
setup_dir

plan $((6 + 3 + 4 + 5 + 10 + 7 + 2 + 3 + 14 + 3 * 3 + 6 + 11 + 2 + 3 + 11 + 4 + 3 + 1 + 4 + 6 + 3))

file=$DIR/data
make_file "$file" 16m
# A known number of accesses: what the program asks the kernel is none.
known=("$PROGS/access" --fadvise random -p random -n 300 "$file")
evict=("$PROGS/access" --evict -n 0 "$file")

# fails STATUS NAME COMMAND...: with that status, and a word about it
fails()
{
	local want=$1 name=$2
	shift 2
	timeout -k 5 60 "$@" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	matches "$? $(wc -l <"$DIR/stderr")" "^($want) [1-9]" "$name: status ${want//|/ or }, and says why"
}

# --- usage and bad input

matches "$("$CACHEMISS" -V) $?" '[0-9]+\.[0-9]+.* 0$' '-V prints the version'
for tool in "$CACHEMISS" "$BUILD/ratrace" "$PCFORCE"; do
	is "$("$tool" -h) $?" "$("$tool" --help) 0" "${tool##*/}: -h is --help, status 0"
done
fails 2 'unknown option' "$CACHEMISS" --no-such-option
fails 2 'bad duration' "$CACHEMISS" -d 1x -f "$file"
fails 2 'bad interval' "$CACHEMISS" -f "$file" -1
fails 2 'bad process' "$CACHEMISS" -p 0x -f "$file"
fails 2 'no such process' "$CACHEMISS" -p 4194305
fails 2 'no such process with -P' "$CACHEMISS" -P 4194305
fails 2 'bad process for -P' "$CACHEMISS" -P 0
fails 2 '-p and -P' "$CACHEMISS" -p $$ -P $$
fails 125 '-P and COMMAND' "$CACHEMISS" -P $$ -- true
fails 2 'a user who is not there' "$CACHEMISS" --uid no-such-user -f "$file"
fails 2 'a number that no user has' "$BUILD/ratrace" --uid 4294967295 -f "$file"
fails 2 '--allow-empty without -w' "$CACHEMISS" --allow-empty -f "$file"
fails 2 '--exact without COMMAND' "$CACHEMISS" --exact -w "$DIR/list" -f "$file"
fails 125 '--exact without -w' "$CACHEMISS" --exact -f "$file" -- true
fails 2 'two lists' "$CACHEMISS" --resident -f "$file" -w "$DIR/one" -w "$DIR/two"
fails 2 '--under twice' "$CACHEMISS" -w "$DIR/one" --under "$DIR" --under /
fails 2 '--relative twice' "$CACHEMISS" -w "$DIR/one" --relative "$DIR" --relative /
fails 125 'one file for the list and the table' "$CACHEMISS" -w "$DIR/one" -O "$DIR/one" -f "$file" -- true
is "$("$CACHEMISS" -w /dev/null -O /dev/null -f "$file" -d 0.01 --allow-empty 2>&1; echo $?) $(stat -c %F /dev/null)" '0 character special file' \
	'but a device may take both, and stays one'

mkdir "$DIR/folder"
mkfifo "$DIR/fifo"
fails 125 'missing file' "$CACHEMISS" -f "$DIR/missing" -- true
fails 125 'directory on tmpfs' "$CACHEMISS" -f /dev/shm -- true
fails 125 'FIFO' "$CACHEMISS" -f "$DIR/fifo" -- true
fails 125 'device node' "$CACHEMISS" -f /dev/null -- true
fails 125 'file on procfs' "$CACHEMISS" -f /proc/version -- true
fails 125 'cgroup that is none' "$CACHEMISS" -c "$DIR/folder" -- true
fails 127 'COMMAND that is not there' "$CACHEMISS" -w "$DIR/list" -f "$file" -- "$DIR/missing"
ok 'and no list is begun for it' test ! -e "$DIR/list"
fails 126 'COMMAND that cannot be executed' "$CACHEMISS" -f "$file" -- "$file"
# Nobody else can read this folder's binary where the source tree is private.
install -m 755 "$CACHEMISS" "$DIR/cachemiss"
chmod 755 "$DIR"
fails 125 'not root' setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/cachemiss" -f "$file" -- true

# A shell's soft limit of open files is not the tools' limit; COMMAND finds it as it was.
mkdir "$DIR/files"
many=()
for i in {1..1100}; do
	echo 0 >"$DIR/files/$i"
	many+=(-f "$DIR/files/$i")
done
for tool in "$CACHEMISS" "$BUILD/ratrace"; do
	is "$(ulimit -Sn 1024; "$tool" -O "$DIR/out" "${many[@]}" -- bash -c 'ulimit -Sn' 2>"$DIR/stderr"; echo $?)" $'1024\n0' \
		"${tool##*/}: more files than the soft limit of descriptors"
done
rm -r "$DIR/files"

# --- records

while step; do
	"${evict[@]}" >/dev/null
	watched -f "$file" -- "${known[@]}"
	is "$(json "$OUT" .record | paste -sd' ')" '"meta" "file" "command"' 'records: meta first, file, command'
	is "$(jq -r 'select(.record == "meta") | [.tool, .kernel, .page_size, (.version | type), (.schema | type), (.hooks | type)] | join(" ")' "$OUT")" \
		"cachemiss $(uname -r) $(getconf PAGESIZE) string number object" 'meta: what ran where'
	is "$(record "$OUT" '[has("file", "dev", "ino", "accesses", "hits", "misses", "late", "hit_ratio", "read_accesses",
	"read_hits", "read_misses", "read_late", "mmap_accesses", "mmap_misses", "mmap_fault_around",
	"inserted_pages", "removed_pages", "miss_us_p50", "miss_us_p90", "miss_us_p99", "miss_us_max", "lost_events")] | all')" \
		true 'file: every field of the contract'
	is "$(record "$OUT" '[.ino, .accesses, .misses, .hits, .inserted_pages, .hit_ratio, .lost_events]')" \
		"[$(stat -c %i "$file"),300,300,0,300,0,0]" 'file: 300 cold reads insert 300 pages' \
		|| record "$OUT" .
	is "$(record "$OUT" '.miss_us_p50 > 0 and .miss_us_p50 <= .miss_us_p90 and .miss_us_p90 <= .miss_us_p99 and .miss_us_p99 <= .miss_us_max')" \
		true 'file: latencies of misses in order'
	is "$(json "$OUT" 'select(.record == "command") | [.status, .signal, .wall_us > 0]')" '[0,null,true]' 'command: status, no signal, time'
	watched -f "$file" -- true
	is "$(record "$OUT" '[.accesses, .hit_ratio, .miss_us_p50]')" '[0,null,null]' 'no access: no ratio, no latency, and not 0'
	watched -f "$file" -- bash -c 'exit 7'
	is "$STATUS $(json "$OUT" 'select(.record == "command") | .status')" '0 7' "COMMAND's status is no status of the tool"
	"$CACHEMISS" -O "$OUT" -f "$file" -- bash -c 'exit 7' 2>/dev/null
	is $? 7 "COMMAND's status is what the run ends with"
	"$CACHEMISS" --exit-command -O "$OUT" -f "$file" -- bash -c 'exit 7' 2>/dev/null
	is $? 7 '--exit-command, of before, changes nothing'
	is "$(bash -c '"$@" & wait $!; echo $?' - "$CACHEMISS" -O "$OUT" -f "$file" -- bash -c 'kill -9 $$' 2>/dev/null)" 137 \
		'what ended COMMAND ends the tool'
	watched -f "$file" -- bash -c 'kill -9 $$'
	is "$STATUS $(json "$OUT" 'select(.record == "command") | .signal')" '0 9' "COMMAND's signal"
	"${evict[@]}" >/dev/null
	for tool in "$CACHEMISS" "$BUILD/ratrace" "$PCFORCE"; do
		options=(-f "$file")
		[ "$tool" != "$PCFORCE" ] || { echo 0 >"$DIR/first"; options+=(-o "$DIR/first"); }
		"$tool" "${options[@]}" -- printf 'no newline' >"$DIR/stdout" 2>"$DIR/stderr"
		is "$(cat "$DIR/stdout"; test -s "$DIR/stderr" && echo ' table')" 'no newline table' \
			"${tool##*/}: COMMAND's output is its own, the table goes to standard error"
		"$tool" -q "${options[@]}" -- printf 'no newline' >"$DIR/stdout" 2>"$DIR/stderr"
		is "$(cat "$DIR/stdout" "$DIR/stderr")" 'no newline' "${tool##*/} -q prints nothing"
		is "$("$tool" -j "${options[@]}" -- true 2>"$DIR/stderr" | jq -cR 'fromjson? | has("record")' | sort | uniq -c | xargs)" \
			"$("$tool" -j "${options[@]}" -- true 2>"$DIR/stderr" | wc -l) true" '-j, in a pipe: each line is an object'
	done
	watched -d 1 -f "$file"
	is "$STATUS $(record "$OUT" .accesses)" '0 0' '-d ends it'
	watched -f "$file" 1 2
	is "$STATUS $(json "$OUT" .record | paste -sd' ')" '0 "meta" "interval" "interval" "file"' 'INTERVAL COUNT: so many and no more'
done

# A descriptor that was closed at the start is no place for data, and COMMAND finds it closed.
"$CACHEMISS" --tool-status -w "$DIR/closed" -f "$file" -- "${known[@]}" >&- 2>/dev/null
is "$? $(head -1 "$DIR/closed")" '0 # page2cache offsets 1' 'standard output closed: the list is a list'
"$CACHEMISS" -O "$DIR/closed.out" -w "$DIR/closed" -f "$file" -- "$DIR/missing" 0<&- 1>&- 2>&-
is $? 127 'all three closed: the status still tells'
# shellcheck disable=SC2016 # COMMAND's shell expands it
for n in 0 1; do
	eval "'$CACHEMISS' -O '$DIR/closed.out' -f '$file' -- bash -c '! [ -e /proc/\$\$/fd/$n ]' $n<&- 2>/dev/null"
	is $? 0 "descriptor $n closed: it is for COMMAND"
done

for options in "--resident -j -f $file" "--resident -f $file" --version --help --usage; do
	# shellcheck disable=SC2086 # words on purpose
	is "$(for out in "&-" /dev/full; do eval "'$CACHEMISS' $options >$out 2>'$DIR/stderr'"; echo "$? $(grep -c 'stdout: write error: ' "$DIR/stderr")"; done | paste -sd' ')" \
		'1 1 1 1' "$options: standard output that is closed or full is status 1"
done
for tool in "$CACHEMISS --resident -f" "$PCFORCE --now -f" "$BUILD/ratrace -d 0.01 -f"; do
	# shellcheck disable=SC2086 # words on purpose
	is "$($tool "$file" -O /dev/stdout >&- 2>"$DIR/stderr"; echo $?) $(grep -c ': /dev/stdout: ' "$DIR/stderr")" '2 1' \
		"${tool##*/} FILE -O /dev/stdout: nor are data lost by that name"
done
"$CACHEMISS" --resident --allow-empty -w - -f "$file" >&- 2>"$DIR/stderr"
is "$? $(grep -c -e '-: Bad file descriptor' "$DIR/stderr")" '2 1' '-w -, standard output closed: status 2, no list that is lost'

# A reader that goes away ends a run without COMMAND, after its list is written.
timeout 20 "$CACHEMISS" -f "$file" -w "$DIR/headed" --allow-empty 0.1 2>"$DIR/stderr" | head -2 >"$DIR/stdout"
is "${PIPESTATUS[0]} $(wc -l <"$DIR/stdout") $(head -1 "$DIR/headed") $(wc -c <"$DIR/stderr")" '141 2 # page2cache offsets 1 0' \
	'| head: the run ends, as other programs do, and its list is there'

# --- intervals and signals

background -f "$file" 1
"${known[@]}" >/dev/null
ok 'an interval is flushed while it runs' wait_until 30 grep -q '"interval"' "$BG_OUT"
stop INT
is "$STATUS $(record "$BG_OUT" .accesses)" '0 300' 'SIGINT: summary and status 0'
is "$(jq -s 'map(select(.record == "interval") | .accesses) | add <= 300' "$BG_OUT")" true 'intervals hold no more than there was'
background -f "$file"
"${known[@]}" >/dev/null
stop TERM
is "$STATUS $(record "$BG_OUT" .accesses)" '0 300' 'SIGTERM: summary and status 0'
background
"${known[@]}" >/dev/null
stop INT
is "$STATUS $(record "$BG_OUT" "select(.file == \"$file\") | .accesses")" '0 300' 'the whole system: the file is found, by its path'
watched -- "${known[@]}"
is "$(record "$OUT" "select(.file == \"$file\") | .accesses")" 300 'COMMAND without a file: all its files, this one exact'

# --- who is counted

"${evict[@]}" >/dev/null
watched -f "$file" -- bash -c "'$PROGS/access' -n 100 '$file' & '$PROGS/access' -n 50 '$file' & wait"
is "$(record "$OUT" .accesses)" 150 "COMMAND's descendants"
if command -v python3 >/dev/null; then
	# As launchers of some languages do it; the thread takes over the number of the process.
	cat >"$DIR/thread-exec" <<-'END'
		import os, sys, threading
		threading.Thread(target=lambda: os.execv(sys.argv[1], sys.argv[1:])).start()
	END
	watched -f "$file" -- python3 "$DIR/thread-exec" "$PROGS/access" -n 60 "$file"
	is "$(record "$OUT" .accesses)" 60 'COMMAND goes on by the execve(2) of another thread'
	watched -f "$file" -- bash -c "python3 '$DIR/thread-exec' '$PROGS/access' -n 60 '$file'; '$PROGS/access' -n 40 '$file'"
	is "$(record "$OUT" .accesses)" 100 'so does a descendant, and what comes after it counts'
else
	skip 2 'no python3'
fi
# As where the kernel left out the program that would have told of the fork.
cat >"$DIR/untold" <<'END'
bpftool map delete id "$3" key $((BASHPID & 255)) $((BASHPID >> 8 & 255)) $((BASHPID >> 16 & 255)) 0 || exit
"$1" -n 80 "$2"
exec "$1" -n 20 "$2"
END
watched -f "$file" -- bash -c "bash '$DIR/untold' '$PROGS/access' '$file' \$(map_of \$PPID counted_tasks); '$PROGS/access' -n 10 '$file'"
is "$(record "$OUT" .accesses)" 110 'a descendant whose fork was not seen'
reader -n 70 "$file"
watched -f "$file" -- bash -c "kill -USR1 $READER; while kill -0 $READER; do sleep 0.1; done" 2>/dev/null
is "$(record "$OUT" .accesses)" 0 'nobody else'
wait "$READER"
reader -n 70 "$file"
watched -a -f "$file" -- bash -c "kill -USR1 $READER; tail --pid=$READER -f /dev/null"
is "$(record "$OUT" .accesses)" 70 'everybody with -a'
wait "$READER"
reader -n 70 "$file"
background -p "$READER" -f "$file"
"${known[@]}" >/dev/null
go
ok '-p: the run ends with the process' wait_until 30 gone "$BG"
is "$(record "$BG_OUT" .accesses)" 70 'and has counted it alone'
chmod 755 "$DIR"
watched --uid nobody -f "$file" -- bash -c "'$PROGS/access' -n 70 '$file'
	setpriv --reuid nobody --clear-groups dd if='$file' of=/dev/null bs=4k count=60 status=none"
is "$(record "$OUT" .accesses)" 60 '--uid counts those of a user'
# A server: a worker from before, one that comes later, and its own accesses.
cat >"$DIR/server" <<'END'
#!/bin/bash
# server ACCESS FILE GO: a worker of a worker, and the same again, each when GO.N is there
worker()
{
	(until [ -e "$3.$4" ]; do sleep 0.05; done; "$1" -n "$5" "$2" >/dev/null; :)
}
worker "$@" 1 40 &
early=$!
until [ -e "$3.2" ]; do sleep 0.05; done
"$1" -n 30 "$2" >/dev/null
worker "$@" 2 20 &
wait $early $!
: >"$3.done"
sleep 60 &
wait
END
for option in -p -P; do
	rm -f "$DIR"/go.*
	bash "$DIR/server" "$PROGS/access" "$file" "$DIR/go" 2>/dev/null &
	server=$!
	at_exit "pkill -KILL -P $server; end_child $server"
	wait_until 60 pgrep -P $server
	background $option $server -f "$file"
	"${known[@]}" >/dev/null
	touch "$DIR/go.1" "$DIR/go.2"
	wait_until 30 test -e "$DIR/go.done"
	stop INT
	pkill -KILL -P $server
	wait $server
	counted=$(record "$BG_OUT" .accesses)
	[ $option != -p ] || is "$counted" 0 "-p: a process alone, whose children do it all"
	[ $option != -P ] || is "$counted" 90 '-P: a process with the descendants that it has and will have'
done
cp "$PROGS/access" "$DIR/program"
"$PROGS/access" --evict -n 0 "$DIR/program" >/dev/null
watched -f "$DIR/program" -- "$DIR/program" -h
is "$(record "$OUT" '.read_misses >= 1 and .mmap_accesses >= 1')" true "COMMAND's own start: exec reads the program, cold"
# What it takes to find COMMAND and to execute it is ours: a program without the C library
# accesses nothing of that library.
if echo 'int main(void) { return 0; }' | gcc -static -x c -o "$DIR/static" - 2>/dev/null; then
	PATH=/nonexistent:$DIR:$PATH watched -f "$(ldd "$CACHEMISS" | awk '/libc\.so/ { print $3 }')" -- static
	is "$STATUS $(record "$OUT" .accesses)" '0 0' 'the search of PATH is not COMMAND'"'"'s'
else
	skip 1 'needs gcc and a static C library'
fi
background -f "$file"
first=$BG first_out=$BG_OUT
background -f "$file"
"${evict[@]}" >/dev/null
"${known[@]}" >/dev/null
stop INT
is "$(record "$BG_OUT" '[.accesses, .misses]')" '[300,300]' 'two at once: the one'
BG=$first
stop INT
is "$(record "$first_out" '[.accesses, .misses]')" '[300,300]' 'two at once: the other'
ln "$file" "$DIR/link"
ln -s link "$DIR/symlink"
watched -f "$DIR/symlink" -- "${known[@]}"
is "$(record "$OUT" .accesses)" 300 'by a symbolic link to a hard link: the same file'
mkdir "$DIR/bind"
if mount --bind "$DIR" "$DIR/bind" 2>/dev/null; then
	at_exit "umount '$DIR/bind'"
	watched -f "$DIR/bind/data" -- "${known[@]}"
	is "$(record "$OUT" .accesses)" 300 'by a bind mount: the same file'
	umount "$DIR/bind"
else
	skip 1 'no bind mounts here'
fi
group=$(findmnt -nlo TARGET -t cgroup2 | head -1)/page2cache-test.$$
if mkdir "$group" 2>/dev/null; then
	at_exit "rmdir '$group'"
	background -c "$group" -f "$file"
	"${known[@]}" >/dev/null
	bash -c "echo \$\$ >'$group/cgroup.procs'; exec '$PROGS/access' -n 80 '$file'" >/dev/null
	stop INT
	is "$(record "$BG_OUT" .accesses)" 80 '-c counts one control group'
	rmdir "$group"
else
	skip 1 'no cgroup v2 that can be written'
fi

# --- many accesses

"$PROGS/access" --load 1/1 -n 0 "$file" >/dev/null
watched -f "$file" -- "$PROGS/access" --blind --rate 100000 -p random --rounds 50 "$file"
diag "$(json "$TRUTH" '.accesses * 1000000 / .elapsed_us | floor') accesses a second"
is "$(record "$OUT" .accesses)" "$(json "$TRUTH" .accesses)" '100,000 accesses a second, or as many as this machine has: total exact'
watched -f "$file" -- "$PROGS/access" --blind -T 4 -p random --rounds 100 "$file"
is "$(record "$OUT" .accesses)" "$(json "$TRUTH" .accesses)" '4 threads as fast as they can: total exact'
while step; do
	watched -w "$DIR/many" -f "$file" -- "$PROGS/access" --evict -p random --rounds 20 --fadvise random "$file"
	is "$(record "$OUT" '[.accesses, .misses]')" "$(json "$TRUTH" '[.accesses, .misses]')" 'with a list to write as well'
done

# --- the file in the middle of a run

background -f "$file"
reader -n 100 "$file"
mv "$file" "$DIR/renamed"
go
"$PROGS/access" -n 20 "$DIR/renamed" >/dev/null
make_file "$file" 1m
"$PROGS/access" -n 40 "$file" >/dev/null
stop INT
is "$STATUS $(record "$BG_OUT" .accesses)" '0 120' 'renamed and replaced: the file it was, under both names, and no other'
mv "$DIR/renamed" "$file"
background -f "$file"
reader -n 100 "$file"
cp "$file" "$DIR/copy"
rm -f "$file" "$DIR/link"
go
stop INT
# cp reads too, and more than a page at once: only its own lookups are unknown.
is "$STATUS $(record "$BG_OUT" '.read_accesses >= 100')" '0 true' 'deleted: its open readers still count'
mv "$DIR/copy" "$file"
background -f "$file"
reader --blind -n 100 "$file"
"$PROGS/access" -o 8m -n 50 "$file" >/dev/null
truncate -s 4m "$file"
go
truncate -s 16m "$file"
"$PROGS/access" -o 8m -n 50 "$file" >/dev/null
stop INT
is "$STATUS $(record "$BG_OUT" .accesses)" '0 200' 'truncated and grown'
within "$(record "$BG_OUT" .removed_pages)" 50 1000000 'truncation removes pages'
truncate -s 5T "$DIR/sparse"
watched -f "$DIR/sparse" -- "$PROGS/access" -o 4t -n 64 --fadvise random "$DIR/sparse"
is "$(record "$OUT" '[.accesses, .misses]')" "$(json "$TRUTH" '[.accesses, .misses]')" 'a sparse file of 5 TiB, read beyond 4 TiB'
rm "$DIR/sparse"
: >"$DIR/empty"
watched -f "$DIR/empty" -- cat "$DIR/empty"
is "$STATUS $(record "$OUT" .accesses)" '0 0' 'an empty file'
background -f "$file"
kill -STOP "$BG"
for _ in 1 2 3; do
	"$PROGS/access" --blind -p random --rounds 30 "$file" >"$DIR/reader"
done
kill -CONT "$BG"
stop INT
is "$STATUS $(record "$BG_OUT" .accesses)" "0 $(($(json "$DIR/reader" .accesses) * 3))" 'SIGSTOP of the tool: total exact after SIGCONT'
mkdir -p "$DIR/full"
if mount -t tmpfs -o size=64k page2cache-test "$DIR/full" 2>/dev/null; then
	at_exit "umount '$DIR/full'"
	echo old >"$DIR/full/list"
	head -c 1m /dev/zero >"$DIR/full/filler" 2>/dev/null
	timeout 60 "$CACHEMISS" -j -O "$DIR/out" -w "$DIR/full/list" -f "$file" -- "$PROGS/access" --evict -p random --fadvise random "$file" \
		>/dev/null 2>"$DIR/stderr"
	is "$? $(test -s "$DIR/stderr" && echo said)" '125 said' '-w to a full disk, around a COMMAND that did well: status 125 and a message'
	is "$(cat "$DIR/full/list") $(find "$DIR/full" -type f | wc -l)" 'old 2' 'the older list is untouched, no piece of a new one is left'
	is "$(record "$DIR/out" .misses)" 4096 'and the counts are still printed'
	umount "$DIR/full"
else
	skip 3 'no file system can be mounted here'
fi
"$CACHEMISS" -j -f "$file" -- true >/dev/full 2>"$DIR/stderr"
is "$? $(test -s "$DIR/stderr" && echo said)" '125 said' 'standard output on a full disk: status 125 and a message'

# --- nothing stays attached

# As a JSON array; bpftool itself does not know every kernel's owners.
programs_of()
{
	cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '/^prog_id:/ { print $2 }' | sort -un | jq -sc .
}

none_left()
{
	bpftool -j prog show | jq -e "[.[].id] as \$now | [$1[] | select(. as \$id | \$now | index(\$id))] | length == 0"
}

for signal in KILL TERM; do
	background -f "$file"
	ids=$(programs_of "$BG")
	is "$(jq 'length > 0' <<<"$ids")" true "SIG$signal: programs are loaded before"
	stop $signal
	ok "SIG$signal: and none of them after" wait_until 30 none_left "$ids"
done

# --- what is cached now

while step; do
	"$PROGS/access" --evict --load 3/7 -n 0 "$file" >/dev/null
	"$CACHEMISS" --resident -j -f "$file" -w "$DIR/resident" >"$DIR/out"
	STATUS=$?
	is "$STATUS $(json "$DIR/out" 'select(.record != "meta") | .resident')" "0 $(pages_of "$DIR/resident" | wc -l)" \
		'--resident: status 0, as many pages as its list has'
	is "$(pages_of "$DIR/resident" | awk '$1 % 7 >= 3' | wc -l)" 0 '--resident: no page that was never read'
	within "$(pages_of "$DIR/resident" | wc -l)" 1000 1756 '--resident: the pages that were'
done
