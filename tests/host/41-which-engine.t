#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/which-engine: measures every engine that is here, says what the others could still
# save, and changes nothing of the file.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$PCFORCE" "$CACHEMISS" "$PROGS/access" "$PROGS/workload" "$PROGS/floor"
python3 -c 'import ctypes, sys; c = ctypes.CDLL(None, use_errno=True); c.syscall(451, -1, None, None, 0); sys.exit(ctypes.get_errno() == 38)' ||
	skip_all 'this kernel has no cachestat(2)'
setup_dir

plan $((6 + 3 + 5))

which=$(dirname "$0")/../../scripts/which-engine
file=$DIR/data
make_file "$file" 16m
before=$(stat -c '%s %Y %Z' "$file" && sha256sum "$file")

# run_it ARGS...: the folder of results is new each time
run_it()
{
	rm -rf "$DIR/results"
	timeout 240 "$which" --results "$DIR/results" "$@" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
}

# pages: that the list had which was forced
pages()
{
	jq -s 'map(select(.arm == "forced"))[0].receipt.requested' "$DIR/results/runs.jsonl"
}

run_it --rounds 2 "$file"
is $STATUS 0 'a file alone: measured' || diag "$(cat "$DIR/err")"
is "$(pages)" 2048 'with pages of its own choice'
here=$("$PCFORCE" --check -j | jq -r 'select(.engine and .available) | .engine' | sort | paste -sd' ')
is "$(jq -rs 'map(select(.arm == "forced" and .value > 0).engine) | unique | join(" ")' "$DIR/results/runs.jsonl")" "$here" \
	'every engine that is here was run'
matches "$(cat "$DIR/out")" "[0-9.]+ m?s with forcing, [0-9.]+ m?s without.*the device alone takes [0-9.]+ m?s for these pages \(floor\)" 'the sentence of what was gained'
is "$(grep -cE '^(The module bpf_page2cache|The kernel patch) is |Whether (the module bpf_page2cache|the kernel patch) .*was not measured|^Another engine has nothing to gain|forcing loses here' "$DIR/out" | sed 's/[12]/said/')" said \
	'and whether the others are worth it'
is "$(jq -r '"\(.state) \(.machine.kernel)"' "$DIR/results/meta.json") $(jq -s 'map(select(.arm == "cold")) | length' "$DIR/results/runs.jsonl")" \
	"complete $(uname -r) 2" 'all figures are kept'

seq 0 7 4095 >"$DIR/list"
run_it --rounds 1 --list "$DIR/list" "$file"
is "$STATUS $(pages)" '0 586' 'a list: its pages' || diag "$(cat "$DIR/err")"
run_it --rounds 1 "$file" -- "$PROGS/access" --blind -n 300 -p random --fadvise random "$file"
is "$STATUS $(pages)" '0 300' 'a command: what its cold start misses' || diag "$(cat "$DIR/err")"
is "$(stat -c '%s %Y %Z' "$file" && sha256sum "$file")" "$before" 'the file is as it was'

# wrong STATUS TITLE ARGS...
wrong()
{
	run_it "${@:3}"
	is "$STATUS $(grep -c Traceback "$DIR/err")" "$1 0" "$2"
}
wrong 2 'no file is a usage error'
wrong 2 'nor is a folder one' "$DIR"
wrong 2 'a list and a command' --list "$DIR/list" "$file" -- true
wrong 2 'no rounds' --rounds 0 "$file"
wrong 1 'a command that does not read the file' "$file" -- true
