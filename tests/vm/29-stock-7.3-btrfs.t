#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, btrfs, whose inodes are not those of stat(2).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3 btrfs {best,tp,fentry}:{10,11} best:52
