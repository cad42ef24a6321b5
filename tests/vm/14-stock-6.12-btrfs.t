#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.12, btrfs, whose inodes are not those of stat(2).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.12 btrfs {tp,fentry,kprobe}:{10,11} best:52
