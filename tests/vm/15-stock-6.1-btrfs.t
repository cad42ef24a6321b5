#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.1, btrfs, whose inodes are not those of stat(2).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.1 btrfs {fentry,kprobe}:{10,11}
