#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bad luck: the file goes away or becomes another one, pcforce is killed or
# stopped, there is no root, no BTF, no descriptor left. No reader may hang,
# and nothing may stay attached.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs bpftool bpftool
needs setpriv util-linux
needs_built "$PCFORCE" "$CACHEMISS" "$BUILD/ratrace" "$PROGS/access" "$PROGS/cached" "$PROGS/silent"
setup_dir
PATH=$PATH:/usr/sbin

plan $((8 + 8 + 9 + 6 + 2 + 7 + 9 + 9 + 11 + 3))

file=$DIR/data list=$DIR/list
seq 0 16383 | shuf --random-source=<(yes) | head -1500 >"$list"
head -300 "$list" >"$DIR/some"
some=(--fadvise random -p "@$DIR/some")
whole=(-f "$file" -o "$list")
make_file "$file" 64m
counts='[.requested, .resident, .read, .failed, .past_eof, .skipped]'

cached_are()
{
	[ "$("$PROGS/cached" -c "$1")" = "$2" ]
}

# --- the file is renamed, replaced, deleted, truncated while pcforce waits

while step; do
	evict "$file"
	forcing --once "${whole[@]}"
	mv "$file" "$DIR/renamed"
	make_file "$file" 64m
	"$PROGS/access" "${some[@]}" "$file" >"$DIR/reader"
	is "$(json "$DIR/reader" '[.accesses, .misses]') $(kill -0 "$BG" && echo waits)" '[300,300] waits' 'renamed and replaced: readers of the new file do not fire'
	"$PROGS/access" "${some[@]}" "$DIR/renamed" >/dev/null
	wait_until 30 gone "$BG"
	wait "$BG"
	is "$? $(receipt "$BG_OUT" '[.skipped, .reason]')" "4 [1500,\"$file: it was replaced by another file since the list was loaded\"]" \
		'those of the old one, under its new name, do, and the receipt says what has its name by now'
	is "$("$PROGS/cached" -c "$file") $("$PROGS/cached" -c "$DIR/renamed")" '300 300' 'neither is forced'

	evict "$DIR/renamed"
	reader "${some[@]}" "$DIR/renamed"
	forcing --once -f "$DIR/renamed" -o "$list"
	rm "$DIR/renamed"
	go
	wait_until 30 gone "$BG"
	wait "$BG"
	is "$? $(receipt "$BG_OUT" '[.requested, .skipped, (.reason | endswith("No such file or directory"))]')" '4 [1500,1500,true]' \
		'deleted: who has it open still fires, and the receipt says that it is gone'

	evict "$file"
	reader --blind -n 10 "$file"
	forcing --once "${whole[@]}"
	truncate -s 8m "$file"
	go
	wait_until 30 gone "$BG"
	wait "$BG"
	is "$? $(adds_up "$BG_OUT") $(receipt "$BG_OUT" '.past_eof > 1000')" '4 yes 1 true' 'truncated while it waits: status 4, the rest is past the end'
	is "$(receipt "$BG_OUT" '[.failed, .skipped]')" '[0,0]' 'and nothing failed'
	make_file "$file" 64m
	reader --blind -n 10 -l 4m "$file"
	forcing --once "${whole[@]}"
	truncate -s 0 "$file"
	: >"$DIR/new"
	mv "$DIR/new" "$file"
	make_file "$file" 64m
	kill -KILL "$READER"
	stop TERM
	is "$STATUS $(receipt "$BG_OUT" "$counts")" '0 [1500,0,0,0,0,1500]' 'emptied, replaced and never read: nothing forced, nothing wrong'
	evict "$file"
	forcing --now "${whole[@]}"
	rm "$file"
	wait "$BG"
	is "$? $(receipt "$BG_OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' 'deleted in mid-run: forced all the same'
	make_file "$file" 64m
done

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

# watchers: marks on the file in any process, as fanotify shows them
watchers()
{
	grep -l "fanotify ino:$(printf %x "$(stat -c %i "$file")")" /proc/[0-9]*/fdinfo/* 2>/dev/null | wc -l
}

for signal in KILL TERM; do
	forcing --hold 1000 "${whole[@]}"
	ids=$(programs_of "$BG")
	is "$(jq 'length > 5' <<<"$ids") $(($(watchers) > 0))" 'true 1' "SIG$signal: programs and marks are there before"
	stop $signal
	ok "SIG$signal: none of the programs after" wait_until 30 none_left "$ids"
	is "$(watchers)" 0 "SIG$signal: no mark either"
done
forcing -t access "${whole[@]}" -- sleep 60
child=$(pgrep -P "$BG")
ids=$(programs_of "$BG")
stop KILL
ok 'SIGKILL with COMMAND running: no program is left' wait_until 30 none_left "$ids"
is "$(ps -o comm= -p "$child")" sleep 'and COMMAND lives on'
kill "$child"

# --- SIGKILL and SIGSTOP: no reader hangs

while step; do
	evict "$file"
	forcing "${whole[@]}"
	reader "${some[@]}" "$file"
	kill -STOP "$BG"
	go
	is "$? $(json "$DIR/reader" '[.accesses, .misses]')" '0 [300,300]' 'SIGSTOP: readers read on, and miss'
	evict "$file"
	kill -CONT "$BG"
	ok 'SIGCONT: it fires then' wait_until 30 cached_are "$file" 1500
	stop INT
	is "$STATUS $(adds_up "$BG_OUT" | cut -d' ' -f1)" '0 yes' 'and ends as ever'
	evict "$file"
	forcing --once -f "$file" -o "$list"
	reader --blind --rounds 1 "$file"
	kill -USR1 "$READER"
	kill -STOP "$BG"
	wait "$READER"
	is $? 0 'SIGSTOP in mid-run: the reader gets to its end'
	kill -CONT "$BG"
	wait_until 30 gone "$BG"
	wait "$BG"
	is "$? $(receipt "$BG_OUT" '[.requested, .resident + .read]')" '0 [1500,1500]' 'and pcforce to its own, after SIGCONT'
	seq 0 2 16383 >"$DIR/half"
	for rate in '' '' '' 1M; do
		evict "$file"
		# shellcheck disable=SC2086 # none, or two words
		forcing --now ${rate:+--rate $rate} -f "$file" -o "$DIR/half"
		wait_until 60 eval "! cached_are '$file' 0"
		stop KILL
		[ "$STATUS" -eq 0 ] || break
	done
	"$PROGS/access" --blind -n 1000 "$file" >"$DIR/reader"
	is "$STATUS $(json "$DIR/reader" .requests)" '137 1000' 'SIGKILL while it forces: readers read'
	forced --now -f "$file"
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]')" '0 [16384,16384]' 'and the next run does the rest'
	evict "$file"
	forcing --now -f "$file" -o "$DIR/half"
	wait_until 60 eval "! cached_are '$file' 0"
	stop TERM
	is "$STATUS $(adds_up "$BG_OUT")" '0 yes 1' 'SIGTERM while it forces: status 0, a receipt that adds up'
	evict "$file"
	forcing -t access "${whole[@]}" -- bash -c "head -c 1 '$file' >/dev/null; '$PROGS/cached' -w 1500 '$file'; exec sleep 60"
	child=$(pgrep -P "$BG")
	wait_until 30 eval "[ \$(ps -o comm= -p '$child') = sleep ]"
	stop TERM
	ok 'SIGTERM goes on to COMMAND' wait_until 60 gone "$child"
done

# --- --hold: an opener that is held

# opener: a process that opens the file and reads at once, and says when it has: it is held until it is let go
opener()
{
	(head -c 1 "$file" >"$DIR/opened"; echo served >"$DIR/opener") &
	OPENER=$!
	at_exit "kill -KILL $OPENER"
}

while step; do
	evict "$file"
	forcing --hold 60000 "${whole[@]}"
	kill -STOP "$BG"
	rm -f "$DIR/opener"
	opener
	wait_until 1 test -e "$DIR/opener"
	is $? 1 'SIGSTOP: who opens the file is held (documented)'
	stop KILL
	ok 'SIGKILL lets it go' wait_until 60 test -e "$DIR/opener"
	evict "$file"
	forcing --hold 60000 "${whole[@]}"
	kill -STOP "$BG"
	rm -f "$DIR/opener"
	opener
	wait_until 1 test -e "$DIR/opener"
	kill -CONT "$BG"
	ok 'SIGCONT: it is let go when all is forced' wait_until 60 test -e "$DIR/opener"
	within "$("$PROGS/cached" -c "$file")" 1499 1600 'not before'
	stop TERM
	is "$STATUS $(receipt "$BG_OUT" '.resident + .read' | tr ' ' '\n' | sort -u)" '0 1500' 'and the receipt is complete'
	evict "$file"
	forcing --hold 60000 -f "$file" -o <(echo 0+16384)
	rm -f "$DIR/opener"
	opener
	wait_until 60 eval "! cached_are '$file' 0"
	stop TERM
	wait_until 60 test -e "$DIR/opener"
	is "$STATUS $?" '0 0' 'SIGTERM while it forces: ends, and the opener is let go'
done

# More opens than there are descriptors: what cannot be held is let go, none is denied.
many_openers()
{
	python3 - "$file" <<-'END'
		import os, sys, threading
		denied = []
		def opener():
		    try:
		        os.close(os.open(sys.argv[1], os.O_RDONLY))
		    except OSError as e:
		        denied.append(e)
		threads = [threading.Thread(target=opener) for _ in range(200)]
		for t in threads: t.start()
		print("all", flush=True)
		for t in threads: t.join()
		print(len(denied), denied[:1], flush=True)
	END
}

while step; do
	evict "$file"
	forcing --hold 60000 -f "$file" -o <(echo 0+16384)
	prlimit --pid "$BG" --nofile=100:100
	kill -STOP "$BG"
	many_openers >"$DIR/openers" &
	wait_until 60 grep -q all "$DIR/openers"
	kill -CONT "$BG"
	wait $!
	is "$(tail -1 "$DIR/openers")" '0 []' '--hold with 200 openers and 100 descriptors: nobody is denied'
	stop TERM
	is "$STATUS" 0 'and it ends'
done

# --- COMMAND ends first

while step; do
	# As soon as it has read all of its list: then all of it is resident. How much of that pcforce gets to see
	# in its last tenth of a second depends on who else wants a CPU. It is all once, and each time what it says.
	complete=0 wrong=
	for i in {1..20}; do
		[ "$i" -le 10 ] || [ $complete -eq 0 ] || break
		evict "$file"
		hurried told -t access "${whole[@]}" -- "$PROGS/access" --blind --fadvise random -p "@$list" "$file"
		case "$STATUS $(receipt "$OUT" '[.requested, .resident + .read + .skipped, .skipped > 0]') $(adds_up "$OUT")" in
		'0 [1500,1500,false] yes 1') complete=$((complete + 1)) ;;
		'4 [1500,1500,true] yes 1') ;;
		*) wrong+="$STATUS $(receipt "$OUT" "$counts") " ;;
		esac
	done
	is "$((complete > 0)) $wrong" '1 ' 'COMMAND reads its list and ends at once, ten times: the receipt is complete, or says what is not'
	diag "complete: $complete times of ten"
	evict "$file"
	echo 0+16384 >"$DIR/all"
	told -t access -f "$file" -o "$DIR/all" -- "$PROGS/access" --blind -n 1 "$file"
	is "$(adds_up "$OUT")" 'yes 1' 'COMMAND ends while its list is forced: the receipt adds up'
	is "$(receipt "$OUT" '.requested == .resident + .read + .skipped') $([ "$STATUS" -eq 4 ] || [ "$(receipt "$OUT" .skipped)" = 0 ] && echo right)" \
		'true right' 'what was not forced by then is skipped'
	for i in {1..10}; do
		told --hold 1000 -f "$file" -o "$DIR/all" -- bash -c "'$PROGS/access' --evict -l 4k -n 0 '$file'; head -c 1 '$file' >/dev/null & exit 0" || break
		[ "$STATUS" -eq 0 ] || [ "$STATUS" -eq 4 ] || break
	done
	is "$i $(adds_up "$OUT" | cut -d' ' -f1)" '10 yes' '--hold, COMMAND ends at once, ten times: never stuck'
	# shellcheck disable=SC2016 # COMMAND's shell expands it
	told -t access "${whole[@]}" -- bash -c 'kill -STOP $PPID; (sleep 0.2; kill -CONT $PPID) & exit 3'
	is "$STATUS $(json "$OUT" 'select(.record == "command") | .status')" '4 3' 'stopped as COMMAND ends: its status is not lost'
	# Once more, where the second was over before anybody has looked which programs there are.
	for _ in {1..10}; do
		rm -f "$DIR/child"
		# shellcheck disable=SC2016 # COMMAND's shell expands it
		forcing -t access -d 1 "${whole[@]}" -- bash -c 'echo $$ >"$0"; exec sleep 60' "$DIR/child"
		ids=$(programs_of "$BG")
		wait "$BG"
		wait_until 60 test -s "$DIR/child"
		child=$(cat "$DIR/child")
		[ "$(jq length <<<"$ids")" -le 5 ] || break
		kill "$child"
	done
	is "$(json "$BG_OUT" 'select(.record == "command") | [.status, .signal]') $(adds_up "$BG_OUT")" '[null,null] yes 1' '-d before the end of COMMAND: its status is null'
	is "$(jq 'length > 5' <<<"$ids") $(wait_until 60 none_left "$ids" && echo none)" 'true none' 'and of the programs that were there none is left'
	kill "$child"
done

# --- not root

while step; do
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	install -m 755 "$PCFORCE" "$DIR/pcforce"
	install -m 755 "$PROGS/cached" "$DIR/cached"
	mkdir -p "$DIR/theirs"
	chmod 755 "$DIR"
	make_file "$DIR/theirs/own" 4m
	make_file "$DIR/theirs/other" 4m
	make_file "$DIR/theirs/secret" 4m
	chown -R 65534:65534 "$DIR/theirs"
	chown 0:0 "$DIR/theirs/other" "$DIR/theirs/secret"
	chmod 600 "$DIR/theirs/secret"
	printf '5+20\n100\n' >"$DIR/theirs/list"
	own=(-f "$DIR/theirs/own" -o "$DIR/theirs/list")
	timeout 30 "${nobody[@]}" "$DIR/pcforce" "${own[@]}" >"$DIR/stdout" 2>"$ERR"
	is "$? $(wc -l <"$ERR")" '3 1' 'not root: a trigger needs BPF: status 3, and one line'
	matches "$(cat "$ERR")" 'root|CAP_' 'that says what to do'
	is "$(wc -c <"$DIR/stdout")" 0 'no data'
	timeout 30 "${nobody[@]}" "$DIR/pcforce" --now -j "${own[@]}" >"$DIR/stdout" 2>"$ERR"
	is "$? $(receipt "$DIR/stdout" "$counts")" '0 [21,0,21,0,0,0]' '--now: a file of their own is forced'
	is "$("$PROGS/cached" -c "$DIR/theirs/own") $(wc -c <"$ERR")" '21 0' 'exactly, and without a word'
	timeout 30 "${nobody[@]}" "$DIR/pcforce" --now -j -f "$DIR/theirs/other" -o "$DIR/theirs/list" >"$DIR/stdout" 2>"$ERR"
	rc=$?
	# The kernel tells only who owns or may write a file what of it is cached.
	is "$rc $(grep -c 'does not tell which pages are cached' "$ERR")" '0 1' "another's file that they may read: forced, and says what is not known"
	is "$(receipt "$DIR/stdout" "$counts") $("$PROGS/cached" -c "$DIR/theirs/other")" '[21,null,21,0,0,0] 21' 'each page was read; what of it was resident before is null'
	timeout 30 "${nobody[@]}" "$DIR/pcforce" --now -f "$DIR/theirs/secret" -o "$DIR/theirs/list" >"$DIR/stdout" 2>"$ERR"
	is "$? $(grep -c 'Permission denied' "$ERR")" '2 1' 'a file that they may not read: status 2'
	timeout 30 "${nobody[@]}" "$DIR/pcforce" --check -j >"$DIR/stdout" 2>"$ERR"
	is "$? $(jq -s 'map(select(.engine == "user")) | .[0].reason | test("root|CAP_")' "$DIR/stdout")" '0 true' '--check says so beforehand'
done

# --- no BTF, no /proc, no descriptors

while step; do
	: >"$DIR/no-btf"
	without_btf()
	{
		# shellcheck disable=SC2016 # the inner shell expands it
		timeout 30 unshare -m bash -c 'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"' "$DIR/no-btf" "$@" </dev/null >"$DIR/stdout" 2>"$ERR"
	}

	if without_btf true; then
		evict "$file"
		without_btf "$PCFORCE" "${whole[@]}"
		is "$? $(grep -c BTF "$ERR") $(wc -c <"$DIR/stdout")" '3 1 0' 'no BTF: a trigger is status 3, and the message names BTF'
		without_btf "$PCFORCE" --now -j "${whole[@]}"
		is "$? $(receipt "$DIR/stdout" "$counts")" '0 [1500,0,1500,0,0,0]' 'no BTF: --now works'
		without_btf "$PCFORCE" --check -j
		is "$? $(jq -s 'map(select(.engine == "user")) | .[0].reason | test("BTF")' "$DIR/stdout")" '0 true' '--check says so'
		is "$(jq -s 'map(select(.event)) | all(.available == false)' "$DIR/stdout")" true 'and no event is available'
	else
		skip 4 'BTF cannot be hidden here'
	fi
	prlimit --nofile=8:8 "$PCFORCE" "${whole[@]}" -- bash -c 'exit 7' 2>"$ERR"
	is "$? $(grep -c 'runs without the list' "$ERR")" '7 1' 'too few descriptors to be beside COMMAND: it runs without its list'
	"${nobody[@]}" prlimit --nproc=1:1 "$DIR/pcforce" "${own[@]}" -- sh -c 'exit 7' 2>"$ERR"
	is "$? $(grep -c 'runs without the list' "$ERR")" '7 1' 'or too few processes'
	for i in {1..40}; do
		head -c 8k "$file" >"$DIR/small.$i"
		printf '# file=%s/small.%d\n0\n' "$DIR" "$i"
	done >"$DIR/many"
	sync
	evict "$DIR"/small.*
	timeout 30 prlimit --nofile=32:32 "$PCFORCE" --now -j -o "$DIR/many" >"$DIR/stdout" 2>"$ERR"
	is "$? $(adds_up "$DIR/stdout")" '4 yes 40' 'no descriptors left: what could be opened is forced, status 4'
	matches "$(cat "$ERR")" '[Tt]oo many open files' 'and says why'
	is "$(receipt "$DIR/stdout" 'select(.reason != null) | .read' | tr ' ' '\n' | sort -u)" 0 'what could not be opened is not called read'
done

# --- a mount that hangs: nothing waits for it, and no figures are lost

# silent_mount: at $DIR/silent, with one file, data
silent_mount()
{
	mkdir -p "$DIR/silent"
	SERVER=$("$PROGS/silent" "$DIR/silent" 1048576 2>/dev/null) || return 1
	at_exit "kill -KILL $SERVER; umount -l '$DIR/silent'"
}

# aside NAME PROGRAM...: in the background; what it says in $DIR/NAME.out and .err
aside()
{
	"${@:2}" >"$DIR/$1.out" 2>"$DIR/$1.err" </dev/null &
	ASIDE[$1]=$!
}
declare -A ASIDE

# end_of NAME...: the status of each in ENDED, once it has ended
end_of()
{
	local name

	for name; do
		ENDED[$name]='does not end'
		wait_until 30 gone "${ASIDE[$name]}" || continue
		wait "${ASIDE[$name]}"
		ENDED[$name]=$?
	done
}
declare -A ENDED

if silent_mount; then
	hung=$DIR/silent/data
	printf '# file=%s\n0+50\n# file=%s\n0+10\n' "$hung" "$file" >"$DIR/hung.list"
	aside watch "$CACHEMISS" -j -w "$DIR/watch.list"
	aside decisions "$BUILD/ratrace" -j
	aside list "$CACHEMISS" -j -f "$file" -w "$DIR/silent/list"
	aside named "$CACHEMISS" -j -f "$hung" -w "$DIR/named.list"
	for name in watch decisions list named; do
		wait_until 30 attached "$DIR/$name.out"
	done
	evict "$file"
	head -c 300k "$hung" >/dev/null
	head -c 4k "$file" >/dev/null
	kill -USR1 "$SERVER"
	aside system "$CACHEMISS" -j -d 1
	aside f "$CACHEMISS" -f "$hung" -d 1
	aside ratrace-f "$BUILD/ratrace" -f "$hung" -d 1
	aside w "$CACHEMISS" -w "$DIR/silent/list" -d 1
	aside now "$PCFORCE" --now -j -o "$DIR/hung.list"
	aside access "$PCFORCE" -j -o "$DIR/hung.list"
	aside command "$PCFORCE" -o "$DIR/hung.list" -- bash -c 'exit 7'
	aside o "$PCFORCE" -o "$DIR/silent/list" -- bash -c 'exit 7'
	end_of system f ratrace-f w now command o
	for name in f ratrace-f w; do
		is "${ENDED[$name]} $(grep -c 'does not answer' "$DIR/$name.err")" '2 1' "a hung mount: $name: status 2, and says so"
	done
	is "${ENDED[now]} $(adds_up "$DIR/now.out") $(receipt "$DIR/now.out" '.resident + .read')" '4 yes 2 0 10' 'pcforce --now: the other file is forced'
	wait_until 60 attached "$DIR/access.out"
	for name in access watch decisions list named; do
		kill -TERM "${ASIDE[$name]}"
	done
	end_of access watch decisions list named
	is "${ENDED[access]} $(adds_up "$DIR/access.out")" '0 yes 2' 'pcforce with a trigger: SIGTERM ends it, with its receipts'
	is "${ENDED[command]} ${ENDED[o]}" '7 7' 'COMMAND of pcforce runs and ends, whether the file or the list is there'
	is "${ENDED[system]} ${ENDED[watch]} $(json "$DIR/watch.out" 'select(.record == "file" and .file == null and .ino == 2) | .misses > 0') $(grep -c 'does not answer' "$DIR/watch.err")" '0 0 true 1' \
		'cachemiss, whole system: -d is kept, SIGTERM ends it, the file is shown by device and inode'
	ok 'and files elsewhere are in the list' grep -qF "file=$file " "$DIR/watch.list"
	is "${ENDED[decisions]} $(json "$DIR/decisions.out" 'select(.record == "file" and .ino == 2) | .pages_read > 0' | sort -u)" '0 true' 'ratrace, whole system: the same'
	is "${ENDED[list]} $(json "$DIR/list.out" 'select(.record == "file") | .misses') $(grep -c 'nothing was written' "$DIR/list.err")" '1 1 1' \
		'a list on it cannot be written: status 1, the counts are told'
	is "${ENDED[named]} $(json "$DIR/named.out" 'select(.record == "file") | .misses > 0')" '1 true' 'of a named file that hangs the counts are told'
	kill -KILL "$SERVER"
else
	skip 11 'no FUSE here'
fi

# --- memory

timeout 30 prlimit --as=300000000 "$PCFORCE" --now -j -f "$file" >"$DIR/stdout" 2>"$ERR"
rc=$?
is "$([ $rc -le 4 ] && echo ended) $([ $rc -ne 0 ] || adds_up "$DIR/stdout")" "ended $([ $rc -ne 0 ] || echo yes 1)" 'little address space: an end with a status'
truncate -s 5T "$DIR/sparse"
timeout 30 prlimit --as=100000000 "$PCFORCE" --now -f "$DIR/sparse" -o "$DIR/some" >"$DIR/stdout" 2>"$ERR"
is "$(($? == 1 || $? == 2)) $(test -s "$ERR" && echo said)" '1 said' 'too little for a file of 5 TiB: a message'
rm "$DIR/sparse"
seq 0 2 2000000 >"$DIR/long"
timeout 30 prlimit --as=25000000 "$PCFORCE" --now -f "$file" -o "$DIR/long" >"$DIR/stdout" 2>"$ERR"
rc=$?
is "$(((rc >= 1 && rc <= 4) || rc == 0)) $([ $rc -ne 1 ] || cat "$ERR")" "1 $([ $rc -ne 1 ] || echo 'pcforce: out of memory')" 'too little for the list: says so, no crash'
