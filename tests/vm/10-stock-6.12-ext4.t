#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.12, ext4: every kind of hooks.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.12 ext4 {tp,fentry,kprobe}:{10,11,12} best:{21,31,48,50,51,52,55}
