#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.12, with the module, btrfs: engine kfunc.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.12+kmod btrfs best:{36,53}
