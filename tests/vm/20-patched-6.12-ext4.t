#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.12 with the patches, ext4: what the patches bring. That the known answers are the same is in 22.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed patched-6.12+kmod ext4 best:{35,36,39,44,47}
