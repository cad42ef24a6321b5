#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Who pays when the kernel forces: the group of the task that missed, for memory and I/O, not
# that of pcforce; and where that group has too little memory, forcing stops and says so.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/cached" "$PROGS/content"
kernel_engines
needs_groups memory io
setup_dir

plan $((${#ENGINES[@]} * (6 + 4)))

reader=$GROUPS_DIR/page2cache-reader forcer=$GROUPS_DIR/page2cache-pcforce
file=$DIR/data
"$PROGS/content" write "$file" $((32 << 20))
seq 0 4095 | shuf --random-source=<(yes) >"$DIR/list" # half of it: 16 MiB
bytes=$((16 << 20))
device=$(disk_of "$DIR")

new_groups()
{
	new_group $reader
	new_group $forcer
}

# Pages of files; those of shared memory (a memfd of pcforce) are its own affair.
memory_of()
{
	awk '$1 == "file" { sum += $2 } $1 == "shmem" { sum -= $2 } END { print sum + 0 }' "$1/memory.stat"
}

read_of()
{
	awk -v dev="$device" '$1 == dev { for (i = 2; i <= NF; i++) if ($i ~ /^rbytes=/) sum += substr($i, 8) } END { print sum + 0 }' "$1/io.stat"
}

# force ENGINE: pcforce in one group, a reader of one page in the other
force()
{
	rm -f "$DIR/out"
	(
		echo $BASHPID >$forcer/cgroup.procs
		exec timeout 60 "$PCFORCE" -j -O "$DIR/out" --once -t miss -e "$1" -f "$file" -o "$DIR/list" 2>"$DIR/err"
	) &
	local pcforce=$!
	wait_until 30 attached "$DIR/out" || bail "pcforce did not start: $(cat "$DIR/err")"
	before=$(memory_of $forcer)
	# The helper forces for as long as its reader has the file open.
	(
		echo $BASHPID >$reader/cgroup.procs
		exec 8<"$file"
		dd of=/dev/null bs=4k count=1 status=none <&8 || exit
		tail --pid=$pcforce -f /dev/null
	) &
	local page=$!
	wait $pcforce
	STATUS=$?
	wait $page
	READER=$?
}

for engine in "${ENGINES[@]}"; do
	new_groups
	evict "$file"
	force "$engine"
	is "$STATUS $(receipt "$DIR/out" '.requested == .read + .resident')" '0 true' "$engine: the miss of one page has all forced"
	within "$(memory_of $reader)" $((bytes - (1 << 20))) $((bytes + (4 << 20))) "$engine: the reader's group pays for the memory"
	within $(($(memory_of $forcer) - before)) 0 $((1 << 20)) "$engine: not that of pcforce"
	within "$(read_of $reader)" $((bytes - (1 << 20))) $((bytes + (4 << 20))) "$engine: and for the I/O"
	within "$(read_of $forcer)" 0 $((1 << 20)) "$engine: not that of pcforce"
	is "$("$PROGS/access" -p "@$DIR/list" --fadvise random "$file" | jq .misses)" 0 "$engine: the pages stay, whoever reads them"

	evict "$file"
	new_groups
	echo 4M >$reader/memory.max
	force "$engine"
	is "$READER $STATUS $(adds_up "$DIR/out")" '0 4 yes 1' "$engine: 4 MiB for a list of 16: the reader reads, not all comes in, the receipt adds up"
	within "$(receipt "$DIR/out" .read)" 1 1100 "$engine: it stops early"
	matches "$(cat "$DIR/err")" 'stopped early: memory is short' "$engine: and says so"
	is "$(awk '/^oom_kill / { print $2 }' $reader/memory.events)" 0 "$engine: nobody is killed"
done
