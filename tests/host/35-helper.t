#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The patched kernel's helper: what its verifier takes, which files and lists it
# refuses, and where its hook is called.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$PROGS/helper" "$PROGS/access" "$PROGS/content"
grep -qw filemap_miss /proc/kallsyms || skip_all 'this kernel has no helper: patches/ brings it'
setup_dir

plan $((14 + 15 + 2 + 2))

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

# --- the hook

is "$("$PROGS/helper" miss "$file" 100 | awk '{ print $1, $2 }' | paste -sd' ')" 'read 1 fault 1 populate 1' \
	'the hook is called once for a read, a fault and a fault by the kernel, each of an absent page'
"$PROGS/content" check "$file" read
is "$("$PROGS/access" -n 64 "$file" | jq .misses)" 0 'what is cached is missed by nobody'
