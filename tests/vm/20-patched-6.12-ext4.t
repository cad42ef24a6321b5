#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.12 with the patches, ext4: the same known answers, and what the patches bring.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed patched-6.12+kmod ext4 best:{10,11,12,35,36,39,44,47}
