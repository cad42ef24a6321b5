# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # what the tests use
#
# What the host tests share: TAP, a place on a real disk, readahead, running a
# tool against a program that knows the right answer. Sourced by tests/host/*.t,
# which prove(1) runs as root from the root of the source tree.
#
#   PAGE2CACHE_TEST_DIR    where the files go (default /var/tmp); a real disk
#   PAGE2CACHE_TEST_QUICK  so many accesses in a scenario of the known answers rather than
#                          1500, in smaller files: for a guest under software emulation
#   PAGE2CACHE_TEST_READAHEAD  read_ahead_kb of the known answers, rather than 0 and found
#   PAGE2CACHE_TEST_STEPS  how often a step is done at least (default 1): with 2 each shows that it leaves
#                          nothing behind which its second time would find
#   O                      the build folder (default build)
#
# A test does not depend on how it is started. Nothing is on its standard input, every signal has
# its default (nohup ignores SIGHUP, a shell's & ignores SIGINT, and bash cannot undo either), and
# the locale is C. Others may drop the page cache meanwhile: see `step`.

set -u
[ "${PAGE2CACHE_TEST_STARTED:-}" = $$ ] ||
	PAGE2CACHE_TEST_STARTED=$$ exec env --default-signal bash "$0" "$@" </dev/null
export LC_ALL=C
umask 022

BUILD=$(realpath "${O:-build}")
CACHEMISS=$BUILD/cachemiss
PCFORCE=$BUILD/pcforce
PCLIST=$BUILD/pclist
PROGS=$BUILD/tests
ACCESSES=${PAGE2CACHE_TEST_QUICK:-1500}
# Four times as many pages, or a few more: quick is everything but the comparison.
FILE_SIZE=${PAGE2CACHE_TEST_QUICK:+$((ACCESSES * 16))k} FILE_SIZE=${FILE_SIZE:-16m}
TAP_TESTS=0
TAP_FAILED=0
TAP_SKIPPED=0
TAP_PLAN=
CLEANUPS=()
TRACE=
STEP=0

# --- TAP

plan()
{
	TAP_PLAN=$1
	echo "1..$1"
}

skip_all()
{
	echo "1..0 # SKIP $*"
	TAP_PLAN=0
	exit 0
}

diag()
{
	tap "# ${*//$'\n'/$'\n'# }"
}

# tap LINES: at once, or when the step that is being done has been done for the last time
tap()
{
	if [ "$STEP" -gt 0 ] && [ "$BASHPID" = $$ ]; then
		STEP_TEXT+=$1$'\n'
	else
		printf '%s\n' "$1"
	fi
}

bail()
{
	echo "Bail out! $*"
	exit 1
}

# result STATUS NAME
result()
{
	TAP_TESTS=$((TAP_TESTS + 1))
	if [ "$1" -eq 0 ]; then
		tap "ok $TAP_TESTS - $2"
		return 0
	fi
	TAP_FAILED=$((TAP_FAILED + 1))
	tap "not ok $TAP_TESTS - $2"
	return 1
}

# Each of these returns whether the test passed: more can be said of one that has not.

# ok NAME COMMAND...: the command succeeds
ok()
{
	local name=$1 rc=0
	shift
	"$@" >/dev/null 2>&1 || rc=1
	result "$rc" "$name" || diag "failed: $*"
	return "$rc"
}

# is GOT WANT NAME
is()
{
	local rc=0
	[ "$1" = "$2" ] || rc=1
	result "$rc" "$3" || { diag "got:  $1"; diag "want: $2"; }
	return "$rc"
}

# within GOT LOW HIGH NAME: a number in a range; anything else fails
within()
{
	local rc=1
	[[ $1 =~ ^[0-9]+$ && $2 =~ ^[0-9]+$ && $3 =~ ^[0-9]+$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] && rc=0
	result "$rc" "$4" || diag "got: $1, want: $2 to $3"
	return "$rc"
}

# matches TEXT REGEX NAME
matches()
{
	local rc=1
	[[ $1 =~ $2 ]] && rc=0
	result "$rc" "$3" || { diag "got: $1"; diag "want, as a regular expression: $2"; }
	return "$rc"
}

# skip COUNT REASON
skip()
{
	local i
	for ((i = 0; i < $1; i++)); do
		TAP_TESTS=$((TAP_TESTS + 1))
		TAP_SKIPPED=$((TAP_SKIPPED + 1))
		tap "ok $TAP_TESTS # SKIP $2"
	done
}

# --- what has to be there

needs_root()
{
	[ "$(id -u)" -eq 0 ] || skip_all 'needs root'
}

# needs COMMAND PACKAGE
needs()
{
	command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || skip_all "needs $1 (Debian package $2)"
}

# What is not built is a failure and no reason to skip.
needs_built()
{
	local p
	for p; do
		[ -x "$p" ] || bail "$p is not built: run make all tests"
	done
}

# --- cleaning up: last in, first out, on every way out

at_exit()
{
	CLEANUPS+=("$*")
}

finish()
{
	local rc=$? i
	trap - EXIT INT TERM HUP
	[ "$STEP" -eq 0 ] || step_told
	for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
		eval "${CLEANUPS[i]}" >/dev/null 2>&1
	done
	if [ -n "$TAP_PLAN" ] && [ "$TAP_TESTS" -ne "$TAP_PLAN" ] && [ "$TAP_PLAN" -ne 0 ]; then
		diag "planned $TAP_PLAN tests, ran $TAP_TESTS"
		rc=1
	fi
	[ "$TAP_FAILED" -eq 0 ] || rc=1
	[ -z "${PAGE2CACHE_TALLY:-}" ] || printf 'this machine %s\t%s\t%s\t%d\t%d\t%d\n' "$(uname -r)" \
		"${PAGE2CACHE_HOOKS:-best}" "${0##*/}" "$TAP_TESTS" $((TAP_TESTS - TAP_FAILED)) "$TAP_SKIPPED" \
		>>"$PAGE2CACHE_TALLY"
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# wait_until SECONDS COMMAND...: a generous bound and no fixed sleep
wait_until()
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# naps COMMAND...: how often 20 ms are slept until it succeeds, 500 times at most. A promise of so many seconds is
# measured by this and not by the clock, which goes on where the machine stands still or COMMAND waits for a CPU.
naps()
{
	local n=0

	until "$@" >/dev/null 2>&1 || [ $n -ge 500 ]; do
		sleep 0.02
		n=$((n + 1))
	done
	echo $n
}

gone()
{
	! kill -0 "$1" 2>/dev/null
}

# Only if it still is one: numbers are used again.
end_child()
{
	[ "$(ps -o ppid= -p "$1" | tr -d ' ')" = $$ ] && kill -KILL "$1"
}

# --- a folder on a real disk, and its readahead

setup_dir()
{
	local base=${PAGE2CACHE_TEST_DIR:-/var/tmp} kind
	kind=$(findmnt -no FSTYPE -T "$base")
	case $kind in
	tmpfs | ramfs | '') bail "$base is on ${kind:-nothing known}: set PAGE2CACHE_TEST_DIR to a folder on a disk" ;;
	esac
	DIR=$(mktemp -d "$base/page2cache-test.XXXXXX") || bail "no folder in $base"
	at_exit "rm -rf '$DIR'"
	BDI=/sys/class/bdi/$(kernel_device "$DIR")
	# A file system of several disks has readahead settings of its own.
	[ "$kind" != btrfs ] || BDI=/sys/fs/btrfs/$(findmnt -no UUID -T "$DIR")/bdi
	RA_FOUND=$(cat "$BDI/read_ahead_kb") || bail "no readahead setting for $DIR"
	RA=$RA_FOUND RA_SET=
	others_start
}

# kernel_device PATH: MAJOR:MINOR as the kernel's own events have it; stat(2) may have another
kernel_device()
{
	findmnt -no MAJ:MIN -T "$1" | tr -d ' '
}

# disk_of PATH: MAJOR:MINOR of the whole disk below it, which io.max and io.stat of a cgroup speak of
disk_of()
{
	local device disk

	device=$(lsblk -ndo MAJ:MIN "$(findmnt -nvo SOURCE -T "$1")" | tr -d ' ')
	disk=$(readlink -f "/sys/dev/block/$device")
	[ ! -e "$disk/partition" ] || disk=${disk%/*}
	cat "$disk/dev"
}

# set_ra KB|found: for files that are opened from now on, and for the scenarios that follow
set_ra()
{
	RA=$1
	[ "$RA" = found ] && RA=$RA_FOUND
	# A test that leaves the setting alone may run beside one that does not.
	[ -n "$RA_SET" ] || at_exit "echo $RA_FOUND >'$BDI/read_ahead_kb'"
	RA_SET=yes
	echo "$RA" >"$BDI/read_ahead_kb" || bail "cannot set $BDI/read_ahead_kb"
}

# make_file PATH SIZE: written, synced, and out of the cache
make_file()
{
	"$PROGS/access" --create "$2" -n 0 --evict "$1" >/dev/null || bail "cannot make $1"
}

# nowait_reads: does a refused RWF_NOWAIT read start the I/O? Linux 6.1's starts nothing (IOCB_NOIO),
# so it looks nothing up either.
nowait_reads()
{
	make_file "$DIR/nowait" 64k
	[ "$("$PROGS/access" --evict -m nowait-once -n 1 "$DIR/nowait" | jq .resident_after)" != 0 ]
}

# --- others who change what is cached

# others_start: from now on the kernel records which pages leave the page cache of the test folder's
# file system through anybody but the processes of this test: somebody drops caches, or the kernel
# takes what is idle. And what khugepaged puts in, which reads what is absent of mapped files: from
# Linux 7.3 on of any. A kernel without tracing records nothing.
others_start()
{
	local dev leaves=events/filemap/mm_filemap_delete_from_page_cache enters=events/filemap/mm_filemap_add_to_page_cache

	OTHERS=$TRACING/instances/page2cache-others.$$
	[ -d $TRACING/events ] || mount -t tracefs tracefs $TRACING 2>/dev/null
	mkdir "$OTHERS" 2>/dev/null || { OTHERS=; return; }
	at_exit "rmdir '$OTHERS'"
	dev=$(kernel_device "$DIR")
	echo 8192 >"$OTHERS/buffer_size_kb"
	# Children of the processes that are left out are left out, too.
	echo 1 >"$OTHERS/options/event-fork"
	echo $$ >"$OTHERS/set_event_notrace_pid"
	dev="s_dev == $((${dev%:*} << 20 | ${dev#*:}))"
	echo "$dev" >"$OTHERS/$leaves/filter"
	echo "$dev && comm == \"khugepaged\"" >"$OTHERS/$enters/filter"
	echo 1 | tee "$OTHERS/$leaves/enable" >"$OTHERS/$enters/enable" || bail "cannot have the kernel record who changes what is cached"
}
TRACING=/sys/kernel/tracing

# inodes: of the test folder's files, in hexadecimal as the kernel's events have them
inodes()
{
	find "$DIR" -xdev -type f -printf '%i\n' | xargs -r printf '%x\n'
}

# others_mark: what others did until now does not matter
others_mark()
{
	[ -n "$OTHERS" ] || return 0
	OTHERS_INODES=$(inodes)
	echo >"$OTHERS/trace"
}

# others_changed: since others_mark, the inodes of which they removed or read pages, each once. Of a
# buffer that ran over nobody can tell: then all of them.
others_changed()
{
	[ -n "$OTHERS" ] || return 0
	{ echo "$OTHERS_INODES"; inodes; } | sort -u | awk '
		FILENAME ~ /stats$/ { lost += /^(overrun|commit overrun|dropped events):/ ? $NF : 0; next }
		FILENAME == "-" { if ($1 != "") ours[$1]; next }
		match($0, / ino [0-9a-f]+ /) { changed[substr($0, RSTART + 5, RLENGTH - 6)] }
		END {
			for (ino in ours)
				if (lost || ino in changed)
					print ino
		}' "$OTHERS"/per_cpu/cpu*/stats - "$OTHERS/trace"
}

# while step; do ...; done: what is between is done once, and once more if others changed what is cached of
# the test's files meanwhile; then, as long as a check fails and others do, five times and until a minute is
# over. Why a check failed is no reason to repeat it.
# What is told is what the last time told.
step()
{
	if [ "$STEP" -gt 0 ]; then
		if { [ "$STEP" -ge "${PAGE2CACHE_TEST_STEPS:-1}" ] && [ -z "$(others_changed)" ]; } ||
			{ [ "$STEP" -ge 2 ] && [ "$TAP_FAILED" -eq "$STEP_FAILED" ]; } ||
			{ [ "$STEP" -ge 5 ] && [ "$SECONDS" -ge "$STEP_END" ]; }; then
			step_told
			return 1
		fi
		TAP_TESTS=$STEP_TESTS TAP_FAILED=$STEP_FAILED TAP_SKIPPED=$STEP_SKIPPED
	else
		STEP_TESTS=$TAP_TESTS STEP_FAILED=$TAP_FAILED STEP_SKIPPED=$TAP_SKIPPED
		STEP_END=$((SECONDS + 60))
	fi
	STEP_TEXT=
	STEP=$((STEP + 1))
	others_mark
}

# step_told: the checks of the step count
step_told()
{
	local times=$STEP

	STEP=0
	printf '%s' "$STEP_TEXT"
	[ "$times" -le "${PAGE2CACHE_TEST_STEPS:-1}" ] || diag "others changed what is cached meanwhile: done $times times"
}

# --- JSON

# json FILE FILTER: compact, one line an answer
json()
{
	jq -c "$2" "$1" 2>&1
}

# record FILE FILTER: of the one `file` record
record()
{
	json "$1" "select(.record == \"file\") | $2"
}

# --- a tool around a program that knows

# watched TOOL_OPTIONS... -- COMMAND...: the tool's data in $OUT, COMMAND's in $TRUTH
watched()
{
	OUT=$DIR/out TRUTH=$DIR/truth ERR=$DIR/err
	rm -f "$OUT" "$TRUTH" "$ERR"
	timeout -k 5 300 "$CACHEMISS" --tool-status -j -O "$OUT" "$@" >"$TRUTH" 2>"$ERR"
	STATUS=$?
	[ "$STATUS" -eq 0 ] || diag "cachemiss: status $STATUS: $(head -3 "$ERR")"
}

# scenario NAME PROGRAM OPTIONS...: for run_scenarios, which gives it a file of its own, of FILE_SIZE.
# What BEFORE has is run first; it is one line of shell, in which $f is that file.
scenario()
{
	local i=${#SCENARIOS[@]} f

	f=$DIR/scenario.$i
	SCENARIOS+=("$1")
	SCENARIO_SIZES+=("$FILE_SIZE")
	# Its process is known by number, as the kernel's own events have it. What is removed of the
	# file when it has ended does not matter: so nothing is left that others could remove.
	SCENARIO_LINES+=("f='$f'; echo $RA >'$BDI/read_ahead_kb'; ${BEFORE:-:}
		'$PROGS/$2' ${*:3} '$f' >'$f.truth' 2>'$f.err' & echo \$! >'$f.pid'; wait; ${AFTER:-:}
		dd if='$f' iflag=nocache count=0 status=none")
}
SCENARIOS=() SCENARIO_SIZES=() SCENARIO_LINES=()

# run_scenarios: all of them under one cachemiss, each on a file that nobody else reads;
# what the tool counted for scenario I is scenario_record I, what the program knew
# $DIR/scenario.I.truth. Those of whose pages others removed or read some meanwhile are run again.
run_scenarios()
{
	local i f size files options again=("${!SCENARIOS[@]}") try

	for size in $(printf '%s\n' "${SCENARIO_SIZES[@]}" | sort -u); do
		files=()
		for i in "${!SCENARIOS[@]}"; do
			f=$DIR/scenario.$i
			[ "${SCENARIO_SIZES[i]}" != "$size" ] || [ -e "$f" ] || files+=("$f")
		done
		head -c "$size" /dev/urandom | tee "${files[@]}" >/dev/null
	done
	sync -f "$DIR"
	for i in "${!SCENARIOS[@]}"; do
		dd if="$DIR/scenario.$i" iflag=nocache count=0 status=none
	done
	rm -f "$DIR"/scenario.*.truth "$DIR/counted"
	for try in {1..10}; do
		options=()
		for i in "${again[@]}"; do
			options+=(-f "$DIR/scenario.$i")
		done
		for i in "${again[@]}"; do
			printf '%s\n' "${SCENARIO_LINES[i]}"
		done >"$DIR/script"
		others_mark
		watched "${options[@]}" -- bash "$DIR/script"
		cat "$OUT" >>"$DIR/counted"
		others_changed >"$DIR/changed"
		mapfile -t again < <(for i in "${again[@]}"; do
			! grep -qx "$(printf %x "$(stat -c %i "$DIR/scenario.$i")")" "$DIR/changed" || echo "$i"
		done)
		[ ${#again[@]} -gt 0 ] || break
		diag "others changed what is cached meanwhile: once more ${#again[@]} of ${#SCENARIOS[@]}"
	done
	# Of a scenario that was run again the last record counts.
	OUT=$DIR/out
	jq -sc '([.[] | select(.record != "file")], (map(select(.record == "file")) | group_by(.file) | map(.[-1]))) | .[]' \
		"$DIR/counted" >"$OUT"
	set_ra "$RA"
	for i in "${!SCENARIOS[@]}"; do
		[ ! -s "$DIR/scenario.$i.err" ] || diag "${SCENARIOS[i]}: $(head -3 "$DIR/scenario.$i.err")"
	done
}

# answers RECORD_FILTER TRUTH_FILTER: what the tool counted, and what the programs knew, by scenario
answers()
{
	local f answer

	COUNTED=() KNOWN=()
	while IFS=$'\t' read -r f answer; do
		COUNTED[${f##*.}]=$answer
	done < <(jq -r "select(.record == \"file\") | [.file, ($1 | tojson)] | join(\"\t\")" "$OUT")
	while IFS=$'\t' read -r f answer; do
		f=${f%.truth}
		KNOWN[${f##*.}]=$answer
	done < <(jq -r "[input_filename, ($2 | tojson)] | join(\"\t\")" "$DIR"/scenario.*.truth)
}

# compare_scenarios RECORD_FILTER TRUTH_FILTER [SUFFIX [NAMES]]: a check for each, or for those
# whose name matches: what the two say is the same. A kind of hooks that was asked for may miss
# events on a preemptible kernel, which the tool says: then it has counted no more, and most.
compare_scenarios()
{
	local i missed

	answers "$1" "$2"
	missed=$([ -z "${PAGE2CACHE_HOOKS:-}" ] || jq -r 'select(.record == "file" and .exact == false) | "missed"' "$OUT" | head -1)
	for i in "${!SCENARIOS[@]}"; do
		# shellcheck disable=SC2053 # a pattern is what it is
		[[ ${SCENARIOS[i]} == ${4:-*} ]] || continue
		if [ -n "$missed" ] && [ "${COUNTED[i]:-}" != "${KNOWN[i]:-nothing}" ]; then
			is "$(jq -nc "[[${COUNTED[i]:-}], [${KNOWN[i]:-}]] | map(flatten) | transpose |
				map(.[0] <= .[1] and .[0] >= .[1] * 3 / 4) | all")" true \
				"${SCENARIOS[i]}${3:-} (events were missed: ${COUNTED[i]:-} of ${KNOWN[i]:-})"
		else
			is "${COUNTED[i]:-}" "${KNOWN[i]:-nothing}" "${SCENARIOS[i]}${3:-}"
		fi
	done
}

# scenario_record I FILTER
scenario_record()
{
	json "$OUT" "select(.record == \"file\" and .file == \"$DIR/scenario.$1\") | $2"
}

# The next scenarios are others.
end_scenarios()
{
	rm -f "$DIR"/scenario.* "$DIR/script"
	SCENARIOS=() SCENARIO_SIZES=() SCENARIO_LINES=()
}

# background TOOL_OPTIONS...: cachemiss alone, ready when it has written its first record
background()
{
	BG_OUT=$DIR/bg.$((++BG_COUNT)).out BG_ERR=$DIR/bg.$BG_COUNT.err
	# A shell without job control starts its children deaf to these.
	env --default-signal=INT,QUIT "$CACHEMISS" -j -O "$BG_OUT" "$@" >"$DIR/bg.stdout" 2>"$BG_ERR" &
	BG=$!
	at_exit "end_child $BG"
	wait_until 90 attached "$BG_OUT" || diag "cachemiss did not start: $(head -3 "$BG_ERR")"
}
BG_COUNT=0

attached()
{
	grep -q '"record": *"meta"' "$1"
}

# map_of PID NAME: the kernel's number of a BPF map that a process has; COMMAND knows this, too
map_of()
{
	awk '/^map_id:/ { print $2 }' /proc/"$1"/fdinfo/* 2>/dev/null | sort -u | while read -r; do
		[ "$(bpftool -j map show id "$REPLY" | jq -r .name)" != "$2" ] || echo "$REPLY"
	done
}
export -f map_of

# stop SIGNAL: the one in the background; its status in STATUS
stop()
{
	# The shell has words of its own for a killed child.
	{
		kill -"$1" "$BG"
		wait_until 30 gone "$BG" || { diag "cachemiss ignored SIG$1"; kill -KILL "$BG"; }
		wait "$BG"
		STATUS=$?
	} 2>/dev/null
}

# reader ACCESS_OPTIONS...: opens its file now, accesses it on `go`
reader()
{
	READY=$DIR/ready
	rm -f "$READY"
	"$PROGS/access" --ready "$READY" --wait usr1 "$@" >"$DIR/reader" 2>"$DIR/reader.err" &
	READER=$!
	at_exit "end_child $READER"
	wait_until 60 test -e "$READY" || diag "the reader did not start: $(cat "$DIR/reader.err")"
}

go()
{
	kill -USR1 "$READER"
	wait "$READER"
}

# --- what the kernel itself says, without any of the code under test

# trace_start FILE EVENT...: records events, given as group/name, of one file, or of all if it is empty
trace_start()
{
	local dev event
	trace_stop
	for event in "${@:2}"; do
		trace_event "$event" || return 1
	done
	TRACE=$TRACING/instances/page2cache-test.$$
	mkdir "$TRACE" || { TRACE=; return 1; }
	at_exit trace_stop
	echo 32768 >"$TRACE/buffer_size_kb"
	for event in "${@:2}"; do
		if [ -n "$1" ]; then
			dev=$(kernel_device "$1")
			dev=$((${dev%:*} << 20 | ${dev#*:}))
			echo "s_dev == $dev && i_ino == $(stat -c %i "$1")" >"$TRACE/events/$event/filter" || return 1
		fi
		echo 1 >"$TRACE/events/$event/enable" || return 1
	done
}

# trace_event EVENT: is there one? Where no tracepoint is, a kprobe on the function may do.
trace_event()
{
	[ ! -e "$TRACING/events/$1" ] || return 0
	[ -e "$TRACING/kprobe_events" ] || return 1
	echo "p:$1 ${1##*/}" >>"$TRACING/kprobe_events" || return 1
	at_exit "echo '-:$1' >>$TRACING/kprobe_events"
}

# trace_lines NAME: so far; fails rather than leave some out
trace_lines()
{
	echo 0 >"$TRACE/tracing_on"
	! awk '/overrun|dropped/ && $NF > 0 { lost = 1 } END { exit !lost }' "$TRACE"/per_cpu/cpu*/stats || return 1
	grep " $1: " "$TRACE/trace" || true
}

# trace_count NAME: how many; "lost" rather than a number that is too small
trace_count()
{
	trace_lines "$1" >"$DIR/traced" && wc -l <"$DIR/traced" || echo lost
}

trace_stop()
{
	[ -n "$TRACE" ] && rmdir "$TRACE"
	TRACE=
}

# --- offsets lists

# pages_of LIST: one page a line, in the list's order
pages_of()
{
	awk '/^[ \t]*(#|$)/ { next }
		{ n = split($1, a, /[+-]/); first = a[1]; last = first }
		n == 2 && $1 ~ /\+/ { last = first + a[2] - 1 }
		n == 2 && $1 ~ /-/ { last = a[2] }
		{ for (i = first; i <= last; i++) printf "%d\n", i }' "$1"
}

# owned_of LIST: FILE EXTENT a line, in the list's order, FILE as the list writes it
owned_of()
{
	awk '/^# page2cache offsets/ { split("", file); latest = "" }
		/^# file=/ { latest = substr($2, 6); if ($3 ~ /^@/) file[$3] = latest }
		/^[ \t]*[0-9]/ { print ($2 ~ /^@/ ? file[$2] : latest), $1 }' "$1"
}

# each page where it first came
first_of_each()
{
	awk '!seen[$1]++' "$@"
}

# --- pcforce

# forced PCFORCE_OPTIONS... -- COMMAND...: its data in $OUT, COMMAND's in $TRUTH
forced()
{
	OUT=$DIR/out TRUTH=$DIR/truth ERR=$DIR/err
	rm -f "$OUT" "$TRUTH" "$ERR"
	timeout -k 5 120 "$PCFORCE" --tool-status -j -O "$OUT" "$@" >"$TRUTH" 2>"$ERR" </dev/null
	STATUS=$?
}

# told PCFORCE_OPTIONS...: as forced; and again where pcforce had no CPU for the tenth of a second that it has to
# end in, and says that there is no receipt
told()
{
	for _ in {1..10}; do
		forced "$@"
		grep -q 'no receipt' "$ERR" || break
	done
}

# hurried COMMAND...: before others that want a CPU
hurried()
{
	local rc

	renice -n -20 -p "$BASHPID" >/dev/null
	"$@"
	rc=$?
	renice -n 0 -p "$BASHPID" >/dev/null
	return $rc
}

# What COMMAND of pcforce, a shell, ends with: a process of it lives until pcforce has ended. Forcing that has
# begun is finished then, however busy the machine is; of what has not arrived a tenth of a second after the
# end of a COMMAND that leaves nobody behind, pcforce can only say that.
# shellcheck disable=SC2016 # COMMAND's shell expands it
OUTLIVE='{ (while kill -0 $PPID; do sleep 0.05; done) >/dev/null 2>&1 & }'
# A COMMAND that does nothing else.
OUTLIVED=(bash -c "$OUTLIVE")

# let_go PCFORCE FILE: that process does not have the file open. Engine user opens the files of a list to force
# it, and closes them when it has looked at what became of each page. That all pages are cached does not show
# that it has: what is dropped before it has looked, it reads again.
let_go()
{
	! find "/proc/$1/fd" -lname "$2" | grep -q .
}
export -f let_go

# until_let_go FILE: a program for bash, COMMAND of pcforce, which ends when that has let the file go
until_let_go()
{
	echo "until let_go \$PPID '$1'; do sleep 0.05; done"
}

# forcing PCFORCE_OPTIONS...: pcforce in the background, ready when it has written its first record
forcing()
{
	BG_OUT=$DIR/bg.$((++BG_COUNT)).out BG_ERR=$DIR/bg.$BG_COUNT.err
	env --default-signal=INT,QUIT "$PCFORCE" -j -O "$BG_OUT" "$@" >"$DIR/bg.stdout" 2>"$BG_ERR" </dev/null &
	BG=$!
	at_exit "end_child $BG"
	wait_until 90 attached "$BG_OUT" || diag "pcforce did not start: $(head -3 "$BG_ERR")"
}

# needs_groups CONTROLLER...: of cgroup v2, enabled below the root
needs_groups()
{
	local controller

	for controller; do
		grep -qw "$controller" $GROUPS_DIR/cgroup.controllers 2>/dev/null ||
			skip_all "no cgroup v2 with $controller here"
		echo "+$controller" >$GROUPS_DIR/cgroup.subtree_control
	done
}
GROUPS_DIR=/sys/fs/cgroup

# new_group PATH: its counters begin at zero; those that are left in it are waited for
new_group()
{
	wait_until 60 group_gone "$1" || bail "$1 is in use: $(cat "$1/cgroup.procs")"
	mkdir "$1" || bail "cannot make $1"
	at_exit "rmdir '$1'"
}

group_gone()
{
	[ ! -d "$1" ] || rmdir "$1"
}

# kernel_engines: sets ENGINES to those of the kernel's engines that it has, the best first
kernel_engines()
{
	ENGINES=()
	! grep -qw filemap_miss /proc/kallsyms || ENGINES+=(helper)
	[ ! -e /sys/module/bpf_page2cache ] || ENGINES+=(kfunc)
	[ ${#ENGINES[@]} -gt 0 ] ||
		skip_all 'this kernel forces nothing by itself: patches/ or the module of kmod/ have it do so'
}

# complaints: the kernel's, since dmesg -C
complaints()
{
	dmesg | grep -E 'BUG:|WARNING:|KASAN|possible (recursive|circular) locking|inconsistent lock state|suspicious RCU usage|sleeping function|INFO: task .* blocked|rcu.*(stall|detected)|Oops|general protection|refcount_t:|list_(add|del) corruption|page dumped|bad page|ODEBUG|Freezing .* failed'
}

# receipt FILE FILTER: of each receipt
receipt()
{
	json "$1" "select(.record == \"receipt\") | $2" | paste -sd' '
}

# adds_up FILE: is every receipt the sum of its parts? "yes", and how many of them
adds_up()
{
	jq -rs 'map(select(.record == "receipt")) | (map([.requested, .resident, .read, .failed, .past_eof, .skipped] as $n |
		($n | all(type == "number" and . >= 0)) and $n[0] == ($n[1:] | add)) | if length > 0 and all then "yes" else "no" end)
		+ " " + (length | tostring)' "$1" 2>&1
}

# as_pages LIST: sorted by number, each once, as `cached` prints them
as_pages()
{
	pages_of "$1" | sort -nu
}

evict()
{
	local f
	for f; do
		"$PROGS/access" --evict -l 4k -n 0 "$f" >/dev/null || diag "cannot evict $f"
	done
}
