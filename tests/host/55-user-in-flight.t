#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Engine user in a control group whose reads are limited: other readers of the group wait for what
# is in flight, and that is not the whole list.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$PROGS/cached" "$PROGS/content"
needs_groups io
setup_dir
plan 6

file=$DIR/data other=$DIR/other group=$GROUPS_DIR/page2cache-limited disk=$(disk_of "$DIR")
"$PROGS/content" write "$file" $((32 << 20))
"$PROGS/content" write "$other" $((1 << 20))
seq 0 2 8191 | shuf --random-source=<(yes) >"$DIR/pages"
new_group "$group"
[ -e "$group/io.max" ] || skip_all 'this kernel throttles no group (CONFIG_BLK_DEV_THROTTLING)'

# in_group COMMAND...
in_group()
{
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$@"
	)
}

# pages_there: how many pages of the file are cached and valid
pages_there()
{
	"$PROGS/cached" "$file" | grep -vc '!'
}

in_flight()
{
	"$PROGS/cached" "$file" | grep -c '!'
}

many_in_flight()
{
	[ "$(in_flight)" -ge 128 ]
}

limit()
{
	echo "$disk riops=$1" >"$group/io.max" || bail "cannot limit reads: $1"
}

evict "$file" "$other"
limit 20
in_group "$PCFORCE" --now -e user --jobs 1 -j -f "$file" -o "$DIR/pages" >"$DIR/receipt" 2>"$DIR/err" &
forcing=$!
at_exit "end_child $forcing"
ok 'the list is read, as slowly as the group allows' wait_until 60 many_in_flight
most=0
for _ in {1..20}; do
	now=$(in_flight)
	most=$((now > most ? now : most))
	sleep 0.05
done
# in_flight() looks twice, whether a page is cached and whether it is valid, while others come and go.
within $most 128 320 'hardly more than 256 requests are in flight'
before=$(pages_there)
in_group head -c 4096 "$other" >/dev/null
# Its page comes after what was in flight, and after what arrived until pages_there() had looked.
within $(($(pages_there) - before)) 0 512 'another reader of the group has its page after these'
within "$(pages_there)" 0 3000 'when most of the list is still to be read'
limit max
wait $forcing
is "$? $(adds_up "$DIR/receipt") $(receipt "$DIR/receipt" '[.requested, .read, .submitted]')" '0 yes 1 [4096,4096,4096]' \
	'without the limit the rest is read at once, and each page was submitted once' || diag "$(cat "$DIR/receipt" "$DIR/err")"
# pcforce ends at once, though what is in flight takes seconds.
evict "$file"
limit 50
in_group timeout -s INT 3 "$PCFORCE" --now -e user --jobs 1 -j -f "$file" -o "$DIR/pages" >"$DIR/receipt" 2>"$DIR/err" &
forcing=$!
at_exit "end_child $forcing"
within "$(naps gone "$forcing")" 0 350 'a signal ends it while it waits for room'
limit max
