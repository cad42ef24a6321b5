#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/snapshot: a microVM is saved, restored copy-on-write and asked; what it reads of its memory
# can be recorded and forced; nothing of it stays behind. QEMU is real, Firecracker is played.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

# missing WHAT: no reason to skip where all is meant to be there
missing()
{
	[ -z "${CI:-}" ] || bail "needs $1"
	skip_all "needs $1"
}

needs_root
for need in 'jq jq' 'qemu-system-x86_64 qemu-system-x86' 'gcc gcc' 'cpio cpio' 'zstd zstd' 'pgrep procps'; do
	command -v "${need% *}" >/dev/null || missing "${need% *} (Debian package ${need#* })"
done
needs_built "$CACHEMISS" "$PCFORCE" "$PROGS/access"
setup_dir

plan $((9 + 12 + 10 + 9 + 8 + 16))

snapshot=$(realpath "$(dirname "$0")/../../scripts/snapshot")
fake=$(realpath "$(dirname "$0")/fake-firecracker")
snap=$DIR/snap memory=$DIR/snap/memory
export TMPDIR=$DIR/tmp
mkdir "$TMPDIR"

# run ARGUMENTS...: its status in STATUS, what it prints in $DIR/out and $DIR/err
run()
{
	timeout -k 5 100 "$snapshot" "$@" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
}

# refused STATUS REGEX NAME ARGUMENTS...
refused()
{
	run "${@:4}"
	is "$STATUS $(wc -c <"$DIR/out")" "$1 0" "$3: status $1, no data"
	matches "$(cat "$DIR/err")" "$2" "$3: why"
}

# running NAME: what of it that has to do with this test's folder
running()
{
	pgrep -f "^[^ ]*$1.*$DIR"
}

none_running()
{
	! running qemu-system
}

# --- words only

refused 2 'not empty' 'a folder with something in it' make "$DIR"
refused 2 'takes --mem' 'more data than memory' make --mem 128M --data 128M "$snap"
refused 2 'not a snapshot' 'a folder that is no snapshot' restore "$DIR"
run
is "$STATUS" 2 'no command: bad usage'
run --check
is "$STATUS $(cut -d: -f1 "$DIR/out" | paste -sd' ')" '0 qemu firecracker' '--check: what is there'
run --check --vmm qemu
is "$STATUS $(wc -l <"$DIR/out")" '0 1' '--check: of one VMM'

# --- made and restored

run make --mem 256M --data 64M "$snap"
is "$STATUS $(cat "$DIR/out" "$DIR/err")" '0 ' 'made' || missing "a guest that boots: $(head -3 "$DIR/err")"
# shellcheck disable=SC2012 # names without surprises
is "$(ls "$snap" | paste -sd' ') $(stat -c %s "$memory")" "memory snapshot.json state $((256 << 20))" 'three files'
refused 2 'not empty' 'not made twice' make "$snap"
before=$(sha256sum "$snap"/*)
run restore "$snap"
is "$STATUS $(jq -c '[.accesses, .bytes, .vmm]' "$DIR/out")" '0 [4096,16777216,"qemu"]' 'restored: the answer is right'
is "$(jq '0 < .open_us and .open_us < .restore_us and .restore_us < .first_us and .first_us < .elapsed_us' "$DIR/out")" true \
	'its times are in the order of what happened'
first=$(jq .sum "$DIR/out")
run restore --pages 1000 --span 15000 --seed 5 "$snap"
is "$STATUS $(jq "[.accesses, .sum == $first]" -c "$DIR/out")" '0 [1000,false]' 'others of its pages: another answer, right again'
refused 2 'holds 16384' 'more pages than it holds' restore --pages 16385 "$snap"
is "$(sha256sum "$snap"/*)" "$before" 'no file of it has changed'
ok 'no QEMU is left' none_running
is "$(find "$TMPDIR" -mindepth 1)" '' 'and no temporary file'

# --- recorded and forced

resident()
{
	"$CACHEMISS" --resident -j -f "$memory" | jq 'select(.record == "resident") | .resident'
}

cold()
{
	evict "$memory"
	run warm "$snap"
}

while step; do
	cold
	is "$STATUS $(resident)" '0 0' 'warm reads nothing of the memory'
	"$CACHEMISS" -j -O "$DIR/record" -w "$DIR/list" -f "$memory" -- "$snapshot" restore "$snap" >"$DIR/out" 2>"$DIR/err"
	is "$? $(jq .sum "$DIR/out")" "0 $first" 'recorded: the answer is right'
	misses=$(record "$DIR/record" .misses)
	within "$misses" 2 100000 'it misses'
	within "$(pages_of "$DIR/list" | wc -l)" 4096 65536 'the list has the working set'
	cold
	forced --follow -f "$memory" -o "$DIR/list" -- bash -c "'$snapshot' restore '$snap'; $OUTLIVE"
	is "$STATUS $(jq .sum "$TRUTH")" "0 $first" 'forced: the answer is right'
	is "$(adds_up "$OUT")" 'yes 1' 'forced: a receipt'
	is "$(receipt "$OUT" '.read + .resident == .requested') $(comm -23 <(as_pages "$DIR/list" | sort) <("$PROGS/cached" "$memory" | sort) | wc -l)" 'true 0' \
		'forced: all of the list is there'
	# How many misses that run had depends on who was first, the guest or the forcing. Here the guest's memory is not opened before.
	cold
	forced --hold 60000 -f "$memory" -o "$DIR/list" -- "$snapshot" restore "$snap"
	is "$STATUS $(jq .sum "$TRUTH")" "0 $first" 'forced before the memory is opened: the answer is right'
	within "$(receipt "$OUT" '.coverage * 100 | floor')" 67 100 'and nearly no misses are left'
	is "$(sha256sum "$snap"/*)" "$before" 'the files are what they were'
done

# --- what goes wrong

# other JQ_FILTER: a snapshot like it, described differently
other()
{
	rm -rf "$DIR/other"
	mkdir "$DIR/other"
	ln -s "$memory" "$DIR/other/memory"
	cp "$snap/state" "$DIR/other/state"
	jq "$1" "$snap/snapshot.json" >"$DIR/other/snapshot.json"
}

other '.version = "0.9"'
refused 2 'made by qemu 0.9, this is [1-9]' 'of another version' restore "$DIR/other"
other '.data_pages = 16000'
refused 1 'wrong answer: [0-9]+, not [0-9]+' 'a guest that is not what it should be' restore "$DIR/other"
other .
truncate -s -1 "$DIR/other/state"
refused 2 'state: damaged' 'a damaged state' restore "$DIR/other"
other ".state_sha256 = \"$(head -c 10000 "$snap/state" | sha256sum | cut -d' ' -f1)\""
truncate -s 10000 "$DIR/other/state"
run restore "$DIR/other"
is "$STATUS" 1 'a state that QEMU refuses'
other .
rm "$DIR/other/memory"
head -c 4096 /dev/urandom >"$DIR/other/memory"
truncate -s 256M "$DIR/other/memory"
refused 2 'memory: damaged' 'another memory' restore "$DIR/other"

# --- ended before its time

# kill_with SIGNAL ARGUMENTS...: as soon as its QEMU runs, and once more if it was done by then; the status in STATUS
kill_with()
{
	local job script
	for _ in {1..10}; do
		timeout 60 "$snapshot" "${@:2}" >/dev/null 2>&1 &
		job=$!
		until running qemu-system >/dev/null || gone "$job"; do :; done
		script=$(pgrep -P "$job")
		kill -"$1" "$script"
		wait "$job"
		STATUS=$?
		[ $STATUS -eq 0 ] || break
		rm -rf "$DIR/ended"
	done
} 2>/dev/null

kill_with KILL restore "$snap"
is "$STATUS" 137 'restore, killed'
ok 'no QEMU survives it' wait_until 60 none_running
kill_with TERM make "$DIR/ended"
is "$STATUS" 143 'make, ended by a signal'
ok 'no QEMU survives it' wait_until 60 none_running
ok 'and no half of a snapshot' test ! -e "$DIR/ended"
refused 1 "did not say 'answer: ready' in time" 'a guest that takes too long' make --timeout 1 "$DIR/ended"
ok 'and no half of it either' test ! -e "$DIR/ended"

# --- Firecracker, played: its API as its documentation has it

images=("${PAGE2CACHE_CACHE:-$HOME/.cache/page2cache}"/stock-6.12-*/vmlinuz)
mkdir "$DIR/bin" "$DIR/cache"
ln -s "$fake" "$DIR/bin/firecracker"
export PATH=$DIR/bin:$PATH PAGE2CACHE_CACHE=$DIR/cache FAKE_LOG=$DIR/log
# What scripts/vm finds out about KVM is remembered so.
echo kvm >"$DIR/cache/kvm-$(cat /proc/sys/kernel/random/boot_id)"
micro=$DIR/micro

requests()
{
	paste -sd, "$FAKE_LOG"
	rm "$FAKE_LOG"
}

run --check --vmm firecracker
is "$STATUS $(cat "$DIR/out")" '0 firecracker: usable, with kvm' 'Firecracker: --check'
run make --vmm firecracker --mem 256M --data 64M --kernel "${images[-1]}" "$micro"
is "$STATUS $(cat "$DIR/err")" '0 ' 'Firecracker: made'
is "$(requests)" 'PUT /machine-config,PUT /boot-source,PUT /actions,GET /version,PATCH /vm,PUT /snapshot/create' \
	'Firecracker: configured, started, paused, saved'
run warm "$micro"
is "$STATUS $(requests)" '0 GET /version' 'Firecracker: warm loads nothing'
run restore "$micro"
is "$STATUS $(jq -c '[.accesses, .vmm, .sum]' "$DIR/out")" "0 [4096,\"firecracker\",$first]" 'Firecracker: restored'
is "$(requests)" 'GET /version,PUT /snapshot/load' 'Firecracker: loaded, and goes on'
export FAKE_FAULT=wrong
refused 1 'wrong answer' 'Firecracker: a wrong answer' restore "$micro"
FAKE_FAULT=refused
refused 1 "PUT /snapshot/load: the snapshot's version is not supported" 'Firecracker: its own words' restore "$micro"
FAKE_FAULT=version
refused 2 'made by firecracker 1.17.0, this is 0.0.1' 'Firecracker: another version' restore "$micro"
FAKE_FAULT=silent
refused 1 "did not say 'answer: ready' in time.*console: something unfinished" 'Firecracker: what the guest said last' \
	make --vmm firecracker --timeout 1 --kernel "${images[-1]}" "$DIR/silent"
ok 'Firecracker: none is left' wait_until 60 eval '! pgrep -f "api-sock $TMPDIR"'
is "$(find "$TMPDIR" -mindepth 1)" '' 'and no temporary file'
