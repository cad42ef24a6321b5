#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 13's backports, Linux 7.3, in lockdown (integrity), ext4: a preemptible kernel that does not
# show by its debugfs that it is one. With classic tracepoints, the only hooks that are exact where
# a kernel has no kprobes.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-7.3+lockdown ext4 classic:{10,11,12} best:51
