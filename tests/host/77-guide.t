#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every command of the guides is run, and shows what the guide says to look at.
#
#   tests/host/77-guide.t [DOCUMENT]...      default: README.md and those of docs/ that have commands
#
# In a document, the lines of a ```console block that begin with "$ " are commands; one that ends
# in a backslash goes on in the next line. The others are output, of the machine that the document
# names, and are not compared. A document's commands are run in order by one shell, as root, in a
# folder on a disk that has build, scripts and analysis of this tree, an ./app and its file:
# /var/tmp/data, here and in the document, is that file. What a block needs and shows stands
# before it, for this test only:
#
#   <!-- test
#   stage NAME        run stage_NAME, below, first: it brings the symptom about
#   needs COMMAND     without it the block is not run
#   sed SCRIPT        the commands as sed -E changes them: what takes long is made shorter, and
#                     samples of what is rare are taken more often
#   status REGEXP     of the last command, if not 0
#   expect REGEXP     a line of the output matches (extended regular expression)
#   -->

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs_built "$CACHEMISS" "$PCFORCE" "$BUILD/ratrace" "$PROGS/workload"
[ $# -gt 0 ] || set -- docs/troubleshooting.md docs/perf.md docs/tour.md docs/measuring.md README.md
setup_dir

# --- the stages: a file of 256 MiB, and an app that reads it in one way or another

cat >"$DIR/stages" <<-'END'
	app()
	{
		printf '#!/bin/sh\n%s\n' "$*" >app
		chmod +x app
	}
	# One page in twenty, at random.
	stage_random()
	{
		app "exec workload read -r 1 -p 5 $data >/dev/null"
	}
	# From front to back, faster than readahead brings it in.
	stage_sequential()
	{
		echo 128 >"$bdi"
		app "exec workload read $data >/dev/null"
	}
	# One page in a hundred, touched at random, with the readahead of a fast disk.
	stage_vain()
	{
		echo 8192 >"$bdi"
		app "exec workload mmap -a none -r 1 -p 1 $data >/dev/null"
	}
	# Other pages than those of the list.
	stage_other_pages()
	{
		app "exec workload read -r 2 -p 5 $data >/dev/null"
	}
	# A list of every second page that the app misses.
	stage_half_list()
	{
		stage_random
		dd if="$data" iflag=nocache count=0 status=none
		cachemiss -f "$data" -w all.offsets -- ./app >/dev/null
		awk '/^#/ || NR % 2' all.offsets >"$LIST"
	}
	# What was forced is gone before the app comes to it.
	stage_evicted()
	{
		# pcforce has closed the file when it has looked at what it forced.
		app "cached -w 1000 $data; while find /proc/\$PPID/fd -lname $data | grep -q .; do sleep 0.05; done" \
			"; dd if=$data iflag=nocache count=0 status=none; exec workload read -r 1 -p 5 $data >/dev/null"
	}
	# A list of today, and two of other days.
	stage_lists()
	{
		local name
		for name in app monday tuesday; do
			cp data.offsets $name.offsets
		done
	}
	# A list of what the app misses, and nothing of it cached.
	stage_recorded()
	{
		stage_random
		dd if="$data" iflag=nocache count=0 status=none
		cachemiss -q -f "$data" -w data.offsets -- ./app
		dd if="$data" iflag=nocache count=0 status=none
	}
	# Three files below a directory, and a copy of it; nothing of them is cached.
	stage_directory()
	{
		mkdir -p app.d
		head -c 1M "$data" | tee app.d/a app.d/b >app.d/c
		rm -rf copy.d
		cp -a app.d copy.d
		sync -f .
		for f in app.d/* copy.d/*; do
			dd if="$f" iflag=nocache count=0 status=none
		done
	}
	# In place of a database: a process whose children read one page in twenty, cold each time.
	stage_server()
	{
		( setsid sh -c 'echo $$ >server.pid
		while sleep 0.2; do
			dd if="$data" iflag=nocache count=0 status=none
			workload read -r 1 -p 5 "$data"
		done' >/dev/null 2>&1 & )
		until [ -s server.pid ]; do
			sleep 0.01
		done
		# With its children: one that lives on would read beside the next document.
		trap 'kill -- -$(cat server.pid)' EXIT
	}
	# A file of the same name and size.
	stage_replaced()
	{
		cp "$data" copy
		mv copy "$data"
	}
END

# extract DOCUMENT: its commands as a script, a block after the other; N.head tells what the
# comment before it wants, N.out and N.status what came of it
extract()
{
	awk -v base="$DIR/block." '
		/^<!-- test$/ { comment = 1; next }
		comment && /^-->$/ { comment = 0; next }
		comment { head = head $0 "\n"; next }
		/^```/ {
			if (inside && commands) {
				n++
				stage = needs = changes = ""
				split(head, line, "\n")
				for (i in line) {
					if (line[i] ~ /^stage /) stage = substr(line[i], 7)
					if (line[i] ~ /^needs /) needs = substr(line[i], 7)
					if (line[i] ~ /^sed /) changes = substr(line[i], 5)
				}
				if (changes) {
					printf "%s", commands >(base "long")
					close(base "long")
					command = "sed -E '\''" changes "'\'' " base "long"
					commands = ""
					while ((command | getline words) > 0)
						commands = commands words "\n"
					close(command)
				}
				printf "%s", head >(base n ".head")
				printf "%s", commands >(base n ".commands")
				printf "%s\nif %s; then\n{\n%s} >%s%d.out 2>&1 </dev/null\necho $? >%s%d.status\nfi\n\n",
					stage ? "stage_" stage : ":", needs ? "command -v " needs " >/dev/null" : ":",
					commands, base, n, base, n
				head = ""
			}
			inside = !inside && /^```console$/
			commands = ""
			more = 0
			next
		}
		inside && (more || /^\$ /) {
			sub(/^[$>] /, "")
			commands = commands $0 "\n"
			more = /\\$/
		}
	' "$1" | sed "s,/var/tmp/data,$DIR/data,g"
}

# count: of the checks that the blocks want
count()
{
	local n=0 head
	for head in "$DIR"/block.*.head; do
		n=$((n + 1 + $(grep -c '^expect ' "$head")))
	done
	echo "$n"
}

# judge DOCUMENT N: what came of a block
judge()
{
	local block=$DIR/block.$2 name word rest
	name="$1: $(head -n 1 "$block.commands")"
	if [ ! -e "$block.status" ]; then
		name=$(sed -n 's/^needs //p' "$block.head")
		[ -z "${CI:-}" ] || bail "$1: no ${name:-end of it}"
		skip $((1 + $(grep -c '^expect ' "$block.head"))) "needs ${name:-the block before it to end}"
		return
	fi
	word=$(sed -n 's/^status //p' "$block.head")
	matches "$(cat "$block.status")" "^(${word:-0})$" "$name" || diag "$(tail -n 20 "$block.out")"
	while read -r word rest; do
		[ "$word" = expect ] || continue
		grep -qE -e "$rest" "$block.out"
		result $? "$1: shows $rest" || diag "$(tail -n 20 "$block.out")"
	done <"$block.head"
}

total=0
for document; do
	extract "$document" >"$DIR/script"
	total=$((total + $(count)))
	rm -f "$DIR"/block.*
done
plan "$total"

tree=$PWD
head -c 256M /dev/urandom >"$DIR/data" && sync "$DIR/data"
for document; do
	extract "$tree/$document" >"$DIR/script"
	mkdir "$DIR/work"
	ln -s "$tree/scripts" "$tree/analysis" "$DIR/work"
	ln -s "$BUILD" "$DIR/work/build"
	set_ra found
	(
		cd "$DIR/work" || exit
		export data=$DIR/data bdi=$BDI/read_ahead_kb PATH=$BUILD:$BUILD/tests:$PATH
		timeout -k 5 300 bash -c '. ../stages; . ../script'
	)
	for block in $(seq "$(find "$DIR" -name 'block.*.head' | wc -l)"); do
		judge "${document##*/}" "$block"
	done
	rm -rf "$DIR"/work "$DIR"/block.*
done
