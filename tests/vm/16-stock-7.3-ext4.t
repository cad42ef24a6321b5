#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, ext4: a preemptible kernel, where the tools choose kprobes. Not
# here, as some of their checks fail on it: 21 (FADV_WILLNEED), 50 and 52 (overlays).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3 ext4 best:{10,11,12,31,51}
