#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pcforce --serve: programs that libpagehint connects get exactly the hinted pages; a program that
# sends anything else, scribbles over what it shares, hangs or is killed costs the others nothing.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs python3 python3
needs setpriv util-linux
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached" "$BUILD/hint/libpagehint.so.0"
setup_dir
# The server of another user has to get here.
chmod 755 "$DIR"
# What waits for a file system of this test is let go.
at_exit "umount -f '$DIR/work/fuse'"

plan $((11 + 88))

# --- the command line
touch "$DIR/file"
usage=("--serve s -o l" "--serve s --now" "--serve s -t open" "--serve s -e helper" "--serve s -e kfunc --rate 1M" "--serve s -f $DIR/file" '--serve s -j' '--serve s -p 1' '--serve s --raw' '--serve s --tool-status' '--serve s -- true')
for line in "${usage[@]}"; do
	# shellcheck disable=SC2086 # several words
	"$PCFORCE" $line >"$DIR/said" 2>&1
	echo $?
done >"$DIR/status"
is "$(paste -sd' ' "$DIR/status")" '2 2 2 2 2 2 2 2 2 2 125' 'options that --serve does not take'
matches "$("$PCFORCE" --serve s -e helper 2>&1)" 'helper reads only at a miss of its own' 'engine helper is refused, with the reason'
for path in "$DIR/file" "$DIR/none/socket" "$DIR/$(printf '%0120d' 0)"; do
	"$PCFORCE" --serve "$path" 2>&1 | sed 's/.*: //'
done >"$DIR/said"
is "$(paste -sd, "$DIR/said")" 'File exists,No such file or directory,File name too long' 'paths that cannot be a socket'
is "$(stat -c %F "$DIR/file")" 'regular empty file' 'what is there is left alone'
for type in STREAM DGRAM; do
	python3 -c 'import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + sys.argv[1]))
s.bind(sys.argv[2])
sys.argv[1] == "DGRAM" or s.listen()
sys.exit(subprocess.call(sys.argv[3:]))' $type "$DIR/$type" "$PCFORCE" --serve "$DIR/$type" -d 1 2>"$DIR/said"
	is "$? $(stat -c %F "$DIR/$type") $(grep -c 'another server serves there' "$DIR/said")" '1 socket 1' "and so is another daemon's socket: $type"
done

socket=$DIR/socket
serve()
{
	rm -f "$DIR/served"
	"$PCFORCE" --serve "$socket" -v >/dev/null 2>"$DIR/served" & server=$!
	at_exit "end_child $server"
	wait_until 60 grep -q '^pcforce: serving' "$DIR/served" || diag "$(cat "$DIR/served")"
}
serve
is "$(stat -c '%F %a' "$socket")" 'socket 600' 'a socket for this user alone'
"$PCFORCE" --serve "$socket" 2>"$DIR/said"
is "$? $(cat "$DIR/said")" "1 pcforce: --serve $socket: another server serves there" 'a second server is refused'
kill -KILL $server
wait $server 2>/dev/null
serve
is "$(tail -n 1 "$DIR/served")" "pcforce: serving at $socket" 'what a killed server has left is no obstacle'
kill -TERM $server
wait $server
is "$? $(stat -c there "$socket" 2>/dev/null)" '0 ' 'a signal ends it; its socket goes'
is "$("$PCFORCE" --serve "$socket" -d 0.01 2>&1; echo $?)" 0 'so does the time'

# --- programs
tree=$PWD
cd "$DIR" || exit
while step; do
	rm -rf work
	mkdir work
	chmod 777 work
	(cd work && timeout -k 5 300 python3 "$tree/tests/host/hint-clients" "$BUILD" >../said 2>../err) || diag "$(tail -n 5 err)"
	while IFS=$'\t' read -r got want name; do
		case $got in
		'# skip') skip "$name" "$want" ;;
		*) is "$got" "$want" "$name" ;;
		esac
	done <said
done
