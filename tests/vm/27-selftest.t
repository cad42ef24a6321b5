#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The BPF selftest that the patches bring, built against its own kernel's headers and types,
# with a stand-in for the kernel's test runner, and run there.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

echo 1..3
number=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# built LINE: the selftest of that kernel, as $scratch/LINE/selftest
built()
{
	local kernel name at=$scratch/$1
	kernel=$(scripts/kernel "$1") || return
	name=$(basename "$kernel"/selftest/*.bpf.c .bpf.c)
	mkdir -p "$at/bpf"
	cp -r "$kernel/selftest/." "$at"
	cp /usr/include/bpf/*.h "$at/bpf"
	mv "$at/bpf_helper_defs.h" "$at/bpf"
	# Newer kernels have members without a name that are structures with one.
	bpftool btf dump file "$kernel/vmlinux.btf" format c >"$at/vmlinux.h" &&
		clang -g -O2 -mcpu=v3 -target bpf -fms-extensions -Wno-microsoft-anon-tag -D__TARGET_ARCH_x86 -I"$at" \
			-c "$at/$name.bpf.c" -o "$at/$name.bpf.o" &&
		bpftool gen skeleton "$at/$name.bpf.o" name "$name" >"$at/$name.skel.h" &&
		gcc -g -D_GNU_SOURCE -DSELFTEST="test_$name" -I"$at" -Itests/vm/selftest "$at/$name.c" tests/vm/selftest/main.c \
			-lbpf -o "$at/selftest"
}

for kernel in patched-6.12 patched-6.1 patched-7.3-rfc; do
	line=${kernel#patched-}
	number=$((number + 1))
	if built "$line" 2>"$scratch/err" >&2 &&
		scripts/vm --kernel "$kernel" --add "$scratch/$line/selftest" -- "$scratch/$line/selftest" >"$scratch/out" 2>"$scratch/err"; then
		echo "ok $number - $line: $(tail -n1 "$scratch/out")"
	else
		echo "not ok $number - $line: the selftest of the patches"
		sed 's/^/# /' "$scratch/err" "$scratch/out" | tail -n 30
	fi
done
