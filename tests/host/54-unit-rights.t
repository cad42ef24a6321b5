#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# page2cache@.service has the capabilities that it needs, and no others: with all of them a start that reads
# another user's file is learned and forced, and each of them is missed when it is taken away. CAP_SYS_ADMIN
# includes CAP_BPF and CAP_PERFMON, so these are taken away together with it. What else the unit asks of
# systemd is tested by tests/vm/services, in a guest that runs systemd.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs setpriv util-linux
needs_built "$PCFORCE" "$PROGS/access"
top=$(findmnt -nlo TARGET -t cgroup2 | head -1)
slice=$top/page2cache$$.slice
mkdir "$slice" 2>/dev/null || skip_all 'no cgroup v2 that can be written'
at_exit "find '$slice' -depth -type d -exec rmdir {} +"
setup_dir

plan $((5 + 5 * 2))

# A folder and a file for their owner only, who is not root.
mkdir -m 700 "$DIR/private"
file=$DIR/private/data list=$DIR/list unit=page2cache-test$$.service
make_file "$file" 4m
chmod 600 "$file"
chown 65534 "$file" "$DIR/private"

listener='import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(120)
print("listens", flush=True)
print(s.recv(64).decode())'

# start CAPABILITIES [LIST]: the unit's command with these and a copy of this list, and the start of its service, which
# reads 300 pages from the cold file. What of it missed is MISSES, what was forced FORCED, what is in the list then PAGES.
start()
{
	local set=-all right
	for right in $1; do
		set+=,+${right#cap_}
	done
	rm -f "$list" "$DIR/socket" "$DIR/said"
	[ $# -lt 2 ] || cp "$2" "$list"
	evict "$file"
	python3 -c "$listener" "$DIR/socket" >"$DIR/said" &
	wait_until 60 grep -q listens "$DIR/said"
	NOTIFY_SOCKET=$DIR/socket setpriv --no-new-privs --bounding-set "$set" --inh-caps -all \
		"$PCFORCE" --learn --unit "$unit" -o "$list" --learn-for "$seconds" -j -O "$DIR/out" 2>"$DIR/err" &
	BG=$!
	at_exit "end_child $BG"
	wait_until 120 grep -q READY=1 "$DIR/said"
	mkdir "$slice/$unit"
	MISSES=$(bash -c 'echo $$ >"$1/cgroup.procs"; exec "${@:2}"' - "$slice/$unit" \
		"$PROGS/access" --fadvise random -p random -n 300 "$file" | jq .misses)
	wait "$BG"
	STATUS=$?
	rmdir "$slice/$unit"
	FORCED=$(receipt "$DIR/out" "select(.file == \"$file\") | .read + .resident")
	PAGES=
	if [ -e "$list" ]; then
		owned_of "$list" | awk -v file="$file" '$1 == file { print $2 }' >"$DIR/pages"
		PAGES=$(as_pages "$DIR/pages" | wc -l)
	fi
}

# learns CAPABILITIES [LIST]: such a start, all of whose pages are in the list then. A machine that was too slow for
# the time of recording has more of it.
first=2
[ -z "${PAGE2CACHE_TEST_QUICK:-}" ] || first=8 # an emulated machine takes its time to read
learns()
{
	for seconds in $first 15 60; do
		start "$@"
		[ "$STATUS $PAGES" != '0 300' ] || return 0
	done
	return 1
}

as_seen()
{
	diag "status $STATUS, pages $PAGES, $(cat "$DIR/err")"
}

read -ra all <<<"$(sed -n 's/^CapabilityBoundingSet=//p' systemd/page2cache@.service | tr '[:upper:]' '[:lower:]')"
ok "with the unit's capabilities a start is learned" learns "${all[*]}" || as_seen
cp "$list" "$DIR/learned"
ok 'and the next one' learns "${all[*]}" "$DIR/learned" || as_seen
is "$FORCED" 300 'which has had all its pages forced'
is "$(grep -v 'systemd does not run here' "$DIR/err")" '' 'without a complaint'
is "$(receipt "$DIR/out" "select(.file == \"$file\") | .resident == null")" false 'it is known what was cached before'

for right in "${all[@]}"; do
	others=$(printf '%s\n' "${all[@]}" | grep -vx "$right" | xargs)
	case $right in
	cap_sys_admin)
		# Some kernels, such as Debian's 7.3, attach tracepoints only with it.
		start "$others"
		if grep -q 'cannot be attached.*Permission denied' "$DIR/err"; then
			is "$STATUS $PAGES" '0 ' "without $right nothing is learned on this kernel"
			is "$(grep -c 'cannot be recorded' "$DIR/err")" 1 'which is said'
		else
			ok "without $right a start is learned all the same on this kernel" learns "$others" || as_seen
			skip 1 'this kernel attaches tracepoints without CAP_SYS_ADMIN'
		fi
		;;
	cap_bpf | cap_perfmon)
		start "${others/cap_sys_admin/}"
		is "$STATUS $PAGES" '0 ' "without $right nothing is learned"
		is "$(grep -c 'cannot be recorded' "$DIR/err")" 1 'which is said'
		;;
	cap_dac_read_search)
		start "$others" "$DIR/learned"
		is "$MISSES" 300 "without $right another user's file is not forced"
		start "$others"
		is "$PAGES" 0 'nor are its pages learned'
		;;
	cap_fowner)
		start "$others" "$DIR/learned"
		is "$(receipt "$DIR/out" "select(.file == \"$file\") | .resident")" null "without $right it is not known which pages of it are cached"
		matches "$(cat "$DIR/err")" 'does not tell which pages are cached' 'which is said'
		;;
	*)
		ok "$right is needed by nothing" false
		;;
	esac
done
