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

plan $((11 + 8 + 5 + 2))

# loads NAME WORD TITLE
loads()
{
	is "$(awk -v name="$1" '$1 == name { print $2 }' "$DIR/load")" "$2" "$3"
}

"$PROGS/helper" load >"$DIR/load"
loads at_miss taken 'the verifier takes the helper in a sleepable program at the hook'
loads not_sleepable refused 'not in one that must not sleep'
loads wrong_type refused 'not with a task for a file'
loads number_for_file refused 'not with a number for a file'
loads other_hook refused 'not at another hook, even if that may sleep'
loads lsm_not_sleepable refused 'not in an LSM program that must not sleep'
loads other_type_tracepoint refused 'not in a tracepoint program'
loads other_type_syscall refused 'not in a program that is called by bpf(2)'
loads other_type_kprobe refused 'not in a kprobe program'
loads count_miss taken 'a program at the hook may touch user memory'
if grep -qw bpf_lsm_file_post_open /proc/kallsyms; then
	loads at_open taken 'the verifier takes it in file_post_open'
else
	skip 1 'this kernel has no LSM hook file_post_open'
fi

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
calls not_mmapable -22 'a map that cannot be mapped is -EINVAL'
calls hash -22 'and so is a hash'
calls odd_values -22 'and so are other values than extents'
calls too_few -22 'a map that is too small for a head'
calls first -22 'a list that begins behind its end'
calls flags -22 'and flags'
"$PROGS/helper" full "$file" >"$DIR/call"
calls right -22 'a list that is longer than its map is -EINVAL'

refused_file()
{
	"$PROGS/helper" call "$2" ${3:+"$3"} >"$DIR/call"
	calls right -95 "$1 is refused: -EOPNOTSUPP"
}

mkdir -p "$DIR/tmpfs"
mount -t tmpfs tmpfs "$DIR/tmpfs"
at_exit "umount '$DIR/tmpfs'"
head -c 65536 /dev/zero >"$DIR/tmpfs/file"
refused_file 'a file on tmpfs' "$DIR/tmpfs/file"
refused_file 'one of procfs' /proc/self/maps
refused_file 'a directory' "$DIR"
refused_file 'a file that is open for writing only' "$file" wrong
if [ -b /dev/pmem0 ]; then
	mkdir -p "$DIR/dax"
	mke2fs -q -t ext4 -b 4096 /dev/pmem0
	if mount -o dax /dev/pmem0 "$DIR/dax"; then
		at_exit "umount '$DIR/dax'"
		head -c 65536 /dev/zero >"$DIR/dax/file"
		refused_file 'a DAX file' "$DIR/dax/file"
	else
		result 1 'a DAX file is refused'
	fi
else
	skip 1 'no persistent memory'
fi

# --- the hook

is "$("$PROGS/helper" miss "$file" 100 | awk '{ print $1, $2 }' | paste -sd' ')" 'read 1 fault 1 populate 1' \
	'the hook is called once for a read, a fault and a fault by the kernel, each of an absent page'
"$PROGS/content" check "$file" read
is "$("$PROGS/access" -n 64 "$file" | jq .misses)" 0 'what is cached is missed by nobody'
