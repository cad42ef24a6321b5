#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/experiment: every step is kept and is what it says, an end in the middle is said and
# can be gone on from, and nobody's file or device is written to.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs fio fio
needs python3 python3
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/workload" "$PROGS/floor"
setup_dir

plan $((8 + 5 + 2 + 4 + 1 + 9 + 4 + 10 + 4 + 2 + 8 + 11))

experiment=$(dirname "$0")/../../scripts/experiment
results=$DIR/results

# run_it ARGS...
run_it()
{
	timeout 240 "$experiment" "$@" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
	[ $STATUS -ne 124 ] || diag "took too long: $(tail -c 300 "$DIR/err")"
}

meta()
{
	jq -r "$1" "$results/meta.json"
}

runs()
{
	jq -sc "$1" "$results/runs.jsonl"
}

# --- a whole one

run_it thesis --quick --size 16M --rounds 2 --cells psync-rand-512K --dir "$DIR" --results "$results"
is $STATUS 0 'thesis, a small cell' || diag "$(cat "$DIR/err")"
is "$(meta '"\(.state) \(.reason) \(.experiment) \(.quick) \(.cells | length)"')" 'complete null thesis true 1' 'it says that it is complete'
is "$(wc -l <"$results/runs.jsonl")" "$(meta .steps_total)" 'every step is there'
is "$(runs 'map([.cell, .arm, .engine // .how, .round] | select(.[1] != "floor")) | length - (unique | length)')" 0 'each once'
is "$(jq -r '.raw[]' "$results/runs.jsonl" | sort)" "$(ls "$results/raw")" 'what is kept in raw/ is named, and what is named is there'
# The file is read in an order that fio chooses, the whole of it.
is "$(runs 'map(select(.cell == "psync-rand-512K" and .arm == "record"))[0] | [.accesses, .misses > 0, .misses <= 128]')" '[128,true,true]' 'fio read every page'
is "$(runs 'map(select(.arm == "forced")) | [all(.[]; .receipt.requested > 0 and .receipt.requested == .receipt.resident + .receipt.read + .receipt.failed + .receipt.past_eof + .receipt.skipped), length]')" '[true,2]' 'what was forced has its receipt'
is "$(meta '.machine | [.kernel, .filesystem, .read_ahead_kb, .cpus > 0, .memory_bytes > 0, (.commit | length)] | map(tostring) | join(" ")')" \
	"$(uname -r) $(findmnt -no FSTYPE -T "$DIR") $RA_FOUND true true $(git -c safe.directory='*' rev-parse HEAD 2>/dev/null | tr -d '\n' | wc -c | sed 's/^0$/4/')" 'the machine is described'

# --- figures that are known: one page in ten, each missed; a warm reader misses none

rm -rf "$results"
run_it sparse --size 16M --rounds 2 --cells sparse-read --dir "$DIR" --results "$results" --read-ahead-kb 64
is $STATUS 0 'sparse, with a setting of readahead' || diag "$(cat "$DIR/err")"
is "$(meta .machine.read_ahead_kb) $(cat "$BDI/read_ahead_kb")" "64 $RA_FOUND" 'which is there for as long as it runs'
is "$(runs 'map(select(.arm == "record"))[0] | [.accesses, .misses]')" '[409,409]' 'cold: each access misses'
is "$(grep -cv '^#' "$results/lists/sparse-read.offsets") $(runs 'map(select(.arm == "forced")) | map(.receipt.requested) | unique')" '409 [409]' 'and is in the list that is forced'
# device ARM: what the reader itself had the device read, in each round
device()
{
	jq -s 'map(.read_bytes)' "$results"/raw/sparse-read."$1".*reader.json
}
# Somebody else may drop the cache while a warm reader runs, and hardly in both rounds.
is "$(device cold | jq "[length, all(.[]; . >= 409 * $(getconf PAGESIZE))]" -c) $(device warm | jq '[length, min]' -c)" '[2,true] [2,0]' \
	'a cold reader has the device read all that it reads, a warm one nothing' || diag "$(device '*')"

# --- a list's memory is that of pcforce, not of who started it

rm -rf "$results"
run_it scale --quick --rounds 1 --cells load-1000,load-1000000 --dir "$DIR" --results "$results"
is "$STATUS $(runs 'map(.receipt.requested)')" '0 [1000,1000000]' 'scale: lists are loaded' || diag "$(cat "$DIR/err")"
is "$(runs 'map(.more.max_rss_bytes) | .[0] < 12e6 and .[1] > .[0] + 16e6 - 4e6')" true 'in memory that grows with the list' ||
	diag "$(runs 'map(.more.max_rss_bytes)')"

# --- another reader of the device, beside which is forced

rm -rf "$results"
run_it neighbour --quick --size 16M --rounds 1 --dir "$DIR" --results "$results"
is "$STATUS $(runs 'map(.arm) | sort')" \
	'0 ["alone","another reader, depth 1","pcforce user, runs of 128 pages","pcforce user, single pages","pcforce user, started, all cached"]' \
	'neighbour: alone, beside another reader, beside forcing' || diag "$(cat "$DIR/err")"
is "$(runs 'map(select(.more.iops > 0 and .more.iops < 3100 and .more.p50_us <= .value and .value <= .more.p999_us)) | length')" 5 \
	'it reads at most so many pages a second, and its percentiles are in order' || diag "$(runs 'map([.arm, .value, .more])')"
is "$(runs 'map(select(.arm | test("pages$")) | .more.pages > 0), map(select(.arm | test("started")) | .more.starts > 0)')" $'[true,true]\n[true]' \
	'meanwhile pages are forced, or pcforce is started' || diag "$(runs 'map([.arm, .more])')"
is "$(find /sys/fs/cgroup -maxdepth 2 -name 'page2cache-neighbour-*' | wc -l)" 0 'no cgroup is left'

# --- a reader that hints: of a file that is cold each time

rm -rf "$results"
run_it hints --size 64M --rounds 1 --cells hint-missed --dir "$DIR" --results "$results"
is "$STATUS $(runs 'map({(.arm): .}) | add | [.nothing.misses == 1638, .posix_fadvise.misses < 800, .hint.misses < 800]')" \
	'0 [true,true,true]' 'hints: without any each read misses, with them few' || diag "$(runs 'map([.arm, .misses, .more])')" "$(cat "$DIR/err")"

rm -rf "$results"
run_it hints --size 16M --rounds 1 --cells changing --dir "$DIR" --results "$results"
is "$STATUS $(runs 'map({(.arm): .}) | add | [.always.more.forced, .["the plan'"'"'s rule"].more.forced, .never.more.forced]')" \
	'0 [9984,9984,0]' 'hints: a reader that changes, its list forced and not' || diag "$(cat "$DIR/err")"
is "$(runs 'map(select(.arm | startswith("perceptron")) | [.accesses, .more.right > 9500, .more.forced < 3300]) | unique')" '[[9984,true,true]]' \
	'and as outcomes say: nearly always rightly' || diag "$(runs 'map([.arm, .more])')"

# --- as typed: what a tool's start takes, and a program; one that is not installed is skipped

rm -rf "$results"
mkdir "$DIR/bin"
for program in sleep git findmnt lsblk; do
	ln -s "$(command -v $program)" "$DIR/bin/"
done
# A `true` that says who started it, and takes a twentieth of a second.
cat >"$DIR/bin/true" <<-END
	#!$BASH
	mapfile -d '' -t line </proc/\$PPID/cmdline
	echo "\${line[*]}" >>'$DIR/lines'
	sleep 0.05
END
chmod +x "$DIR/bin/true"
typed=(env "PATH=$DIR/bin" "$(realpath "$(python3 -c 'import sys; print(sys.executable)')")" "$experiment" typed --quick --rounds 1 --dir "$DIR" --results "$results")
began=$EPOCHREALTIME
"${typed[@]}" --cells start,first-page,small-read-32K,git-status,node >"$DIR/out" 2>"$DIR/err"
status=$? ended=$EPOCHREALTIME
is "$status $(meta '"\(.state) \([.cells[].cell] | join(" ")), \(.skipped | tostring)"')" \
	'0 complete start first-page small-read-32K git-status, {"node":"node is not installed"}' 'typed: what is not installed is skipped, with a reason' ||
	diag "$(cat "$DIR/err")"
matches "$(cat "$DIR/err"; cat "$DIR/out")" $'node: skipped: node is not installed\n.*SKIPPED: node: node is not installed' 'which is said'
is "$(runs 'map(select(.cell == "start")) | [length, all(.[]; .more.typed_us == .value and .value >= 50000 and .more.cpu_us > 0)]')" '[5,true]' \
	'start: wall and CPU of each line, from its start to the end of `true`'
is "$(sed -E "s|$DIR/[^ ]*/||g; s|$BUILD/||g; s|^.*/experiment typed .*|nothing|" "$DIR/lines" | sort | uniq -c | sed 's/^ *//')" \
	'2 cachemiss -f file0 -j -O start.jsonl -- true
2 nothing
2 pcforce --follow -o start-one.offsets -j -O start.jsonl -- true
2 pcforce -o start-all.offsets -j -O start.jsonl -- true
2 pcforce -o start-one.offsets -j -O start.jsonl -- true' 'each is the line that it says, once untimed and once timed'
is "$(runs 'map(select(.cell == "first-page").value) | [length, all(.[]; . > 0 and . < '$((${ended/./} - ${began/./}))')]')" '[1,true]' \
	'the first page enters the cache after the start, by the same clock'
is "$(meta '.cells[] | select(.cell == "git-status") | "\(.clock) \(.file_bytes) \(.arms | join(" "))"')" 'typed null cold forced now warm' \
	'a program has no clock but the line'
is "$(runs 'map(select(.cell == "git-status" and .arm != "record")) | [length, all(.[]; .value == .more.typed_us)]')" '[4,true]' 'all its arms, as typed'
# Cold is cold: what the first run missed is not there before the others, but for what somebody else uses.
is "$(runs 'map(select(.cell == "git-status")) | (map(select(.arm == "record").misses)[0] > 5), (map(select(.arm == "now").receipt) | length, all(.[]; .files > 1 and .requested > 20 and .resident <= 0.05 * .requested and
	.requested == .resident + .read + .failed + .past_eof + .skipped))')" $'true\n1\ntrue' 'forced from a list of several files, none of which was cached' ||
	diag "$(runs 'map(select(.cell == "git-status") | [.arm, .misses, .receipt])')"
rm -rf "$results"
"${typed[@]}" --cells node >"$DIR/out" 2>"$DIR/err"
is "$? $(grep -c 'node: node is not installed' "$DIR/err") $([ -e "$results" ] && echo made)" '2 1 ' 'nothing but what is not installed: no experiment'

# --- a list of several files, and a command, for a file of one's own

rm -rf "$results"
head -c 16M /dev/urandom >"$DIR/my file"
printf '# page2cache offsets 2\n# file=/usr/bin/env @1\n# file=%s/my%%20file @2\n100+50 @2\n0+5 @1\n7\n' "$DIR" >"$DIR/two"
SUDO_UID=12345 SUDO_GID=12345 run_it engines --quick --rounds 1 --file "$DIR/my file" --list "$DIR/two" --results "$DIR/above/results"
results=$DIR/above/results
is "$STATUS $(runs 'map(select(.arm == "forced").receipt.requested, select(.arm == "cold").accesses) | unique')" '0 [2,51]' \
	'of a list of two files: just what it says of this one, two lines, 51 pages' || diag "$(cat "$DIR/err")$(meta .failed)"
is "$(stat -c %u "$results" "$results/meta.json" "$DIR/above" "$DIR" | paste -sd' ')" '12345 12345 12345 0' \
	'what is made is the user'\''s, who ran sudo, and nothing else'
results=$DIR/results
rm -rf "$DIR/above"
printf '# page2cache offsets 1\n# file=/usr/bin/env\n0+5\n' >"$DIR/two"
run_it engines --quick --rounds 1 --file "$DIR/my file" --list "$DIR/two" --results "$results"
matches "$STATUS $(meta .failed.own)" '^1 .*has nothing of' 'a list of other files is none'
mkdir "$DIR/locales"
if localedef -i de_DE -f UTF-8 "$DIR/locales/de_DE.UTF-8" 2>/dev/null; then
	rm -rf "$results"
	env LOCPATH="$DIR/locales" LC_ALL=de_DE.UTF-8 "$experiment" engines --quick --rounds 1 --file "$DIR/my file" --results "$results" -- \
		sh -c "cat '$DIR/my file' >/dev/null; sleep 0.3" >"$DIR/out" 2>"$DIR/err"
	is "$? $(runs 'map(select(.arm == "warm") | .value >= 3e5 and .value <= .more.typed_us)')" '0 [true]' 'a command'\''s time, where numbers have a comma' ||
		diag "$(cat "$DIR/err")"
else
	skip 1 'no locale with a comma can be made here'
fi

# --- an end in the middle

rm -rf "$results"
thesis=(thesis --quick --size 16M --rounds 1 --dir "$DIR" --results "$results" --read-ahead-kb 64)
two=(--cells 'psync-seq-32K,psync-rand-32K') one=(--cells psync-rand-32K)

# in_the_middle: of the last cell
in_the_middle()
{
	[ "$(jq -rs 'map(select(.cell == "psync-rand-32K")) | length' "$results/runs.jsonl" 2>/dev/null || echo 0)" -ge 3 ]
}

# Which has four steps of fio at least. The one that comes then waits until it is let go, so that the experiment
# does not end before what this test does meanwhile.
mkdir "$DIR/held"
cat >"$DIR/held/fio" <<-END
	#!/bin/sh
	while [ ! -e '$DIR/go' ] && [ "\$(grep -c '"cell": *"psync-rand-32K"' '$results/runs.jsonl' 2>/dev/null)" -ge 3 ]; do
		sleep 0.05
	done
	exec $(command -v fio) "\$@"
END
chmod +x "$DIR/held/fio"
held=(env PATH="$DIR/held:$PATH" "$experiment")

"${held[@]}" "${thesis[@]}" "${two[@]}" >"$DIR/out" 2>"$DIR/err" &
pid=$!
wait_until 60 in_the_middle
run_it sparse --size 16M --dir "$DIR"
matches "$STATUS $(cat "$DIR/err")" '^2 .*another experiment is running' 'two at a time: the second is refused'
kill -TERM $pid
wait $pid
is $? 1 'ended by SIGTERM: the status says so'
is "$(meta '"\(.state) \(.reason)"') $(cat "$BDI/read_ahead_kb")" "partial interrupted $RA_FOUND" 'and the folder; readahead is as it was'
is "$(find "$DIR" -maxdepth 1 -name 'page2cache-lab.*' | wc -l)" 0 'no file is left'
cp -r "$results" "$DIR/kept"
jq '.options.read_ahead_kb = 128' "$results/meta.json" >"$DIR/meta" && cp "$DIR/meta" "$results/meta.json"
run_it --resume "$results"
matches "$STATUS $(cat "$DIR/err")" '^2 .*begun with read_ahead_kb 64, now it is 128' 'with another readahead it is not gone on with'
rm -rf "$results"
mv "$DIR/kept" "$results"
first=$(head -n 1 "$results/runs.jsonl")
printf '{"record": "run", "cel' >>"$results/runs.jsonl"
run_it --resume "$results"
is "$STATUS $(meta .state)" '0 complete' 'gone on with, a cut line behind it' || diag "$(cat "$DIR/err")"
is "$(wc -l <"$results/runs.jsonl") $(runs 'map([.cell, .arm, .engine // .how, .round] | select(.[1] != "floor")) | length - (unique | length)') $(jq -r '.raw[]' "$results/runs.jsonl" | sort | cmp - <(ls "$results/raw") && echo same)" \
	"$(meta .steps_total) 0 same" 'all steps, each once'
is "$(head -n 1 "$results/runs.jsonl")" "$first" 'those of the complete cell are the first ones'

# --- a sudden end

rm -rf "$results"
setsid "${held[@]}" "${thesis[@]}" "${one[@]}" >"$DIR/out" 2>"$DIR/err" &
pid=$!
wait_until 60 in_the_middle
pkill -KILL -s "$(ps -o sid= -p $pid | tr -d ' ')"
wait $pid 2>/dev/null
is "$(meta .state)" running 'SIGKILL: nothing says that it is complete'
echo "$RA_FOUND" >"$BDI/read_ahead_kb"
rm -rf "$DIR"/page2cache-lab.*
run_it --resume "$results"
is "$STATUS $(meta .state) $(wc -l <"$results/runs.jsonl")" "0 complete $(meta .steps_total)" 'gone on with' || diag "$(cat "$DIR/err")"
run_it --resume "$results"
matches "$STATUS $(cat "$DIR/err")" '^2 .*complete' 'there is no more to do'
jq '.state = "partial" | .machine.kernel = "5.15.19"' "$results/meta.json" >"$DIR/meta" && cp "$DIR/meta" "$results/meta.json"
run_it --resume "$results"
matches "$STATUS $(cat "$DIR/err")" '^2 .*begun with kernel 5.15.19' 'another kernel: its steps are not mixed'

# --- somebody else at work

rm -rf "$results"
"${held[@]}" "${thesis[@]}" "${one[@]}" >"$DIR/out" 2>"$DIR/err" &
pid=$!
wait_until 60 in_the_middle
echo 32 >"$BDI/read_ahead_kb"
touch "$DIR/go"
wait $pid
is "$? $(meta '"\(.state) \(.failed | keys | join(" "))"')" '1 partial psync-rand-32K' 'readahead is changed meanwhile: it ends'
is "$(meta .reason) $(cat "$BDI/read_ahead_kb")" 'read_ahead_kb went from 64 to 32 meanwhile: something else is at work here, measure alone 32' \
	'says why, and leaves the setting to whom it belongs'
echo "$RA_FOUND" >"$BDI/read_ahead_kb"

# --- devices

truncate -s 512M "$DIR/disk"
loop=$(losetup -f --show "$DIR/disk") || loop=
if [ -n "$loop" ]; then
	at_exit "losetup -d $loop"
	sum=$(sha256sum <"$DIR/disk")
	rm -rf "$results"
	run_it half --quick --size 16M --rounds 1 --device "$loop" --results "$results"
	matches "$STATUS $(cat "$DIR/err")" "^2 .*$loop.*512 MiB.*--yes" 'a device without --yes: what would be lost'
	is "$(sha256sum <"$DIR/disk") $(ls "$results" 2>/dev/null)" "$sum " 'and nothing was written'
	run_it half --quick --size 16M --rounds 1 --cells half-read --fs xfs --device "$loop" --yes --results "$results"
	is "$STATUS $(meta '.machine | "\(.filesystem) \(.device)"')" "0 xfs ${loop#/dev/}" 'with it: measured there' || diag "$(cat "$DIR/err")"
	is "$(findmnt -n -S "$loop" | wc -l)" 0 'and unmounted'
	mkdir "$DIR/mnt"
	mount "$loop" "$DIR/mnt"
	run_it half --quick --size 16M --device "$loop" --yes --results "$DIR/none"
	umount "$DIR/mnt"
	matches "$STATUS $(cat "$DIR/err")" '^2 .*mounted on' 'a mounted one is not touched'
	sum=$(sha256sum <"$DIR/disk")
	run_it half --quick --size 16M --cells typo --device "$loop" --yes --results "$DIR/none"
	is "$STATUS $(sha256sum <"$DIR/disk")" "2 $sum" 'a mistake elsewhere is found before the device is written to'
	# Once more, where it was over before it was seen.
	for _ in {1..5}; do
		rm -rf "$results"
		"$experiment" half --quick --size 16M --rounds 1 --device "$loop" --yes --results "$results" >"$DIR/out" 2>"$DIR/err" &
		pid=$!
		wait_until 60 eval "findmnt -n -S '$loop' || gone $pid"
		findmnt -n -S "$loop" >/dev/null
		mounted=$?
		[ $mounted -ne 0 ] || break
		wait $pid
	done
	kill -TERM $pid
	sleep 0.05
	kill -INT $pid 2>/dev/null
	wait $pid
	is "$mounted $(findmnt -n -S "$loop" | wc -l) $(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'page2cache-device.*' | wc -l)" '0 0 0' \
		'two signals, one after the other: it is unmounted'
	run_it half --quick --device "$DIR/disk" --yes --results "$DIR/none"
	matches "$STATUS $(cat "$DIR/err")" '^2 .*not a block device' 'a file is none'
else
	skip 8 'no loop device can be had here'
fi

# --- what cannot be asked for

# wrong TITLE ARGS...
wrong()
{
	run_it "${@:2}" --results "$DIR/none"
	is "$STATUS $(grep -c Traceback "$DIR/err") $([ -e "$DIR/none" ] && echo made)" '2 0 ' "$1"
}
wrong 'no experiment'
wrong 'one that there is not' theses
wrong 'a cell that there is not' half --cells quarter-read --dir "$DIR"
wrong 'a size that is none' half --size 12X
wrong 'a folder that is not there' half --dir "$DIR/no"
wrong 'memory' half --dir /dev/shm
wrong 'a file of one'\''s own for the thesis' thesis --file "$DIR/disk"
wrong 'a command without a file' engines -- true
wrong 'two places' half --dir "$DIR" --file "$DIR/disk"
mkdir "$DIR/none"
run_it half --dir "$DIR" --results "$DIR/none"
matches "$STATUS $(cat "$DIR/err")" '^2 .*File exists' 'a folder that is there is not written to'
run_it half --vm stock-6.12 --results "$DIR/none"
matches "$STATUS $(cat "$DIR/err")" '^2 .*File exists' 'nor is one by a guest, which is not even started'
