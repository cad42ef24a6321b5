# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Functions that the bash scripts share. Source this file with `set -eu` on; sourcing changes nothing else.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# --- words --------------------------------------------------------------------------------

say()
{
	printf '%s\n' "$*" >&2
}

die()
{
	say "${0##*/}: $*"
	exit 1
}

# refuse TEXT...: end with status 2, as a request is wrong and nothing has been done yet
refuse()
{
	say "${0##*/}: $*"
	exit 2
}

# misused TEXT...: a wrong command line, of a script that has usage()
misused()
{
	say "${0##*/}: $*"
	usage >&2
	exit 2
}

# progress TEXT...: a line on stderr that overwrites the last one on a terminal, with the time.
progress()
{
	if [ -t 2 ]; then
		printf '\r\033[K%3ds  %s' "$SECONDS" "$*" >&2
	else
		printf '%3ds  %s\n' "$SECONDS" "$*" >&2
	fi
}

progress_done()
{
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# --- root ---------------------------------------------------------------------------------

# need_root "$@": go on as root, through sudo for anyone else. sudo clears the environment, so the
# variables that PASS_ENV names are handed over.
need_root()
{
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null ||
		die "needs root (BPF, drop_caches), and there is no sudo here: run it as root"
	local name env=()
	for name in ${PASS_ENV:-}; do
		[ -z "${!name:-}" ] || env+=("$name=${!name}")
	done
	exec sudo -- env "${env[@]}" "$root/scripts/${0##*/}" "$@"
}

# give_back PATH...: files that root has made in the user's own tree become the user's
give_back()
{
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$@"
}

# --- children -----------------------------------------------------------------------------

child=

# run COMMAND...: run COMMAND in a session of its own and wait for it, so that a signal to this script takes
# effect at once and ends all processes that COMMAND has started.
run()
{
	local status=0
	setsid "$@" &
	child=$!
	wait "$child" || status=$?
	child=
	return "$status"
}

# For the exit trap. The tools end cleanly on SIGTERM; processes that are left after a second are killed.
stop_child()
{
	[ -n "$child" ] || return 0
	kill -TERM -- "-$child" 2>/dev/null || kill -TERM "$child" 2>/dev/null || true
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 -- "-$child" 2>/dev/null || break
		sleep 0.1
	done
	[ "$i" -lt 10 ] || kill -KILL -- "-$child" 2>/dev/null || true
	wait "$child" 2>/dev/null || true
	child=
}

# on_exit FUNCTION: call it once, however the script ends; $interrupted tells of a signal.
# shellcheck disable=SC2034 # for the scripts that source this
interrupted=
on_exit()
{
	# shellcheck disable=SC2064 # the name is meant to be expanded now
	trap "stop_child; $1" EXIT
	trap 'interrupted=1; exit 129' HUP
	trap 'interrupted=1; exit 130' INT
	trap 'interrupted=1; exit 143' TERM
}

# --- files and the page cache -------------------------------------------------------------

# refuse_memory_fs DIR: refuse a folder in memory, because its files are never read from a disk
refuse_memory_fs()
{
	local type
	type=$(stat -f -c %T -- "$1") || refuse "$1: no such folder"
	case $type in
	tmpfs | ramfs | hugetlbfs | proc | sysfs | overlayfs-tmpfs)
		refuse "$1 is on $type, which is memory; name a folder on a real disk"
		;;
	esac
}

# free_space DIR: the free bytes of its file system
free_space()
{
	df --output=avail -B1 -- "$1" | tail -n1
}

# bytes 512M: in bytes
bytes()
{
	numfmt --from=iec -- "${1%[Bb]}" 2>/dev/null || refuse "not a size: $1"
}

# resident FILE: how many of its pages are in the page cache now
resident()
{
	"$root/build/cachemiss" --resident -f "$1" -j |
		jq -r 'select(.record == "resident") | .resident'
}

# evict FILE: write back and drop its pages, and check that they are gone. A page can be held for a moment
# (by a read that is still going on, or a per-CPU batch), so dropping is tried again.
evict()
{
	local left try
	for try in 1 2 3 4 5; do
		dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none
		left=$(resident "$1")
		[ "$left" != 0 ] || return 0
		sleep "0.$try"
	done
	die "$1: $left pages stay in the page cache: another process uses the file"
}

# load FILE: read all of it, and check that all its pages are cached (idle pages may be reclaimed)
load()
{
	local pages size
	size=$(stat -c %s -- "$1")
	pages=$(((size + $(getconf PAGESIZE) - 1) / $(getconf PAGESIZE)))
	for _ in 1 2 3 4 5; do
		cat -- "$1" >/dev/null
		[ "$(resident "$1")" != "$pages" ] || return 0
	done
	die "$1: does not stay in the page cache: is there enough memory?"
}

# touch_memory BYTES: touch so much memory. In a virtual machine the first touch of memory that the host has taken
# back is slow, and would be measured as a slow disk.
touch_memory()
{
	"$root/build/tests/workload" touch "$1"
}

# --- figures ------------------------------------------------------------------------------

# median NUMBER...
median()
{
	printf '%s\n' "$@" | sort -g |
		awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# device_of PATH: the disk that holds PATH, such as vda; empty if there is none
device_of()
{
	local dev
	dev=$(findmnt -n -o SOURCE --target "$1" 2>/dev/null) || return 0
	lsblk -n -s -o NAME,TYPE -r -- "${dev%%\[*}" 2>/dev/null |
		awk '$2 == "disk" { print $1; exit }'
}
