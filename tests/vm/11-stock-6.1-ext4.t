#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.1, ext4: fentry and kprobes; it has no tracepoints of lookups.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.1 ext4 {fentry,kprobe}:{10,11,12} best:{21,48,50,51,60}
