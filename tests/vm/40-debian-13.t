#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian 13 as a build machine: this source tree without anything that was built, made and tested in
# that release, on this machine's kernel; and the module by dkms, for the release's own kernel and
# that of its backports.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || unusable 'root only: it mounts file systems'
here=$PWD
scratch=$(mktemp -d -p "${PAGE2CACHE_TEST_DIR:-/var/tmp}") || exit 1
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/page2cache
mkdir "$tree"
git -c safe.directory='*' ls-files -z -co --exclude-standard | xargs -0 cp --parents -t "$tree"
cd "$tree" || exit 1

# there [OPTION]... -- COMMAND...: in Debian 13, in the copy; what is said goes into $scratch/said
there()
{
	scripts/system trixie "$@" >"$scratch/said" 2>&1
	status=$?
}

there -- sed -n 's/^VERSION_ID=//p' /etc/os-release
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/said")"
echo 1..10
is "$(tail -n1 "$scratch/said")" '"13"' 'it is that release'

there -- scripts/setup build test fuzz kmod dkms
is "$status $(cat "$scratch/said")" '0 ' 'all is there that scripts/setup knows of it'
# shellcheck disable=SC2016 # for that shell
there -- sh -c 'apt-get -q -s install --no-install-recommends $(scripts/setup --list \
	guest kernel-6.12 system demo check experiment snapshot perf analysis browser)'
is $status 0 'and the packages of its other groups exist' || tail -n3 "$scratch/said" | sed 's/^/# /'

there -- make -j2 WERROR=-Werror all tests
is "$status $(grep -v '^  [A-Z]* *build/' "$scratch/said")" '0 ' 'the programs, the manual pages and the tests are built, without a word'
there -- sh -c 'for test in build/unit/*_test; do $test || echo "failed $test"; done'
is "$(grep -c '  PASSED  ' "$scratch/said") $(grep '^failed ' "$scratch/said")" \
	"$(find tests/unit -name '*_test.c' | wc -l) " 'the unit tests pass' || grep -a 'error:' "$scratch/said" | sed 's/^/# /'
there -- make WERROR=-Werror FUZZ_SECONDS=5 fuzz
is "$status $(grep -c '^stat::number_of_executed_units: *[1-9]' "$scratch/said") $(grep -c 'warning:' "$scratch/said")" '0 2 0' \
	'both fuzzers are built and run, without a warning'

# Every program loads what clang 19 has made of its BPF side, or says that this kernel has no hooks.
head -c 1M /dev/zero >data
echo 0+256 >list
there -- sh -c 'build/cachemiss -f data -- cat data >out || exit
	build/ratrace -f data -- cat data >out || exit
	build/pcforce -t access -f data -o list -- cat data >out || exit
	cmp out data'
if [ $status -eq 3 ]; then
	echo "ok $((++number)) # SKIP $(tail -n1 "$scratch/said")"
else
	is $status 0 'the programs run' || sed 's/^/# /' "$scratch/said"
fi
there --add "$here/build" -- sh -c "'$here/build/cachemiss' -V && '$here/build/ratrace' -V && '$here/build/pcforce' -V"
is "$status $(wc -l <"$scratch/said")" '0 3' 'so do those that were built on this machine'

# stock VARIABLE PATTERN: the newest kernel of a release in scripts/vmlib/archive.py, and its headers
stock()
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

# As kmod/README has it. Types with a base of their own would have other numbers once loaded.
for kernel in 'TRIXIE 6\.12\.\d.*-cloud-amd64' 'BACKPORTS \d.*-cloud-amd64'; do
	read -r version headers < <(stock "${kernel% *}" "${kernel#* }" 2>"$scratch/err") || sed 's/^/# /' "$scratch/err"
	# shellcheck disable=SC2016 # for that shell
	there --add "${headers%/usr/src/*}" -- sh -c '
		mkdir -p "/lib/modules/$1"
		cp -r kmod /usr/src/bpf-page2cache-0.1.0
		dkms install bpf-page2cache/0.1.0 -k "$1" --kernelsourcedir "$2" || exit
		cd "/lib/modules/$1/updates/dkms" || exit
		echo "vermagic $(modinfo -F vermagic bpf_page2cache.ko)"
		readelf -SW bpf_page2cache.ko | grep -o " \.BTF[a-z._]*" | sort | tr -d "\n"' - "$version" "$headers"
	is "$status $(sed -n 's/^vermagic \([^ ]*\) .*/\1/p' "$scratch/said") $(tail -n1 "$scratch/said")" "0 $version  .BTF .BTF_ids" \
		"dkms builds and installs the module for Linux $version" || tail -n20 "$scratch/said" | sed 's/^/# /'
done
exit $failed
