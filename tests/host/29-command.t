#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# pcforce -- COMMAND: COMMAND runs whatever happens to its list, begins within moments, and is
# to its parent what it would be alone.
# shellcheck disable=SC2016 # COMMAND's shell expands it

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs strace strace
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((12 + 6 + 9 + 5 + 6 + 5 + 8 + 3))

file=$DIR/data list=$DIR/list
make_file "$file" 4m
echo 0-1023 >"$list"
whole=(-f "$file" -o "$list")

# runs NAME PCFORCE_OPTIONS...: COMMAND runs, with its output and status, and a word is said
runs()
{
	local name=$1
	shift
	timeout 30 "$PCFORCE" "$@" -- bash -c 'echo ran; sleep 0.2; exit 7' >"$DIR/stdout" 2>"$ERR" </dev/null
	is "$? $(cat "$DIR/stdout") $(grep -c '^pcforce: ' "$ERR")" '7 ran 1' "$name: COMMAND runs, and one line says why without" ||
		diag "$(head -3 "$ERR")"
}
ERR=$DIR/err

# --- a hint that is of no use

runs 'no such list' -o "$DIR/missing"
printf 'x\n' >"$DIR/bad"
runs 'a malformed list' -f "$file" -o "$DIR/bad"
runs 'a list without a file' -o "$list"
printf '# file=%s ino=1\n0\n' "$file" >"$DIR/stale"
runs 'a stale list' -o "$DIR/stale"
printf '# file=%s\n0\n' "$DIR/gone" >"$DIR/gone-list"
runs 'a file that is gone' -o "$DIR/gone-list"
runs 'an engine that is not here' -e helper "${whole[@]}"
runs 'OUT that cannot be written' -O "$DIR/nowhere/out" "${whole[@]}"
runs 'OUT that is the list' -O "$list" "${whole[@]}"
is "$(cat "$list")" 0-1023 'which stays what it is'
: >"$DIR/no-btf"
cp "$PCFORCE" "$DIR/pcforce"
chmod 755 "$DIR"
is "$(setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/pcforce" -t access "${whole[@]}" -- bash -c 'echo ran; exit 7' 2>"$ERR"; echo "$? $(wc -l <"$ERR")")" \
	'ran
7 1' 'not root, with a trigger that needs BPF: COMMAND runs'
is "$(unshare -m bash -c 'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"' "$DIR/no-btf" \
	"$PCFORCE" -t access "${whole[@]}" -- bash -c 'echo ran; exit 7' 2>"$ERR"; echo "$? $(wc -l <"$ERR")")" \
	'ran
7 1' 'a kernel without types, with a trigger: COMMAND runs'

# --- a list that takes long

mkfifo "$DIR/fifo"
exec 8<>"$DIR/fifo"
timeout 30 "$PCFORCE" -f "$file" -o "$DIR/fifo" -- bash -c 'echo ran; exit 7' >"$DIR/stdout" 2>"$ERR"
is "$? $(cat "$DIR/stdout") $(grep -c 'no receipt' "$ERR")" '7 ran 1' 'a list that never ends holds neither COMMAND nor the end'
# The signal is pending from the start, and COMMAND, which inherits that it is blocked, is not ended by it.
# shellcheck disable=SC2016 # the inner shell expands it
signalled=(env --block-signal=TERM bash -c 'kill -TERM $$; exec "$@"' -)
timeout -k 5 30 "${signalled[@]}" "$PCFORCE" --wait 60000 -f "$file" -o "$DIR/fifo" -- echo ran >"$DIR/stdout" 2>"$ERR"
is "$? $(cat "$DIR/stdout")" '0 ran' 'a signal ends the waiting for such a list'
exec 8>&-
mkfifo "$DIR/pipe"
# The list comes when COMMAND has begun.
{ wait_until 60 test -e "$DIR/begun" && cat "$list"; } >"$DIR/pipe" &
timeout 60 "$PCFORCE" -j -O "$DIR/out" -f "$file" -o "$DIR/pipe" -- bash -c ": >'$DIR/begun'; $OUTLIVE" 2>"$ERR"
is $? 0 'COMMAND begins before its list is there'
is "$(receipt "$DIR/out" '.resident + .read')" 1024 'which is forced when it comes'
wait $!
while step; do
	evict "$file"
	"$PCFORCE" -j -O "$DIR/out" "${whole[@]}" -- "${OUTLIVED[@]}"
	is "$(receipt "$DIR/out" '[.engine, .trigger, .read, .used, .first_us]') $("$PROGS/cached" -c "$file")" '["user","now",1024,null,null] 1024' \
		'the default: at once, by engine user; null for what was not watched'
	"$PCFORCE" -j -O "$DIR/out" "${whole[@]}" -- "${OUTLIVED[@]}"
	is "$(receipt "$DIR/out" '[.requested, .resident, .read]')" '[1024,1024,0]' 'all cached: a receipt that says so'
	evict "$file"
	"$PCFORCE" --follow -j -O "$DIR/out" "${whole[@]}" -- bash -c "'$PROGS/cached' -w 1024 '$file'; cat '$file' >/dev/null; $OUTLIVE"
	is "$(receipt "$DIR/out" '[.trigger, .used, .accuracy]')" '["now",1024,1]' '--follow: what becomes of forced pages is watched'
done

# --- waiting: for what is large and at random

large=$DIR/large
make_file "$large" 64m
seq 0 16383 | shuf --random-source=<(yes) >"$DIR/shuffled"
seq 0 16383 >"$DIR/sorted"
before=()

# found LIST PCFORCE_OPTIONS...: has COMMAND found all pages of the large file cached? "all" or "part"; $before
# is a command line that pcforce is run by. With --rate 4M the list takes 16 seconds, which no COMMAND that does
# not wait for it takes to begin.
found()
{
	evict "$large"
	local pages
	pages=$("${before[@]}" "$PCFORCE" -O "$DIR/out" -f "$large" -o "$1" "${@:2}" -- "$PROGS/cached" -c "$large" 2>"$ERR")
	[ "$pages" -eq 16384 ] && echo all || echo "part"
}

while step; do
	is "$(found "$DIR/shuffled" --wait 60000)" all '--wait: COMMAND begins when the list is forced'
	# The process that has looked whether the folder answers has ended by then.
	is "$(found "$DIR/shuffled" --wait 60000 --root /)" all 'SIGCHLD of a process that is not COMMAND does not end it'
	is "$(found "$DIR/shuffled" --rate 4M --wait 0)" part '--wait 0: it begins before'
	is "$(found "$DIR/sorted" --rate 4M --wait 60000)" part 'a list in order is not waited for'
	is "$(found "$DIR/shuffled" --rate 4M --wait 1)" part '--wait 1: nor longer than a millisecond'
	before=("${signalled[@]}")
	is "$(found "$DIR/shuffled" --rate 4M --wait 60000)" part 'nor longer than until a signal comes'
	before=()
done

# --- before COMMAND begins: no BPF, no types, no names of the kernel

strace -f -o "$DIR/strace" -e trace=bpf,openat,execve "$PCFORCE" "${whole[@]}" -- true 2>/dev/null
is "$(grep -c 'bpf(' "$DIR/strace")" 0 'no bpf(2) at all'
is "$(grep -c -e 'btf/vmlinux' -e kallsyms "$DIR/strace")" 0 "none of the kernel's types and names"
within "$(grep -c 'execve(' "$DIR/strace")" 2 100 'and strace has seen COMMAND begin'
for i in {1..300}; do
	head -c 20k "$file" >"$DIR/small.$i"
	echo "# file=$DIR/small.$i"
	echo 0-4
done >"$DIR/many"
"$PCFORCE" -O "$DIR/out" -o "$DIR/many" -- "${OUTLIVED[@]}" 2>"$ERR"
is "$? $(wc -l <"$DIR/out") $(awk 'NR == 2 { print $1, $2 + $3, $(NF - 1), $NF }' "$DIR/out")" '0 2 1500 1500 300 files)' 'many files: one row for all of them'
rm "$DIR/small.7"
"$PCFORCE" -O "$DIR/out" -o "$DIR/many" -- "${OUTLIVED[@]}" 2>"$ERR"
is "$? $(grep -c small.7 "$DIR/out") $(wc -l <"$DIR/out") $(grep -c small.7 "$ERR")" '0 1 3 1' 'and one for each that is not fine, which is named'
"$PCFORCE" -v -O "$DIR/out" -o "$DIR/many" -- "${OUTLIVED[@]}" 2>"$ERR"
is "$? $(wc -l <"$DIR/out")" '0 302' '-v: a row for each'
"$PCFORCE" --tolerate 0.4 --tool-status -O "$DIR/out" -o "$DIR/many" -- "${OUTLIVED[@]}" 2>"$ERR"
is "$? $(wc -l <"$DIR/out") $(grep -c small.7 "$ERR")" '0 2 1' '--tolerate: one that is not fine is no reason for another status, nor for a row'
"$PCFORCE" -q -o "$DIR/many" -- sleep 0.3 >"$DIR/stdout" 2>"$ERR"
is "$? $(cat "$DIR/stdout" "$ERR" | wc -c)" '0 0' '-q: nothing'

# --- signals

for signal in TERM HUP USR1 QUIT; do
	rm -f "$DIR/ready"
	env --default-signal=QUIT,HUP "$PCFORCE" -O "$DIR/out" "${whole[@]}" -- bash -c "trap 'echo $signal; exit 9' $signal; : >'$DIR/ready'; while :; do sleep 0.05; done" >"$DIR/stdout" 2>/dev/null &
	pid=$!
	wait_until 30 test -e "$DIR/ready"
	kill -$signal $pid
	wait $pid
	is "$? $(cat "$DIR/stdout")" "9 $signal" "SIG$signal is COMMAND's, and the run goes on until it ends"
done
(trap '' HUP; exec "$PCFORCE" -O "$DIR/out" "${whole[@]}" -- bash -c 'kill -HUP $PPID; sleep 0.3; echo on') >"$DIR/stdout" 2>/dev/null
is "$? $(cat "$DIR/stdout")" '0 on' 'SIGHUP that was ignored stays so, as under nohup'
(trap '' CHLD; exec timeout 20 "$PCFORCE" -O "$DIR/out" "${whole[@]}" -- bash -c 'exit 5') 2>/dev/null
is $? 5 'SIGCHLD that was ignored: COMMAND is waited for all the same'

# --- COMMAND ends before its list is forced

make_file "$DIR/large" 128m
seq 0 3 32767 >"$DIR/sparse"
while step; do
	evict "$DIR/large"
	"$PCFORCE" -j -O "$DIR/out" -f "$DIR/large" -o "$DIR/sparse" -- bash -c 'sleep 600 >/dev/null 2>&1 & echo $!; exit 7' >"$DIR/stdout" 2>"$ERR"
	is "$? $(receipt "$DIR/out" '[.read, .skipped, .reason]')" '7 [10923,0,null]' 'a process of it lives: forcing is finished'
	is "$(ps -o comm= -p "$(cat "$DIR/stdout")")" sleep 'and no more is waited for: the process runs on'
	kill "$(cat "$DIR/stdout")"
	evict "$DIR/large"
	told --rate 1M -f "$DIR/large" -o "$DIR/sparse" -- true
	is "$(receipt "$OUT" '[.skipped > 0, .reason]') $(grep -c 'end of the run' "$ERR")" '[true,"the end of the run stopped forcing"] 1' \
		'none lives: forcing ends, and the receipt says why pages were skipped'
	evict "$DIR/large"
	rm -f "$DIR/out"
	"$PCFORCE" -D -j -O "$DIR/out" -f "$DIR/large" -o "$DIR/sparse" -- true
	wait_until 60 grep -q '"command"' "$DIR/out"
	is "$(receipt "$DIR/out" '[.read, .skipped]')" '[10923,0]' '-D: nobody waits for pcforce, and forcing is finished'
done
# Processes whose parent has ended are pcforce's; ended themselves, they are nobody's.
timeout 20 "$PCFORCE" "${whole[@]}" -- bash -c 'p=$(sleep 100 >/dev/null 2>&1 & echo $!); kill $p; while kill -0 $p; do sleep 0.05; done; exit 5' 2>"$ERR"
is $? 5 'a process whose parent has ended is collected when it ends'

# --- -D: COMMAND has the process

is "$(bash -c 'exec "$@"' - "$PCFORCE" -D -O "$DIR/out" "${whole[@]}" -- bash -c 'echo $$ $PPID; exit 7' >"$DIR/stdout" 2>"$ERR"; echo $?)" 7 "-D: COMMAND's status"
"$PCFORCE" -D -O "$DIR/out" "${whole[@]}" -- bash -c 'echo $$ $PPID; ps -o ppid= --ppid $$ | wc -l' >"$DIR/stdout" 2>"$ERR" &
pid=$!
wait $pid
is "$(head -1 "$DIR/stdout")" "$pid $$" 'COMMAND has the process number that pcforce had, and its parent'
is "$(bash -c 'trap "" TERM; "$@" & wait $!; echo $?' - "$PCFORCE" -D "${whole[@]}" -- bash -c 'kill -9 $$' 2>/dev/null)" 137 'and ends as it does'
while step; do
	evict "$file"
	rm -f "$DIR/out"
	"$PCFORCE" -D -j -O "$DIR/out" "${whole[@]}" -- sleep 1
	wait_until 60 grep -q '"command"' "$DIR/out"
	is "$(receipt "$DIR/out" '[.read, .resident]') $(json "$DIR/out" 'select(.record == "command") | .status')" '[1024,0] null' 'its receipt is written beside it; its status is not known'
done
is "$(timeout 30 bash -c '"$@" | cat' - "$PCFORCE" -D "${whole[@]}" -- bash -c 'echo hi; sleep 0.2')" hi 'who reads its output waits for COMMAND alone'
"$PCFORCE" -D "${whole[@]}" -- no-such-program >/dev/null 2>"$ERR"
is "$? $(grep -c no-such-program "$ERR")" '127 1' 'a COMMAND that is not there: status 127, and says so'
evict "$file"
rm -f "$DIR/out"
"$PCFORCE" -D -t access -j -O "$DIR/out" "${whole[@]}" -- bash -c "head -c 1 '$file' >/dev/null; '$PROGS/cached' -w 1024 '$file'"
wait_until 60 grep -q '"command"' "$DIR/out"
is "$(receipt "$DIR/out" '[.trigger, .read > 1000]')" '["access",true]' 'with a trigger: the accesses of COMMAND fire it'
ok 'nothing is left of it' wait_until 60 bash -c "! pgrep -f '^[^ ]*pcforce.*$DIR' >/dev/null"

# --- the tools around one another

for tool in "$CACHEMISS" "$BUILD/ratrace" "$PCFORCE"; do
	options=(-f "$file")
	[ "$tool" != "$PCFORCE" ] || options+=(-o "$list")
	head -c 100k /dev/urandom >"$DIR/bytes"
	is "$("$tool" "${options[@]}" -- cat "$DIR/bytes" 2>/dev/null | sha256sum)" "$(sha256sum <"$DIR/bytes")" \
		"${tool##*/}: COMMAND's output, byte for byte"
done
