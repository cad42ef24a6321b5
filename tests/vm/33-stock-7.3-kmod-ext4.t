#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, with the module, ext4: engine kfunc.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3+kmod ext4 best:{36,38,39,44,47,53}
