#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module: what its functions take and refuse, when it can be unloaded, and files that are
# not simply a file of the disk: overlays, fs-verity, fscrypt.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs losetup mount
needs_built "$PCFORCE" "$PROGS/kfunc" "$PROGS/access" "$PROGS/cached" "$PROGS/content" "$PROGS/protect" "$PROGS/silent"
[ -e /sys/module/bpf_page2cache ] ||
	skip_all 'the module bpf_page2cache is not loaded: make kmod builds it'
KO=/etc/page2cache-vm.ko
[ -e $KO ] || skip_all 'it is unloaded here: only in a guest of scripts/vm --kmod'
grep -qw io /sys/fs/cgroup/cgroup.controllers 2>/dev/null || skip_all 'no cgroup v2 with io here'
needs perl perl
setup_dir

plan $((19 + 9 + 8 + 2 + 3 + 3 + 4 + 11 + 3 + 3 + 3 + 2 * 3))

# --- what the verifier takes

# loads NAME WORD TITLE
loads()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/load")" "$2" "$3"
}

"$PROGS/kfunc" load >"$DIR/load"
loads force_now taken 'the verifier takes the functions in a program that a process runs'
loads keep taken 'and lets an array keep a list'
loads keep_in_hash taken 'or a hash'
loads hold_inner taken 'a list may be of a map within a map'
loads force_fentry taken 'a list that a map keeps may be forced by an fentry program'
loads force_kprobe taken 'by a kprobe program, which sees the misses of preemptible kernels'
loads force_tracepoint taken 'by that of a classic tracepoint'
loads force_perf_event taken 'and by that of a perf event: it only has a worker woken'
loads delete_kept taken 'which may delete it, too'
loads hold_fentry refused 'an fentry program may hold none, be it one that may sleep'
loads hold_kprobe refused 'nor may a kprobe program'
loads hold_tracepoint refused 'nor that of a tracepoint'
loads hold_lsm refused 'nor an LSM program'
loads drop_tracing taken 'but such programs may drop one'
loads leaks refused 'a list may not be forgotten'
loads twice refused 'nor be forced twice'
loads value_for_map refused 'memory is no map'
loads value_for_list refused 'and no list'
is "$(wc -l <"$DIR/load")" 19 'there are no more than these, and one to be called'

# --- what is refused when it is called

file=$DIR/data
"$PROGS/content" write "$file" $((32 << 20))
pages=8192
seq 0 $((pages - 1)) | shuf --random-source=<(yes) | head -2000 >"$DIR/sparse"

# maps NAME WANT TITLE
maps()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/maps")" "$2" "$3"
}

"$PROGS/kfunc" maps "$file" >"$DIR/maps"
maps extents 0 'a list of an array that can be mapped is held'
maps past -22 'one that begins behind its map is -EINVAL'
maps not_mmapable -22 'and so is a map that cannot be mapped'
maps odd_values -22 'other values than extents'
maps too_few -22 'a map that is too small for a head'
maps read_only -22 'one that programs may only read'
maps ringbuf -22 'a ring buffer'
maps holders -22 'and what owns lists itself'
maps frozen -1 'one that is frozen is -EPERM'

# holds WANT TITLE FILE [HOW]
holds()
{
	is "$("$PROGS/kfunc" hold "${@:3}" 2>&1)" "$1" "$2"
}

holds 0 'a list of a regular file is held' "$file"
holds -9 'a number that is no descriptor is -EBADF' "$file" closed
holds -9 'and so is one of a path alone' "$file" path
holds -95 'one for writing only is -EOPNOTSUPP' "$file" write
holds -95 'and so is a directory' "$DIR"
holds -95 'a file of procfs' /proc/self/maps
mkdir -p "$DIR/tmpfs"
mount -t tmpfs tmpfs "$DIR/tmpfs"
at_exit "umount '$DIR/tmpfs'"
head -c 65536 /dev/zero >"$DIR/tmpfs/file"
holds -95 'and one of tmpfs' "$DIR/tmpfs/file"
modprobe -q fuse
if SERVER=$("$PROGS/silent" "$DIR/tmpfs" 1048576 2>/dev/null); then
	at_exit "kill -KILL $SERVER; umount -l '$DIR/tmpfs'"
	holds -95 'and one of FUSE, whose server may never answer' "$DIR/tmpfs/data"
	matches "$("$PCFORCE" -e kfunc --now -f "$DIR/tmpfs/data" 2>&1 >/dev/null; echo "status $?")" \
		'engine user forces it.*status 3$' 'which pcforce knows'
	umount -l "$DIR/tmpfs"
else
	skip 2 'no FUSE here'
fi
holds 'not frozen' 'while a list is held, its map cannot be frozen' "$file" kept

# forces WANT TITLE [HOW]
forces()
{
	evict "$file" 2>/dev/null
	is "$("$PROGS/kfunc" force "$file" "${@:3}")" "$1" "$2"
}

forces 'state 2 error 0 read 8' 'a list is forced'
forces 'state 0 error -22 read 0' 'one that is longer than its map is not: -EINVAL' long
forces 'state 2 error -16 read 8' 'nor, once it is done, a second time: -EBUSY' twice

is "$("$PROGS/kfunc" keep "$file" 1000)" 'held 1000' 'a thousand lists are held, one after the other'
is "$("$PROGS/kfunc" delete "$file" 200)" 'deleted 200' 'two hundred are deleted, in interrupts'
is "$("$PROGS/kfunc" inner "$file" 500)" 'other 0' 'a map within a map goes away, or is held'

# --- of a disk that is slow: lists run for seconds

slow=/sys/fs/cgroup/page2cache-slow
device=$(disk_of "$DIR")
echo +io >/sys/fs/cgroup/cgroup.subtree_control
mkdir $slow
at_exit "rmdir $slow"
echo "$device rbps=1048576" >$slow/io.max || bail "no io.max of $device"

# slowly COMMAND...: what is still on its way for the last one cannot be evicted
slowly()
{
	evict "$file" >/dev/null 2>&1
	(
		echo $BASHPID >$slow/cgroup.procs
		exec timeout 100 "$@"
	)
}

# So slow for these that the first of them has not ended when the last one is looked at.
echo "$device rbps=16384" >$slow/io.max
is "$(slowly "$PROGS/kfunc" many "$file")" 'running 16 error -11' 'sixteen lists of a map run, one more is -EAGAIN'
echo "$device rbps=1048576" >$slow/io.max
is "$(slowly "$PROGS/kfunc" again "$file")" 'state 0 error -16' 'a list that runs is -EBUSY, though its state was set back'
seq $((pages - 64)) 2 $((pages - 1)) >"$DIR/tail"
evict "$file"
forcing -e kfunc -t miss -f "$file" -o "$DIR/tail" -d 100
slowly dd if="$file" of=/dev/null bs=32M count=1 status=none &
reader=$!
wait_until 30 eval "[ \$('$PROGS/cached' '$file' | comm -12 <(sort) <(sort '$DIR/tail') | wc -l) = 32 ]"
is "$(pgrep -cP $reader)" 1 'the list of a task that stays in the kernel is begun: one read of the whole file'
{
	pkill -P $reader
	wait $reader
} 2>/dev/null
stop INT
is "$STATUS $(receipt "$BG_OUT" '[.read, .failed, .skipped]')" '0 [32,0,0]' 'and all of it was forced'

# --- when it can be unloaded

unload()
{
	rmmod bpf_page2cache
}

# unloads TITLE: within a second
unloads()
{
	within "$(naps unload)" 0 50 "$1" || diag "$(unload 2>&1)"
	insmod $KO 2>/dev/null
}

unloads 'with no program that uses it, and no list in a map, it is unloaded'
forcing -e kfunc -f "$file" -o "$DIR/sparse" -d 60
is "$(unload 2>&1 | grep -c 'in use')" 1 'not while a program that uses it is attached'
kill -INT "$BG"
wait "$BG"
unloads 'pcforce has ended: within a second'
forcing -e kfunc -f "$file" -o "$DIR/sparse" -d 60
kill -KILL "$BG"
wait "$BG" 2>/dev/null
unloads 'it was killed while it waited: within a second'
"$PROGS/content" write "$DIR/large" $((192 << 20))
evict "$DIR/large"
seq 0 49151 | awk '$1 % 3 == 0' | shuf --random-source=<(yes) >"$DIR/many"
forcing -e kfunc -f "$DIR/large" -o "$DIR/many" -d 60
# For a reader whose disk is slow it takes a minute.
(
	echo $BASHPID >$slow/cgroup.procs
	exec head -c 4096 "$DIR/large" >/dev/null
)
wait_until 60 eval "[ \$('$PROGS/cached' -c '$DIR/large') -gt 100 ]"
kill -KILL "$BG"
wait "$BG" 2>/dev/null
unloads 'it was killed in the middle of forcing: within a second'
within "$("$PROGS/cached" -c "$DIR/large")" 100 16000 'and the rest of the list was left'
rm "$DIR/large"
for ((i = 0; i < 20; i++)); do
	unload || break
	insmod $KO
	forced --now -e kfunc -f "$file" -o "$DIR/sparse"
	[ "$STATUS" = 0 ] || break
	until rmmod bpf_page2cache 2>/dev/null; do sleep 0.02; done
	insmod $KO
done
is $i 20 'loaded, used and unloaded twenty times'
for ((i = 0; i < 10; i++)); do
	slowly "$PROGS/kfunc" die "$file" 2>/dev/null
	until rmmod bpf_page2cache 2>/dev/null; do sleep 0.02; done
	insmod $KO
done
is $i 10 'a process was killed with seventeen lists on their way, and the module unloaded, ten times'
mkfifo "$DIR/go"
slowly "$PROGS/kfunc" orphan "$file" <"$DIR/go" >"$DIR/orphan" &
orphan=$!
exec 8>"$DIR/go"
wait_until 30 grep -q ready "$DIR/orphan"
unloads 'a list whose map alone is left: within a second'
echo >&8
wait $orphan
exec 8>&-
is "$(tail -n1 "$DIR/orphan")" 'state 2 error -130' 'and the list has ended early'
ok 'the file is as it was' "$PROGS/content" check "$file" mmap

# --- what --check says

"$PCFORCE" --check -j >"$DIR/check"
is "$(jq -c 'select(.engine == "kfunc") | [.available, .reason]' "$DIR/check")" '[true,null]' '--check: it is there'
until unload 2>/dev/null; do sleep 0.02; done
matches "$("$PCFORCE" -e kfunc --now -f "$file" 2>&1 >/dev/null; echo "status $?")" \
	'^pcforce: engine kfunc: the module bpf_page2cache is not loaded: modprobe bpf_page2cache.*status 3$' 'not loaded: status 3, and what brings it'
# Its section under another name.
perl -pe 's/\.BTF\0/.NOT\0/' $KO >"$DIR/bpf_page2cache.ko"
insmod "$DIR/bpf_page2cache.ko"
matches "$("$PCFORCE" -e kfunc --now -f "$file" 2>&1 >/dev/null; echo "status $?")" \
	'has no types \(BTF\).*make kmod.*status 3$' 'without types: status 3, and what brings them'
rmmod bpf_page2cache
insmod $KO

# --- trigger open, in the task that opens

evict "$file"
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- bash -c "exec 9<'$file'; '$PROGS/cached' -w 2000 '$file'; $OUTLIVE"
is "$STATUS $(receipt "$OUT" '[.trigger, .read, .requested]')" '0 ["open",2000,2000]' 'trigger open: opened, not read, and all is forced'
evict "$file"
exec 9<"$file"
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- sleep 1
is "$STATUS $(receipt "$OUT" '.read')" '4 0' 'an open before COMMAND does not count' || diag "$(cat "$OUT")"
exec 9<&-
# Pages of the file behind descriptor 9: `cached` would open it once more. By cachestat(2).
cached_of_9()
{
	perl -e '$all = pack("QQ", 0, 0); $is = "\0" x 40; syscall(451, 9, $all, $is, 0) == 0 or die; print unpack("Q", $is)'
}
export -f cached_of_9

evict "$file"
# Opened again until pcforce has armed it again, which takes a second and a moment. An open itself reads nothing.
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- bash -c "exec 9<'$file'; '$PROGS/cached' -w 2000 '$file'
	exec 9<&-; echo 3 >/proc/sys/vm/drop_caches
	for i in {1..120}; do
		exec 9<'$file'; sleep 0.5; [ \$(cached_of_9) = 0 ] || break; exec 9<&-
	done; '$PROGS/cached' -w 2000 '$file'; $OUTLIVE"
is "$(receipt "$OUT" '.read')" '2000 2000' 'opened again after the pages were dropped: forced again'

# --- overlays

modprobe -q overlay
mkdir -p "$DIR/lower" "$DIR/upper" "$DIR/work" "$DIR/merged"
"$PROGS/content" write "$DIR/lower/data" $((8 << 20))
sync "$DIR/lower/data"
if mount -t overlay overlay -o "lowerdir=$DIR/lower,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/merged"; then
	at_exit "umount '$DIR/merged'"
	seq 0 2 2047 >"$DIR/half"
	evict "$DIR/lower/data"
	forced -t access -e kfunc -f "$DIR/merged/data" -o "$DIR/half" -- bash -c "'$PROGS/access' --blind -n 1 --fadvise random '$DIR/merged/data'; '$PROGS/cached' -w 1024 '$DIR/lower/data'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" '[.engine, .requested == .read + .resident]')" '0 ["kfunc",true]' \
		'an overlay: the file with the pages is forced'
	is "$("$PROGS/cached" "$DIR/lower/data" | comm -3 <(sort) <(sort "$DIR/half") | wc -l)" 0 'exactly what is listed'
	evict "$DIR/lower/data"
	forced -t access -f "$DIR/merged/data" -o "$DIR/half" -- bash -c "head -c 4096 '$DIR/merged/data'; '$PROGS/cached' -w 1024 '$DIR/lower/data'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" '.requested == .read + .resident')" '0 true' 'auto: some engine does it'
else
	skip 3 'no overlayfs here'
fi

# --- files that are checked or decrypted as they are read

modprobe -q loop
truncate -s 128M "$DIR/image"
if ! mke2fs -q -t ext4 -b 4096 -O verity,encrypt "$DIR/image" 2>/dev/null; then
	skip 6 'mke2fs makes no such file system'
else
	loop=$(losetup -f --show "$DIR/image") || bail 'no loop device'
	at_exit "losetup -d $loop"
	mkdir "$DIR/protected"
	mount -t ext4 "$loop" "$DIR/protected" || bail 'cannot mount it'
	at_exit "umount '$DIR/protected'"
	mkdir "$DIR/protected/secret"
	for kind in verity encrypt; do
		special=$DIR/protected/secret/$kind
		if [ $kind = verity ]; then
			special=$DIR/protected/verity
			"$PROGS/content" write "$special" $((8 << 20))
			"$PROGS/protect" verity "$special" 2>"$DIR/err"
		else
			"$PROGS/protect" encrypt "$DIR/protected/secret" 2>"$DIR/err" &&
				"$PROGS/content" write "$special" $((8 << 20))
		fi || {
			skip 3 "$kind: this kernel has none: $(cat "$DIR/err")"
			continue
		}
		sync "$DIR/protected"
		evict "$special"
		seq 0 3 2047 | shuf --random-source=<(yes) >"$DIR/third"
		forced --now -e kfunc -f "$special" -o "$DIR/third"
		is "$STATUS $(receipt "$OUT" '[.read, .failed]')" '0 [683,0]' "$kind: forced"
		is "$("$PROGS/access" -p "@$DIR/third" --fadvise random "$special" | jq .misses)" 0 "$kind: no page of the list is missed"
		ok "$kind: the bytes are right" "$PROGS/content" check "$special" mmap
	done
fi
