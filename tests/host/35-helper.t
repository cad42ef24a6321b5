#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The patched kernel's helper: what its verifier takes, which files and lists it
# refuses, and where its hook is called.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PROGS/helper" "$PROGS/access" "$PROGS/content" "$PROGS/silent"
grep -qw filemap_miss /proc/kallsyms || skip_all 'this kernel has no helper: patches/ brings it'
setup_dir

plan $((14 + 17 + 3 + 25))

# loads NAME WORD TITLE
loads()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/load")" "$2" "$3"
}

"$PROGS/helper" load >"$DIR/load"
loads at_miss taken 'the verifier takes the helper in a sleepable program at the hook'
loads after_miss taken 'and behind it'
loads count_miss taken 'a program at the hook may touch user memory'
loads not_sleepable refused 'not in one that must not sleep'
loads walked_file refused 'not with a file that the program has walked to'
loads own_arguments refused 'not with arguments that it has made up'
loads moved_context refused 'not with another part of its arguments'
loads at_open refused 'not at another hook, even if that may sleep'
loads at_mmap refused 'not where a file is mapped'
if grep -qw bpf_lsm_file_post_open /proc/kallsyms; then
	loads after_open refused 'not behind an open'
else
	skip 1 'this kernel has no LSM hook file_post_open'
fi
loads other_type_tracepoint refused 'not in a tracepoint program'
loads other_type_syscall refused 'not in a program that is called by bpf(2)'
loads other_type_kprobe refused 'not in a kprobe program'
is "$("$PROGS/helper" tail)" refused 'a program that must not sleep cannot call one that does'

# --- calls that are refused: -EINVAL for lists and maps, -EOPNOTSUPP for files

file=$DIR/data
"$PROGS/content" write "$file" $((32 << 20))

# calls NAME RESULT TITLE
calls()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/call")" "$2" "$3"
}

"$PROGS/helper" call "$file" >"$DIR/call"
calls right 0 'a list of a regular file is taken'
calls again -16 'while it runs it is -EBUSY'
calls reset -16 'also if its state was set back'
calls lists 0 'sixteen lists of a map run at a time'
calls more -11 'one more is -EAGAIN'
calls not_mmapable -22 'a map that cannot be mapped is -EINVAL'
calls hash -22 'and so is a hash'
calls odd_values -22 'and so are other values than extents'
calls too_few -22 'a map that is too small for a head'
calls read_only -22 'a map that programs may only read'
calls frozen -1 'one that is frozen is -EPERM'
calls first -22 'a list that begins behind its end is -EINVAL'
calls flags -22 'and flags'
"$PROGS/helper" full "$file" >"$DIR/call"
calls right -22 'a list that is longer than its map is -EINVAL'
"$PROGS/helper" far "$file" 4096 1000000 >"$DIR/call"
is "$(paste -sd' ' "$DIR/call")" 'right 0 error 0 all 1 past 1 pages 1' \
	'a list of a million extents, that count 2^59 pages and more, is read to its end'
"$PROGS/helper" stop "$file" 4096 1000000 >"$DIR/call"
is "$(paste -sd' ' "$DIR/call")" "right 0 error -125 all 0 past 1 pages 0" \
	'stopped on its way, it ends before that, with the pages of the extents that it came to'
"$PROGS/helper" kptrs "$file" >"$DIR/call"
calls kptrs -22 'and one with pointers of the kernel in it'

loop=$(losetup -f --show "$file") || bail 'no loop device'
at_exit "losetup -d $loop"
"$PROGS/helper" call "$loop" >"$DIR/call"
calls right -95 'a device is refused: -EOPNOTSUPP'
mkdir "$DIR/ramfs"
mount -t ramfs ramfs "$DIR/ramfs"
at_exit "umount '$DIR/ramfs'"
truncate -s 64K "$DIR/ramfs/file"
"$PROGS/helper" call "$DIR/ramfs/file" >"$DIR/call"
calls right -95 'and so is a file without a device'
mkdir "$DIR/fuse"
if server=$("$PROGS/silent" "$DIR/fuse" 1048576 2>/dev/null); then
	at_exit "kill -KILL $server; umount -l '$DIR/fuse'"
	"$PROGS/helper" call "$DIR/fuse/data" >"$DIR/call"
	calls right -95 'and one of FUSE, whose server may never answer'
else
	skip 1 'no FUSE here'
fi

# --- the hook: called for each miss, whatever readahead would do about it, and for nothing else

# called WANT TITLE OPTION...: how often it is called is what `access`, asked with these options,
# knows beforehand: WANT, a filter of jq
called()
{
	local want=$1 title=$2 out
	shift 2
	out=$("$PROGS/helper" count "$DIR/missed" "$PROGS/access" "$@" "$DIR/missed")
	is "$(awk '$1 == "calls" { print $2 }' <<<"$out")" "$(head -n1 <<<"$out" | jq "$want")" "$title"
}

make_file "$DIR/missed" 32m
missed='if .misses > 0 then .misses else "no miss" end'
scattered=(--evict -p random -n 60)
many=(--evict -p random -n 300)
set_ra found
called "$missed" 'a read calls the hook if it misses' "${scattered[@]}" --fadvise random
called "$missed" 'reads on end, which meet the marks of readahead, if they miss' --evict -p sequential -n 2000
called "$missed" 'splice(2)' -m splice "${scattered[@]}"
called "$missed" 'sendfile(2)' -m sendfile "${scattered[@]}"
called "$missed" 'a read of io_uring in a worker, which may block' -m io_uring-async "${scattered[@]}"
called "$missed" 'a fault' -m mmap "${scattered[@]}"
called "$missed" 'faults on end' -m mmap --evict -p sequential -n 2000
called "$missed" 'after so many misses that readahead has been given up' -m mmap "${many[@]}"
called "$missed" 'MADV_RANDOM' -m mmap --madvise random "${scattered[@]}"
called "$missed" 'MADV_SEQUENTIAL' -m mmap --madvise sequential "${scattered[@]}"
called "$missed" 'a mapping that can be executed' -m mmap-exec "${scattered[@]}"
called "$missed" 'and after many misses' -m mmap-exec "${many[@]}"
called "$missed" 'a fault of a write, shared' -m mmap-shared "${scattered[@]}"
called "$missed" 'private' -m mmap-write "${scattered[@]}"
called "$missed" 'a fault of the kernel' -m mmap-kernel "${scattered[@]}"
called "$missed" 'one without an exception' -m mmap-populate "${scattered[@]}"
set_ra 0
called "$missed" 'a read, without readahead' "${scattered[@]}"
called "$missed" 'a fault, without readahead' -m mmap "${scattered[@]}"
called "$missed" 'in a mapping that can be executed' -m mmap-exec "${scattered[@]}"
set_ra found
if nowait_reads; then
	called 0 'a read that must not block calls nobody' -m nowait-once "${scattered[@]}"
else
	skip 1 'a refused RWF_NOWAIT read starts no I/O in this kernel'
fi
called 0 'io_uring, whose first pass must not, has started to read by then' -m io_uring "${scattered[@]}"
called 0 'a read of what is cached calls nobody' --load 1/1 -p random -n 64
called 0 'and a fault neither' -m mmap --load 1/1 -p random -n 64

is "$("$PROGS/helper" miss "$DIR/missed" 100 | awk '{ print $1, $2 }' | paste -sd' ')" 'read 1 fault 1 populate 1' \
	'a program at the hook may touch user memory'
is "$("$PROGS/helper" gone "$DIR/missed")" 'calls 1' 'and may sleep there, until the mapping of the fault is gone'
