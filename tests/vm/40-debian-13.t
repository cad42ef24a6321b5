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

suite=trixie
there -- sed -n 's/^VERSION_ID=//p' /etc/os-release
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/said")"
echo 1..11
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

there --add "$here/build" -- sh -c "'$here/build/cachemiss' -V && '$here/build/ratrace' -V && '$here/build/pcforce' -V"
is "$status $(wc -l <"$scratch/said")" '0 3' 'the programs that were built on this machine run there'

# What clang 19 makes of the BPF side, on the kernels of that release, with each kind of hooks.
rm -rf build
make -j2 CLANG='scripts/system trixie -- clang' all >"$scratch/said" 2>&1 || sed 's/^/# /' "$scratch/said"
for kernel in stock-6.12 stock-7.3; do
	# shellcheck disable=SC2016 # for the guest
	scripts/vm --kernel $kernel -- bash -c '
		head -c 1M /dev/zero >/data/file
		echo 0+256 >/data/list
		for PAGE2CACHE_HOOKS in tp fentry kprobe; do
			export PAGE2CACHE_HOOKS
			for program in cachemiss ratrace "pcforce -t access --follow -o /data/list"; do
				$program -f /data/file -- cat /data/file >/dev/null ||
					echo "failed $PAGE2CACHE_HOOKS $program"
			done
		done
		echo tried $?' >"$scratch/out" 2>"$scratch/said"
	is "$(cat "$scratch/out")" 'tried 0' "$kernel takes the programs that clang 19 has made" || sed 's/^/# /' "$scratch/said"
done

# As kmod/README has it. The types bring the part of the kernel's that they refer to.
for kernel in 'TRIXIE 6\.12\.\d.*-cloud-amd64' 'BACKPORTS \d.*-cloud-amd64'; do
	read -r version headers < <(stock_headers "${kernel% *}" "${kernel#* }" 2>"$scratch/err") || sed 's/^/# /' "$scratch/err"
	# shellcheck disable=SC2016 # for that shell
	there --add "${headers%/usr/src/*}" -- sh -c '
		mkdir -p "/lib/modules/$1"
		version=$(sed -n "s/^PACKAGE_VERSION=\"\(.*\)\"/\1/p" kmod/dkms.conf)
		cp -r kmod "/usr/src/bpf-page2cache-$version"
		dkms install "bpf-page2cache/$version" -k "$1" --kernelsourcedir "$2" || exit
		cd "/lib/modules/$1/updates/dkms" || exit
		echo "vermagic $(modinfo -F vermagic bpf_page2cache.ko)"
		readelf -SW bpf_page2cache.ko | grep -o " \.BTF[a-z._]*" | sort | tr -d "\n"' - "$version" "$headers"
	is "$status $(sed -n 's/^vermagic \([^ ]*\) .*/\1/p' "$scratch/said") $(tail -n1 "$scratch/said")" "0 $version  .BTF .BTF.base .BTF_ids" \
		"dkms builds and installs the module for Linux $version" || tail -n20 "$scratch/said" | sed 's/^/# /'
done
exit $failed
