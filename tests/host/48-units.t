#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# --unit: a systemd unit is told by its cgroup, waited for, counted from its first access on, and
# again after each restart. systemd need not run here: the test makes the cgroups as it does.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS" "$PCFORCE" "$PROGS/access" "$PROGS/cached"
top=$(findmnt -nlo TARGET -t cgroup2 | head -1)
slice=$top/page2cache$$.slice
mkdir "$slice" 2>/dev/null || skip_all 'no cgroup v2 that can be written'
at_exit "find '$slice' -depth -type d -exec rmdir {} +"
v1=$(findmnt -nlo TARGET -t cgroup | head -1)
v1=${v1:+$v1/page2cache$$.slice}
if mkdir "$v1" 2>/dev/null; then
	at_exit "find '$v1' -depth -type d -exec rmdir {} +"
else
	v1=
fi
setup_dir

plan $((9 + 4 + 4 + 3 + 5 + 2))

file=$DIR/data
make_file "$file" 4m
reads=("$PROGS/access" --fadvise random -p random "$file")
unit=page2cache-test$$.service

# in_group GROUP COMMAND...: one process of it
in_group()
{
	bash -c 'echo $$ >"$1/cgroup.procs" && exec "${@:2}"' - "$@" >/dev/null
}

# life GROUP COMMAND...: a unit starts, does that, and stops. Where there are cgroups of version 1, too,
# systemd makes the same there.
life()
{
	local old=${v1:+$v1${1#"$slice"}}

	mkdir "$1" ${old:+-p "$old"} && in_group "$@" && rmdir ${old:+"$old"} "$1"
}

# ended: the one in the background, by itself; its status in STATUS
ended()
{
	STATUS=
	wait_until 60 gone "$BG" && { wait "$BG"; STATUS=$?; }
}

# fails STATUS NAME COMMAND...
fails()
{
	timeout -k 5 60 "${@:3}" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	matches "$? $(cat "$DIR/stderr")" "^$1 .*--unit" "$2: status $1, and says why"
}

# --- usage

fails 2 'a template' "$CACHEMISS" --unit getty@.service -f "$file"
fails 2 'what is no name' "$CACHEMISS" --unit 'my app' -f "$file"
fails 2 'too many names' "$PCFORCE" --unit a/b/c/d/e -o "$DIR/list"
fails 2 'two units' "$CACHEMISS" --unit a --unit b -f "$file"
fails 2 'beside -p' "$CACHEMISS" --unit a -p $$ -f "$file"
fails 2 'beside -c' "$BUILD/ratrace" --unit a -c "$top" -f "$file"
fails 2 'beside -P' "$PCFORCE" --unit a -P $$ -o "$DIR/list"
fails 2 'with --now' "$PCFORCE" --unit a --now -f "$file"
fails 3 'where there are no cgroups' unshare -m bash -c 'umount -l -a -t cgroup2; exec "$@"' - "$CACHEMISS" --unit a -f "$file" -d 1

# --- counted

background --unit "${unit%.service}" -f "$file"
mkdir "$slice/container"
life "$slice/container/$unit" "${reads[@]}" -n 10
rmdir "$slice/container"
life "$slice/other.service" "${reads[@]}" -n 20
"${reads[@]}" -n 30 >/dev/null
ok 'a unit that does not run is waited for' kill -0 "$BG"
life "$slice/$unit" "${reads[@]}" -n 40
ended
is "$STATUS $(record "$BG_OUT" .accesses)" '0 40' 'it is counted from its first access on, nobody else is, and the run ends with it'
is "$(grep -c 'systemd does not run here' "$BG_ERR")" "$([ -e /run/systemd/system ] && echo 0 || echo 1)" \
	'where no systemd runs that is said'
evict "$file"
background -w "$DIR/list" --unit "$unit" -f "$file"
life "$slice/$unit" "${reads[@]}" -n 40
ended
is "$STATUS $(pages_of "$DIR/list" | wc -l)" '0 40' 'a list of what it misses'

mkdir "$slice/$unit"
background --unit "$unit" -f "$file"
mkdir "$slice/$unit/worker"
in_group "$slice/$unit/worker" "${reads[@]}" -n 10
rmdir "$slice/$unit/worker" "$slice/$unit"
"${reads[@]}" -n 20 >/dev/null
ok 'one that runs is counted at once, and its restart waited for' kill -0 "$BG"
life "$slice/_$unit" "${reads[@]}" -n 40
ended
is "$STATUS $(record "$BG_OUT" .accesses)" '0 50' 'which counts as well, and those below it'
background --unit "user@4242/$unit" -f "$file"
mkdir "$slice/user@4242.service" "$slice/user@4242.service/app.slice" "$slice/$unit"
in_group "$slice/$unit" "${reads[@]}" -n 10
life "$slice/user@4242.service/app.slice/$unit" "${reads[@]}" -n 40
ended
is "$STATUS $(record "$BG_OUT" .accesses)" '0 40' "a unit of a user's own systemd"
watched --unit "$unit" -f "$file" -- bash -c '"${@:2}" -n 10; echo $$ >"$1/cgroup.procs"; "${@:2}" -n 20' - "$slice/$unit" "${reads[@]}"
rmdir "$slice/$unit"
is "$STATUS $(record "$OUT" .accesses)" '0 20' 'with COMMAND, the unit counts and COMMAND does not'

# --- pcforce

seq 0 3 1023 >"$DIR/list"
listed=$(wc -l <"$DIR/list")
all_cached()
{
	[ "$("$PROGS/cached" -c "$file")" -ge "$listed" ]
}
set_ra 64
forcing -t access --unit "$unit" -f "$file" -o "$DIR/list"
for start in 'a start' 'a restart'; do
	evict "$file"
	head -c 1 "$file" >/dev/null
	before=$("$PROGS/cached" -c "$file")
	mkdir "$slice/$unit"
	in_group "$slice/$unit" bash -c 'exec <"$1"; while ! [ -e "$2" ]; do read -rN 1 _; sleep 0.02; done' - "$file" "$DIR/forced" &
	wait_until 60 all_cached && all=all || all=
	: >"$DIR/forced"
	wait $!
	is "$((before < 40)) $all" '1 all' "$start of the unit fires, the access of somebody else does not"
	rm "$DIR/forced"
	rmdir "$slice/$unit"
done
stop INT
is "$STATUS" 0 'and it ends when it is told to'

# --- pcforce --learn

# What a service manager does with the socket SOCKET.
listener='import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\0", 1))
s.settimeout(30)
open(sys.argv[2], "w").close()
print(s.recv(64).decode())'

# learn SOCKET OPTION...: in the background, until the unit is waited for; READY=1 goes to a socket. bounds: a
# command in front of it, which takes rights away
bounds=()
learn()
{
	python3 -c "$listener" "$1" "$DIR/listens" >"$DIR/ready" &
	wait_until 60 test -e "$DIR/listens"
	rm "$DIR/listens"
	NOTIFY_SOCKET=$1 "${bounds[@]}" "$PCFORCE" --learn --unit "$unit" -o "$DIR/learned" "${@:2}" >"$DIR/out" 2>"$DIR/err" &
	BG=$!
	at_exit "end_child $BG"
	wait_until 30 test -s "$DIR/ready"
}

learn "$DIR/socket" --learn-for 0.4
is "$(cat "$DIR/ready")" READY=1 'the service manager is told when the recording is armed'
"${reads[@]}" -n 30 >/dev/null
ended
is "$STATUS $(grep -c 'the unit has not started' "$DIR/err") $(test -e "$DIR/learned" && echo list)" '0 1 ' \
	'a unit that does not start within --learn-for: nothing is learned'
learn "@page2cache-test-$$" --learn-for 30
life "$slice/$unit" "${reads[@]}" -n 30
ended
is "$STATUS $(cat "$DIR/ready") $(grep -c 'the unit has stopped' "$DIR/err") $(test -e "$DIR/learned" && echo list)" '0 READY=1 1 ' \
	'nor is one that stops before that time is over'
# Longer where a busy machine has not had the unit read by then.
for seconds in 2 20; do
	reader --fadvise random -p random -n 30 "$file"
	learn "$DIR/socket.$seconds" --learn-for $seconds
	mkdir "$slice/$unit"
	echo "$READER" >"$slice/$unit/cgroup.procs"
	go
	ended
	rmdir "$slice/$unit"
	owned_of "$DIR/learned" | awk -v file="$file" '$1 == file { print $2 }' >"$DIR/pages"
	[ "$(as_pages "$DIR/pages" | wc -l)" -lt 30 ] || break
	rm -f "$DIR/learned"
done
is "$STATUS $(as_pages "$DIR/pages" | wc -l)" '0 30' 'else what it accesses is the list, and the run is over while the unit goes on'

rm "$DIR/learned"
bounds=(setpriv --bounding-set '-bpf,-perfmon,-sys_admin' --inh-caps '-bpf,-perfmon,-sys_admin')
learn "$DIR/socket3"
ended
is "$STATUS $(cat "$DIR/ready") $(grep -c 'cannot be recorded' "$DIR/err") $(test -e "$DIR/learned" && echo list)" '0 READY=1 1 ' \
	'where BPF is refused that is said, and the unit has not failed'

# --- the units that are installed

if command -v make >/dev/null && command -v systemd-analyze >/dev/null; then
	# Units name programs by where these are installed.
	make -s O="$BUILD" prefix="$DIR/root" install >"$DIR/made" 2>&1 || diag "$(cat "$DIR/made")"
	units=$DIR/root/lib/systemd/system
	mv "$units/page2cache@.service" "$units/page2cache@db@15-main.service"
	is "$(grep -ho '^Exec[^ ]*/pcforce ' "$units"/* "$DIR"/root/share/doc/page2cache/examples/*.conf | sed 's/.*=[-+]*//' | sort | uniq -c | xargs)" \
		"3 $DIR/root/bin/pcforce" 'units and drop-ins name pcforce where it is installed'
	is "$(systemd-analyze --man=no verify "$units/page2cache@db@15-main.service" 2>&1)" '' 'systemd has nothing to say about the unit'
else
	skip 2 'needs make and systemd-analyze'
fi
