#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hook plans: whichever kind of hooks serves, the counts are the same; what a kernel has
# not is said, with status 3; what serves is on record; and hooks count from one moment on.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

RATRACE=$BUILD/ratrace

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS" "$RATRACE" "$PCFORCE" "$PROGS/access" "$PROGS/neighbour"
setup_dir

plan $((4 * 7 + 5 + 2 + 2 + 1 + 2 * 2 + 3 + 1))

file=$DIR/data
make_file "$file" 4m
make_file "$DIR/large" 16m
counts='[.read_accesses, .read_misses, .mmap_accesses, .mmap_misses, .mmap_fault_around, .inserted_pages]'
work="'$PROGS/access' --evict --fadvise random -p random -n 300 '$file' && '$PROGS/access' --evict -m mmap --madvise random -p random -n 300 '$file'"
unset PAGE2CACHE_HOOKS
# What the kernel is asked through; a small system mounts neither.
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security 2>/dev/null

# Four threads that read at once, and four that touch a mapping: where the kernel preempts a
# program it misses those of others.
threads="'$PROGS/access' --evict -T 4 -p random --fadvise random -n 2048 '$DIR/large' &&
	'$PROGS/access' --evict -T 4 -m mmap -p random --madvise random -n 2048 '$DIR/large'"
# exactly_counted [COMMAND]: "exact", and whether all of it was counted
exactly_counted()
{
	local known='[.read_accesses, .read_misses, .mmap_accesses, .mmap_misses]'
	watched -f "$DIR/large" -- bash -c "${1:-$threads}" 2>/dev/null
	record "$OUT" "[.exact, $known == $(jq -sc "map($known) | transpose | map(add)" "$TRUTH")]"
}
# What is said of counts is true: exact ones are, and of others that is not said.
honest='^\[(true,true|false,(true|false)|null,(true|false))\]$'

# always_exact NAME: a check that counts are exact each time, 20 times in a guest, where a
# preemption comes between more often: it is small, and all that it runs is slow.
always_exact()
{
	local i
	while step; do
		for ((i = 0; i < ${PAGE2CACHE_TEST_QUICK:+19} + 1; i++)); do
			exactly_counted
		done | sort | uniq -c >"$DIR/exactness"
		is "$(awk '{ print $2 }' "$DIR/exactness")" '[true,true]' "$1" || diag "$(cat "$DIR/exactness")"
	done
}

always_exact 'four threads, the hooks that are best: exact each time'

watched -f "$file" -- bash -c "$work"
best=$(record "$OUT" "$counts")
for kind in tp fentry kprobe classic; do
	export PAGE2CACHE_HOOKS=$kind
	watched -f "$file" -- bash -c "$work" 2>/dev/null
	# Which kinds this kernel has is asked of the kernel, not of the tool.
	case $kind in
	tp | classic) there=$(test -e /sys/kernel/tracing/events/filemap/mm_filemap_get_pages && echo yes) ;;
	kprobe) there=$(test -e /sys/bus/event_source/devices/kprobe && echo yes) ;;
	# Lockdown (integrity) alone leaves both to root; a kernel without kprobes is here one that refuses fentry, too.
	fentry) there=$(grep -q '\[none\]' /sys/kernel/security/lockdown 2>/dev/null || test ! -e /sys/kernel/security/lockdown ||
		test -e /sys/bus/event_source/devices/kprobe && echo yes) ;;
	esac
	if [ -n "$there" ]; then
		is "$STATUS $(record "$OUT" "$counts")" "0 $best" "$kind: the same counts as with the hooks that are best"
		hooks=$(json "$OUT" 'select(.record == "meta") | .hooks | [.read_lookup, .mmap_access] | join(" ")' | tr -d '"')
		case $kind in
		tp) want='tp_btf/mm_filemap_get_pages tp_btf/mm_filemap_fault' ;;
		fentry) want='fexit/filemap_get_pages fentry/filemap_fault' ;;
		kprobe) want='kprobe/filemap_get_pages kretprobe/filemap_get_pages kprobe/filemap_fault' ;;
		classic) want='tp/filemap/mm_filemap_get_pages tp/filemap/mm_filemap_fault' ;;
		esac
		is "$hooks" "$want" "$kind: the record says what served"
		is "$(cat "$ERR")" '' "$kind: nothing on stderr"
		is "$("$RATRACE" -s -j -f "$file" -- bash -c "$work" 2>&1 | jq -c 'select(.record == "file") | .plain')" 300 \
			"$kind: ratrace counts the 300 reads of one page"
		while step; do
			matches "$(exactly_counted)" "$honest" "$kind: four threads: what is said to be exact is"
		done
		"$CACHEMISS" -w "$DIR/list" -f "$DIR/large" -- bash -c "$threads" >/dev/null 2>"$ERR"
		missed=$(grep -c 'events were missed' "$ERR")
		is "$(tail -n 1 "$ERR" | grep -c '^ *>=') $(grep -c '^# incomplete' "$DIR/list")" "$missed $missed" \
			"$kind: where events were missed, only there, counts are lower bounds, and the list says that it is incomplete"
		# Lookups of which a tracepoint does not tell: beside another that sees as much as can be.
		PAGE2CACHE_HOOKS='' background -f "$DIR/large"
		watched -f "$DIR/large" -- "$PROGS/access" --evict -b 50000 "$DIR/large" 2>/dev/null
		stop INT
		is "$(jq -s '[.[] | select(.record == "file") | { exact, counted: [.read_accesses, .read_misses] }] as [$one, $best] |
			$best.exact != true or $one.counted == $best.counted or $one.exact != true and $one.counted[0] < $best.counted[0]' "$OUT" "$BG_OUT")" \
			true "$kind: large requests: all lookups are counted, or it is said that there were more" ||
			diag "$(record "$OUT" . ; record "$BG_OUT" .)"
	else
		is "$STATUS $(wc -c <"$OUT" 2>/dev/null || echo 0)" '3 0' "$kind: this kernel has none: status 3, and no data"
		matches "$(cat "$ERR")" "serves no event with $kind hooks.*(built without kprobes|refuses BPF programs|no such tracepoint)" \
			"$kind: which hook, and what is missing"
		is "$(wc -l <"$ERR")" 1 "$kind: one sentence, nothing of the libraries"
		is "$("$RATRACE" --tool-status -s -f "$file" -- true >/dev/null 2>&1; echo $?)" 3 "$kind: ratrace as well"
		skip 3 "no $kind hooks here"
	fi
done

unset PAGE2CACHE_HOOKS

# --- what silences programs, and what the kernel has too few of

"$PROGS/neighbour" "$(nproc)" >"$DIR/begun" 2>&1 &
neighbour=$!
at_exit "end_child $neighbour"
wait_until 60 grep -q begun "$DIR/begun" || diag "$(cat "$DIR/begun")"
sleepers="'$PROGS/access' --evict -T 64 -p random --fadvise random -n 64 '$DIR/large'"
for kind in '' classic; do
	export PAGE2CACHE_HOOKS=$kind
	[ -z "$kind" ] || [ -e /sys/kernel/tracing/events/filemap/mm_filemap_get_pages ] || { skip 2 "no $kind hooks here"; continue; }
	while step; do
		matches "$(exactly_counted)" "$honest" "${kind:-best} hooks, a neighbour looks maps up: what is said to be exact is"
	done
	while step; do
		matches "$(exactly_counted "$sleepers")" "$honest" \
			"${kind:-best} hooks, 64 threads that all wait in a lookup: what is said to be exact is"
	done
done
unset PAGE2CACHE_HOOKS
{ end_child $neighbour && wait $neighbour; } 2>/dev/null

# look_ups N: of maps, by bpf(2), in a run of N intervals
look_ups()
{
	"$CACHEMISS" -f "$file" 0.01 "$1" >/dev/null &
	wait $!
	grep -cE " *cachemiss-$! .* sys_bpf\(cmd: (0x)?1," "$TRACE/trace"
}
if trace_start '' syscalls/sys_enter_bpf; then
	look_ups 2 >"$DIR/few"
	look_ups 12 >"$DIR/many"
	is "$([ "$(cat "$DIR/few")" -gt 0 ] && cat "$DIR/many")" "$(cat "$DIR/few")" "no programs are silenced by the tool's own reading, however often it reads"
	trace_stop
else
	skip 1 'this kernel does not trace system calls'
fi

# Kprobes can be attached, and are never called.
switch=/sys/kernel/debug/kprobes/enabled
if [ -e /sys/bus/event_source/devices/kprobe ] && [ "$(cat $switch 2>/dev/null)" = 1 ] && echo 0 >$switch; then
	at_exit "echo 1 >$switch"
	PAGE2CACHE_HOOKS=kprobe "$CACHEMISS" --tool-status -j -f "$file" -- true >"$DIR/data.out" 2>"$DIR/err"
	is "$? $(cat "$DIR/data.out")" '3 ' 'kprobes that are switched off: status 3, no data'
	matches "$(cat "$DIR/err")" 'kprobes are switched off: write 1 to /sys/kernel/debug/kprobes/enabled' 'and what to do'
	always_exact 'without them four threads, the hooks that are best: exact each time'
	echo 1 >$switch
else
	skip 3 'no kprobes here, or they cannot be switched off'
fi

export PAGE2CACHE_HOOKS=perf
for tool in "$CACHEMISS" "$RATRACE"; do
	is "$("$tool" --tool-status -f "$file" -- true 2>&1 >/dev/null; echo $?)" \
		"${tool##*/}: PAGE2CACHE_HOOKS=perf: not one of tp, fentry, kprobe, classic
2" "${tool##*/}: another word is bad input"
done
unset PAGE2CACHE_HOOKS

# An event without any hook: BTF is hidden, as on a kernel that has none.
: >"$DIR/nothing"
if unshare -m true 2>/dev/null; then
	unshare -m bash -c "mount --bind '$DIR/nothing' /sys/kernel/btf/vmlinux && exec '$CACHEMISS' --tool-status -f '$file' -- true" \
		>"$DIR/data.out" 2>"$DIR/err"
	is "$? $(cat "$DIR/data.out")" '3 ' 'no BTF: status 3, no data'
	matches "$(cat "$DIR/err")" 'BTF.*CONFIG_DEBUG_INFO_BTF' 'and what would bring it'
else
	skip 2 'no mount namespaces here'
fi

"$PCFORCE" --check -j >"$DIR/check"
# Those of the kernel's engines are in use with such an engine only.
is "$(jq -cs 'map(select(.event) | (.candidates | map(select(.reason == null)) | length) ==
	if IN(.event; "force", "open", "insert") then 0 else 1 end) | all' "$DIR/check")" \
	true '--check: every hook of every event, one of each in use'
is "$(jq -cs '[.[] | select(.event) | .candidates[] | select(.available | not) | .reason | length > 15] | all' "$DIR/check")" \
	true '--check: a reason for each that is of no use'
"$CACHEMISS" -v -f "$file" -- true >/dev/null 2>"$DIR/err"
matches "$(cat "$DIR/err")" 'read_miss: (tp_btf|fentry|kprobe)/page_cache_sync_ra' '-v says what is attached'

# --- from one moment to another, though programs are attached one after the other

cat >"$DIR/misser.py" <<-'END'
	# Reads pages without end, each of them absent and removed again. Says when it has begun.
	import os, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
	i = 0
	while True:
	    os.pread(fd, 4096, i * 4096)
	    os.posix_fadvise(fd, i * 4096, 4096, os.POSIX_FADV_DONTNEED)
	    i = (i + 97) % 1024
	    if i == 97:
	        open(sys.argv[2], "w").close()
END
# Beginning and end may each cut an access in two, no more.
whole='.hits <= 1 and (.inserted_pages - .misses | fabs) <= 1 and (.removed_pages - .misses | fabs) <= 1'
for ((i = 0; i < 4; i++)); do
	evict "$file"
	rm -f "$DIR/begun"
	python3 "$DIR/misser.py" "$file" "$DIR/begun" &
	wait_until 60 test -e "$DIR/begun"
	# Longer where a busy machine has not let it read by then.
	for seconds in 0.1 1 10; do
		"$CACHEMISS" -j -O "$DIR/data.out" -f "$file" -d $seconds
		[ "$(record "$DIR/data.out" .accesses)" = 0 ] || break
	done
	end_child $! && wait $! 2>/dev/null
	record "$DIR/data.out" "[$whole, .accesses > 0, .hits, .misses, .inserted_pages, .removed_pages]"
done >"$DIR/moments"
is "$(grep -c '^\[true,true' "$DIR/moments")" 4 'no access is counted by some of the hooks only' || diag "$(cat "$DIR/moments")"

# --- what a task leaves behind

if command -v bpftool >/dev/null && nowait_reads; then
	evict "$file"
	"$CACHEMISS" -f "$file" -- bash -c "'$PROGS/access' -m nowait-once -n 5 --fadvise random -p random '$file' >/dev/null
		bpftool -j map dump id \$(map_of \$PPID cachemis.bss) >'$DIR/bss'" 2>/dev/null
	is "$(grep -o '"open_misses":[^,}]*' "$DIR/bss")" '"open_misses":0' 'lookups that failed are forgotten when their task ends'
else
	skip 1 'no bpftool, or refused reads start no I/O'
fi
