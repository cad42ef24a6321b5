# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A bed is a kernel on a file system: bed runs host tests in such a guest and passes their
# checks on. Sourced by tests/vm/*.t.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# unusable REASON: a bed that cannot be had is a failure where all of it is to be seen
unusable()
{
	if [ -n "${CI:-}" ]; then
		echo "Bail out! $*"
		exit 1
	fi
	echo "1..0 # SKIP $*"
	exit 0
}

number=0 failed=0

# is GOT WANT NAME: for those that check something themselves; they end with `exit $failed`
is()
{
	number=$((number + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $number - $3"
	else
		echo "not ok $number - $3"
		printf 'got:  %s\nwant: %s\n' "$1" "$2" | sed 's/^/# /'
		# shellcheck disable=SC2034 # their status
		failed=1
		return 1
	fi
}

# there [OPTION]... -- COMMAND...: in the release $suite, by scripts/system; what is said goes into $scratch/said
there()
{
	scripts/system "${suite:?}" "$@" >"$scratch/said" 2>&1
	# shellcheck disable=SC2034 # for those that call it
	status=$?
}

# stock_headers VARIABLE PATTERN: of a release in scripts/vmlib/archive.py, the version of the newest kernel, and the
# folder of its headers
stock_headers()
{
	python3 - "$1" "$2" <<-'END'
		import sys
		sys.path.insert(0, "scripts/vmlib")
		import archive, module
		release = getattr(archive, sys.argv[1])
		version = release.newest("linux-headers-" + sys.argv[2]).replace("linux-headers-", "")
		print(version, module.stock_headers(release, version))
	END
}

# bed KERNEL[+kmod|+lockdown][+smp] FS JOB...: JOB is KIND:TEST, the hooks to ask for and the number of
# a host test; +kmod: with the module loaded; +lockdown: in lockdown (integrity); +smp: on two processors.
# Reading without readahead is the same on every file system: once, on ext4, is enough.
bed()
{
	local kernel=$1 fs=$2 scratch status settings=() options=(--timeout 3600)
	shift 2
	# No khugepaged, which reads in what is absent between the pages of a mapped file: from Linux 7.3
	# on of any file.
	local append='transparent_hugepage=madvise'
	case $kernel in *+kmod*) options+=(--kmod) ;; esac
	case $kernel in *+smp*) options+=(--cpus 2) ;; esac
	# Some persistent memory, for files that bypass the page cache; KASAN needs room of its own.
	case $kernel in
	*+lockdown*) append+=' lockdown=integrity' ;;
	debug-*) append+=' memmap=128M!512M' options+=(--mem 3G) ;;
	patched-* | *+kmod*) append+=' memmap=128M!512M' ;;
	esac
	options+=(--append "$append")
	[ "$fs" = ext4 ] || settings=(env PAGE2CACHE_TEST_READAHEAD=128)
	scratch=$(mktemp -d) || exit 1
	# shellcheck disable=SC2064 # the folder of now
	trap "rm -rf '$scratch'" EXIT
	scripts/vm --kernel "${kernel%%+*}" --fs "$fs" "${options[@]}" -- "${settings[@]}" tests/vm/guest "$@" \
		2>"$scratch/err" | tee "$scratch/tap" | grep -v '^# tally'
	status=${PIPESTATUS[0]}
	[ "$status" -ne 3 ] || unusable "$(tail -n1 "$scratch/err")"
	sed 's/^/# /' "$scratch/err"
	# How many checks each job had, of these passed, of these skipped.
	[ -z "${PAGE2CACHE_TALLY:-}" ] ||
		sed -n "s/^# tally \([a-z]*\):\([^ ]*\)/$kernel $fs \1 \2/p" "$scratch/tap" |
		awk -v OFS='\t' '{ print $1 " " $2, $3, $4, $5, $6, $7 }' >>"$PAGE2CACHE_TALLY"
	exit "$status"
}
