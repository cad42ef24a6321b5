#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/experiment --vm: an experiment in a guest, whose folder of results comes back.

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
results=$scratch/results

scripts/experiment engines --vm stock-6.12 --cpus 1 --fs xfs --quick --size 16M --rounds 1 --cells scattered-read \
	--results "$results" >"$scratch/out" 2>"$scratch/err"
status=$?
[ $status -ne 3 ] || unusable "$(tail -n1 "$scratch/err")"
echo 1..4

is "$status $(jq -r .state "$results/meta.json")" '0 complete' 'done, and complete' || sed 's/^/# /' "$scratch/err"
is "$(jq -r '.machine | "\(.filesystem) \(.nvme) \(.device_model) \(.cpus)"' "$results/meta.json")" 'xfs true QEMU NVMe Ctrl 1' \
	'the machine is the guest, with its disk'
is "$(jq -r '"\(.cell) \(.engine // "-")"' "$results/runs.jsonl" | sort | uniq -c | awk '{ print $1, $2, $3 }' | paste -sd,)" \
	'6 scattered-read -,1 scattered-read user' 'all steps came back'
is "$(jq -r '.raw[]' "$results/runs.jsonl" | sort | cmp - <(ls "$results/raw") && grep -c 'forcing' "$scratch/out")" 1 \
	'with what they wrote, and are told of'
exit $failed
