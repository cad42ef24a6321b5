#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.1 with the patches, btrfs.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed patched-6.1 btrfs best:36
