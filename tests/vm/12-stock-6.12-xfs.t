#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12, Linux 6.12, xfs, which has large folios.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed stock-6.12 xfs {tp,fentry,kprobe}:{10,11}
