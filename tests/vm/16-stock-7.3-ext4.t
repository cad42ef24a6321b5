#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, ext4: a preemptible kernel, where the tools choose kprobes. What
# takes longer is in 18.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3 ext4 best:{10,11,12,21,50,51,54}
