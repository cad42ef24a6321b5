#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Linux 6.12 with the patches, KASAN, lockdep and fault injection, XFS: under stress, with
# large folios and two processors.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

bed debug-6.12+kmod+smp xfs best:37
