#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The code that forces is one source: the module's is that of the patches.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

plan 3

# added FILE PATCH: what a patch that adds a file adds
added()
{
	awk -v file="$1" '/^diff --git / { on = $4 == "b/" file; next } on && /^\+/ && !/^\+\+\+ / { print substr($0, 2) }' "$2"
}

top=$(dirname "$0")/../..
series=("$top"/patches/6.12/0001-*.patch)
is "$(added mm/page2cache.c "${series[0]}" | diff - "$top/kmod/page2cache.c")" '' 'mm/page2cache.c of the 6.12 patches is kmod/page2cache.c'

# The types that user space shares, without what surrounds them.
types()
{
	awk '/^struct bpf_page2cache_extent \{/ { on = 1 } /^#endif/ || /^int / { on = 0 } on && NF'
}
shared=$(added include/uapi/linux/bpf.h "${series[0]}" | types)
is "$(types <"$top/kmod/compat.h")" "$shared" 'the types in kmod/compat.h are those of its linux/bpf.h'
matches "$shared" 'struct bpf_page2cache \{.*end_ns' 'and these are all of them'
