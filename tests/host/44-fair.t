#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the kernel forces is fair: to who has closed the file, to other lists and readers of the
# device, to who is short of memory, who reads beside it, and to who removes a group.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs losetup mount
needs perl perl
perl -e 'exit(syscall(451, -1, 0, 0, 0) == -1 && $!{ENOSYS})' ||
	skip_all 'without cachestat(2) nobody sees what is in flight'
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached" "$PROGS/content"
kernel_engines
needs_groups memory io
setup_dir

# Both engines run the same code.
engine=${ENGINES[0]}

file=$DIR/data
"$PROGS/content" write "$file" $((32 << 20))
seq 0 2 8191 | shuf --random-source=<(yes) >"$DIR/pages"
seq 0 128 8191 | awk '{ print $1 "+64" }' >"$DIR/runs"
echo 0+8192 >"$DIR/all"

# A file system on a device of its own, which can be slow for a group. Its reads bypass the page
# cache of its image, so that these are nobody else's.
modprobe -q loop
truncate -s 64M "$DIR/image"
mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 "$DIR/image" || bail 'no file system'
slow=$(losetup -f --show --direct-io=on "$DIR/image") || bail 'no loop device'
at_exit "losetup -d $slow"
slow_device=$(tr -d ' ' <"/sys/block/${slow#/dev/}/dev")
MOUNT=$DIR/mount
mkdir "$MOUNT"
mount_slow()
{
	mountpoint -q "$MOUNT" || mount "$slow" "$MOUNT" || bail "cannot mount $slow"
}
mount_slow
at_exit "umount -l '$MOUNT'"
cp "$file" "$MOUNT/data"
for i in 1 2 3 4 5 6 7 8; do
	head -c 1M /dev/urandom >"$MOUNT/$i"
done
sync

slowly=$GROUPS_DIR/page2cache-slowly group=$GROUPS_DIR/page2cache-reader other=$GROUPS_DIR/page2cache-other
new_group $slowly
[ -e $slowly/io.max ] || skip_all 'this kernel throttles no group (CONFIG_BLK_DEV_THROTTLING)'
plan $((8 + 4 + 4 + 3 + 7 + 1 + 4))

# io_max WORDS: of the slow device, for the group
io_max()
{
	echo "$slow_device $*" >$slowly/io.max || bail "cannot write io.max: $*"
}

# in_group PATH COMMAND...: in the background, its process in CHILD
in_group()
{
	(
		echo "$BASHPID" >"$1/cgroup.procs"
		exec "${@:2}"
	) &
	CHILD=$!
	at_exit "end_child $CHILD"
}

# holder PATH FILE [WORD...]: a process of the group locks the file, reads a page, and then keeps it
# open. WORD: a command that it is started by.
holder()
{
	# shellcheck disable=SC2016 # for perl
	in_group "$1" "${@:3}" perl -e 'open(F, "<", $ARGV[0]) && flock(F, 2) && sysread(F, $b, 4096) or die; sleep 600' "$2"
}

# end_now PID: the shell says nothing about it
end_now()
{
	{
		kill -KILL "$1"
		wait "$1"
	} 2>/dev/null
}

in_flight()
{
	"$PROGS/cached" "$1" | grep -c '!'
}

has_first_page()
{
	"$PROGS/cached" "$1" | grep -qx 0
}

# are_in_flight FILE...: pages of each of them
are_in_flight()
{
	local name

	for name; do
		[ "$(in_flight "$name")" -gt 0 ] || return 1
	done
}

# --- who has closed the file holds nothing any more

write_lease()
{
	perl -e 'open(F, "<", $ARGV[0]) or die; fcntl(F, 1024, 1) or die' "$1" # F_SETLEASE, F_WRLCK
}

# A reader that locks the file and misses a page of a list that takes minutes ends while some of it
# is being read. Unmounting waits for what is in flight by then, some 128 KiB.
closed()
{
	local name=$MOUNT/data list

	for list in runs pages; do
		new_group $slowly
		evict "$name"
		forcing -e "$engine" -t miss -f "$name" -o "$DIR/$list"
		io_max rbps=512
		holder $slowly "$name"
		wait_until 60 has_first_page "$name" && wait_until 60 are_in_flight "$name"
		end_now "$CHILD"
		within "$(naps flock -n "$name" true)" 0 100 "$engine: $list: two seconds after a reader has closed the file it holds no lock of it"
		within "$(in_flight "$name")" 1 8192 "$engine: $list: though some is still being read"
		io_max rbps=98304
		end_now "$BG"
		within "$(naps write_lease "$name")" 0 100 "$engine: $list: two after pcforce has ended, too, the file can be leased"
		(until umount "$MOUNT"; do sleep 0.05; done; : >"$DIR/unmounted") 2>/dev/null &
		within "$(naps test -e "$DIR/unmounted")" 0 200 "$engine: $list: and four later its file system is unmounted"
		io_max rbps=max
		wait $!
		rm "$DIR/unmounted"
		mount_slow
	done
}

# --- a list that is slow, or stuck, delays no other

others()
{
	local i slow=()

	new_group $slowly
	evict "$MOUNT"/[1-8] "$file"
	io_max rbps=16384
	for i in 1 2 3 4 5 6 7 8; do
		in_group $slowly "$PCFORCE" --now -e "$engine" -j -f "$MOUNT/$i" >"$DIR/slow.$i" 2>>"$DIR/slow.err"
		slow+=("$CHILD")
	done
	ok "$engine: eight lists are read slowly" wait_until 60 are_in_flight "$MOUNT"/[1-8]
	forced --now -e "$engine" -f "$file" -o "$DIR/runs"
	cat "$DIR"/slow.[1-8] >"$DIR/slow"
	is "$STATUS $(receipt "$OUT" '.requested == .read')" '0 true' "$engine: a ninth list is forced beside them"
	diag "$engine: the ninth took $(receipt "$OUT" .elapsed_us) us"
	is "$(adds_up "$DIR/slow" | cut -d' ' -f2)" 0 "$engine: none of which has ended"
	io_max rbps=max
	wait "${slow[@]}"
	cat "$DIR"/slow.[1-8] >"$DIR/slow"
	is "$(adds_up "$DIR/slow") $(receipt "$DIR/slow" '.requested == .read + .resident' | tr ' ' '\n' | sort -u)" 'yes 8 true' \
		"$engine: they end when they can" || diag "$(cat "$DIR/slow" "$DIR/slow.err")"
}

# --- who is short of memory is not made to wait for it, nor anybody else

short()
{
	local limit

	for limit in high max; do
		new_group $group
		echo 8M >$group/memory.$limit
		evict "$file"
		forcing -e "$engine" -t miss --once -f "$file" -o "$DIR/all"
		trace_start '' block/block_bio_queue || bail 'no tracing'
		holder $group "$file"
		wait_until 60 gone "$BG"
		is "$(adds_up "$BG_OUT") $(grep -c 'stopped early: memory is short' "$BG_ERR")" 'yes 1 1' \
			"$engine: at memory.$limit forcing stops and says so" || diag "$(cat "$BG_OUT" "$BG_ERR")"
		within "$(trace_lines block_bio_queue | awk '/kworker/ && $(NF - 4) ~ /^R/ && $(NF - 1) > max { max = $(NF - 1) } END { print max + 0 }')" \
			8 512 "$engine: it has gone there in small steps"
		end_now "$CHILD"
		trace_stop
	done
}

# --- nor is another reader of the file, whose memory is limited, charged for the list

charged()
{
	new_group $group
	new_group $other
	echo 8M >$other/memory.max
	evict "$file"
	forcing -e "$engine" -t miss --once -f "$file" -o "$DIR/all"
	holder $group "$file"
	wait_until 60 gone "$BG"
	is "$(adds_up "$BG_OUT") $(receipt "$BG_OUT" '.requested == .read + .resident')" 'yes 1 true' \
		"$engine: a list of four times what another reader may have is forced" || diag "$(cat "$BG_OUT" "$BG_ERR")"
	within "$(cat $group/memory.current)" $((31 << 20)) $((48 << 20)) "$engine: the reader whose miss began it is charged"
	(
		echo "$BASHPID" >$other/cgroup.procs
		exec cat "$file" >/dev/null
	)
	is "$(cut -d' ' -f2 $other/memory.events | sort -n | tail -n1)" 0 \
		"$engine: the other one reads all of it without coming to its limit" || diag "$(cat $other/memory.events)"
	end_now "$CHILD"
}

# --- who else reads from the device finds its queue open

# requests NAME: reads of the slow device in the trace: how many workers had asked for at most that
# were not there yet, how many were read in all, and with which priorities
requests()
{
	trace_lines 'block_\(bio_queue\|rq_complete\)' | awk -v device="${slow_device/:/,}" '
		!match($0, / [0-9]+ \+ [0-9]+/) || index($0, " " device " R") == 0 { next }
		{ sector = substr($0, RSTART + 1); sub(/ .*/, "", sector) }
		/block_bio_queue/ && /kworker/ { asked[sector]; if (++nr > most) most = nr }
		/block_rq_complete/ { all++ }
		/block_rq_complete/ && sector in asked { delete asked[sector]; nr-- }
		/block_rq_complete/ && match($0, / (none|rt|be|idle),/) { class[substr($0, RSTART + 1, RLENGTH - 2)] }
		END {
			printf "%d %d", most, all
			for (name in class)
				printf " %s", name
		}'
}

# Of each page of this list one block is not valid: the file system's are smaller than a page.
parts_of()
{
	perl -e 'open(F, "+<", $ARGV[0]) or die;
		for (0 .. 299) { sysseek(F, ($_ << 13) + 5120, 0); syswrite(F, "x" x 3072) or die }' "$1"
	sync "$1"
	seq 1 2 599
}

# nice_of_workers: the nice values with which they have left the processor, in the trace
nice_of_workers()
{
	trace_lines sched_switch | sed -n 's/.* prev_prio=\([0-9]*\) .*/\1/p' | awk '{ print $1 - 120 }' | sort -un
}

beside()
{
	local queue=/sys/block/${slow#/dev/}/queue/nr_requests allowed list least most all classes nices

	allowed=$(cat "$queue")
	at_exit "echo $allowed >$queue"
	echo 16 >"$queue"
	for list in parts pages; do
		evict "$MOUNT/data"
		[ $list = pages ] || parts_of "$MOUNT/data" >"$DIR/parts"
		forcing -e "$engine" -t miss --once -f "$MOUNT/data" -o "$DIR/$list"
		trace_start '' block/block_bio_queue block/block_rq_complete sched/sched_switch || bail 'no tracing'
		echo 'prev_comm ~ "kworker/u*"' >"$TRACE/events/sched/sched_switch/filter"
		holder $GROUPS_DIR "$MOUNT/data" nice -n 5 ionice -c 3
		wait_until 60 gone "$BG"
		read -r most all classes < <(requests)
		nices=$(nice_of_workers)
		trace_stop
		end_now "$CHILD"
		least=$(wc -l <"$DIR/$list")
		within "$all" $((least * 98 / 100)) $((least + 904)) "$engine: $list: the pages of a list are read one by one"
		within "$most" 1 4 "$engine: $list: at most a quarter of the requests that the queue takes is in flight"
	done
	echo "$allowed" >"$queue"
	ok "$engine: a worker is ten steps of nice ahead of its reader" grep -qx -- -5 <<<"$nices"
	is "$(ps -e -o ni=,comm= | awk '$2 ~ /^kworker\/u/ && $1 != 0 && $1 != -20')" '' "$engine: afterwards no worker has that"
	if [ -n "$classes" ]; then
		is "$classes" idle "$engine: all with the priority of their reader"
	else
		skip 1 'this kernel does not tell the priority of requests'
	fi
}

# has_read FILE N: that many of its pages
has_read()
{
	[ "$("$PROGS/cached" "$1" | grep -vc '!')" -ge "$2" ]
}

# What is in flight of a group that is allowed 100 requests a second is ahead of whatever else the
# group reads. Where such requests come one by one, one is served within the 30 ms that a quick one may
# take, so that the worker tries three once a second.
throttled()
{
	local name=$MOUNT/data most=0 now

	new_group $slowly
	evict "$name"
	forcing -e "$engine" -t miss -f "$name" -o "$DIR/pages"
	io_max riops=100
	holder $slowly "$name"
	wait_until 60 has_read "$name" 100
	for _ in {1..20}; do
		now=$(in_flight "$name")
		most=$((now > most ? now : most))
		sleep 0.05
	done
	within $most 1 3 "$engine: in a group that is throttled at most three requests are in flight"
	io_max riops=max
	end_now "$CHILD"
	stop INT
}

# --- who removes the reader's group does not wait for the list

# dying: removed groups that the kernel still counts memory for; nothing where it does not tell
dying()
{
	awk '$1 == "nr_dying_subsys_memory" { print $2 }' $GROUPS_DIR/cgroup.stat
}

few_dying()
{
	[ "$(dying)" -le "$1" ]
}

removed()
{
	local name=$MOUNT/data before i removed=0 ended=0 said=0 cpus rounds

	cpus=$(nproc) rounds=$((cpus + 2))
	wait_until 60 group_gone $slowly
	before=$(dying)
	for ((i = 0; i < rounds; i++)); do
		new_group $slowly
		evict "$name"
		forcing -e "$engine" -t miss --once -f "$name" -o "$DIR/pages"
		io_max rbps=16384
		holder $slowly "$name"
		wait_until 60 are_in_flight "$name"
		echo "$CHILD" >$GROUPS_DIR/cgroup.procs
		! wait_until 60 rmdir $slowly || removed=$((removed + 1))
		! wait_until 60 gone "$BG" || ended=$((ended + 1))
		if [ "$(adds_up "$BG_OUT") $(grep -c "the reader's cgroup is gone" "$BG_ERR")" = 'yes 1 1' ]; then
			said=$((said + 1))
		else
			diag "$(cat "$BG_OUT" "$BG_ERR")"
		fi
		end_now "$CHILD"
	done
	is $removed $rounds "$engine: the group of a reader can be removed"
	is $ended $rounds "$engine: then its list ends"
	is $said $rounds "$engine: and says why"
	evict "$name"
	if [ -n "$before" ]; then
		# Each CPU keeps the group that it has charged last, without any forcing, too.
		ok "$engine: nothing is left of these groups, but for one that each CPU may keep" \
			wait_until 60 few_dying $((before + cpus)) || diag "$before before, $(dying) now, $rounds groups"
	else
		skip 1 'this kernel does not tell what is left of removed groups'
	fi
}

closed
others
short
charged
beside
throttled
removed
