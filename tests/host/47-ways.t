#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Which accesses have the kernel force a list, and what it leaves behind: no pressure on memory where
# a file system adds pages, and nothing that hangs with a FUSE server that does.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs losetup mount
needs perl perl
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached" "$PROGS/content" "$PROGS/silent"
kernel_engines
needs_groups memory
setup_dir

MODES=(pread splice sendfile mmap mmap-exec mmap-kernel mmap-populate io_uring-async preadv2-nowait io_uring)
STORES=(btrfs erofs squashfs)
plan $((${#ENGINES[@]} * (${#MODES[@]} + 2 + 6 + ${#STORES[@]} * 4)))

modprobe -qa loop fuse
file=$DIR/data list=$DIR/list
"$PROGS/content" write "$file" $((8 << 20))
seq 0 64 2047 | awk '{ print $1 "+32" }' >"$list"
listed=$(pages_of "$list" | wc -l)
export PATH=$PROGS:$PATH

# --- which accesses start a list

# reads.sh PAGES FILE OPTION...: one access to FILE, which is kept open until PAGES of it are cached:
# a list ends where nobody has the file open any more that was read
cat >"$DIR/reads.sh" <<'END'
{
	echo
	cached -w "$1" "$2"
	echo
} | access --blind --wait stdin --rounds 2 -n 1 -p random "${@:3}" "$2"
END

# whole FILE TITLE: the receipt in FILE says that all was read by the kernel, or was there
whole()
{
	is "$(adds_up "$1") $(receipt "$1" '[.engine, .requested == .read + .resident]')" "yes 1 [\"$engine\",true]" \
		"$engine: $2" || diag "$(cat "$1" "${ERR:-/dev/null}")"
}

ways()
{
	local mode program=$DIR/program

	for mode in "${MODES[@]}"; do
		evict "$file"
		forced -e "$engine" -t miss -f "$file" -o "$list" -- bash "$DIR/reads.sh" "$listed" "$file" -m "$mode"
		whole "$OUT" "a page that $mode misses has all forced"
	done

	cp "$(readlink -f "$(command -v perl)")" "$program"
	sync "$program"
	evict "$program"
	pages=$((($(stat -c %s "$program") + 4095) / 4096))
	echo "0+$pages" >"$DIR/program.list"
	forced -e "$engine" -t miss -f "$program" -o "$DIR/program.list" -- "$program" -e 'system("cached", "-w", @ARGV)' "$pages" "$program"
	whole "$OUT" 'a program that is executed'
}

# Who misses is a thread of the kernel.
below_loop()
{
	local loop

	loop=$(losetup -f --show "$file") || bail 'no loop device'
	evict "$file"
	forcing -e "$engine" -t miss --once -f "$file" -o "$list"
	dd if="$loop" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none
	wait_until 60 gone "$BG"
	losetup -d "$loop"
	ERR=$BG_ERR whole "$BG_OUT" 'a loop device on the file'
}

# --- a FUSE server that hangs

unload()
{
	rmmod bpf_page2cache
}

hung_server()
{
	local mount=$DIR/silent server

	mkdir -p "$mount"
	if ! server=$(silent "$mount" 1048576 2>/dev/null); then
		skip 6 'no FUSE here'
		return
	fi
	at_exit "kill -KILL $server; umount -l '$mount'"
	matches "$(pcforce -e "$engine" --now -f "$mount/data" 2>&1 >/dev/null; echo "status $?")" \
		'engine user forces it.*status 3$' "$engine: a file whose server is a process is refused"

	evict "$file"
	forcing -e "$engine" -t miss --once -f "$file" -o "$list"
	reader --blind -n 1 "$mount/data"
	kill -USR1 "$server"
	kill -USR1 "$READER"
	ok "$engine: a reader waits for a server that hangs" wait_until 60 in_request "$READER"
	ok "$engine: the list of another file ends beside it" bash "$DIR/reads.sh" "$listed" "$file"
	wait_until 60 gone "$BG"
	whole "$BG_OUT" 'all of it was read'
	if [ "$engine" = kfunc ] && [ -e /etc/page2cache-vm.ko ]; then
		ok "$engine: the module can be unloaded meanwhile" wait_until 60 unload
		insmod /etc/page2cache-vm.ko
	else
		skip 1 'no module that can be loaded again'
	fi
	ok "$engine: the reader still waits" in_request "$READER"
	kill -KILL "$server"
	umount -l "$mount"
	wait "$READER"
}

# in_request PID: it sleeps in the kernel until FUSE's server answers
in_request()
{
	grep -q fuse /proc/"$1"/stack
}

# --- pressure on memory (PSI)

group=$GROUPS_DIR/page2cache-reader

# store FS: a file that is stored compressed, at $DIR/FS/file
store()
{
	mkdir -p "$DIR/tree" "$DIR/$1"
	seq 10000000 11999999 | head -c 16M >"$DIR/tree/file"
	case $1 in
	btrfs)
		truncate -s 256M "$DIR/$1.image"
		mkfs.btrfs -q "$DIR/$1.image" && mount -o loop,compress-force=zlib "$DIR/$1.image" "$DIR/$1" &&
			cp "$DIR/tree/file" "$DIR/$1/file" && sync -f "$DIR/$1"
		;;
	erofs) mkfs.erofs -zlz4 -C65536 "$DIR/$1.image" "$DIR/tree" && mount -o loop "$DIR/$1.image" "$DIR/$1" ;;
	squashfs) mksquashfs "$DIR/tree" "$DIR/$1.image" -noappend -quiet && mount -o loop "$DIR/$1.image" "$DIR/$1" ;;
	esac >/dev/null 2>&1 && at_exit "umount '$DIR/$1'"
}

# stalled: for how long somebody of the system, and of the group, has waited for memory, microseconds
stalled()
{
	sed -n 's/^some .*total=//p' /proc/pressure/memory $group/memory.pressure | awk '{ sum += $1 } END { print sum }'
}

# stat_of NAME: of the group's memory
stat_of()
{
	awk -v name="$1" '$1 == name { print $2 }' $group/memory.stat
}

# in_group COMMAND...: in the background, its process in CHILD
in_group()
{
	(
		echo "$BASHPID" >$group/cgroup.procs
		exec "$@"
	) &
	CHILD=$!
	at_exit "end_child $CHILD"
}

# end_now: the shell says nothing about it
end_now()
{
	{
		kill -KILL "$CHILD"
		wait "$CHILD" || true
	} 2>/dev/null
}

# The pages that the file system adds to the listed ones were in use before they were reclaimed. Who
# has them read again waits for memory, until they are submitted.
pressure()
{
	local fs=$1 before

	new_group $group
	if [ ! -e $group/memory.pressure ]; then
		skip 4 'no pressure stall information here (CONFIG_PSI)'
		return
	fi
	if ! mountpoint -q "$DIR/$fs" && ! store "$fs"; then
		skip 4 "$fs: not in this kernel, or nothing to make it with"
		return
	fi
	seq 7 32 4095 >"$DIR/some"
	dd if="$DIR/$fs/file" iflag=nocache count=0 status=none
	evict "$DIR/other"
	# The pages of the file are older than those of the other one.
	in_group cat "$DIR/$fs/file" "$DIR/$fs/file" "$DIR/other" "$DIR/other" >/dev/null
	wait "$CHILD"
	echo 20M >$group/memory.reclaim
	within "$("$PROGS/cached" -c "$DIR/$fs/file")" 0 1000 "$engine: $fs: pages in use are reclaimed"
	forcing -e "$engine" -t miss --once -f "$DIR/$fs/file" -o "$DIR/some"
	before=$(stat_of workingset_restore_file)
	# shellcheck disable=SC2016 # for perl
	in_group perl -e 'open(F, "<", $ARGV[0]) or die; sysread(F, $b, 4096) or die; sleep 600' "$DIR/$fs/file"
	wait_until 60 gone "$BG"
	ERR=$BG_ERR whole "$BG_OUT" "$fs: a list is read"
	within $(($(stat_of workingset_restore_file) - before)) 1 100000 "$engine: $fs: with it pages that were in use before"
	before=$(stalled)
	sleep 2
	within $(($(stalled) - before)) 0 500000 "$engine: $fs: and then nobody waits for memory any more"
	end_now
}

head -c 64M /dev/urandom >"$DIR/other"
# Another way of reclaim does not tell which pages were in use.
lru_gen=/sys/kernel/mm/lru_gen/enabled
if [ -e $lru_gen ]; then
	at_exit "echo $(cat $lru_gen) >$lru_gen"
	echo 0 >$lru_gen
fi

for engine in "${ENGINES[@]}"; do
	ways
	below_loop
	hung_server
	for fs in "${STORES[@]}"; do
		pressure "$fs"
	done
done
