#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.12 with the patches, xfs: large folios, and the same known answers.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed patched-6.12 xfs best:{10,11,12,36}
