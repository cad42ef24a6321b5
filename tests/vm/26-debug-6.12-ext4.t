#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.12 with the patches, KASAN, lockdep and fault injection: under stress.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed debug-6.12+kmod ext4 best:{37,53}
