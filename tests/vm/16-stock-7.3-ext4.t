#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, ext4: a preemptible kernel, what the tools choose and kprobes.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3 ext4 {best,kprobe}:{10,11,12} best:{21,31,50,51}
