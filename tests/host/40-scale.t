#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Lists of ten million lines: how much memory they take, and that they can be
# interrupted. Times are shown, and never a reason to fail.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$PCFORCE" "$PROGS/access"
setup_dir

plan $((4 + 2 + 2 + 2))

list=$DIR/list
million=1000000
lines=$((10 * million))
truncate -s 128G "$DIR/sparse"

# cost PCFORCE_OPTIONS...: data in $OUT; sets STATUS, RSS in KiB, MS
cost()
{
	OUT=$DIR/out
	read -r STATUS RSS MS < <(python3 - "$PCFORCE" -j -O "$OUT" "$@" <<-'END'
		import resource, subprocess, sys, time
		start = time.monotonic()
		try:
		    status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, timeout=120).returncode
		except subprocess.TimeoutExpired:
		    status = "timeout"
		ms = (time.monotonic() - start) * 1000
		print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, round(ms))
	END
	)
}

# What a list that costs nothing takes. Bits for the pages of a file come on top
# of the extents: 128 GiB in 4 KiB pages are 4 MiB of them, twice.
echo 5 >"$DIR/one"
cost --dry-run -f "$DIR/sparse" -o "$DIR/one"
base=$MS
diag "one line: $MS ms, $RSS KiB"

# No two extents that follow one another, so nothing can be merged.
seq 0 3 $((3 * (lines - 1))) >"$list"
cost --dry-run -f "$DIR/sparse" -o "$list"
is "$STATUS $(receipt "$OUT" '[.requested, .skipped + .resident]')" "0 [$lines,$lines]" 'ten million lines'
within "$RSS" 100000 $((16 * lines / 1024 + 32 * 1024)) '16 bytes an extent, and 32 MiB at most'
diag "ten million lines: $MS ms in all, $RSS KiB"

# The loading alone: a bad last line stops it there.
echo x >>"$list"
cost --dry-run -f "$DIR/sparse" -o "$list" 2>"$DIR/err"
is "$STATUS $(grep -c ":$((lines + 1)): " "$DIR/err")" '2 1' 'a mistake in line 10,000,001 has that number'
within "$RSS" 100000 $((16 * lines / 1024 + 32 * 1024)) 'loading: 16 bytes an extent, and 32 MiB at most'
diag "loading ten million lines: $((MS - base)) ms"

# In an order that nothing can be said about
python3 - "$million" >"$list" <<-'END'
	import sys
	n = int(sys.argv[1])
	print("\n".join("%d+%d" % (i * 611953 % (30 * n), 1 + i % 2) for i in range(n)))
END
cost --dry-run -f "$DIR/sparse" -o "$list"
is "$STATUS $(adds_up "$OUT")" '0 yes 1' 'a million extents in disorder'
within "$(receipt "$OUT" .requested)" $million $((3 * million / 2)) 'each page once'
diag "a million in disorder: $MS ms, $RSS KiB"

# Many sections of many files, that come back
for i in {1..300}; do
	echo "$i" >"$DIR/small.$i"
done
awk -v dir="$DIR" -v n=100000 'BEGIN { for (i = 0; i < n; i++) printf "# file=%s/small.%d\n0\n", dir, i * 7 % 300 + 1 }' >"$list"
cost --dry-run -o "$list"
is "$STATUS $(adds_up "$OUT")" '0 yes 300' '100,000 sections of 300 files'
is "$(receipt "$OUT" .requested | tr ' ' '\n' | sort | uniq -c | tr -s ' ')" ' 300 1' 'one page of each'
diag "100,000 sections: $MS ms"

# ticks PID [FIELD]: of CPU time that a process has taken, or from FIELD on those that it has waited for
ticks()
{
	cut -d' ' -f"${2:-14},$((${2:-14} + 1))" "/proc/$1/stat" 2>/dev/null | awk '{ print $1 + $2 }'
}

# SIGTERM in the middle of it: an end, and soon.
seq 0 3 $((3 * (lines - 1))) >"$list"
ended=$(ticks $$ 16)
for options in "--dry-run" "--now --max-bytes 1M"; do
	# shellcheck disable=SC2086 # words on purpose
	"$PCFORCE" -j $options -f "$DIR/sparse" -o "$list" >"$DIR/stdout" 2>/dev/null &
	BG=$!
	at_exit "kill -KILL $BG"
	# It is past the loading when its memory no longer grows, or before: both will do.
	for _ in {1..8}; do
		gone "$BG" || sleep 0.1
	done
	before=$(ticks "$BG")
	kill -TERM "$BG" 2>/dev/null
	wait_until 60 gone "$BG"
	rc=$?
	{ wait "$BG" || true; } 2>/dev/null
	after=$(ticks $$ 16)
	is "$rc $((after - ended - before < 500))" '0 1' "${options%% *}: SIGTERM ends it within five seconds of a CPU" ||
		diag "$((after - ended - before)) ticks of 10 ms"
	ended=$after
done
