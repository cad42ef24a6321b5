#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian 12 with systemd as its first process: page2cache@ beside services of each kind.
# PAGE2CACHE_TEST_ROUNDS: how often PostgreSQL is started from slow disks, to be timed (default 1).

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# Below /tmp, which systemd empties where nobody keeps it from that.
scratch=$(mktemp -d -p /tmp) || exit 1
trap 'rm -rf "$scratch"' EXIT
make -s prefix=/usr DESTDIR="$scratch/root" install >"$scratch/err" 2>&1 || sed 's/^/# /' "$scratch/err"
scripts/vm --kernel stock-6.12 --systemd --timeout 2400 --add "$scratch/root" -- \
	env PAGE2CACHE_TEST_DIR=/data PAGE2CACHE_TEST_ROUNDS="${PAGE2CACHE_TEST_ROUNDS:-1}" tests/vm/services "$scratch/root" 2>"$scratch/err"
status=$?
[ "$status" -ne 3 ] || unusable "$(tail -n1 "$scratch/err")"
sed 's/^/# /' "$scratch/err"
exit "$status"
