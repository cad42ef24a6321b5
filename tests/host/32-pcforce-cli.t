#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pcforce as a command: statuses, records and their fields, what it says it can
# do, signals, and what COMMAND inherits.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((3 + 54 + 3 + 15 + 6 + 6 + 5 + 7 + 14 + 8 + 9 + 1 + 6 + 9))

file=$DIR/data list=$DIR/list
make_file "$file" 16m
seq 0 9 4095 >"$list"
listed=$(wc -l <"$list")
whole=(-f "$file" -o "$list")

# fails STATUS NAME COMMAND...: with that status, a word about it, and no data
fails()
{
	local want=$1 name=$2
	shift 2
	timeout -k 5 30 "$@" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	is "$? $(test -s "$DIR/stderr" && echo said) $(wc -c <"$DIR/stdout")" "$want said 0" "$name: status $want, and says why" ||
		diag "$(head -3 "$DIR/stderr")"
}

# --- usage

matches "$("$PCFORCE" -V) $?" '^pcforce .*[0-9]+\.[0-9]+.* 0$' '-V prints the version'
known='file offsets engine trigger pid tree cgroup uid all follow once detach duration jobs max-bytes idle rate hold dry-run now check json output stale-ok strict tolerate learn learn-for learn-status learn-keep relearn-after tool-status verbose quiet version'
"$PCFORCE" --help >"$DIR/help"
is "$(for o in $known; do grep -q -- "--$o\>" "$DIR/help" || echo "$o"; done)" '' '--help names every option'
matches "$(grep -A2 -e '--file=' "$DIR/help" | xargs)" 'Force only FILE .*[(]repeatable[)]' '--help says what -f does in this program, and when it can be repeated'
fails 2 'no arguments' "$PCFORCE"
fails 2 'no list' "$PCFORCE" -f "$file"
fails 2 '--now without anything' "$PCFORCE" --now
fails 2 'unknown option' "$PCFORCE" --no-such-option
fails 2 'unknown engine' "$PCFORCE" -e best "${whole[@]}"
fails 2 'unknown trigger' "$PCFORCE" -t never "${whole[@]}"
fails 2 'bad duration' "$PCFORCE" -d 1x "${whole[@]}"
fails 2 'negative duration' "$PCFORCE" -d -1 "${whole[@]}"
fails 2 'no jobs' "$PCFORCE" --jobs 0 "${whole[@]}"
fails 2 'too many jobs' "$PCFORCE" --jobs 1000000 "${whole[@]}"
fails 2 'bad size' "$PCFORCE" --max-bytes 10X "${whole[@]}"
fails 2 'a size of more than 64 bits' "$PCFORCE" --max-bytes 99999999999T "${whole[@]}"
while read -r options; do
	# shellcheck disable=SC2086 # options
	fails 125 "$options" "$PCFORCE" $options -- true
done <<-END
	--learn
	--learn -o -
	--learn -o $list -f $file
	--learn -o $list -t access
	--learn -o $list -d 5
	--learn -o $list -e helper
	--learn -o $list --learn-for 0
	--learn -o $list --learn-status 0,256
	--learn -o $list --learn-status 0,
	--learn -o $list --learn-keep 1.5
	--learn -o $list --relearn-after 1y
	--learn -o $list --relearn-after 0
	--learn -o $list -p 1
	-o $list --learn-for 5
END
fails 2 'a learned list that -O would overwrite' "$PCFORCE" --learn --uid root -o "$DIR/mine" -O "$DIR/mine"
ok 'and nothing is made of it' test ! -e "$DIR/mine"
fails 2 '--stale-ok and --strict' "$PCFORCE" --stale-ok --strict --now "${whole[@]}"
# What names one thing is given once, and --check takes nothing that says what to force.
while read -r options; do
	# shellcheck disable=SC2086 # options
	fails 2 "$options" "$PCFORCE" $options
done <<-END
	--now -o $list -O $DIR/one -O $DIR/two
	--now -o $list --root / --root $DIR
	--now --files0-from=$list --files0-from=-
	--serve $DIR/one --serve $DIR/two
	-o $list -p 1 -p $$
	-o $list -P 1 -P 1
	-o $list -c /sys/fs/cgroup -c $DIR
	-o $list --uid root --uid 1
	-o $list --unit one --unit two
	--check -e user
	--check --idle
	--check --rate 1M
	--check -d 5
	--check --once
	--check --tolerate 1
END
fails 2 'no percentage' "$PCFORCE" --tolerate 1% "${whole[@]}"
fails 2 'more than all' "$PCFORCE" --tolerate 100.1 "${whole[@]}"
fails 2 'no rate' "$PCFORCE" --rate 0 "${whole[@]}"
fails 2 'bad rate' "$PCFORCE" --rate 1.5M "${whole[@]}"
fails 2 '--rate of an engine that keeps none' "$PCFORCE" --rate 1M -e helper "${whole[@]}"
fails 2 '--idle of an engine that does not know of it' "$PCFORCE" --idle -e kfunc "${whole[@]}"
fails 2 '--idle with threads' "$PCFORCE" --idle --jobs 2 "${whole[@]}"
fails 2 'a user who is not there' "$PCFORCE" --uid no-such-user "${whole[@]}"
fails 2 'a process that is not there' "$PCFORCE" -p 4194305 "${whole[@]}"
fails 2 'no such tree' "$PCFORCE" -P 4194305 "${whole[@]}"
fails 2 'a cgroup that is none' "$PCFORCE" -c "$DIR" "${whole[@]}"
fails 125 '-P and COMMAND' "$PCFORCE" -t access -P $$ "${whole[@]}" -- true
fails 125 '--uid where nothing is watched' "$PCFORCE" --uid 0 "${whole[@]}" -- true
fails 2 '-p with --now' "$PCFORCE" --now -p $$ "${whole[@]}"
fails 2 'bad time to hold' "$PCFORCE" --hold 1.5 "${whole[@]}"
fails 125 'bad time to wait' "$PCFORCE" --wait 1.5 "${whole[@]}" -- true
fails 125 'too long to wait' "$PCFORCE" --wait 60001 "${whole[@]}" -- true
fails 2 '--wait without COMMAND' "$PCFORCE" --wait 5 "${whole[@]}"
fails 2 '--wait with --now' "$PCFORCE" --wait 5 --now "${whole[@]}"
fails 125 '--wait with a trigger' "$PCFORCE" --wait 5 -t access "${whole[@]}" -- true
fails 125 '--now with COMMAND' "$PCFORCE" --now "${whole[@]}" -- true
fails 2 '--now with a trigger' "$PCFORCE" --now -t miss "${whole[@]}"
fails 2 '--check with a list' "$PCFORCE" --check "${whole[@]}"
fails 2 'COMMAND without --' "$PCFORCE" "${whole[@]}" true
fails 2 'nothing behind --' "$PCFORCE" "${whole[@]}" --
fails 2 '-D without COMMAND' "$PCFORCE" -D "${whole[@]}"
fails 2 'two lists' "$PCFORCE" --now "${whole[@]}" -o "$list"
fails 125 'a bad option with COMMAND' "$PCFORCE" --jobs 0 "${whole[@]}" -- true

# --- COMMAND that cannot be run

fails 127 'COMMAND not found' "$PCFORCE" -t access "${whole[@]}" -- no-such-program-anywhere
matches "$(cat "$DIR/stderr")" 'no-such-program-anywhere' 'and is named'
fails 127 'COMMAND that is no file' "$PCFORCE" -t access "${whole[@]}" -- "$DIR/missing"
fails 126 'COMMAND that is a directory' "$PCFORCE" -t access "${whole[@]}" -- "$DIR"
fails 126 'COMMAND that is not executable' "$PCFORCE" -t access "${whole[@]}" -- "$file"
is "$("$PROGS/cached" -c "$file")" 0 'nothing was forced for any of them'

# --- engines

while step; do
	evict "$file"
	for engine in helper kfunc; do
		if [ "$("$PCFORCE" --check -j | jq "select(.engine == \"$engine\") | .available")" = false ]; then
			fails 3 "engine $engine" "$PCFORCE" -e $engine --now "${whole[@]}"
			matches "$(cat "$DIR/stderr")" "^pcforce: engine $engine: .*(kernel|module)" 'and says what would bring it'
		else
			skip 2 "engine $engine is there"
		fi
	done
	forced -e user --now "${whole[@]}"
	is "$STATUS $(receipt "$OUT" '[.engine, .read]')" "0 [\"user\",$listed]" 'engine user'
	evict "$file"
	forced -e auto -v --now "${whole[@]}"
	is "$STATUS $(receipt "$OUT" '[.engine, .read]') $(grep -c 'engine: user' "$ERR")" "0 [\"user\",$listed] 1" '-e auto says which it takes'
done

# --- how hard it may be on others

while step; do
	evict "$file"
	forced --now --rate 8M --jobs 4 "${whole[@]}"
	is "$STATUS $(receipt "$OUT" "[.read, .elapsed_us >= $((listed * 4096 * 1000 / 8389))]")" "0 [$listed,true]" \
		'--rate: all is read, and by several threads not earlier than it allows'
	evict "$file"
	told --rate 4K "${whole[@]}" -- true
	is "$STATUS $(receipt "$OUT" '.read < 100 and .read + .skipped == .requested') $(adds_up "$OUT")" '4 true yes 1' \
		'COMMAND does not wait for a list that is read slowly'
	evict "$file"
	traced=
	! trace_start '' block/block_rq_issue block/block_rq_complete || traced=yes
	# By a name of its own: other tests' pcforce reads meanwhile.
	cp "$PCFORCE" "$DIR/idle-pcforce"
	PCFORCE=$DIR/idle-pcforce forced --now --idle -v "${whole[@]}"
	is "$STATUS $(receipt "$OUT" .read) $(grep -c 'one request at a time to device' "$ERR")" "0 $listed 1" '--idle: all is read, and -v says how'
	if [ -n "$traced" ] && trace_lines 'block_rq_[a-z]*' >"$DIR/requests"; then
		# Of those that pcforce issued, at most so many at once, and how much they read. Where the class is told,
		# these are all that it says idle of: its program and its list may be read, too, if somebody has dropped them.
		class=''
		! grep -q '\(none\|be\|idle\),[0-9]*,[0-9]* \[' "$DIR/requests" || class=' idle,'
		awk -v class="$class" '/ block_rq_issue: / && /\[idle-pcforce\]$/ && (class == "" || index($0, class)) {
				for (i = 1; i <= NF; i++) if ($i == "+") { at[$(i - 1)]; all += $(i + 1) }
				n++; if (n > most) most = n
			}
			/ block_rq_complete: / { for (i = 1; i <= NF; i++) if ($i == "+" && $(i - 1) in at) { delete at[$(i - 1)]; n-- } }
			END { print most + 0, all * 512 }' "$DIR/requests" >"$DIR/idle"
		is "$(cut -d' ' -f1 "$DIR/idle")" 1 'there is one request in flight'
		if [ -n "$class" ]; then
			within "$(cut -d' ' -f2 "$DIR/idle")" $((listed * 4096)) $((2 * listed * 4096)) 'of the idle class'
		else
			skip 1 'this kernel does not tell the class of a request'
		fi
	else
		skip 2 'this kernel does not record requests'
	fi
	trace_stop
done

# --- --check

"$PCFORCE" --check -j >"$DIR/check" 2>"$ERR"
is "$? $(head -1 "$DIR/check" | jq -r .record)" '0 meta' '--check -j: status 0, meta first'
is "$(jq -rs 'map(select(.engine)) | map(.engine) | join(" ")' "$DIR/check")" 'helper kfunc user' 'a record for each engine'
is "$(jq -s '.[1:] | all(.record == "check" and (.available | type == "boolean") and
	(if has("engine") then .engine | type == "string" else (.event | type == "string") and has("hook") end) and
	has("reason") and (.available or (.reason | length > 10)))' "$DIR/check")" true 'fields, and a reason wherever the answer is no'
is "$(jq -s 'map(select(.event)) | length >= 6 and all(.available == (.hook != null))' "$DIR/check")" true 'each event with its hook'
is "$(jq -s 'map(select(.event)) | all(.available == any(.candidates[]; .available))' "$DIR/check")" true 'which is there if one of its candidates is'
is "$("$PCFORCE" --check | awk 'NR == 1 { n = NF } { print ($1 == "engine" || $1 == "event" || NR == 1) ? "yes" : "no" }' | sort -u)" yes '--check as a table'
setpriv --bounding-set '-bpf,-perfmon,-sys_admin' --inh-caps '-bpf,-perfmon,-sys_admin' "$PCFORCE" --check -j >"$DIR/check"
matches "$(jq -r 'select(.engine == "user") | .reason' "$DIR/check")" '^only with --now, or with COMMAND and -t now: .*BPF' 'without BPF, what engine user is good for'

ok '--check: an unknown kind of hooks is bad input, not a crash' \
	bash -c "PAGE2CACHE_HOOKS=none '$PCFORCE' --check; [ \$? = 2 ]"

# --- records

while step; do
	evict "$file"
	printf '# file=%s misses=%d\n' "$file" "$listed" | cat - "$list" >"$DIR/headed"
	head -1 "$list" >"$DIR/first"
	forced -t access -o "$DIR/headed" -- bash -c "'$PROGS/access' -p '@$DIR/first' --fadvise random '$file'; '$PROGS/cached' -w $listed '$file'
		'$PROGS/access' -p '@$list' --fadvise random '$file'; $OUTLIVE"
	is "$(jq -rs 'map(.record) | join(" ")' "$OUT")" 'meta receipt command' 'records: meta first, receipt, command'
	is "$(jq -r 'select(.record == "meta") | [.tool, .kernel, .page_size, (.version | type), (.schema | type), (.hooks | type)] | join(" ")' "$OUT")" \
		"pcforce $(uname -r) $(getconf PAGESIZE) string number object" 'meta: what ran where'
	is "$(jq -c 'select(.record == "meta") | .hooks | [.[] | . == null or type == "string"] | (length >= 6 and all)' "$OUT")" true 'meta: what serves which event'
	is "$(receipt "$OUT" '[has("file", "engine", "trigger", "requested", "resident", "read", "failed", "past_eof", "skipped", "submitted",
	"elapsed_us", "first_us", "bytes", "used", "late", "unused_removed", "accuracy", "coverage", "lateness", "pollution")] | all')" \
		true 'receipt: every field of the contract'
	is "$(receipt "$OUT" '[.requested, .resident, .read, .failed, .past_eof, .skipped, .submitted, .elapsed_us, .first_us, .bytes, .used, .unused_removed] |
	all(type == "number" and . >= 0 and . == floor)')" true 'receipt: counts are whole numbers'
	is "$(receipt "$OUT" '[.accuracy, .coverage, .lateness, .pollution] | all(. == null or (type == "number" and . >= 0 and . <= 1))')" true 'receipt: ratios are 0 to 1, or null'
	is "$(receipt "$OUT" '[.accuracy, .coverage] | all(. > 0.99)')" true 'receipt: all forced pages were used, all misses but the first avoided'
	is "$(receipt "$OUT" '[.file, .trigger]')" "[\"$file\",\"access\"]" 'receipt: which file, which trigger'
	is "$(json "$OUT" 'select(.record == "command") | [.status, .signal, .wall_us > 0]')" '[0,null,true]' 'command: status, no signal, time'
	forced --now "${whole[@]}"
	is "$(receipt "$OUT" '[.used, .late, .unused_removed, .accuracy, .coverage, .lateness, .pollution, .first_us]')" \
		'[null,null,null,null,null,null,null,null]' '--now: what was not watched is null'
done

# --- where the data goes

while step; do
	"$PCFORCE" --now "${whole[@]}" >"$DIR/stdout" 2>"$DIR/stderr"
	is "$? $(wc -l <"$DIR/stdout") $(wc -c <"$DIR/stderr")" '0 2 0' 'a table: a head and a line; nothing on stderr'
	is "$(head -1 "$DIR/stdout" | tr -s ' ' | sed 's/^ //' | cut -d' ' -f1-6)" 'REQUESTED RESIDENT READ FAILED PAST_EOF SKIPPED' 'its columns'
	is "$(tail -1 "$DIR/stdout" | awk '{ print $1, $2, $3, $4, $5, $6, $NF }')" "$listed $listed 0 0 0 0 $file" 'and its numbers'
	evict "$file"
	"$PCFORCE" "${whole[@]}" -- bash -c "head -c 1 '$file' >/dev/null; '$PROGS/cached' -w $listed '$file'; $OUTLIVE; printf 'no newline'" >"$DIR/stdout" 2>"$DIR/stderr"
	is "$(cat "$DIR/stdout") $(awk 'END { print $1, $NF }' "$DIR/stderr")" "no newline $listed $file" \
		"COMMAND's output is its own, the receipt goes to standard error"
	"$PCFORCE" -j "${whole[@]}" -- bash -c "'$PROGS/cached' -w $listed '$file'; $OUTLIVE; echo 'a line'" >"$DIR/stdout" 2>"$DIR/stderr"
	is "$(grep -vc '^{' "$DIR/stdout") $(grep -cx 'a line' "$DIR/stdout") $(grep '^{' "$DIR/stdout" | jq -rs 'map(.record) | join(" ")')" \
		'1 1 meta receipt command' "-j: records, COMMAND's own line, and no other"
	"$PCFORCE" -j --now "${whole[@]}" >/dev/full 2>"$DIR/stderr"
	is "$? $(test -s "$DIR/stderr" && echo said)" '1 said' 'standard output on a full disk: status 1 and a message'
	fails 2 'OUT that cannot be written' "$PCFORCE" --now -O "$DIR/nowhere/out" "${whole[@]}"
	"$PCFORCE" --now -j "${whole[@]}" 2>"$DIR/stderr" | true
	is "${PIPESTATUS[0]} $(cat "$DIR/stderr")" '141 ' 'a reader that went away ends it, as it ends other programs'
done

# --- statuses

while step; do
	evict "$file"
	is "$("$PCFORCE" --now -j -f "$file" -o - <"$list" | jq -c 'select(.record == "receipt") | [.requested, .read]')" "[$listed,$listed]" '-o -: the list from standard input'
	# shellcheck disable=SC2002 # a pipe is what this is about
	is "$(cat "$list" | "$PCFORCE" --now -j -f "$file" -o - | jq -c 'select(.record == "receipt") | [.requested, .resident]')" "[$listed,$listed]" 'or from a pipe'
	printf '1\n2\nx\n' | "$PCFORCE" --now -f "$file" -o - >"$DIR/stdout" 2>"$DIR/stderr"
	matches "$? $(cat "$DIR/stderr")" '^2 .*:3: ' 'where a bad line is told as well'
	: >"$DIR/empty"
	forced --now -f "$file" -o "$DIR/empty"
	is "$STATUS $(receipt "$OUT" '[.requested, .read]')" '0 [0,0]' 'an empty list is done: status 0, requested 0'
	forced --now -o "$DIR/empty"
	is "$STATUS $(receipt "$OUT" .requested)" '0 0' 'also without a file'
	printf '# page2cache offsets 1\n\n# a comment\n' >"$DIR/comments"
	forced -t access -f "$file" -o "$DIR/comments" -- cat "$file"
	is "$STATUS $(receipt "$OUT" .requested) $(json "$OUT" 'select(.record == "command") | .status')" '0 0 0' 'a list of comments around COMMAND'
	timeout 20 "$PCFORCE" -j -f "$file" -o "$DIR/empty" >"$OUT" 2>"$ERR"
	is "$? $(receipt "$OUT" '[.requested, .read]')" '0 [0,0]' 'an empty list and no COMMAND: nothing is waited for'
	cp "$list" "$DIR/both"
	timeout 20 "$PCFORCE" --now -j -f "$file" -o "$DIR/both" -O "$DIR/both" 2>"$ERR"
	is "$(receipt "$DIR/both" .requested)" "$listed" '-O on the list itself: it was read first'
	timeout 20 "$PCFORCE" -t access -f "$file" -o "$list" -- bash -c 'exit 7' >/dev/null 2>"$ERR"
	is "$?" 7 "COMMAND's status, also when nothing fired"
	forced --now -f "$DIR/empty"
	is "$STATUS $(receipt "$OUT" .requested)" '0 0' 'an empty file, whole'
	forced --now -f "$DIR/empty" -o "$list"
	is "$STATUS $(receipt "$OUT" '[.requested, .past_eof]')" "4 [$listed,$listed]" 'a list for an empty file: all past its end'
	forced -t access -f "$DIR/empty" -o "$DIR/empty" -- cat "$DIR/empty"
	is "$STATUS $(receipt "$OUT" .requested)" '0 0' 'an empty list of an empty file around COMMAND' ||
		diag "$(cat "$OUT" "$ERR")"
done

# --- COMMAND's status, and signals

while step; do
	evict "$file"
	forced -t access "${whole[@]}" -- bash -c "head -c 1 '$file' >/dev/null; '$PROGS/cached' -w $listed '$file'; $OUTLIVE; exit 7"
	is "$STATUS $(json "$OUT" 'select(.record == "command") | .status')" '0 7' "--tool-status: COMMAND's status is no status of pcforce"
	evict "$file"
	timeout 20 "$PCFORCE" -j -O "$OUT" "${whole[@]}" -- bash -c "'$PROGS/cached' -w $listed '$file'; $OUTLIVE; exit 7" >/dev/null 2>&1
	is "$? $(receipt "$OUT" '[.trigger, .read + .resident]')" "7 [\"now\",$listed]" "else it is what pcforce ends with; the list is forced at once"
	evict "$file"
	is "$(bash -c '"$@" & wait $!; echo $?' - "$PCFORCE" -j -O "$OUT" "${whole[@]}" -- bash -c "'$PROGS/cached' -w $listed '$file'; kill -9 \$\$" 2>/dev/null) $(
		json "$OUT" 'select(.record == "command") | [.status, .signal]')" '137 [null,9]' 'what ends COMMAND ends pcforce'
	for signal in INT TERM; do
		forcing -t access "${whole[@]}" -- env --default-signal=INT sleep 60
		stop $signal
		is "$STATUS $(jq -rs 'map(.record) | join(" ")' "$BG_OUT")" "$((128 + $(kill -l $signal))) meta receipt command" \
			"SIG$signal: COMMAND gets it, and the receipt is there all the same"
	done
	# While the list is still being read, there is nothing to sum up; but it must end.
	[ -p "$DIR/fifo" ] || mkfifo "$DIR/fifo"
	"$PCFORCE" --now -f "$file" -o "$DIR/fifo" >/dev/null 2>&1 &
	BG=$!
	exec 8>"$DIR/fifo"
	kill -TERM "$BG"
	wait_until 60 gone "$BG"
	is $? 0 'SIGTERM ends it while it waits for its list'
	exec 8>&-
	{ kill -KILL "$BG"; wait "$BG"; } 2>/dev/null
done

# --- what a start costs: COMMAND waits for it

# The kernel's types are some megabytes, which it gives out by the page; its names are more.
types=$(stat -c %s /sys/kernel/btf/vmlinux)
forcing "${whole[@]}"
within "$(awk '$1 == "syscr:" { print $2 }' "/proc/$BG/io")" 100 $((4 * types / 4096 + 400)) \
	"a start reads the kernel's types four times at most, and its names in large pieces"
stop INT

# --- what COMMAND inherits: what pcforce had itself

inherited="import os, resource
fds = sorted(int(f) for f in os.listdir('/proc/self/fd'))
print([f for f in fds if os.path.exists('/proc/self/fd/%d' % f) and f > 2])
print(os.nice(0), os.sched_getscheduler(0), resource.getrlimit(resource.RLIMIT_MEMLOCK), os.getpgrp() == os.getpgid(os.getppid()))"
state="cat /proc/self/status | grep -E 'Sig(Blk|Ign)'; ulimit -Sn; umask; ls /proc/self/fd | wc -l"
ulimit -Sn 1000
bash -c "$state" </dev/null >"$DIR/plain" 2>/dev/null
for trigger in access now; do
	timeout 30 "$PCFORCE" -t $trigger -O "$DIR/out" "${whole[@]}" -- bash -c "$state" </dev/null >"$DIR/inherited" 2>/dev/null
	is "$(grep Sig "$DIR/inherited" | paste -sd' ')" "$(grep Sig "$DIR/plain" | paste -sd' ')" "-t $trigger: COMMAND's signals: blocked and ignored as before"
	is "$(grep -v Sig "$DIR/inherited" | paste -sd' ')" "$(grep -v Sig "$DIR/plain" | paste -sd' ')" "-t $trigger: its limit of open files, its umask, no descriptor of ours"
done
timeout 30 "$PCFORCE" -O "$DIR/out" "${whole[@]}" -- bash -c 'yes | head -1' >"$DIR/stdout" 2>"$DIR/stderr"
is "$(cat "$DIR/stdout") $(grep -c pipe "$DIR/stderr")" 'y 0' 'a broken pipe ends a program of COMMAND quietly, as everywhere'
forced -t access "${whole[@]}" -- python3 -c "$inherited"
python3 -c "$inherited" >"$DIR/plain"
is "$(head -1 "$TRUTH")" "$(head -1 "$DIR/plain")" 'no descriptor that pcforce did not have from its parent'
is "$(tail -1 "$TRUTH")" "$(tail -1 "$DIR/plain")" 'its priority, memory limit and process group are as they were'
# shellcheck disable=SC2016 # COMMAND's shell expands it
forced -t access "${whole[@]}" -- bash -c 'echo "$0 $1 $# $PWD $HOME"' 'an arg' 'two  words' ''
is "$(cat "$TRUTH")" "an arg two  words 2 $PWD $HOME" 'its arguments, folder and environment'
# shellcheck disable=SC2016 # and the script's
echo 'echo "script $1"' >"$DIR/script"
chmod +x "$DIR/script"
forced -t access "${whole[@]}" -- "$DIR/script" x
is "$(cat "$TRUTH")" 'script x' 'a script without #! is run by sh'
