#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's forcing, by the helper and by the module, under everything that can happen to a
# file meanwhile, and under injected faults, on a kernel with KASAN, lockdep and fault injection:
# no complaint in its log, no wrong byte, no reference that stays.
#
#   PAGE2CACHE_STRESS_SECONDS  for the concurrent part (default 40)

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs losetup mount
needs_built "$PCFORCE" "$PROGS/access" "$PROGS/content" "$PROGS/helper"
kernel_engines
FAULTS=/sys/kernel/debug
[ -e "$FAULTS/fail_page_alloc/require-start" ] ||
	skip_all 'this kernel injects no faults inside of one function: scripts/kernel 6.12 --debug builds one that does'
seconds=${PAGE2CACHE_STRESS_SECONDS:-40}
setup_dir

plan $((2 + 3 + 1 + ${#ENGINES[@]} * (4 + 6 + 4) + 3 + 4 + 4 + 3))

# --- the kernel's log

dmesg -C
echo '<4>WARNING: possible circular locking dependency detected (planted)' >/dev/kmsg
is "$(complaints | wc -l)" 1 'the search of the log finds a complaint that was planted'
dmesg -C
is "$(complaints)" '' 'and nothing else so far'

# --- the hook, with programs that touch user memory, under lockdep

set -o pipefail
head -c 1M /dev/zero >"$DIR/hook"
sync "$DIR/hook"
got=$("$PROGS/helper" miss "$DIR/hook" 100 | paste -sd' ')
matches "$got" 'fault 1 vma_lock' 'a fault that came in with a VMA lock calls the hook'
matches "$got" 'populate 1 mmap_lock' 'one that came in with mmap_lock does, too'
is "$("$PROGS/helper" gone "$DIR/hook")" 'calls 1' 'and one whose mapping is freed while a program sleeps in the hook'

# --- a file system of its own: it is unmounted in the end

fs=$(findmnt -no FSTYPE -T "$DIR")
truncate -s 400M "$DIR/image"
case $fs in
xfs) mkfs.xfs -q "$DIR/image" ;;
btrfs) mkfs.btrfs -q "$DIR/image" ;;
*) mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 "$DIR/image" ;;
esac
loop=$(losetup -f --show "$DIR/image") || bail 'no loop device'
at_exit "losetup -d $loop"
MOUNT=$DIR/mount
mkdir "$MOUNT"
mount -t "$fs" -o noatime "$loop" "$MOUNT" || bail "cannot mount $loop"
at_exit "umount '$MOUNT' 2>/dev/null"
file=$MOUNT/data list=$DIR/list
"$PROGS/content" write "$file" $((24 << 20))
pages=$((24 << 8))
seq 0 $((pages - 1)) | shuf --random-source=<(yes) | awk 'NR % 3 == 0 { print $1 }
	NR % 97 == 0 { print $1 "+" 40 } NR % 999 == 0 { print $1 + 0 "+" 3000 }' >"$list"

# fault NAME KEY=VALUE...: the settings of one kind of injected faults
fault()
{
	local name=$1 pair
	shift
	for pair; do
		echo "${pair#*=}" >"$FAULTS/$name/${pair%%=*}" || diag "$name/$pair"
	done
}

quiet_faults()
{
	local name
	for name in failslab fail_page_alloc fail_make_request; do
		fault $name probability=0 times=0 task-filter=N
	done
}
at_exit quiet_faults

# --- that they are read in large folios, where the file system has them

FOLIOS=$TRACING/events/filemap/mm_filemap_add_to_page_cache

# large_folios: of the file, that one forcing adds
large_folios()
{
	evict "$file"
	echo "order > 0 && i_ino == $(stat -c %i "$file")" >$FOLIOS/filter
	echo >"$TRACING/trace"
	echo 1 >$FOLIOS/enable
	forced --now -e "${ENGINES[0]}" -f "$file" -o "$list"
	echo 0 >$FOLIOS/enable
	grep -c mm_filemap_add_to_page_cache "$TRACING/trace"
}
case $fs in
xfs) within "$(large_folios)" 1 100000 'what is forced here is in large folios' ;;
*) is "$(large_folios)" 0 'this file system has no large folios' ;;
esac

# --- reads that fail on the device; nothing is left to be written, which would fail as well

name=${loop#/dev/}
for engine in "${ENGINES[@]}"; do
	for mode in now race; do
		evict "$file"
		sync -f "$MOUNT"
		echo 1 >"/sys/block/$name/make-it-fail"
		fault fail_make_request probability=30 interval=1 times=-1 verbose=0
		if [ "$mode" = now ]; then
			forced --now -e "$engine" -f "$file" -o "$list"
		else
			forced -e "$engine" -t miss -f "$file" -o "$list" -- bash -c "head -c 4096 '$file'; sleep 2"
		fi
		fault fail_make_request probability=0
		echo 0 >"/sys/block/$name/make-it-fail"
		is "$(adds_up "$OUT")" 'yes 1' "$engine: $mode: with failing reads the receipt adds up"
		is "$(receipt "$OUT" '.failed > 0')" true "$engine: $mode: and says that some failed"
		evict "$file"
	done
done

# --- memory that is refused inside of the forcing path, and there only

# range_of ENGINE: begin and end of the worker's function, below which all else is called
range_of()
{
	local where='NF == 3'
	[ "$1" = helper ] || where='$4 == "[bpf_page2cache]"'
	awk "$where" /proc/kallsyms | sort | awk '$2 !~ /[tT]/ { next }
		start && $1 != start { print start, $1; exit }
		$3 == "prefetch_work" { start = $1 }'
}

# refuse NAME PROBABILITY ROUNDS: forces with allocations of that kind refused; how many were
refuse()
{
	local i
	fault "$1" ignore-gfp-wait=N interval=1 verbose=0 "require-start=0x$from" "require-end=0x$to" stacktrace-depth=32
	fault "$1" times=1000 probability="$2"
	for ((i = 0; i < $3; i++)); do
		evict "$file"
		forced --now -e "$engine" -f "$file" -o "$list"
		[ "$(adds_up "$OUT")" = 'yes 1' ] || diag "$(cat "$OUT")"
		grep -q 'memory is short' "$ERR" && short=1
	done
	injected=$((1000 - $(cat "$FAULTS/$1/times")))
	fault "$1" probability=0
}

fault fail_page_alloc ignore-gfp-highmem=N min-order=0
for engine in "${ENGINES[@]}"; do
	read -r from to <<<"$(range_of "$engine")"
	short=
	refuse fail_page_alloc 1 12
	within "$injected" 1 1000 "$engine: allocations were refused inside of the forcing path: $injected"
	is "$short" 1 "$engine: it stopped at one of them and said why"
	is "$(adds_up "$OUT")" 'yes 1' "$engine: the receipt adds up"
	refuse failslab 2 6
	within "$injected" 1 1000 "$engine: and of the slab allocator: $injected"
	is "$(adds_up "$OUT")" 'yes 1' "$engine: the receipt adds up"
	ok "$engine: what was read then is right" "$PROGS/content" check "$file" read
done

# --- lists that others write to while they run: their owner has wrong answers then, nobody else

# A short one: most can happen where a list begins and ends.
awk 'NR % 16 == 0 || /\+40$/' "$list" >"$DIR/short"
begun=0 turn=0
scribbled_over()
{
	"$PROGS/helper" scribble $((seconds / 2)) >"$DIR/scribbled" &
	scribbler=$!
	while ! gone $scribbler; do
		evict "$file"
		forced -e "${ENGINES[turn++ % ${#ENGINES[@]}]}" -t miss -f "$file" -o "$DIR/short" -- \
			bash -c "for i in 1 2 3 4; do head -c 4096 '$file'; sleep 0.2; done"
		begun=$((begun + $(jq -s 'map(select(.record == "receipt")) | length' "$OUT")))
	done
	wait $scribbler
}

# A debug kernel may be too slow to begin even one of them in that time.
for _ in 1 2 3; do
	scribbled_over
	[ $begun = 0 ] || break
done
within "$(cat "$DIR/scribbled")" 1000 100000000 'lists were written to at random'
within "$begun" 1 100000 "and forced meanwhile: $begun"
ok 'what was read then is right' "$PROGS/content" check "$file" read

# --- a suspend, up to and from the freezer, while a list is held up by its cgroup

device=$(lsblk -ndo MAJ:MIN "$loop" | tr -d ' ')
slow=/sys/fs/cgroup/page2cache-slow
echo '+memory +io' >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p $slow
at_exit "rmdir $slow"

slow_bytes()
{
	[ "$(grep -oE "^$device .*rbytes=[0-9]+" $slow/io.stat | grep -oE '[0-9]+$')" -gt 65536 ]
}

suspend()
{
	echo 1 >/sys/module/suspend/parameters/pm_test_delay
	echo freezer >/sys/power/pm_test && echo freeze >/sys/power/state
}

for engine in "${ENGINES[@]}"; do
	evict "$file"
	echo "$device rbps=262144" >$slow/io.max
	forcing --once -d 120 -e "$engine" -t miss -f "$file" -o "$DIR/short"
	(
		echo $BASHPID >$slow/cgroup.procs
		exec 8<"$file"
		dd bs=4k count=1 skip="$(head -n1 "$DIR/short" | sed 's/+.*//')" of=/dev/null status=none <&8
		exec sleep 100
	) &
	reader=$!
	ok "$engine: a list is held up" wait_until 60 slow_bytes
	ok "$engine: the machine is frozen and thawed" suspend
	ok "$engine: the list has not ended meanwhile" kill -0 $BG
	echo "$device rbps=max" >$slow/io.max
	wait $BG
	is "$(adds_up "$BG_OUT")" 'yes 1' "$engine: then it ends, and its receipt adds up"
	kill $reader
done

# --- everything at once: cut, punched, written, dropped, a small cgroup, killed readers

"$PROGS/content" write "$MOUNT/steady" $((8 << 20))
seq 0 3 2047 >"$DIR/steady.list"
cgroup=/sys/fs/cgroup/page2cache-stress
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p $cgroup
at_exit "rmdir $cgroup"
echo 6M >$cgroup/memory.max

# all_at_once: for a while. Fails if a reader saw a wrong byte.
all_at_once()
{
	local stress victim receipts

	"$PROGS/content" stress "$file" "$seconds" 1 >"$DIR/rounds" 2>&1 &
	stress=$!
	(
		while kill -0 $stress 2>/dev/null; do
			echo 3 >/proc/sys/vm/drop_caches
			sleep 0.7
		done
	) &
	(
		while kill -0 $stress 2>/dev/null; do
			echo $BASHPID >$cgroup/cgroup.procs
			timeout -s KILL 0.8 "$PROGS/access" --blind -p random -n 3000 "$file" >/dev/null 2>&1
			ln "$file" "$file.link" && rm "$file.link"
		done
	) 2>/dev/null &
	while kill -0 $stress 2>/dev/null; do
		engine=${ENGINES[turn++ % ${#ENGINES[@]}]}
		evict "$MOUNT/steady" 2>/dev/null
		forced -e "$engine" -t miss -f "$file" -o "$DIR/short" -- \
			bash -c "for i in 1 2 3 4; do head -c 4096 '$file'; cat '$file'; sleep 0.3; done"
		receipts=$(jq -s 'map(select(.record == "receipt")) | length' "$OUT")
		firings=$((firings + receipts))
		[ "$(adds_up "$OUT")" != "yes $receipts" ] || added=$((added + receipts))
		# and one that is killed in the middle
		"$PCFORCE" -e "$engine" -t miss -f "$file" -o "$DIR/short" -d 60 -j -O "$DIR/killed" 2>/dev/null &
		victim=$!
		wait_until 60 grep -q meta "$DIR/killed" && dd if="$file" of=/dev/null bs=4k count=1 skip=$((RANDOM % pages)) status=none
		kill -KILL $victim
		wait $victim 2>/dev/null
		rm -f "$DIR/killed"
	done
	wait $stress
}

# A debug kernel may be too slow to force the list even once in that time.
firings=0 added=0 turn=0 wrong=0
for _ in 1 2 3; do
	all_at_once || wrong=1
	[ $firings = 0 ] || break
done
is $wrong 0 'everything at once: no reader saw a wrong byte'
wait
diag "$firings firings, $(cat "$DIR/rounds") operations"
within "$firings" 1 100000 'the list was forced meanwhile'
is "$added" "$firings" 'and every receipt adds up'
ok 'a file that nobody wrote to holds what it held' "$PROGS/content" check "$MOUNT/steady" read

# --- the same with a deleted file, and the end

cp "$MOUNT/steady" "$MOUNT/gone"
sync "$MOUNT/gone"
evict "$MOUNT/gone"
"$PCFORCE" -e "$engine" -t miss -f "$MOUNT/gone" -o "$DIR/steady.list" -j -O "$DIR/gone.out" -d 4 2>/dev/null &
pid=$!
wait_until 60 grep -q meta "$DIR/gone.out"
exec 8<"$MOUNT/gone"
rm "$MOUNT/gone"
ok 'a deleted file can be read while it is forced' cmp /dev/fd/8 "$MOUNT/steady"
exec 8<&-
wait $pid
is "$(adds_up "$DIR/gone.out")" 'yes 1' 'and has a receipt'
"$PROGS/content" write "$file" $((24 << 20))
evict "$file"
forced --now -e "$engine" -f "$file" -o "$list"
ok 'afterwards: forced, and by read as it was written' "$PROGS/content" check "$file" read
ok 'and by mmap' "$PROGS/content" check "$file" mmap

unmounted()
{
	umount "$MOUNT" 2>/dev/null
}
ok 'no reference is left: the file system unmounts' wait_until 60 unmounted
is "$(complaints)" '' 'the kernel did not complain'
case $fs in
ext4) ok 'and its file system is sound' e2fsck -fn "$DIR/image" ;;
xfs) ok 'and its file system is sound' xfs_repair -n "$DIR/image" ;;
*) ok 'and its file system is sound' btrfs check "$DIR/image" ;;
esac
