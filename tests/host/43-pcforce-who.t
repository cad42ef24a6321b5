#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Whose accesses fire pcforce's trigger: those of one process, of a process with its descendants,
# of a control group, of a user; and nobody else's.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs setpriv util-linux
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((4 * 2 * 2 + 2 + 2 + 2 + 2))

file=$DIR/data
chmod 755 "$DIR"
make_file "$file" 4m
seq 500 2 1023 >"$DIR/list"
listed=$(wc -l <"$DIR/list")
whole=(-f "$file" -o "$DIR/list")

# A server, of another user. What it is told it does by itself, or has a child do.
mkfifo "$DIR/orders" "$DIR/done"
chmod 666 "$DIR/orders" "$DIR/done"
# Opened for both, which waits for nobody.
exec 8<>"$DIR/orders" 9<>"$DIR/done"
# shellcheck disable=SC2016 # the server's own shell expands it
setpriv --reuid 65534 --clear-groups bash -c 'while read -r who; do
	case $who in
	self) read -rN 1 _ <"$0" ;;
	child) head -c 1 "$0" >/dev/null ;;
	end) exit ;;
	esac
	echo
done' "$file" <&8 >&9 8>&- 9>&- &
server=$!
at_exit "end_child $server"

group=$(findmnt -nlo TARGET -t cgroup2 | head -1)/page2cache-test.$$
at_exit "echo $server >'${group%/*}/cgroup.procs'; rmdir '$group/below' '$group'"
if mkdir "$group" "$group/below" 2>/dev/null; then
	echo $server >"$group/below/cgroup.procs"
else
	group=
fi

# order WHO: the server has read a byte of the file by the end of this
order()
{
	echo "$1" >&8
	read -rt 30 _ <&9
}

cached_are()
{
	[ "$("$PROGS/cached" -c "$file")" = "$1" ]
}

# more_than N: pages are cached
more_than()
{
	[ "$("$PROGS/cached" -c "$file")" -gt "$1" ]
}

# fires WHO: forces all that is listed, for one of the server. A child has ended when pcforce hears
# of what it did.
fires()
{
	evict "$file"
	[ "$1" = self ] || kill -STOP "$BG"
	order "$1"
	[ "$1" = self ] || kill -CONT "$BG"
	wait_until 60 more_than "$listed"
}

# fires_not COMMAND...: nothing but what it reads itself is cached, some time later as well
fires_not()
{
	evict "$file"
	"$@" >/dev/null
	for _ in {1..6}; do
		! more_than 40 || return
		sleep 0.05
	done
}

set_ra 64
for trigger in access open; do
	while read -r name who filter; do
		if [ "$name" = cgroup ] && [ -z "$group" ]; then
			skip 2 'no cgroup v2 that can be written'
			continue
		fi
		# shellcheck disable=SC2086 # option and value
		forcing -t $trigger $filter "${whole[@]}"
		ok "-t $trigger, $name: an access of somebody else forces nothing" fires_not head -c 1 "$file"
		[ "$name" != process ] || ok "-t $trigger, $name: nor does one of a child of it" fires_not order child
		ok "-t $trigger, $name: one that counts forces all" fires "$who"
		stop INT
	done <<-END
		process self -p $server
		tree child -P $server
		cgroup child -c $group
		user child --uid nobody
	END
done

# All of them together, and COMMAND.
forcing -t access --uid 65534 -P $$ "${whole[@]}"
ok 'several: one that is of the tree, and not of the user, does not count' fires_not head -c 1 "$file"
ok 'one that is both does' fires self
stop INT
forced -t access --uid 65534 "${whole[@]}" -- bash -c "head -c 1 '$file' >/dev/null; setpriv --reuid 65534 --clear-groups head -c 1 '$file' >/dev/null
	'$PROGS/cached' -w $listed '$file'; $OUTLIVE"
is "$STATUS $(receipt "$OUT" '.requested == .read + .resident')" '0 true' '--uid and COMMAND: COMMAND, where it is another user'
forced -t access --uid 65533 "${whole[@]}" -- head -c 1 "$file"
matches "$STATUS $(cat "$ERR")" '^4 .*did not fire: .* by a process that counts' 'and a trigger that did not fire says so'

forcing -p $server "${whole[@]}"
ok '-p: a process that is about to end' fires self
echo end >&8
wait $server
wait_until 60 gone "$BG"
wait "$BG"
is "$? $(jq -rs 'map(.record) | join(" ")' "$BG_OUT")" '0 meta receipt' 'the run ends with it, and its receipt is there'
