#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What patches/7.3-rfc makes of POSIX_FADV_WILLNEED: folios as large as what is asked for, and
# no page more. Its BPF selftest is in 27.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
scripts/vm --kernel patched-7.3-rfc -- tests/vm/willneed 2>"$scratch/err"
status=$?
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/err")"
sed 's/^/# /' "$scratch/err"
exit $status
