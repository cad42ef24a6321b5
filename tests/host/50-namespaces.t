#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A file is its inode: counts and forced pages are the same by whatever name, mount or
# namespace it is reached, overlayfs included, whose own inodes have no pages.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PCFORCE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((3 + 2 * 3 + 2 + 2 + 2 + 2))

file=$DIR/data
make_file "$file" 4m
counts='[.read_accesses, .read_misses, .mmap_accesses, .mmap_misses]'

# overlay NAME: mounted on $DIR/NAME, with a file in the lower layer and one in the upper
overlay()
{
	mkdir "$DIR/lower" "$DIR/upper" "$DIR/work" "$DIR/$1"
	make_file "$DIR/lower/data" 4m
	make_file "$DIR/upper/new" 4m
	modprobe -q overlay
	mount -t overlay overlay -o "lowerdir=$DIR/lower,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/$1" 2>/dev/null &&
		at_exit "umount '$DIR/$1'"
}

if overlay merged; then
	for below in lower/data upper/new; do
		name=${below#*/}
		while step; do
			# cachestat(2) sees nothing through the overlay: the file below tells what is true.
			for mode in pread mmap; do
				known=$("$PROGS/access" --evict -m $mode --madvise random -p random -n 300 "$DIR/$below")
				evict "$DIR/$below"
				watched -f "$DIR/merged/$name" -- "$PROGS/access" --blind -m $mode --madvise random -p random -n 300 "$DIR/merged/$name"
				is "$(record "$OUT" "$counts")" "$(jq -c "$counts" <<<"$known")" "overlayfs, $name: $mode"
			done
			# Recorded and forced by the overlay's name.
			rm -f "$DIR/list"
			watched -w "$DIR/list" -f "$DIR/merged/$name" -- \
				bash -c "'$PROGS/access' --evict -n 0 '$DIR/$below'; '$PROGS/access' --fadvise random -p random -n 300 '$DIR/merged/$name'"
			evict "$DIR/$below"
			forced --now -o "$DIR/list"
			is "$STATUS $(receipt "$OUT" '[.requested, .read, .failed]')" '0 [300,300,0]' "overlayfs, $name: forced by its list"
		done
	done
else
	skip 6 'overlayfs cannot be mounted here'
fi

# another_number FS SUBVOLUMES: a file system on a device that gets another number, as after a
# reboot. What statfs(2) says of xfs is that number; of btrfs it tells subvolumes apart, whose
# files have the same inode numbers.
another_number()
{
	local fs=$1 mnt=$DIR/mnt.$1 image=$DIR/image.$1 loop

	modprobe -q loop
	truncate -s 400m "$image"
	mkdir -p "$mnt"
	mkfs."$fs" -q "$image" && loop=$(losetup -f --show "$image") || return 1
	at_exit "losetup -d $loop"
	mount -t "$fs" "$loop" "$mnt" || return 1
	at_exit "umount '$mnt'"
	if [ "$2" = yes ]; then btrfs -q subvolume create "$mnt/sub"; else mkdir "$mnt/sub"; fi
	head -c 100k /dev/urandom >"$mnt/sub/data"
	sync -f "$mnt"
	"$CACHEMISS" --resident -f "$mnt/sub/data" -w "$DIR/list.$fs" >/dev/null
	[ "$2" = no ] || btrfs -q subvolume snapshot "$mnt/sub" "$mnt/snap"
	umount "$mnt"
	losetup -d "$loop"
	# This one takes the number.
	truncate -s 1m "$DIR/pad"
	loop=$(losetup -f --show "$DIR/pad")
	at_exit "losetup -d $loop"
	loop=$(losetup -f --show "$image")
	at_exit "losetup -d $loop"
	mount -t "$fs" "$loop" "$mnt"
	at_exit "umount '$mnt'"
}

if another_number xfs no >/dev/null 2>&1; then
	forced --now -o "$DIR/list.xfs"
	is "$STATUS $(receipt "$OUT" '.resident + .read')" '0 25' 'xfs: from another device it is the same file system'
else
	skip 1 'xfs cannot be made and mounted here'
fi
if another_number btrfs yes >/dev/null 2>&1; then
	forced --now -o "$DIR/list.btrfs"
	is "$STATUS $(receipt "$OUT" '.resident + .read')" '0 25' 'btrfs: from another device it is the same file system'
	mv "$DIR/mnt.btrfs/sub" "$DIR/mnt.btrfs/old"
	mv "$DIR/mnt.btrfs/snap" "$DIR/mnt.btrfs/sub"
	forced --now -o "$DIR/list.btrfs"
	is "$STATUS $(grep -c 'on another file system since' "$ERR")" '2 1' 'a snapshot in the place of its subvolume is another one'
else
	skip 2 'btrfs cannot be made and mounted here'
fi

# A container's mount namespace, where the file has another name.
mkdir "$DIR/inside"
# shellcheck disable=SC2016 # for the inner shell
inside='mount --bind "$1" "$2" && shift 2 && exec "$@"'
if unshare -m true 2>/dev/null; then
	while step; do
		for mode in pread mmap; do
			watched -f "$file" -- unshare -m bash -c "$inside" - "$DIR" "$DIR/inside" \
				"$PROGS/access" --evict -m $mode -p random -n 300 "$DIR/inside/data"
			is "$(record "$OUT" "$counts")" "$(json "$TRUTH" "$counts")" "in a mount namespace of its own: $mode"
		done
	done
else
	skip 2 'no mount namespaces here'
fi

# Names that change while it is watched.
watched -f "$file" -- bash -c "'$PROGS/access' --evict -p random -n 100 '$file' >/dev/null
	mv '$file' '$file.moved' && '$PROGS/access' -p sequential -n 1024 '$file.moved' >/dev/null; mv '$file.moved' '$file'"
is "$(record "$OUT" .read_accesses)" 1124 'renamed while it is watched'
ln "$file" "$DIR/link"
watched -f "$file" -f "$DIR/link" -- "$PROGS/access" --evict -p random -n 300 "$DIR/link"
is "$(json "$OUT" 'select(.record == "file") | .read_accesses' | sort -u)" 300 'a hard link is the same file'

# Forced by one name, read by another in a namespace of its own.
while step; do
	seq 0 1023 >"$DIR/list"
	evict "$file"
	forced -t access -f "$file" -o "$DIR/list" -- unshare -m bash -c "$inside" - "$DIR" "$DIR/inside" bash -c \
		"'$PROGS/access' -n 1 --fadvise random '$DIR/inside/data' && '$PROGS/cached' -w 1024 '$DIR/inside/data'; $OUTLIVE"
	is "$STATUS $(receipt "$OUT" '[.requested, .resident + .read]')" '0 [1024,1024]' 'forced when it is opened in a container'
	watched -f "$file" -- "$PROGS/access" -p random -n 1024 "$file"
	is "$(record "$OUT" '[.read_accesses, .read_misses]')" '[1024,0]' 'and no page of it is missed then'
done

# -c: a reader within counts, one outside does not.
group=$(findmnt -nlo TARGET -t cgroup2 | head -1)/page2cache-ns.$$
if mkdir "$group" 2>/dev/null; then
	at_exit "rmdir '$group'"
	within="echo \$\$ >'$group/cgroup.procs'; exec '$PROGS/access' --evict"
	while step; do
		for mode in pread mmap; do
			watched -c "$group" -f "$file" -- bash -c "(exec '$PROGS/access' --evict -m $mode -p random -n 50 '$file' >/dev/null)
				$within -m $mode -p random -n 300 '$file'"
			is "$(record "$OUT" "$counts")" "$(json "$TRUTH" "$counts")" "-c: $mode within the cgroup only"
		done
	done
else
	skip 2 'no cgroup v2 that can be written'
fi
