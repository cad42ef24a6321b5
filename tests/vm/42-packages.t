#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The whole life of the Debian packages: made of what is committed, in a system of their own, which has
# neither network nor the running kernel's types; the module by dkms, for Debian's kernel of another
# line; installed, used and purged in a guest that systemd runs.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || unusable 'root only: it mounts file systems'
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
version=$(sed -n 's/^VERSION := //p' Makefile)
scratch=$(mktemp -d -p "${PAGE2CACHE_TEST_DIR:-/var/tmp}") || exit 1
trap 'rm -rf "$scratch"' EXIT
guest=$scratch/guest
mkdir "$guest"

there -- true
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/said")"
echo 1..19

# --- made

make -s O="$scratch/dist" dist >"$scratch/said" 2>&1 || sed 's/^/# /' "$scratch/said"
tar xf "$scratch/dist/page2cache-$version.tar.xz" -C "$scratch"
is "$(cd "$scratch/page2cache-$version" && find . ! -type d | sort)" \
	"$(git -c safe.directory='*' ls-tree -r --name-only HEAD | sed 's,^,./,' | sort)" 'make dist has all that is committed'

there --add "$scratch" -- unshare --net sh -c '
	mount -t tmpfs none /sys/kernel/btf && cd "$1" && dpkg-buildpackage -us -uc' - "$scratch/page2cache-$version"
is $status 0 'the packages are built' || tail -n20 "$scratch/said" | sed 's/^/# /'
is "$(cd "$scratch" && printf '%s\n' *.deb | grep -v dbgsym | sed 's/_.*//' | sort | paste -sd' ')" \
	'libpagehint-dev libpagehint0 page2cache page2cache-dkms' 'they are these'
there --add "$scratch" -- sh -c 'lintian --allow-root --fail-on error "$1"/*.changes' - "$scratch"
is "$status $(cat "$scratch/said")" '0 ' 'lintian has nothing to say'

# --- the library for applications, and the module

there --add "$scratch" -- sh -c 'dpkg -i "$1"/libpagehint*_*.deb >&2 || exit
	cd "$1/guest" && gcc -Wall -Werror -O2 /usr/share/doc/libpagehint-dev/examples/sorted.c -o sorted $(pkg-config --cflags --libs pagehint) &&
		./sorted build table index 1000 && ./sorted walk table index 32 && rm table index' - "$scratch"
is "$status $(sed -n 's/^\(1000 records, . wrong\),.*/\1/p' "$scratch/said")" '0 1000 records, 0 wrong' \
	'an application is built with libpagehint-dev, and runs with libpagehint0' || sed 's/^/# /' "$scratch/said"

read -r kernel headers < <(stock_headers HERE '6\.12\.\d.*-cloud-amd64' 2>"$scratch/err") || sed 's/^/# /' "$scratch/err"
there --add "${headers%/usr/src/*}" --add "$scratch" -- sh -c '
	mkdir -p "/lib/modules/$1"
	ln -s "$2" "/lib/modules/$1/build"
	dpkg -i "$3"/page2cache-dkms_*.deb || exit
	dkms status
	cp "/lib/modules/$1/updates/dkms/bpf_page2cache.ko" "$3/guest" || exit
	dpkg -P page2cache-dkms || exit
	echo "left: $(find /usr/src /var/lib/dkms /lib/modules /var/lib/dpkg/info -name "*page2cache*")"' - "$kernel" "$headers" "$scratch"
is "$status $(grep "^bpf-page2cache" "$scratch/said")" "0 bpf-page2cache/$version, $kernel, x86_64: installed" \
	'page2cache-dkms builds and installs the module'
is "$(tail -n1 "$scratch/said")" 'left: ' 'purged, it leaves nothing' || tail -n20 "$scratch/said" | sed 's/^/# /'

# --- in a guest

# What the packages depend on and the guest has not: it has no network.
mv "$scratch"/page2cache_*.deb "$scratch"/libpagehint0_*.deb "$scratch"/libpagehint-dev_*.deb "$guest"
python3 - "$guest" >"$scratch/said" 2>&1 <<-'END' || sed 's/^/# /' "$scratch/said"
	import sys
	sys.path.insert(0, "scripts/vmlib")
	import system
	with system.scratch_folder() as scratch:
	    sys.exit(system.enter(system.guest_tree(), scratch, [sys.argv[1]], ["sh", "-c", """
	        apt-get -qq update &&
	        apt-get -qq -y --no-install-recommends --download-only -o Dir::Cache::archives="$0" install "$0"/*.deb
	        """, sys.argv[1]]).returncode)
END
scripts/vm --kernel stock-6.12 --systemd --add "$guest" -- tests/vm/packages "$guest" >"$scratch/out" 2>"$scratch/err"
status=$?
is $status 0 'a guest uses them' || tail -n20 "$scratch/err" | sed 's/^/# /'

# told STEP RESULT NAME: what the guest says of a step
told()
{
	is "$(grep "^$1:" "$scratch/out")" "$1: $2" "$3"
}

told installed 0 'they are installed'
told verified '' 'each file is as it was packed'
told links '' 'what the documents link to is there'
told unit 'disabled ' 'the unit is there, and enabled for no service'
told cachemiss 0 'cachemiss records a list'
told forced '0 256' 'pcforce forces it'
told ratrace 0 'ratrace runs'
told hints '1000 records, 0 wrong' 'an application finds the library'
told learned yes 'a service that page2cache@ is enabled for is learned'
told module '0 yes' 'the module that dkms has made is loaded, and pcforce can use it'
told purged '0 ' 'purged, nothing is left, lists and what enabled the unit included'
exit $failed
