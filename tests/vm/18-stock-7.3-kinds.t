#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, ext4: the kinds of hooks that it does not choose, which may miss
# events there and say so; and what else depends on a kernel.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3 ext4 {tp,fentry,classic}:{10,11} best:{31,52}
