#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/perf-annotate: a cold and a warm reader are in the stages where they have to be, figures
# add up, runs of BPF programs are those that bpftool counts, nothing stays switched on, and what
# cannot be done is said.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

# perf and python3 come with scripts/setup perf; CI has to have them.
there()
{
	command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || {
		[ -z "${CI:-}" ] || bail "no $1: scripts/setup perf"
		skip_all "needs $1 (scripts/setup perf)"
	}
}

needs_root
needs jq jq
there perf
there bpftool
there python3
there objdump
needs_built "$CACHEMISS" "$PROGS/workload" "$PROGS/access"
setup_dir

plan $((9 + 6 + 4 + 3 + 8 + 2 + 6 + 1 + 5 + 6))

file=$DIR/data
make_file "$file" 16m
script=scripts/perf-annotate
# Programs are known by the name of the process that has loaded them: others may run cachemiss, too.
name=watch.$$
ln -s "$CACHEMISS" "$DIR/$name"
CACHEMISS=$DIR/$name

# annotate ARGS...: its records in $DIR/out, its words and COMMAND's output in $DIR/err
annotate()
{
	timeout -k 5 100 "${around[@]}" "$script" "$@" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
}
around=()

# What others read meanwhile is counted by a program, too, as it is by the kernel itself.
count_lookups=("$(command -v perf)" stat -a -x ',' -e filemap:mm_filemap_get_pages -o "$DIR/lookups")
all_lookups()
{
	awk -F, '/mm_filemap_get_pages/ { print $1 }' "$DIR/lookups"
}

# of FILTER: of all records together
of()
{
	jq -sc --arg name "$name" "$1" "$DIR/out" 2>&1
}

# share ARM STAGE...: of the arm's CPU time, in per cent
share()
{
	of "[.[] | select(.record == \"stage\" and .arm == \"$1\") | select(IN(.stage; $(printf '"%s",' "${@:2}")\"\")) | .share] | add // 0 | . * 100 | floor"
}

# --- usage

annotate --help
is "$STATUS" 0 '--help'
wrong()
{
	annotate "${@:2}"
	is "$STATUS $(wc -l <"$DIR/out")" '2 0' "$1: bad usage"
}
wrong 'no COMMAND'
wrong 'an unknown option' --no-such-option -- true
wrong 'no rounds' --rounds 0 -- true
wrong 'a COMMAND that is not there' -- "$DIR/missing"
wrong 'a TOOL that is not there' --watch "$DIR/missing -f x" -- true
wrong 'an empty TOOL' --watch '' -- true
wrong 'a folder that is there' -o "$DIR" -- true
annotate --watch false -- true
is "$STATUS $(grep -c 'false does not watch' "$DIR/err")" '1 1' 'a TOOL that ends by itself: failed, and says so'

# --- a warm and a cold reader

cat "$file" >/dev/null
annotate -j -- workload read -n 100 "$file"
is "$STATUS $(of 'map(.record) | unique | contains(["command", "function", "meta", "stage"])')" '0 true' 'warm: all records' ||
	diag "$(tail -3 "$DIR/err")"
# What this machine has, asked in another way.
event=cpu-clock
perf stat -e cycles true 2>&1 | grep -q 'not supported' || event=cycles
is "$(of '.[0] | [.tool, .event, .kernel]')" "[\"perf-annotate\",\"$event\",\"$(uname -r)\"]" 'warm: the event that there is'
is "$(of '[.[] | select(.record == "stage") | .share] | add | . * 1000 | round')" 1000 'warm: shares of stages add up'
is "$(of '([.[] | select(.record == "command") | .cpu_us] | add) as $all |
	[("stage", "function") as $kind | [.[] | select(.record == $kind) | .cpu_us] | add / $all * 1000 | round]')" '[1000,1000]' \
	'warm: stages, and functions, add up to the CPU time'
within "$(share run copy)" 10 90 'warm: copying is a stage of weight'
within "$(share run readahead 'file system' 'block layer' driver)" 0 5 'warm: what reads from the disk is none'

"$PROGS/access" --evict -n 0 "$file" >/dev/null
annotate -j -F 20000 -- workload read -r 1 "$file"
is "$STATUS" 0 'cold: done'
within "$(of '[.[] | select(.record == "stage" and .stage == "readahead") | .samples] | add')" 1 1000000 'cold: readahead is a stage'
within "$(share run readahead 'new pages' 'file system' 'block layer' driver 'I/O completion' 'wait, wake')" 40 100 \
	'cold: what reads from the disk has most of it'
within "$(share run copy)" 0 15 'cold: and copying little'

"$PROGS/access" --evict -n 0 "$file" >/dev/null
annotate -j -F 20000 -- workload mmap -r 1 "$file"
is "$STATUS" 0 'cold by mmap: done'
within "$(share run 'page fault')" 2 100 'cold by mmap: page faults are a stage'
is "$(share run copy)" 0 'cold by mmap: and copying is none'

# --- what a tool costs

cat "$file" >/dev/null
reads=$((100 * 4096))
around=("${count_lookups[@]}")
annotate -j --rounds 1 --annotate lookup_tp --watch "$CACHEMISS -f $file" -o "$DIR/kept" -- workload read -n 100 "$file"
around=()
is "$STATUS $(of '[.[] | select(.record == "command") | .arm]')" '0 ["alone","watched","counted"]' 'watched: alone, watched, counted' ||
	diag "$(tail -3 "$DIR/err")"
within "$(of '[.[] | select(.record == "program" and .program == "lookup_tp" and .owner == $name) | .runs] | add')" \
	"$reads" $(($(all_lookups) - 2 * reads)) 'watched: the program of lookups ran once for each read'
is "$(of '[.[] | select(.record == "program" and .runs > 0) | .ns_per_run * .runs / .run_ns * 1000 | round] | unique')" '[1000]' \
	'watched: time of a run is the time of all by their number'
within "$(share watched 'BPF program' 'BPF entry')" 2 60 'watched: BPF is a stage of weight'
is "$(of '[.[] | select(.record == "program" and .program == "lookup_tp" and .owner == $name) | .cpu_us > 0]')" '[true]' \
	'watched: the same program by samples'
is "$(of '[.[] | select(.record == "instruction" and (.function | endswith("_lookup_tp")))] |
	[length > 50, ([.[].share] | add | . * 1000 | round), .[0].offset, (map(.source) | any(contains("inode"))), (map(.code) | any(test("^ret|return_thunk")))]')" \
	'[true,1000,0,true,true]' 'watched: its machine code, with source lines and shares that add up' ||
	of '[.[] | select(.record == "instruction") | .function] | unique'
is "$(cmp "$DIR/out" "$DIR/kept/report.json" && find "$DIR/kept" -type f -printf '%f\n' | sort | paste -sd' ')" \
	'alone-0.data alone-0.data.log report.json report.txt watched-1.data watched-1.data.log' 'watched: all is kept'
matches "$(cat "$DIR/kept/report.txt")" "STAGE +ALONE ms +WATCHED ms +MORE ms.*BPF PROGRAM +OF +RUNS +NS/RUN" 'watched: the same as text'

# --- as bpftool counts

background -f "$file"
ids=$(sed -n 's/^prog_id:\t//p' /proc/"$BG"/fdinfo/* | sort -u)
# counts: how often its programs ran while somebody had them counted
counts()
{
	local id
	for id in $ids; do
		bpftool prog show id "$id" -j
	done | jq -s 'map(.run_cnt // 0) | add'
}
# quiet NAME: nobody has them counted
quiet()
{
	local before
	before=$(counts)
	"$PROGS/workload" read -n 10 "$file" >/dev/null
	is "$(counts) $(sysctl -n kernel.bpf_stats_enabled)" "$before $setting" "$1"
}
setting=$(sysctl -n kernel.bpf_stats_enabled)
before=$(counts)
annotate -j -- workload read -n 100 "$file"
within "$(of '[.[] | select(.record == "program" and .owner == $name) | .runs] | add')" "$reads" $(($(counts) - before)) \
	'programs that were there: they ran as often as bpftool says, once a read'
quiet 'and then they are not counted'

# A run that a signal ends. Counting has begun when its counts grow.
begin()
{
	before=$(counts)
	"$script" "$@" >"$DIR/out" 2>"$DIR/err" &
	ANNOTATE=$!
	at_exit "end_child $ANNOTATE"
	wait_until 60 counted
	CHILDREN=$(pgrep -P "$ANNOTATE" | paste -sd' ')
}
counted()
{
	"$PROGS/workload" read "$file" >/dev/null
	[ "$(counts)" -gt "$before" ]
}
end()
{
	kill -"$1" "$ANNOTATE"
	wait "$ANNOTATE"
	STATUS=$?
} 2>/dev/null
alive()
{
	local pid
	for pid in $CHILDREN; do
		[ ! -e "/proc/$pid" ] || echo "$pid"
	done
}
for signal in INT TERM; do
	begin -- sleep 60
	end $signal
	is "$STATUS $(grep -cE '^STAGE|^COMMAND ended with signal 15' "$DIR/out")" '0 2' "SIG$signal: what was recorded is shown"
	is "${CHILDREN:+some} $(alive)" 'some ' "SIG$signal: COMMAND and perf are gone"
	quiet "SIG$signal: nothing is counted"
done
# Nothing can clean up after it.
TMPDIR=$DIR begin -- sleep 60
end KILL
quiet 'SIGKILL: nothing is counted'
for pid in $(alive); do
	kill -KILL "$pid"
done
stop TERM

# --- what else it tells

annotate -- bash -c 'echo words; exit 7'
is "$STATUS $(grep -cx words "$DIR/out") $(grep -cx words "$DIR/err") $(grep -c 'ended with status 7' "$DIR/out")" '0 0 1 1' \
	"COMMAND's output is no data, its status is told"
annotate -a --top 2 -- workload read -n 100 "$file"
is "$STATUS $(grep -A9 '^FUNCTION' "$DIR/out" | sed '/^$/,$d' | wc -l)" '0 3' '-a, and no more functions than asked for' ||
	diag "$(tail -n 5 "$DIR/err")"
annotate --annotate main -- workload read -n 100 "$file"
is "$STATUS $(grep -cE '^main.*: all its code' "$DIR/out") $(grep -cE '^ +[0-9.]+% +[0-9a-f]+ +push ' "$DIR/out" | sed 's/[1-9].*/some/')" '0 1 some' \
	'--annotate: a function of COMMAND'
annotate --annotate no_such_function -- workload read "$file"
is "$STATUS $(grep -c 'no sample is in it' "$DIR/err")" '1 1' '--annotate: a function without samples'
annotate -j --annotate _copy_to_iter -- workload read -n 100 "$file"
if [ $STATUS -eq 0 ]; then
	is "$(of '[.[] | select(.record == "instruction")] | length > 10')" true '--annotate: a function of the kernel'
else
	is "$STATUS $(grep -cE 'not here: machine code of .*vmlinux' "$DIR/err")" '3 1' '--annotate: no code of the kernel here, and why'
fi

# --- what cannot be done

annotate -- true
if [ "$event" = cycles ]; then
	is "$(grep -c 'not here: cycles' "$DIR/out")" 0 'cycles are there'
else
	matches "$(cat "$DIR/out")" 'event cpu-clock.*not here: cycles \(.*It takes hardware counters' 'no cycles: says why, and what would bring them'
fi
# All programs but perf.
mkdir "$DIR/bin"
ln -s /usr/bin/* /usr/sbin/* "$DIR/bin" 2>/dev/null
rm "$DIR/bin/perf"
background -f "$file"
around=("${count_lookups[@]}")
PATH=$DIR/bin annotate -- workload read -n 10 "$file"
around=()
is "$STATUS $(grep -cE '^STAGE|not here: samples \(perf is not installed\). It takes scripts/setup perf' "$DIR/out")" '0 1' 'without perf: says so'
within "$(awk -v name="$name" '$1 == "lookup_tp" && $2 == name { print $3 }' "$DIR/out" | tr -d ,)" 40960 "$(all_lookups)" 'without perf: BPF programs are counted all the same'
PATH=$DIR/bin annotate --annotate main -- true
is "$STATUS" 3 'without perf: --annotate cannot be done'
stop TERM
awk '{ print "0000000000000000", $2, $3 }' /proc/kallsyms >"$DIR/hidden"
unshare -m sh -c "mount --bind '$DIR/hidden' /proc/kallsyms && exec $script -- true" >"$DIR/out" 2>"$DIR/err"
is "$? $(grep -c 'not here: samples (the kernel hides its symbols). It takes sysctl kernel.kptr_restrict' "$DIR/out")" '0 1' \
	'hidden symbols: says so'
PATH=$DIR/bin setpriv --bounding-set -sys_admin,-bpf,-perfmon "$script" -- true >"$DIR/out" 2>"$DIR/err"
is "$? $(wc -l <"$DIR/out") $(grep -cE '^perf-annotate: not here: (samples|runs of BPF programs) \(' "$DIR/err")" '3 0 2' \
	'neither samples nor counts: status 3, and what is missing'
