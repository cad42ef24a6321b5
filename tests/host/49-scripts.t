#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The scripts as commands: each says what it is for, and what is wrong with its command line.
# scripts/kernel that is ended by a signal: no make, and nothing that make has started, runs on.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs python3 python3
setup_dir

mapfile -t scripts < <(find scripts analysis -maxdepth 1 -type f -executable ! -name '*.bt')
[ ${#scripts[@]} -ge 16 ] || bail "only these scripts: ${scripts[*]}"

plan $((${#scripts[@]} + 3 * 2 + 1 + 1))

# --- usage

for script in "${scripts[@]}"; do
	"$script" --help >"$DIR/help" 2>"$DIR/err"
	help="$? $(grep -ci "${script##*/}" "$DIR/help" | sed 's/^[1-9].*/named/') $(wc -c <"$DIR/err")"
	"$script" --no-such-option >"$DIR/out" 2>"$DIR/err"
	is "$help, $? $(wc -c <"$DIR/out") $(grep -cE "^${script##*/}: ." "$DIR/err")" '0 named 0, 2 0 1' \
		"$script: --help, on standard output; a wrong option, named on standard error with status 2"
done

# --- ended by a signal

number=$DIR/number

# building PREFIX...: scripts/kernel in the background, at what stands for a build: a shell whose
# shell waits for a process, whose number is in $number
building()
{
	rm -f "$number"
	"$@" python3 - 6.12 "$number" >"$DIR/out" 2>&1 <<-'END' &
		import runpy, subprocess, sys, types

		build = types.ModuleType("build")
		build.LINES = ["6.12"]
		make = "sh -c 'sleep 60 & echo $! >" + sys.argv.pop() + "; wait' & wait"
		build.kernel = lambda line, debug: subprocess.run(["sh", "-c", make], check=False)
		sys.modules["build"] = build
		runpy.run_path("scripts/kernel", run_name="__main__")
	END
	BG=$!
	at_exit "end_child $BG; kill \$(<'$number')"
	wait_until 30 test -s "$number"
}

for signal in TERM HUP INT; do
	building env --default-signal=INT
	kill -$signal "$BG"
	wait "$BG"
	is $? $((128 + $(kill -l $signal))) "SIG$signal ends it: its status" || diag "$(cat "$DIR/out")"
	ok 'and what a process of its process has started is gone' gone "$(<"$number")"
done
building env --default-signal=INT --ignore-signal=HUP
kill -HUP "$BG"
kill "$(<"$number")"
wait "$BG"
is $? 0 'SIGHUP that is ignored, as under nohup, does not'
# What stands for a process that waits in the kernel for a device: one that no signal reaches.
PYTHONPATH=scripts/vmlib timeout 60 python3 -B - >"$DIR/out" 2>"$DIR/err" <<-'END'
	import ending, os, subprocess

	kill, ending.os.kill = os.kill, lambda pid, number: None
	ending.PATIENCE_SECONDS = ending.LEFT_SECONDS = 0.1
	child = subprocess.Popen(["sleep", "60"])
	ending.end_descendants()
	print(child.pid, child.poll())
	kill(child.pid, 9)
END
is "$? $(wc -l <"$DIR/err") $(grep -c "left behind: .* SIGKILL: $(sed 's/ .*//' "$DIR/out") " "$DIR/err") $(sed 's/.* //' "$DIR/out")" '0 1 1 None' \
	'one that cannot be ended is named and left behind'
