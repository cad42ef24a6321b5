#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In a container the tools say what they say outside of it: on an overlay, in namespaces of
# processes and clocks, under a profile of system calls and a limit of memory. What cannot
# be known there is a dash or null, never 0.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PCFORCE" "$BUILD/ratrace" "$PROGS/access" "$PROGS/cached" "$PROGS/refuse"
setup_dir

plan $((7 + 2 + 2 * 3 + 4 + 1 + 6 + 3 + 3 + 5 + 6 + 2))

# Who reads is dd: cat clones a file where the file system can, and reads nothing.
counts='[.requested, .resident, .read, .failed, .past_eof, .skipped]'

# resident FILE [PREFIX...]: what --resident says of a file's pages
resident()
{
	"${@:2}" "$CACHEMISS" --resident -j -f "$1" 2>"$DIR/err" | jq -c 'select(.record == "resident") | .resident'
}

# --- an overlay has no pages of its own

# overlay NAME LOWER UPPER: mounted on $DIR/NAME
overlay()
{
	mkdir -p "$DIR/$1" "$2" "$3/upper" "$3/work"
	modprobe -q overlay
	mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$DIR/$1" 2>/dev/null &&
		at_exit "umount '$DIR/$1'"
}

# disk NAME TYPE: a file system of its own, on $DIR/NAME; its device in DISK
disk()
{
	mkdir "$DIR/$1" && truncate -s 160m "$DIR/$1.img" && "mkfs.$2" -q "$DIR/$1.img" >"$DIR/err" 2>&1 || return 1
	modprobe -q loop
	mount -o loop "$DIR/$1.img" "$DIR/$1" 2>"$DIR/err" || return 1
	at_exit "umount '$DIR/$1'"
	DISK=$(findmnt -no SOURCE "$DIR/$1")
}

mkdir "$DIR/lower"
make_file "$DIR/lower/data" 4m
if overlay merged "$DIR/lower" "$DIR/above"; then
	over=$DIR/merged/data below=$DIR/lower/data
	while step; do
		evict "$below"
		"$PROGS/access" --blind --fadvise random -p random -n 300 "$over" >/dev/null
		cached=$("$PROGS/cached" -c "$below")
		is "$(resident "$over")" "$cached" '--resident tells of the pages below'
		"$CACHEMISS" --resident -f "$over" -w "$DIR/list" >/dev/null
		is "$(as_pages "$DIR/list" | md5sum)" "$("$PROGS/cached" "$below" | md5sum)" 'and writes them as a list'
		forced --dry-run -f "$over"
		is "$STATUS $(receipt "$OUT" "$counts")" "0 [1024,$cached,0,0,0,$((1024 - cached))]" '--dry-run knows them'
		forced --now -f "$over"
		is "$STATUS $(receipt "$OUT" "$counts")" "0 [1024,$cached,$((1024 - cached)),0,0,0]" 'and so does a receipt'
	done
	# An open of a file all of which is there makes no second receipt.
	echo 0-1023 >"$DIR/list"
	while step; do
		evict "$below"
		forcing -t open -f "$over" -o "$DIR/list"
		for _ in 1 2 3 4; do
			cat "$over" >/dev/null
			wait_until 60 eval "[ \$('$PROGS/cached' -c '$below') = 1024 ]"
			sleep 0.1
		done
		stop TERM
		is "$STATUS $(receipt "$BG_OUT" '.requested' | wc -w)" '0 1' 'opened again and again, it is forced once'
	done
	while step; do
		evict "$below"
		is "$(resident "$over")" 0 'nothing cached is 0'
		is "$(resident "$over" "$PROGS/refuse" EPERM cachestat,mincore)" null 'and where nobody tells, null'
	done
else
	skip 7 'overlayfs cannot be mounted here'
fi

# The device below cuts a request to its own window, which is another one than the overlay's.
if disk narrow ext4 && overlay cut "$DIR/narrow/lower" "$DIR/narrow/above"; then
	echo 128 | tee "/sys/block/${DISK##*/}/queue/"{read_ahead_kb,max_sectors_kb} >/dev/null
	over=$DIR/cut/data below=$DIR/narrow/lower/data
	make_file "$below" 4m
	printf '0+500\n520+500\n' >"$DIR/list"
	for command in "--now -f '$over' -o '$DIR/list'" "--follow -f '$over' -o '$DIR/list' -- '$PROGS/cached' -w 1000 '$below'"; do
		while step; do
			evict "$below"
			watched -f "$below" -- bash -c "'$PCFORCE' $command; '$PROGS/cached' -c '$below'"
			is "$(record "$OUT" .read_misses) $(tail -n1 "$TRUTH")" '0 1000' "no request is cut, and exactly the list is read: ${command%% *}"
		done
	done
else
	skip 2 'no overlay on a device of its own here'
fi

# The root of a container, which sees nothing of the device below: names are those within.
if [ -d "$DIR/narrow/lower" ] && mkdir "$DIR/root" &&
	mount -t overlay overlay -o "lowerdir=$DIR/narrow/lower:/" "$DIR/root" 2>/dev/null; then
	at_exit "umount '$DIR/root'"
	below=$DIR/narrow/lower/data
	while step; do
		evict "$below"
		# shellcheck disable=SC2016 # for the inner shell
		unshare -m bash -c 'cd "$1" && for d in proc sys dev; do mount --rbind "/$d" "$d"; done
			mount --bind "$2" mnt; shift 2; exec chroot . "$@"' - "$DIR/root" "$BUILD" \
			/mnt/cachemiss -w /dev/fd/3 -- dd if=/data of=/dev/null 3>"$DIR/list" 2>"$DIR/err"
		is "$(grep -c '^# file=/data ' "$DIR/list")" 1 'an overlay root without -f: a file has the name that it has within'
		within "$(grep -A9 '^# file=/data ' "$DIR/list" | grep -c '^[0-9]')" 1 9 'and its pages are in the list'
	done
else
	skip 2 'no overlay of the root here'
fi

# --- a profile of system calls

file=$DIR/data
make_file "$file" 1m
if "$PROGS/refuse" EPERM cachestat true; then
	for how in ENOSYS EPERM; do
		while step; do
			evict "$file"
			"$PROGS/access" --fadvise random -p random -n 30 "$file" >/dev/null
			cached=$("$PROGS/cached" -c "$file")
			is "$(resident "$file" "$PROGS/refuse" $how cachestat)" "$cached" "cachestat(2) is $how: --resident asks mincore(2)"
			"$PROGS/refuse" $how cachestat "$PCFORCE" --now -j -f "$file" >"$DIR/out" 2>"$DIR/err"
			is "$? $(receipt "$DIR/out" "$counts")" "0 [256,$cached,$((256 - cached)),0,0,0]" "$how: and so does pcforce"
			is "$("$PROGS/cached" -c "$file") $(wc -c <"$DIR/err")" '256 0' "$how: all is there, without a word"
		done
	done
	while step; do
		evict "$file"
		"$PROGS/refuse" EPERM cachestat,mincore "$PCFORCE" --now -j -f "$file" >"$DIR/out" 2>"$DIR/err"
		is "$? $(receipt "$DIR/out" "$counts") $("$PROGS/cached" -c "$file")" '0 [256,null,256,0,0,0] 256' \
			'mincore(2), too: all is read, and what was there before is not known'
		matches "$(cat "$DIR/err")" 'does not tell which pages are cached' 'which is said'
		"$PROGS/refuse" EPERM cachestat,mincore "$PCFORCE" --now --columns RESIDENT,READ --raw -n -f "$file" >"$DIR/out" 2>"$DIR/err"
		is "$(tr -s ' ' <"$DIR/out")" '- 256' 'a dash in the table'
		"$PROGS/refuse" EPERM cachestat,mincore "$CACHEMISS" --resident --columns RESIDENT,RES% --raw -n -f "$file" >"$DIR/out" 2>"$DIR/err"
		is "$? $(tr -s ' ' <"$DIR/out")" '1 - -' "--resident: two dashes, and status 1"
	done
else
	skip $((2 * 3 + 4)) 'no seccomp filters here'
fi

# A file is mapped to ask mincore(2). Linux 7.3 has a thread that reads in what is absent of
# mapped files, here as fast as it can.
thp=/sys/kernel/mm/transparent_hugepage
if "$PROGS/refuse" EPERM cachestat true && [ -w $thp/khugepaged/scan_sleep_millisecs ]; then
	found=$(sed 's/.*\[\(.*\)\].*/\1/' $thp/enabled)
	at_exit "echo $found >$thp/enabled; echo $(cat $thp/khugepaged/scan_sleep_millisecs) >$thp/khugepaged/scan_sleep_millisecs"
	make_file "$DIR/blocks" 32m
	seq 0 512 8191 >"$DIR/blocks.list"
	"$PCFORCE" --now -f "$DIR/blocks" -o "$DIR/blocks.list" >/dev/null
	echo 0 >$thp/khugepaged/scan_sleep_millisecs
	echo always >$thp/enabled
	# No step, which would be done again until that thread has come too late.
	within "$(for _ in {1..20}; do resident "$DIR/blocks" "$PROGS/refuse" ENOSYS cachestat; done | sort -n | tail -n 1)" 1 16 \
		'what is asked about is not read in by that'
	echo "$found" >$thp/enabled
	rm "$DIR/blocks"
else
	skip 1 'no seccomp filters here, or no transparent huge pages'
fi

# --- a PID namespace, with a /proc of its own

# inside COMMAND...: as the first process of one, by its number there
inside()
{
	unshare -pf --mount-proc "$@"
}

if inside true 2>/dev/null; then
	# The reader waits for its counterpart, which knows it by a number of that namespace.
	read_when_told="rm -f '$DIR/ready'; '$PROGS/access' --evict --ready '$DIR/ready' --wait usr1 -p random -n 100 '$file' >'$DIR/reader' &"
	for where in '' "unshare -pf --kill-child "; do
		while step; do
			rm -f "$DIR/out"
			inside bash -c "${read_when_told/"'$PROGS"/"$where'$PROGS"}
				until [ -e '$DIR/ready' ]; do sleep 0.02; done
				pid=\$(pgrep -n -x access)
				'$CACHEMISS' -j -O '$DIR/out' -p \$pid -f '$file' & tool=\$!
				until grep -q meta '$DIR/out' 2>/dev/null; do sleep 0.02; done
				dd if='$file' of=/dev/null status=none
				kill -USR1 \$pid; while kill -0 \$pid 2>/dev/null; do sleep 0.02; done
				kill -TERM \$tool; wait" </dev/null 2>"$DIR/err"
			is "$(record "$DIR/out" .read_accesses)" 100 "-p counts that process${where:+, also one in a namespace below}"
		done
	done
	# A process outside, whose number is the tool's within, is a stranger and counts.
	while step; do
		reader --evict -p random -n 100 "$file"
		rm -f "$DIR/out"
		inside bash -c "echo $((READER - 1)) >/proc/sys/kernel/ns_last_pid
			'$CACHEMISS' -j -O '$DIR/out' -f '$file' & echo \$! >'$DIR/number'
			until grep -q meta '$DIR/out' 2>/dev/null; do sleep 0.02; done; echo >'$DIR/attached'
			while [ -e '$DIR/attached' ]; do sleep 0.02; done; kill -TERM \$!; wait" </dev/null 2>"$DIR/err" &
		wait_until 60 test -e "$DIR/attached"
		go
		rm -f "$DIR/attached"
		wait
		is "$(cat "$DIR/number") $(record "$DIR/out" .read_accesses)" "$READER 100" "the tool's number leaves nobody else out"
	done
	while step; do
		evict "$file"
		OUT=$DIR/out
		inside "$BUILD/ratrace" --tool-status -j -O "$OUT" -f "$file" -- bash -c "echo \$\$ >'$DIR/number'; exec dd if='$file' of=/dev/null bs=64k status=none" 2>"$DIR/err"
		is "$? $(jq -s 'map(select(.record == "event") | .pid) | unique[]' "$OUT")" "0 $(cat "$DIR/number")" "ratrace shows numbers of that namespace"
	done
	seq 0 255 >"$DIR/list"
	for trigger in open access; do
		while step; do
			evict "$file"
			inside "$PCFORCE" --tool-status -j -O "$OUT" -t $trigger -f "$file" -o "$DIR/list" -- \
				bash -c "dd if='$file' of=/dev/null bs=4k count=1 status=none; '$PROGS/cached' -w 256 '$file'; $OUTLIVE" >"$DIR/copy" 2>"$DIR/err"
			is "$? $(receipt "$OUT" '[.requested, .read + .resident]')" '0 [256,256]' "-t $trigger: COMMAND's access fires"
		done
	done
else
	skip 6 'no PID namespaces here'
fi

# --- a time namespace, in which the clock is another one than the kernel's

ago=$(($(cut -d. -f1 /proc/uptime) / 2))
for offset in 1000000 -$((ago < 1000 ? ago : 1000)); do
	if unshare -T --monotonic "$offset" true 2>/dev/null; then
		while step; do
			evict "$file"
			timeout 60 unshare -T --monotonic "$offset" "$PCFORCE" --tool-status -j -O "$DIR/out" -t access -f "$file" -o "$DIR/list" -- \
				bash -c "dd if='$file' of=/dev/null bs=4k count=1 status=none; '$PROGS/cached' -w 256 '$file'; $OUTLIVE" >"$DIR/copy" 2>"$DIR/err"
			# A wrong clock would be off by all of it.
			is "$? $(receipt "$DIR/out" "[.elapsed_us, .first_us] | all(. < ${offset#-} * 500000)")" '0 true' "a clock that is $offset s ahead: durations are right"
		done
	else
		skip 1 'no time namespaces here'
	fi
done
if unshare -T --monotonic 1000000 true 2>/dev/null; then
	while step; do
		evict "$file"
		unshare -T --monotonic 1000000 "$BUILD/ratrace" -j -O "$DIR/out" -f "$file" -- dd if="$file" of=/dev/null bs=64k 2>"$DIR/err"
		is "$(jq -s 'map(select(.record == "event") | .ts_us) | max > 0 and max < 500000000000' "$DIR/out")" true 'and so are the times of decisions'
	done
else
	skip 1 'no time namespaces here'
fi

# --- without /proc

# shellcheck disable=SC2016 # for the inner shell
no_proc='umount -l /proc && exec "$@"'
while step; do
	evict "$file"
	unshare -m sh -c "$no_proc" - "$PCFORCE" --now -j -f "$file" >"$DIR/out" 2>"$DIR/err"
	is "$? $(receipt "$DIR/out" "$counts") $(wc -c <"$DIR/err")" '0 [256,0,256,0,0,0] 0' 'a file is forced without /proc'
	evict "$file"
	unshare -m sh -c "$no_proc" - "$CACHEMISS" --tool-status -j -O "$DIR/out" -f "$file" -- dd if="$file" of="$DIR/copy" bs=4k count=100 2>"$DIR/err"
	is "$? $(record "$DIR/out" .read_accesses)" '0 100' 'and watched'
	evict "$file"
	rm -f "$DIR/forced"
	(wait_until 60 "$PROGS/cached" -w 256 "$file"; : >"$DIR/forced") &
	unshare -m sh -c "$no_proc" - "$PCFORCE" --tool-status -j -O "$DIR/out" -t open -f "$file" -o "$DIR/list" -- \
		sh -c "exec 3<'$file'; until [ -e '$DIR/forced' ]; do sleep 0.02; done; $OUTLIVE" 2>"$DIR/err"
	is "$? $(receipt "$DIR/out" '[.requested, .read]')" '0 [256,256]' 'and its opens are seen'
	wait
done

# --- a limit of memory

# memory_group BYTES: makes $GROUP, a cgroup below one with such a limit
memory_group()
{
	local above limit=memory.limit_in_bytes

	above=$(findmnt -nlo TARGET -t cgroup -O memory | head -1)
	if [ -z "$above" ]; then
		above=$(findmnt -nlo TARGET -t cgroup2 | head -1) limit=memory.max
		echo +memory >"$above/cgroup.subtree_control" 2>/dev/null
	fi
	# systemd's own names have such backslashes.
	above=$above/page2cache\\x2dtest.$$
	mkdir "$above" 2>/dev/null || return 1
	at_exit "rmdir '$above'"
	[ ! -e "$above/cgroup.subtree_control" ] || echo +memory >"$above/cgroup.subtree_control"
	GROUP=$above/below
	mkdir "$GROUP" && at_exit "rmdir '$GROUP'" && echo "$1" >"$above/$limit"
}

# within_group COMMAND...
within_group()
{
	bash -c "echo \$\$ >'$GROUP/cgroup.procs' && exec \"\$@\"" - "$@"
}

large=$DIR/large
make_file "$large" 96m
if memory_group 32M 2>/dev/null; then
	while step; do
		evict "$large"
		OUT=$DIR/out
		within_group "$PCFORCE" --now -j -O "$OUT" -f "$large" 2>"$DIR/err"
		is "$? $(adds_up "$OUT") $(receipt "$OUT" .read)" "4 yes 1 $("$PROGS/cached" -c "$large")" 'READ is what stays in a cgroup smaller than the list'
		within "$(receipt "$OUT" .read)" 3000 8192 'as much as the level above allows'
		matches "$(cat "$DIR/err")" 'only [0-9]+ MiB of the list fit into the available memory' 'which is said'
		# A mount from the group on, as a container has it: what is in its name and place, mountinfo escapes.
		mkdir -p "$DIR/of a container"
		evict "$large"
		# shellcheck disable=SC2016 # the inner shell expands it
		within_group unshare -m bash -c 'mount --bind "$0" "$1" && umount -l "$2" && exec "${@:3}"' "${GROUP%/*}" "$DIR/of a container" "${GROUP%/*/*}" \
			"$PCFORCE" --now -j -O "$OUT" -f "$large" 2>"$DIR/err"
		is "$? $(grep -c 'fit into the available memory' "$DIR/err")" '4 1' 'also where only the group itself is mounted'
	done
	# Asked for more: what is pushed out is neither called READ nor read again. A wide window
	# of the kernel's readahead may itself be pushed out before its reader comes.
	set_ra 128
	while step; do
		evict "$large"
		watched -a -f "$large" -- bash -c "echo \$\$ >'$GROUP/cgroup.procs'
			'$PCFORCE' --now -j -O '$DIR/pcforce.out' --max-bytes 1G -f '$large' 2>'$DIR/err'; '$PROGS/cached' -c '$large'"
		is "$(adds_up "$DIR/pcforce.out") $(receipt "$DIR/pcforce.out" '.read > 0 and .skipped > 0')" 'yes 1 true' '--max-bytes above the limit: some are pushed out'
		within "$(record "$OUT" .inserted_pages)" 24576 26000 'and not read once more'
	done
	set_ra found
else
	skip 6 'no memory cgroup can be made here'
fi

# --- files that are alike: other subvolumes of btrfs, other file systems below an overlay

command -v btrfs >/dev/null && modprobe -q btrfs
if command -v btrfs >/dev/null && disk snapshots btrfs; then
	one=$DIR/snapshots/one/data other=$DIR/snapshots/other/data
	btrfs -q subvolume create "$DIR/snapshots/one"
	make_file "$one" 4m
	btrfs -q subvolume snapshot "$DIR/snapshots/one" "$DIR/snapshots/other"
	while step; do
		evict "$one" "$other"
		watched -w "$DIR/list" -f "$one" -- bash -c "'$PROGS/access' -n 100 '$one'; '$PROGS/access' -n 900 '$other'"
		is "$(record "$OUT" .read_accesses)" 100 "a snapshot's file, which has the same number, is another one"
		within "$(pages_of "$DIR/list" | wc -l)" 1 100 'and so it is to a list'
		watched -f "$one" -f "$other" -- bash -c "'$PROGS/access' -n 100 '$one'; '$PROGS/access' -n 900 '$other'"
		is "$(record "$OUT" .read_accesses)" $'100\n900' 'both are counted each on their own'
		evict "$one"
		forced -t access -f "$one" -o "$DIR/list" -- "$PROGS/access" -n 100 "$other"
		is "$STATUS $(receipt "$OUT" .read)" '4 0' 'and an access to the other fires nothing'
	done
else
	skip 4 'no btrfs on a device of its own here'
fi
if disk first ext4 && disk second ext4; then
	mkdir "$DIR"/{first,second}/lower "$DIR/two"
	make_file "$DIR/first/lower/one" 1m
	make_file "$DIR/second/lower/other" 1m
	if mount -t overlay overlay -o "lowerdir=$DIR/first/lower:$DIR/second/lower" "$DIR/two" 2>/dev/null; then
		at_exit "umount '$DIR/two'"
		while step; do
			evict "$DIR/first/lower/one" "$DIR/second/lower/other"
			forced --now -f "$DIR/two/one" -f "$DIR/two/other"
			is "$STATUS $(stat -c %i "$DIR"/{first,second}/lower/o* | sort -u | wc -l) $(receipt "$OUT" .read)" '0 1 256 256' \
				'an overlay over two file systems: files of the same number are two'
		done
	else
		skip 1 'no overlay of two file systems here'
	fi
else
	skip 1 'no file systems on devices of their own here'
fi
