#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Directories: -f DIR and --files0-from, of each program. What a walk finds is in
# tests/unit/names_test.c.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

RATRACE=$BUILD/ratrace

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS" "$PCFORCE" "$RATRACE" "$PROGS/access"
setup_dir
chmod 755 "$DIR"

plan $((7 + 5 + 11 + 7 + 12 + 4 + 5))

tree=$DIR/tree line=$'tree/sub/one\nline'
cd "$DIR" || bail "no $DIR"
mkdir -p tree/sub tree/empty
make_file tree/a 12k
make_file "$line" 8k
ln tree/a tree/sub/a.again
ln -s ../a tree/sub/link
mkfifo tree/fifo

# drop PATH...: out of the cache
drop()
{
	local f
	for f; do
		dd if="$f" iflag=nocache count=0 status=none
	done
}

# --- what is cached, and reading it in

while step; do
	drop tree/a "$line"
	is "$("$CACHEMISS" --resident --raw -f tree)" "PAGES RESIDENT RES% FILE
5 0 0.00% (all\\x202\\x20files)" '--resident: of a directory of which nothing is cached there is the total'
	is "$("$PCFORCE" --now --raw --columns REQUESTED,READ,FILE -f tree; echo $?)" "REQUESTED READ FILE
5 5 (all\\x202\\x20files)
0" '--now: reads all of it, and says so in one line'
	is "$("$CACHEMISS" --resident -j -f tree/ -w list | jq -c 'select(.file) | [.file, .pages, .resident]')" \
		$'["tree/a",3,3]\n["tree/sub/one\\nline",2,2]' '-j: a record for each file'
	drop tree/a "$line"
	is "$("$PCFORCE" --now -j -o list | jq -c 'select(.file) | [.file, .read]')" \
		"[\"$tree/a\",3]"$'\n'"[\"$tree/sub/one\\nline\",2]" 'its list brings the same files in'
	printf 'tree/sub\0tree/a\0' >names
	is "$("$CACHEMISS" --resident -j --files0-from=names | jq -c 'select(.file) | [.file, .resident]')" \
		$'["tree/sub/a.again",3]\n["tree/sub/one\\nline",2]' '--files0-from: the same by name, directories as well, each file once'
	"$PROGS/access" --evict --load 1/2 -n 0 "$line" >/dev/null
	is "$(COLUMNS=59 "$CACHEMISS" --resident --map --raw -f "$line" -f tree/a)" "RES% MAP FILE
50.00% $(printf '%16s' '' | tr ' ' '#')$(printf '%16s' '' | tr ' ' .) tree/sub/one\\x0aline
100.00% $(printf '%32s' '' | tr ' ' '#') tree/a
80.00% - (all\\x202\\x20files)" '--map: which half of a file is cached, in as many columns as there are'
	drop "$line"
	is "$(printf '%s\0' "$line" | "$PCFORCE" --now -j --files0-from=- | jq -c 'select(.file) | [.file, .read]')" \
		'["tree/sub/one\nline",2]' '--files0-from=-: names on standard input'
done

# --- what cannot be opened: the others count, and the status is 1

chmod 700 tree/sub
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
for tool in "$CACHEMISS --resident" "$PCFORCE --now"; do
	# shellcheck disable=SC2086 # words on purpose
	"${nobody[@]}" $tool -j -f tree >out 2>err
	is "$? $(jq -r 'select(.file).file' out) $(grep -c 'tree/sub: Permission denied' err)" '1 tree/a 1' \
		"${tool##*/}: a folder that cannot be read is named, and the status is 1"
done
chmod 755 tree/sub
printf 'tree/a\0missing\0' >names
for tool in "$CACHEMISS --resident" "$PCFORCE --now" "$CACHEMISS -d 0.1"; do
	# shellcheck disable=SC2086 # words on purpose
	$tool -j --files0-from=names >out 2>err
	is "$? $(grep -c 'missing: No such file' err)" '1 1' "${tool##*/}: so it is with a name of many"
done

# --- bad input

# refused WORDS NAME PROGRAM...: with status 2, one line that has WORDS, and no data
refused()
{
	local words=$1 name=$2
	shift 2
	"$@" >out 2>err </dev/null
	is "$? $(grep -cF -e "$words" err) $(wc -c <out)" '2 1 0' "$name" || diag "$(cat err)"
}

printf 'tree/a\0\0tree/a' >hole
refused 'hole:2: expected a name' 'an empty name: status 2, and which' "$CACHEMISS" --resident --files0-from=hole
refused 'exclude each other' '-f and --files0-from' "$CACHEMISS" --resident -f tree --files0-from=names
refused 'nosuch: No such file' 'no such list of names' "$PCFORCE" --now --files0-from=nosuch
refused 'tree: Is a directory' 'a list of names that is a directory' "$PCFORCE" --now --files0-from=tree
refused 'nosuch: No such file' 'no such directory' "$CACHEMISS" -f tree -f nosuch -d 0.1
refused '/dev/shm: is on tmpfs' 'a directory whose files have no page cache is refused once' "$CACHEMISS" -f /dev/shm -d 0.1
refused 'no --files0-from' 'names and a list' "$PCFORCE" --now -o list --files0-from=names
refused '--map goes with' '--map of what is watched' "$CACHEMISS" --map -f tree -d 0.1
refused '--resident needs' '--resident without a file' "$CACHEMISS" --resident
printf '' >none
is "$("$CACHEMISS" -d 0.1 -j --files0-from=none -- "$PROGS/access" -n 5 tree/a | jq -c 'select(.record == "file" or .record == "interval")')" \
	'' 'a list without names is not the whole system'
is "$("$PCFORCE" --now --raw -n --columns REQUESTED,FILE -f tree/empty 2>&1; echo $?)" $'0 -\n0' 'an empty directory has nothing to force'

# --- watching

while step; do
	drop tree/a "$line"
	watched -f tree -- "$PROGS/access" -n 1 tree/a
	is "$STATUS $(record "$OUT" '[.file, .read_misses, .miss_us_p50 != null]')" '0 ["tree/a",1,true]' \
		'of a directory, files that are accessed have a record'
	is "$("$CACHEMISS" --raw -n --columns ACCESSES,FILE -f tree -f "$line" -O /dev/stdout -- "$PROGS/access" -n 1 tree/a | tail -n 2)" \
		$'1 tree/a\n0 tree/sub/one\\x0aline' 'so has one that is named itself'
	drop tree/a
	is "$("$RATRACE" -j -s -f tree -- dd if=tree/a of=/dev/null status=none | jq -r 'select(.record == "file") | [.file, .pages_read] | @csv')" \
		'"tree/a",3' 'ratrace: and those that readahead decided for'
	drop tree/a
	watched -f tree -w recorded -- "$PROGS/access" -n 1 tree/a
	is "$STATUS $(grep -c file= recorded) $(grep -c "file=$tree/a " recorded)" '0 1 1' 'a recording has the sections of those that missed'
	watched -f tree -- sh -c 'echo new >tree/new; cat tree/new tree/sub/a.again' 2>/dev/null
	is "$(record "$OUT" '[.file, .accesses > 0]')" '["tree/a",true]' 'by whichever link; a file that comes later does not count'
	rm -f tree/new
done
background -f tree
is "$(find "/proc/$BG/fd" -lname "$tree/*" | wc -l)" 0 'no file of a directory is kept open'
stop TERM
is "$STATUS" 0 'the run without COMMAND: status 0'

# --- other hosts: names that begin at a directory, and are looked up in another one

rm tree/sub/a.again
cp -a tree copy
cp -a tree/a outside
sync -f .
reads='cat tree/a tree/sub/*line outside'
while step; do
	drop tree/a "$line" outside
	"$CACHEMISS" -w relative --relative tree -- sh -c "$reads" >/dev/null 2>err
	is "$(sed -n 's/^# file=\([^ ]*\).*/\1/p' relative) $(grep -c 'tree: 1 file is not below it' err)" \
		$'a\nsub/one%0Aline 1' '--relative: names begin there; what is elsewhere is left out, and said'
	is "$(grep -cE ' (fsid|ino|gen|uuid)=' relative) $(grep -cE ' size=.* mtime_ns=' relative)" '0 2' \
		'and the sections have nothing that only this file system has'
	drop copy/a "copy/sub/one"$'\n'"line"
	is "$("$PCFORCE" --now -j --root copy -o relative | jq -c 'select(.file) | [.file, .read]')" \
		$'["a",3]\n["sub/one\\nline",2]' '--root: such a list brings a copy in'
	is "$("$CACHEMISS" --resident --raw -n --columns RESIDENT,FILE -f copy | tail -n 1)" '5 (all\x202\x20files)' 'and that is what is cached'
	is "$("$PCFORCE" --now -j --root copy -f a -o relative | jq -c 'select(.file) | [.file, .resident]')" '["a",3]' \
		'--root: -f picks a section by a name of the same kind'
	"$CACHEMISS" --resident -w cached --relative tree/sub -f tree -q
	is "$(sed -n 's/^# file=\([^ ]*\).*/\1/p' cached)" 'one%0Aline' '--resident: so are the names of its list'
	drop tree/a "$line" outside
	"$CACHEMISS" -w filtered --under tree --exclude 'one*' -- sh -c "$reads" >/dev/null 2>err
	is "$(sed -n 's/^# file=\([^ ]*\).*/\1/p' filtered) $(grep -c 'not below' err)" "$tree/a 0" '--under and --exclude: the others are not in the list'
done
# Whatever a list and the tree below say: nothing outside is read.
ln -s "$DIR/outside" copy/absolute
ln -s ../../../../../../../../../../../../../../.."$DIR/outside" copy/climbs
drop outside
printf '# file=%s\n0\n' absolute climbs ../outside "$DIR/outside" /proc/self/cwd/outside a >hostile
"$PCFORCE" --now -j --root copy -o hostile >out 2>err
is "$? $(jq -c 'select(.file and .read + .resident > 0).file' out)" '4 "a"' '--root: no link and no name leads out'
is "$("$CACHEMISS" --resident --raw -n --columns RESIDENT -f outside)" 0 'nothing there was read'
refused 'nosuch: No such file' '--root that is not there' "$PCFORCE" --now --root nosuch -o relative
refused '--root goes with -o' '--root without a list' "$PCFORCE" --now --root copy -f tree
refused 'go with -w' '--under without a list' "$CACHEMISS" --under tree -d 0.1

# --- what takes long: a line on a terminal, gone at the end

cat >terminal.py <<'END'
# Runs argv[2:] with standard error on a terminal, and writes to argv[1] all that appears there.
import os, pty, subprocess, sys
master, slave = pty.openpty()
tool = subprocess.Popen(sys.argv[2:], stderr=slave, stdout=subprocess.DEVNULL)
os.close(slave)
shown = b""
while True:
    try:
        some = os.read(master, 4096)
    except OSError:
        break
    if not some:
        break
    shown += some
open(sys.argv[1], "wb").write(shown)
sys.exit(tool.wait())
END
for i in shown quiet piped command; do
	make_file slow.$i 7m
done
slow=(--now --rate 2M)
python3 terminal.py shown "$PCFORCE" "${slow[@]}" -f slow.shown &
python3 terminal.py quiet "$PCFORCE" -q "${slow[@]}" -f slow.quiet &
"$PCFORCE" "${slow[@]}" -f slow.piped 2>piped >/dev/null &
printf '# file=%s\n0-1791\n' "$DIR/slow.command" >slow.list
python3 terminal.py command "$PCFORCE" --rate 2M -O receipt -o slow.list -- sleep 3 &
wait %1 && wait %2 && wait %3 && wait %4
matches "$? $(tr '\r' '\n' <shown)" '^0 .*pcforce: [0-9]+ MiB of 7 MiB, [0-9]+ MiB a second, [0-9]+ s left' 'on a terminal: how far it is, and how long it will take'
is "$(tail -c 4 shown | od -An -c | tr -d ' ')" '\r033[K' 'the line is gone at the end'
is "$(cat quiet piped)" '' 'quiet, or with standard error in a file: nothing'
is "$(grep -c 'MiB of' command)" 0 'beside COMMAND: nothing'

# --- more files than histograms

cpus=$(awk -F- '{ print $NF + 1 }' /sys/devices/system/cpu/possible)
mkdir many
cat >read.py <<'END'
# Reads all files once, and the first one again after each hundredth: each time it misses.
import os, sys
files = [os.path.join("many", "%05d" % i) for i in range(int(sys.argv[2]))]
def read(path):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.pread(fd, 1, 0)
    os.close(fd)
if sys.argv[1] == "make":
    for path in files:
        with open(path, "wb") as f:
            f.write(b"x")
    os.sync()
else:
    for i, path in enumerate(files):
        read(path)
        if i % 100 == 0:
            read(files[0])
END
nr=$((8192 + 128 * cpus + 700))
if [ "$cpus" -gt 8 ]; then
	skip 5 "a kernel for $cpus CPUs keeps that many more histograms"
	exit
fi
python3 read.py make $nr
# More files than there may be descriptors
ulimit -n 400
watched -f many -- python3 read.py read $nr
is "$STATUS $(jq -s 'map(select(.record == "file")) | length' "$OUT")" "0 $nr" 'more files than histograms: each has its record'
is "$(json "$OUT" 'select(.file == "many/00000") | [.misses >= 50, .miss_us_p50 != null, .miss_us_max != null]')" '[true,true,true]' \
	'the file that misses most has its percentiles'
is "$(json "$OUT" 'select(.record == "file" and .misses == 0)' | wc -l)" 0 'misses of all files are counted'
within "$(json "$OUT" 'select(.record == "file" and .miss_us_p50 != null)' | wc -l)" 4096 $((8193 + 128 * cpus)) 'as many as there are histograms have theirs'
is "$(json "$OUT" 'select(.record == "file" and (.miss_us_p50 == null) != (.miss_us_max == null))' | wc -l)" 0 'of the others none is known'
