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
needs_built "$PCFORCE" "$PROGS/kfunc" "$PROGS/access" "$PROGS/cached" "$PROGS/content" "$PROGS/protect"
[ -e /sys/module/bpf_page2cache ] ||
	skip_all 'the module bpf_page2cache is not loaded: make kmod builds it'
KO=/etc/page2cache-vm.ko
[ -e $KO ] || skip_all 'it is unloaded here: only in a guest of scripts/vm --kmod'
setup_dir

plan $((13 + 8 + 8 + 3 + 3 + 3 + 2 * 3))

# --- what the verifier takes

# loads NAME WORD TITLE
loads()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/load")" "$2" "$3"
}

"$PROGS/kfunc" load >"$DIR/load"
loads at_mmap taken 'the verifier takes the functions in an LSM program'
loads hold_sleepable taken 'in one that may sleep, too'
loads force_fentry taken 'and a list that a map keeps may be forced by an fentry program'
loads hold_fentry refused 'but not held, with a file that the kernel does not vouch for'
loads drop_tracing refused 'nor dropped'
loads force_perf_event refused 'programs of perf events may force nothing, they run in NMI'
loads force_kprobe taken 'kprobe programs may, which see the misses of preemptible kernels'
loads force_tracepoint taken 'and so may those of classic tracepoints'
loads leaks refused 'a list may not be forgotten'
loads twice refused 'nor be forced twice'
loads wrong_type refused 'a task is no file'
loads walked refused 'nor is one that a program has found by itself to be relied on'
loads value_for_map refused 'and memory is no map'

# --- what is refused when it is called

file=$DIR/data
"$PROGS/content" write "$file" $((32 << 20))
pages=8192
seq 0 $((pages - 1)) | shuf --random-source=<(yes) | head -2000 >"$DIR/sparse"

forces()
{
	evict "$file" 2>/dev/null
	is "$("$PROGS/kfunc" force "${@:3}")" "$1" "$2"
}

forces 'state 2 held 1 read 8' 'a list of a regular file is forced' "$file"
forces 'state 0 held 1 read 0' 'a ring buffer is no list' "$file" ringbuf
forces 'state 0 held 0 read 0' 'nor is what owns lists itself' "$file" holders
forces 'state 0 held 1 read 0' 'nor what begins behind its map' "$file" past
forces 'state 0 held 1 read 0' 'nor what is longer than its map' "$file" long
forces 'state 0 held 1 read 0' 'a file that is open for writing only is refused' "$file" wrong
mkdir -p "$DIR/tmpfs"
mount -t tmpfs tmpfs "$DIR/tmpfs"
at_exit "umount '$DIR/tmpfs'"
head -c 65536 /dev/zero >"$DIR/tmpfs/file"
forces 'state 0 held 1 read 0' 'and so is one of tmpfs' "$DIR/tmpfs/file"
"$PROGS/kfunc" keep "$file" 1000 >"$DIR/kept"
is "$(cat "$DIR/kept")" 'held 1000' 'a thousand lists are held, one after the other'

# --- when it can be unloaded

unload()
{
	rmmod bpf_page2cache
}

# unloads TITLE: within a second
unloads()
{
	local start=$EPOCHREALTIME ms
	until unload 2>"$DIR/rmmod"; do
		[ $((${EPOCHREALTIME/./} - ${start/./})) -lt 10000000 ] || break
		sleep 0.02
	done
	ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
	within "$ms" 0 1000 "$1" || diag "$(cat "$DIR/rmmod")"
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
head -c 4096 "$DIR/large" >/dev/null
wait_until 10 eval "[ \$('$PROGS/cached' -c '$DIR/large') -gt 100 ]"
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
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- bash -c "exec 9<'$file'; sleep 2"
is "$STATUS $(receipt "$OUT" '[.trigger, .read, .requested]')" '0 ["open",2000,2000]' 'trigger open: opened, not read, and all is forced'
evict "$file"
exec 9<"$file"
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- sleep 1
is "$STATUS $(receipt "$OUT" '.read')" '4 0' 'an open before COMMAND does not count' || diag "$(cat "$OUT")"
exec 9<&-
evict "$file"
forced -e kfunc -t open -f "$file" -o "$DIR/sparse" -- bash -c "exec 9<'$file'; sleep 2; exec 9<&-; echo 3 >/proc/sys/vm/drop_caches; exec 9<'$file'; sleep 2"
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
	if "$PCFORCE" --check | grep -q 'mmap_backing_file *yes'; then
		forced -t access -e kfunc -f "$DIR/merged/data" -o "$DIR/half" -- bash -c "'$PROGS/access' --blind -n 1 --fadvise random '$DIR/merged/data'; sleep 2"
		is "$STATUS $(receipt "$OUT" '[.engine, .requested == .read + .resident]')" '0 ["kfunc",true]' \
			'an overlay: the file with the pages is forced'
		is "$("$PROGS/cached" "$DIR/lower/data" | comm -3 <(sort) <(sort "$DIR/half") | wc -l)" 0 'exactly what is listed'
	else
		forced -t access -e kfunc -f "$DIR/merged/data" -o "$DIR/half" -- head -c 4096 "$DIR/merged/data"
		is "$STATUS" 3 'an overlay is refused'
		matches "$(cat "$ERR")" 'overlay' 'with the reason'
	fi
	evict "$DIR/lower/data"
	forced -t access -f "$DIR/merged/data" -o "$DIR/half" -- bash -c "head -c 4096 '$DIR/merged/data'; sleep 2"
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
