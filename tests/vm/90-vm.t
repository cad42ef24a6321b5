#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/vm itself: what goes in, what comes out, and that it always ends.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

vm()
{
	scripts/vm --kernel stock-6.12 "$@" >"$scratch/out" 2>"$scratch/err"
	status=$?
}

vm -- true
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/err")"
echo 1..20

# Which package a kernel is, by lists that name PACKAGE=VERSION; without a version it is gone.
# chosen NAME PACKAGE=VERSION...
chosen()
{
	python3 - "$@" <<-'END'
		import sys
		sys.path.insert(0, "scripts/vmlib")
		import archive
		import kernels

		class Lists(archive.Release):
		    packages = dict(word.split("=") for word in sys.argv[2:])

		    def apt(self, *command, cwd=None):
		        if command[1] == "pkgnames":
		            return "\n".join(name for name in self.packages if name.startswith(command[2]))
		        return f"Candidate: {self.packages[command[2]] or '(none)'}"

		kernels.STOCK[sys.argv[1]] = Lists()
		print(kernels.newest_package(sys.argv[1]))
	END
}
lists=(linux-image-7.3.{4,12}+deb13-cloud-amd64=7 linux-image-7.{2.40,10.1}+deb13-cloud-amd64=7 linux-image-7.3.50+deb13-rt-amd64=7
	linux-image-cloud-amd64=7 linux-image-7.3.{60+deb13-cloud-amd64-dbg=7,70+deb13-cloud-amd64=})
is "$(chosen stock-7.3 "${lists[@]}")" linux-image-7.3.12+deb13-cloud-amd64 'the newest kernel of its line that can be had'
is "$(chosen stock-7.3 "${lists[@]/7.3./7.1.}")" linux-image-7.10.1+deb13-cloud-amd64 'where the archive has replaced the line, the newest of all'
is "$(chosen stock-7.3 linux-image-cloud-amd64=7)" None 'none, where there is none'

# In one guest: output as it is, files that were added, tools on the PATH, the status.
mkdir "$scratch/folder"
echo one >"$scratch/folder/file"
echo two >"$scratch/file"
# shellcheck disable=SC2016 # for the guest
vm --add "$scratch/folder" --add "$scratch/file" --nvme 1G -- bash -c 'cat "$1" "$2"; printf "\000\r\n\377"
	echo words >&2; command -v cachemiss >/dev/null && [ -e scripts/test ] && echo tools
	df -B1 --output=size,fstype /data | tail -n1 >&2; exit 5' - "$scratch/folder/file" "$scratch/file"
is "$status" 5 'the status of the command'
is "$(od -An -c "$scratch/out" | tr -d ' \n')" 'one\ntwo\n\0\r\n377tools\n' 'its output, byte by byte; files that were added; the tools'
is "$(head -n1 "$scratch/err")" words 'its errors apart'
is "$(awk 'NR == 2 { print ($1 > 900e6 && $1 < 1.1e9) " " $2 }' "$scratch/err")" '1 ext4' 'a data disk of the size that was asked for'

# shellcheck disable=SC2016 # for the guest
vm -- bash -c 'kill -9 $$'
is "$status" 137 'a command that is killed'
vm -- /no/such/command
is "$status" 127 'a command that is not there'

vm --console "$scratch/console" -- bash -c 'echo c >/proc/sysrq-trigger; sleep 60'
is "$status $(grep -c 'the kernel panicked' "$scratch/err") $(grep -c 'Kernel panic' "$scratch/console")" '125 1 1' 'a panic'
is "$(sed -n 's/^console: //p' "$scratch/err" | tail -n 3)" "$(tr -d '\r' <"$scratch/console" | tail -n 3)" \
	'and the end of the console with it'
vm --timeout 25 -- sleep 1000
is "$status $(grep -c 'the time limit of 25 s is over' "$scratch/err")" '124 1' 'a time limit'

# A kernel that allows no BPF program to read its memory.
# shellcheck disable=SC2016 # for the guest
vm --append lockdown=confidentiality -- bash -c '
	dd if=/dev/zero of=/data/f bs=1M count=1 status=none
	grep -q "\[confidentiality\]" /sys/kernel/security/lockdown || exit 9; cachemiss -f /data/f -d 1'
is "$status $(wc -c <"$scratch/out")" '3 0' 'lockdown=confidentiality: cachemiss says status 3, and no figures'
is "$(grep -c '^cachemiss: .*lockdown' "$scratch/err")" 1 'and why'

# A kernel whose security modules BPF is not one of.
# shellcheck disable=SC2016 # for the guest
vm --kmod --append lsm=yama -- bash -c '
	dd if=/dev/urandom of=/data/f bs=1M count=1 status=none
	sync && echo 3 >/proc/sys/vm/drop_caches
	! grep -qw bpf /sys/kernel/security/lsm && pcforce -e kfunc --now -j -f /data/f | jq -cM "select(.record == \"receipt\") | [.engine, .read]"'
is "$status $(cat "$scratch/out")" '0 ["kfunc",256]' 'no BPF LSM: engine kfunc forces all the same'

# Modules that nobody has signed.
vm --append module.sig_enforce=1 -- pcforce -e kfunc --now -f /etc/passwd
is "$status $(grep -c '^pcforce: engine kfunc: .*not loaded: .*signed .*(module.sig_enforce)' "$scratch/err")" '3 1' \
	'a kernel that loads signed modules only: engine kfunc says so'
vm --append lockdown=integrity -- pcforce -e kfunc --now -f /etc/passwd
is "$status $(grep -c '^pcforce: engine kfunc: .*not loaded: this kernel is in lockdown' "$scratch/err")" '3 1' 'and so does one in lockdown'

scripts/vm --kernel stock-5.0 -- true 2>/dev/null
is $? 2 'a kernel that it does not know'
scripts/vm --kernel stock-6.12 2>/dev/null
is $? 2 'no command'

scripts/vm --kernel stock-6.12 -- sleep 1000 >/dev/null 2>&1 &
script=$!
for _ in {1..1800}; do
	machine=$(pgrep -P $script qemu) && break
	sleep 0.1
done
kill -TERM $script
wait $script
for _ in {1..600}; do
	kill -0 "${machine:-none}" 2>/dev/null || break
	sleep 0.1
done
is "$([ -n "$machine" ] && ! kill -0 "$machine" 2>/dev/null && echo gone)" gone 'its end is the end of the machine'
exit $failed
