#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pcforce --serve -e kfunc: hints are taken where their program looks pages up. What is taken there
# is told from what the server takes by stopping the server: then nothing else reads.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/hinter" "$PROGS/access" "$PROGS/cached" "$PROGS/content"
[ -e /sys/module/bpf_page2cache ] ||
	skip_all 'the module bpf_page2cache is not loaded: make kmod builds it'
KO=/etc/page2cache-vm.ko
[ -e $KO ] || skip_all 'it is unloaded here: only in a guest of scripts/vm --kmod'
needs_groups memory io
setup_dir
experiment=$PWD/scripts/experiment
cd "$DIR" || exit

plan $((5 + 4 + 4 + 5 + 5 + 5 + 7))

dmesg -C
socket=$DIR/socket
"$PROGS/content" write data $((64 << 20))
for file in looked other short; do
	"$PROGS/content" write $file $((400 << 10))
done
sync .

serve()
{
	"$PCFORCE" --serve "$socket" -e kfunc -v >/dev/null 2>served & server=$!
	at_exit "end_child $server"
	wait_until 120 grep -q '^pcforce: serving' served || diag "$(cat served)"
}

# It lets go of those that have gone.
served_all()
{
	[ "$(grep -c 'is served$' served)" = "$(grep -c 'is no longer served$' served)" ]
}

# hints OP...: data, the first file, is named; what is said goes into $SAID
hints()
{
	evict data other short
	SAID=$(timeout -k 5 100 "$PROGS/hinter" "$socket" file data "$@" 2>&1 | paste -sd,)
}

# goes_on: who has ended is let go
goes_on()
{
	kill -CONT $server
	wait_until 60 served_all
}

# ranges FILE: the pages that are cached, as 1-3 7
ranges()
{
	"$PROGS/cached" "$1" | awk '
		$1 !~ /!/ && NR > 1 && $1 == last + 1 { last = $1; next }
		NR > 1 { print first == last ? first : first "-" last }
		{ first = last = $1 }
		END { if (NR) print first == last ? first : first "-" last }' | paste -sd' '
}

# becomes WANT TITLE: of data, these pages are cached, and no others
becomes()
{
	wait_until 20 eval "[ \"\$(ranges data)\" = '$1' ]"
	is "$(ranges data)" "$1" "$2"
}

# stays WANT TITLE: the same, and a worker of the module has had time to read others
stays()
{
	sleep 0.3
	is "$(ranges data)" "$1" "$2"
}

look=(look looked)
serve

# --- what is taken, exactly

hints halt $server pages 0 100 7 50 "${look[@]}" 1
becomes "$(seq 100 7 443 | paste -sd' ')" 'with the server stopped: exactly the hinted pages are read at the lookup'
goes_on
matches "$(cat served)" 'process [0-9]*: 50 ranges were taken at its lookups' 'and counted'
hints halt $server need 0 4095 4098 need 0 40960 131072 pages 0 16383 1 2 "${look[@]}" 1
becomes '0-2 10-41 16383' 'ranges that begin and end within pages, 128 KiB, and what is behind the end of the file'
goes_on
hints halt $server pages 0 5 1 1 need 0 409600 1048576 pages 0 1000 1 1 "${look[@]}" 3
becomes 5 'a longer range, and what is behind it, is left to the server'
goes_on
hints pages 0 5 1 1 need 0 409600 1048576 pages 0 1000 1 1 "${look[@]}" 3 forget 0
becomes '5 100-355 1000' 'which reads it'

# --- ranges that make no sense, and files that change

hints need 0 9223372036854771712 4096 need 0 18446744073709551615 1 need 0 4096 18446744073709551615 \
	need 0 0 0 need 4095 0 4096 need 4096 0 4096 "${look[@]}" 10 halt $server pages 0 9 1 1 "${look[@]}" 9
# The one that reads up to 8 EiB reads the whole file.
is "$SAID" 'named,need: Bad file descriptor,need: Bad file descriptor' 'ranges without end, and files that are none'
goes_on
for size in 9223372036854775807 17592186040320; do
	truncate -s $size sparse 2>/dev/null && break
done
last=$(((size - 1) / 4096))
hints file sparse halt $server pages 1 $last 1 3 "${look[@]}" 1 cached sparse $((last - 1)) go $server forget 1 cached sparse $last
is "$SAID" 'named,named,absent,cached' "the last page of a file of $size bytes"
rm sparse
hints file short halt $server cut short 204800 move short gone move other short pages 1 0 10 10 "${look[@]}" 1
wait_until 20 eval "[ \"\$(ranges gone)\" = '0 10 20 30 40' ]"
is "$(ranges gone)" '0 10 20 30 40' 'a file that became shorter, and was replaced, is the one that was named'
is "$(ranges short)" '' 'the one that has its name now is left alone'
goes_on
"$PROGS/content" write other $((400 << 10))
sync other

# --- whose memory is read

hints halt $server pages 0 0 1 10 child "${look[@]}" 5 parent
stays '' 'a child looks pages up: its parent hints, not it'
goes_on
hints halt $server pages 0 0 1 10 child "${look[@]}" 5 parent "${look[@]}" 1
becomes '0-9' 'at the lookup of its parent they are taken'
goes_on
hints halt $server pages 0 0 1 10 "${look[@]}" 1 over 5000 "${look[@]}" 20
becomes '0-9 5000-5099' 'memory of its own in place of the queue: its own affair'
goes_on
hints halt $server pages 0 0 1 10 "${look[@]}" 1 exec 5000 "${look[@]}" 20
stays '0-9' 'after exec(2) the same memory at the same address is no queue'
goes_on

# --- those that end, and one that scribbles

hints pages 0 0 1 10 forget 0 pages 0 20 1 10 file data pages 0 40 1 1 "${look[@]}" 5 forget 0 file other pages 0 3 1 1 "${look[@]}" 1 forget 0
is "$(ranges data) $(ranges other)" '0-9 40 3' 'an id that is given back is no file, and then another one'
for ((i = 0; i < 20; i++)); do
	hints pages 0 0 3 500 "${look[@]}" $i die
done
ok 'twenty that were killed are let go' wait_until 60 served_all
evict other
timeout -k 5 60 "$PROGS/hinter" "$socket" file short scribble looked 4 & scribbler=$!
right=0
for ((i = 0; i < 8; i++)); do
	hints pages 0 $i 9 400 "${look[@]}" 5 forget 0
	[ "$(ranges data)" = "$(seq $i 9 $((i + 9 * 399)) | paste -sd' ')" ] && right=$((right + 1))
done
is $right 8 'beside one that scribbles over its queue, others get exactly their pages'
wait $scribbler
is "$? $(ranges other)" '0 ' 'it goes on, too; a file that it has not named is left alone'
ok 'and all are let go' wait_until 60 served_all

# --- what is known, and how many misses are left

hints pages 0 0 1 10 "${look[@]}" 1 stat 0
matches "$SAID" '^named,[-0-9]+ [-0-9]+ - - -$' 'late, forced and used are not known'
# Whether the worker and the lookups are ahead of the reader and the server is a race on a busy machine:
# the best of five shows that they can be.
for ((i = 0; i < 5; i++)); do
	evict data
	watched -f data -- timeout -k 5 100 "$PROGS/hinter" "$socket" ahead data 800
	goes_on
	status="$STATUS $(record "$OUT" .read_accesses)" misses=$(record "$OUT" .read_misses)
	taken=$(sed -n 's/.*: \([0-9]*\) ranges were taken.*/\1/p' served | tail -n 1)
	[ "$misses" -gt 16 ] || [ "$taken" -lt 600 ] || break
done
is "$status" '0 800' 'a reader that hints each page 64 reads before'
within "$misses" 0 16 'of its reads at most 2 % miss'
within "$taken" 600 800 'its hints were taken at its lookups'
timeout 400 "$experiment" hints --size 64M --rounds 1 --cells hint-missed --dir "$DIR" --results results >out 2>err
is "$? $(jq -sc 'map({(.arm): .misses}) | add | [."hint, a server" < 1638, ."hint, a server by kfunc" < 800]' results/runs.jsonl)" '0 [true,true]' \
	'the experiment has an arm for each engine' || diag "$(cat err)"

# --- who pays, and how much

# in_group OP...: as hints, the program is in a group of its own
in_group()
{
	evict data
	(
		echo $BASHPID >"$group/cgroup.procs"
		exec timeout -k 5 100 "$PROGS/hinter" "$socket" file data "$@"
	) >/dev/null
}

# coming: how many pages of data are being read
coming()
{
	"$PROGS/cached" data | grep -c '!'
}

group=$GROUPS_DIR/page2cache-hints
new_group $group
in_group halt $server pages 0 0 2 2000 "${look[@]}" 3000
wait_until 20 eval "[ \$('$PROGS/cached' -c data) -ge 100 ]"
goes_on
pages=$("$PROGS/cached" -c data)
within "$(awk '$1 == "file" { print $2 }' $group/memory.stat)" $(((pages - 64) * 4096)) $(((pages + 512) * 4096)) "the program's group pays for the $pages pages"
within "$(awk '{ for (i = 2; i <= NF; i++) if ($i ~ /^rbytes=/) sum += substr($i, 8) } END { print sum + 0 }' $group/io.stat)" $(((pages - 64) * 4096)) $(((pages + 512) * 4096)) 'and for the I/O'
evict data
echo 8M >$group/memory.max
in_group halt $server pages 0 0 2 5000 "${look[@]}" 3000
sleep 0.3
goes_on
# A half of 90 % of what is left, as the other half is the server's thread's.
within "$("$PROGS/cached" -c data)" 1 922 'of 8 MiB no more are taken at lookups than there is room for'
is "$(awk '/^oom_kill / { print $2 }' $group/memory.events)" 0 'nobody is killed'
echo max >$group/memory.max

device=$(disk_of "$DIR")
if echo "$device riops=100" >$group/io.max 2>/dev/null; then
	in_group halt $server pages 0 0 2 1000 "${look[@]}" 200 &
	wait_until 60 eval '[ "$(coming)" -gt 0 ]'
	most=0
	for ((i = 0; i < 20; i++)); do
		now=$(coming)
		[ "$now" -le "$most" ] || most=$now
		sleep 0.05
	done
	wait $!
	echo "$device riops=max" >$group/io.max
	goes_on
	within "$most" 1 64 'a slow disk: no more than 64 pages are being read at a time'
else
	skip 1 "no io.max of $device"
fi

# --- the module goes

is "$(rmmod bpf_page2cache 2>&1 | grep -c 'in use')" 1 'while there is a server the module is in use'
for ((i = 0; i < 5; i++)); do
	"$PROGS/hinter" "$socket" file data linger looked >lingers & client=$!
	wait_until 60 grep -q lingers lingers
	kill -KILL $server
	wait $server 2>/dev/null
	wait_until 20 eval 'rmmod bpf_page2cache 2>/dev/null' || break
	insmod $KO
	kill -KILL $client
	wait $client 2>/dev/null
	serve
done
is $i 5 'five servers are killed while their program hints, and the module unloaded'
kill -TERM $server
wait $server
is "$?" 0 'a server ends'
ok 'then the module is unloaded' wait_until 20 eval 'rmmod bpf_page2cache 2>/dev/null'
"$PCFORCE" --serve "$socket" -e kfunc -d 1 2>err
is "$? $(cut -c1-73 err)" '3 pcforce: --serve by engine kfunc: the module bpf_page2cache is not loaded' 'without it: status 3, and why'
insmod $KO
ok 'the file is as it was' "$PROGS/content" check data mmap
is "$(complaints)" '' 'the kernel has not complained'
