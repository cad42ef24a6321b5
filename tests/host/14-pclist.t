#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# pclist: each verb against what a few lines of awk make of the same lists, whether
# pcforce takes what comes out, names of any bytes, and what is refused.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs jq jq
needs python3 python3
needs_built "$PCLIST" "$PCFORCE" "$CACHEMISS" "$PROGS/access"
setup_dir

usage=('' 'bogus' 'show' 'show a b' 'merge a' 'trim a' 'trim --max-bytes 0 a' 'trim --max-bytes 1 a' 'trim --max-bytes x a' 'show --max-bytes 1M a'
	'merge - -' 'show --newest a' 'merge --strict a a' 'merge -j a a' 'export --columns FILE a' 'trim --raw --max-bytes 1M a'
	'import -n a' 'show --columns NONE a' 'show -j --columns FILE a' 'rebase a b' 'rebase a b c d' 'export a b' 'show -O out a')
json=('x' '[1]' '{"file":"/x"}' '{"file":"/x","offset":0}' '{"file":"/x","offset":0,"length":0}' '{"file":"/x","offset":-1,"length":1}'
	'{"file":"/x","offset":1.5,"length":1}' '{"file":"/x","offset":"0","length":1}' '{"file":"/x","offset":1e3,"length":1}'
	'{"file":"/x","offset":18446744073709551616,"length":1}' '{"file":"/x","offset":1,"length":18446744073709551615}'
	'{"file":7,"offset":0,"length":1}' '{"file":"","offset":0,"length":1}' '{"file":"a\u0000b","offset":0,"length":1}'
	'{"file":"/x%zz","offset":0,"length":1}' '{"file":"/x","offset":0,"length":1} {}' '{"file":"/x","offset":0,"length":1')

plan $((8 + 2 + 5 + 5 + 8 + 6 + 8 + 4 + 5 + ${#usage[@]} + ${#json[@]} + 9 + 7 + 2))

cd "$DIR" || bail "cannot enter $DIR"
page=$(getconf PAGESIZE)

# owned_pages LIST: FILE PAGE a line, in the list's order
owned_pages()
{
	owned_of "$1" | awk '{ n = split($2, a, /[+-]/); last = n == 1 ? a[1] : $2 ~ /-/ ? a[2] : a[1] + a[2] - 1
		for (i = a[1]; i <= last; i++) print $1, i }'
}

# listed FILE...: a list of all their pages, bound to them, whatever is cached
listed()
{
	local f
	echo '# page2cache offsets 1'
	for f; do
		"$CACHEMISS" -q --resident --allow-empty -f "$f" -w - | grep '^# file='
		echo "0+$(($(stat -c %s "$f") / page))"
	done
}

# wrong STATUS NAME PCLIST_ARGUMENTS...: that status, a word about it, and no list
wrong()
{
	"$PCLIST" "${@:3}" >stdout 2>stderr
	is "$? $(test -s stderr && echo said) $(wc -c <stdout)" "$1 said 0" "$2: status $1, and says why"
}

# --- two runs of a program that reads two files in turns, and another order the next time

mkdir data
make_file data/one 4m
make_file 'data/the other' 4m
# in_turns SEED: FILE PAGE a line, each page once
in_turns()
{
	python3 - "$1" <<-'END'
		import random, sys
		random.seed(int(sys.argv[1]))
		pages = {f: random.sample(range(1024), 300) for f in ("data/one", "data/the other")}
		for i in range(300):
		    for f, p in pages.items():
		        print(f"{p[i]} {f}")
	END
}
cat >reader <<-'END'
	import os, sys
	fds = {}
	for line in sys.stdin:
	    page, file = line.rstrip("\n").split(" ", 1)
	    if file not in fds:
	        fds[file] = os.open(file, os.O_RDONLY)
	        os.posix_fadvise(fds[file], 0, 0, os.POSIX_FADV_RANDOM)
	    os.pread(fds[file], 1, int(page) * os.sysconf("SC_PAGESIZE"))
END
for run in 1 2; do
	in_turns $run >run.$run
	if [ "$(id -u)" -eq 0 ]; then
		evict data/*
		watched -w $run.list -f data/one -f 'data/the other' -- python3 reader <run.$run
	else
		python3 -c 'import os, sys
print("# page2cache offsets 2")
files = {}
for line in sys.stdin:
    page, file = line.rstrip("\n").split(" ", 1)
    if file not in files:
        files[file] = len(files) + 1
        print("# file=%s/%s @%d" % (os.getcwd(), file.replace(" ", "%20"), files[file]))
    print(page, "@%d" % files[file])' <run.$run | "$PCLIST" trim --max-bytes 1G - >$run.list
	fi
	owned_pages $run.list >$run.pages
done
is "$(head -1 1.list) $(grep -c '^# file=' 1.list) $(sed "s,^$DIR/,,; s,%20, ," 1.pages | md5sum)" \
	"# page2cache offsets 2 2 $(awk '{ page = $1; sub(/^[0-9]* /, ""); print $0, page }' run.1 | md5sum)" \
	'files that are read in turns: a list of version 2, in which each is named once'

"$PCLIST" merge 1.list 2.list >merged
is "$(owned_pages merged | md5sum)" "$(first_of_each <(awk '{ print $1 ":" $2 }' 1.pages 2.pages) | tr : ' ' | md5sum)" \
	'merge: the first list, then what only the second one has'
"$PCLIST" intersect 1.list 2.list >common
is "$(owned_pages common | md5sum)" "$(grep -xFf 2.pages 1.pages | md5sum)" 'intersect: what both have, in the order of the first'
"$PCLIST" subtract 1.list 2.list >left
is "$(owned_pages left | md5sum)" "$(grep -vxFf 2.pages 1.pages | md5sum)" 'subtract: what the second has not'
is "$(cat common left | owned_pages /dev/stdin | sort | md5sum)" "$(sort 1.pages | md5sum)" 'both together are the first list'
"$PCLIST" trim --max-bytes $((250 * page + page / 2)) 1.list >trimmed
is "$(owned_pages trimmed | md5sum)" "$(head -250 1.pages | md5sum)" 'trim: the first pages, as many as fit whole'
is "$("$PCLIST" merge 1.list 1.list | md5sum)" "$(md5sum <1.list)" 'merged with itself a list is what was recorded, to the byte'
"$PCFORCE" --dry-run -j -O out -o merged 2>stderr
is "$? $(json out 'select(.record == "receipt") | .requested' | awk '{ n += $1 } END { print n }') $(cat stderr)" "0 $(owned_pages merged | wc -l) " \
	'pcforce takes what pclist writes, and finds nothing stale'

# --- the line of the manual that reads both versions

awk_line()
{
	# shellcheck disable=SC2016 # it is awk's
	sed -n "/^awk '/,/app.offsets\$/p" "$OLDPWD/man/page2cache-offsets.5.scd" | sed "s,app.offsets,$1,"
}
is "$(awk_line merged | bash | md5sum)" "$(owned_of merged | md5sum)" "the manual's awk line reads version 2"
listed data/one 'data/the other' >resident
is "$(awk_line resident | bash | md5sum) $(head -1 resident)" "$(owned_of resident | md5sum) # page2cache offsets 1" 'and version 1'

# --- pipes

is "$("$PCLIST" merge 1.list - <2.list | md5sum)" "$(md5sum <merged)" 'merge a - < b'
is "$("$PCLIST" merge - 2.list <1.list | "$PCLIST" subtract - 2.list | md5sum)" "$(md5sum <left)" 'a list through two of them'
is "$("$PCLIST" merge 1.list 2.list 2.list 1.list | md5sum)" "$(md5sum <merged)" 'merge of four'
is "$("$PCLIST" intersect 1.list 2.list trimmed | owned_pages /dev/stdin | md5sum)" "$(owned_pages trimmed | grep -xFf 2.pages | md5sum)" 'intersect of three'
is "$("$PCLIST" subtract 1.list 2.list trimmed | owned_pages /dev/stdin | md5sum)" "$(sed 1,250d 1.pages | grep -vxFf 2.pages | md5sum)" 'subtract of three'

# --- JSON

"$PCLIST" export 1.list >exported
is "$(jq -rs '[.[] | keys_unsorted] | unique | tojson' exported) $(jq -s '[.[].length] | add' exported)" \
	"[[\"record\",\"file\",\"offset\",\"length\"]] $((600 * page))" 'export: an object a run, in bytes'
is "$("$PCLIST" import exported | owned_pages /dev/stdin | md5sum)" "$(md5sum <1.pages)" 'export | import: the same pages in the same order'
printf '{"record":"meta"}\n\n{"file":"/x","offset":%d,"length":2,"more":[]}\n{"offset":%d,"length":%d,"file":"/x"}\n{"file":"/a%%20b","offset":1,"length":1}\n' \
	$((page - 1)) 0 $((3 * page + 1)) | "$PCLIST" import - >imported
is "$? $(grep -v '^# page2cache' imported | paste -sd' ')" "0 # file=/x page_size=$page 0+4 # file=/a%20b page_size=$page 0" \
	'import: the pages that the bytes are on, each once; objects without file are skipped'
is "$(printf '{"file":"/x","offset":%d,"length":%d}\n' $((5 * page)) 1 "$page" $((2 * page)) | "$PCLIST" import - | grep -v '^#' | paste -sd' ')" '5 1+2' \
	'in the order of the objects'
printf '# file=/x\n18446744073709551615\n' >far
wrong 2 'export of a page whose bytes have no number of 64 bits' export far

# --- show and check

is "$("$PCLIST" show --raw 1.list | cut -d' ' -f1,2,4-)" "PAGES BYTES STATE FILE
300 $((300 * page)) ready $DIR/data/one
300 $((300 * page)) ready $DIR/data/the\\x20other
600 $((600 * page)) ready 2\\x20files" 'show: pages, bytes, state of each file, and of all'
is "$("$PCLIST" show -n --raw --columns RUNS 1.list | paste -sd' ')" \
	"$(for f in one the%20other ''; do owned_of 1.list | grep -c "/data/$f"; done | paste -sd' ')" 'and runs, as the list has extents'
is "$("$PCLIST" show -j 1.list | jq -sc '[.[0].record, .[0].tool, (.[] | select(.record == "file") | [.file, .pages, .state, .why]), (.[-1] | [.record, .files, .pages, .bytes, .stale, .gone, .incomplete])]')" \
	"[\"meta\",\"pclist\",[\"$DIR/data/one\",300,\"ready\",null],[\"$DIR/data/the other\",300,\"ready\",null],[\"list\",2,600,$((600 * page)),0,0,false]]" '-j has the same'
"$PCLIST" check resident >stdout 2>stderr
is "$? $(wc -c <stdout) $(wc -c <stderr)" '0 0 0' 'check of files as they were: status 0, no word'
touch data/one
is "$("$PCLIST" check resident >/dev/null 2>&1; echo $?) $("$PCLIST" check --strict resident 2>&1 >/dev/null; echo $?)" \
	"0 pclist: $DIR/data/one: it was written to since the list was recorded
4" 'a newer mtime counts with --strict only'
cp data/one new && mv new data/one && mv 'data/the other' gone
"$PCLIST" check resident >stdout 2>stderr
is "$? $(tail -n +2 stdout | awk '{ print $4 }' | paste -sd' ') $(grep -c 'data/one: it was replaced by another file since' stderr) $(grep -c 'the other: No such file' stderr)" \
	'4 stale gone 1 1' 'replaced and gone: status 4, what and why'
is "$("$PCLIST" show resident >/dev/null 2>stderr; echo "$? $(wc -c <stderr)") $("$PCLIST" show -v resident 2>&1 >/dev/null | grep -c since)" '0 0 1' \
	'show of the same: status 0, why with -v only'

mkdir many
seq -f many/%g 1000 | xargs touch
seq -f '# file=many/%g
0' 1000 >many.list
is "$(prlimit --nofile=700 "$PCLIST" check many.list 2>&1; echo $?)" 0 'more files than may be open at a time'

# --- rebase

mv gone 'data/the other'
listed data/one 'data/the other' >resident
cp -a data copy
"$PCLIST" rebase "$DIR/data" "$DIR/copy" resident >rebased
is "$? $(grep -c "^# file=$DIR/copy/" rebased) $(grep -cE ' (uuid|fsid|ino|gen)=' rebased) $(grep -cE ' size=[0-9]+ mtime_ns=' rebased)" '0 2 0 2' \
	'rebase: other names, without what tells the files apart'
"$PCLIST" check --strict rebased >stdout 2>stderr
is "$? $(cat stdout stderr)" '0 ' 'a copy of the files is what the list is of'
is "$("$PCLIST" export rebased | sed "s,$DIR/copy/,$DIR/data/," | md5sum)" "$("$PCLIST" export resident | md5sum)" 'all pages are there'
is "$(cd copy && "$PCLIST" rebase "$DIR/data" . ../resident | "$PCLIST" check - 2>&1; echo $?)" 0 'relative names'
wrong 2 'no file is below FROM' rebase /nowhere /x resident
wrong 2 'two files would have one name' rebase "$DIR/data/one" "$DIR/data/the other" resident

# --- the same file by another name, and another file by the same name

listed data/one >one
mv data/one data/renamed
listed data/renamed >renamed
is "$("$PCLIST" merge one renamed | md5sum)" "$(md5sum <one)" 'a file that was renamed is the same, under its first name'
is "$("$PCLIST" subtract renamed one | grep -c '^[0-9]')" 0 'to subtract as well'
is "$("$PCLIST" merge -v one renamed 2>&1 >/dev/null)" "pclist: $DIR/data/renamed: is $DIR/data/one, by its inode" '-v says so'
cp data/renamed data/one
touch -d '+1 hour' data/one
listed data/one >replaced
for verb in merge intersect; do
	"$PCLIST" $verb one replaced >stdout 2>stderr
	is "$? $(wc -c <stdout) $(grep -c "data/one: is two files in these lists; --newest takes" stderr)" '2 0 1' "$verb of a replaced file: status 2"
done
is "$("$PCLIST" merge --newest one replaced | md5sum)" "$(md5sum <replaced)" '--newest: the later one'
is "$("$PCLIST" merge --newest replaced one | md5sum)" "$(md5sum <replaced)" 'whichever comes first'
is "$("$PCLIST" subtract --newest replaced one | md5sum)" "$(md5sum <replaced)" 'of which the older one has no page'

# --- lists as people write them

printf '3\n' >nameless
wrong 2 'a list that names no file' show nameless
printf '# page2cache offsets 1\n# incomplete: words\n# file=/x\n0+18446744073709551615\n# file=/y\n1\n' >whole
is "$("$PCLIST" show --raw -n whole | cut -d' ' -f1-3)" '- - 1
1 '"$page"' 1
- - 2' 'more than 64 bits of bytes: - and not a number'
is "$("$PCLIST" show -j whole | jq -c 'select(.record != "meta" and .pages == null) | [.record, .bytes]' | paste -sd' ')" '["file",null] ["list",null]' 'or null'
is "$("$PCLIST" merge whole whole | grep -c '^# incomplete: ') $(printf '# file=/x\n5\n' | "$PCLIST" subtract whole - | grep -v '^#' | paste -sd' ')" \
	'1 0+5 6+18446744073709551609 1' 'such an extent can be cut, and an incomplete list stays one'

# --- names of any bytes

mkdir names
names=('a b' $'new\nline' '100%41' $'\t\e[1m' $'\xff\xfe')
for name in "${names[@]}"; do
	head -c $((3 * page)) /dev/zero >"names/$name"
done
python3 - >names.list <<-'END'
	import os
	for name in sorted(os.listdir(b"names")):
	    path = os.getcwdb() + b"/names/" + name
	    print("# file=" + "".join("%%%02X" % b for b in path))
	    print("0-2")
END
is "$("$PCLIST" check names.list 2>&1; echo $?)" 0 'names of any bytes: the files are found'
is "$("$PCLIST" merge names.list names.list | "$PCLIST" trim --max-bytes 1G - | "$PCLIST" check - 2>&1; echo $?)" 0 'by what was written as well'
is "$("$PCLIST" export names.list | "$PCLIST" import - | "$PCLIST" check - 2>&1; echo $?)" 0 'and by JSON and back'
is "$("$PCLIST" show -n --columns FILE names.list | wc -l) $("$PCLIST" show names.list | tr -d '\n' | LC_ALL=C grep -c '[[:cntrl:]]')" \
	"$((${#names[@]} + 1)) 0" 'a table has a line for each, and no control character'
is "$("$PCLIST" show -j names.list | jq -s 'map(select(.record == "file")) | length')" ${#names[@]} 'JSON is JSON'

# --- what is refused

cp 1.list a
for line in "${usage[@]}"; do
	# shellcheck disable=SC2086 # words on purpose
	wrong 2 "usage: '$line'" $line
done
for line in "${json[@]}"; do
	printf '{"file":"/y","offset":0,"length":1}\n%s\n' "$line" | "$PCLIST" import - >stdout 2>stderr
	matches "$? $(wc -c <stdout) $(cat stderr)" '^2 0 pclist: standard input:2: .{10}' "import: $line: status 2 with the line"
done
printf '# file=/x\n3\n\nx\n' >bad
for line in 'show bad' 'check bad' 'merge a bad' 'intersect bad a' 'subtract a bad' 'trim --max-bytes 1M bad' 'rebase / /x bad' 'export bad'; do
	# shellcheck disable=SC2086 # words on purpose
	"$PCLIST" $line >stdout 2>stderr
	matches "$? $(wc -c <stdout) $(cat stderr)" '^2 0 pclist: bad:4: a page index' "$line: status 2 with file and line"
done
wrong 2 'a list that is not there' merge a missing

# --- output that goes nowhere

"$PCLIST" merge a a >&- 2>stderr
is "$? $(grep -c 'stdout: write error: Bad file descriptor' stderr)" '1 1' 'standard output is closed: status 1'
for verb in 'merge a a' 'export a' 'show a'; do
	# shellcheck disable=SC2086 # words on purpose
	"$PCLIST" $verb >/dev/full 2>stderr
	is "$? $(grep -c 'No space left on device' stderr)" '1 1' "$verb: a full disk: status 1"
done
seq 0 3 3000000 | sed '1i# file=/x' >long
for verb in 'merge long a' 'export long'; do
	# shellcheck disable=SC2086 # words on purpose
	"$PCLIST" $verb 2>stderr | head -1 >stdout
	is "${PIPESTATUS[0]} $(wc -l <stdout) $(wc -c <stderr)" "$((128 + $(kill -l PIPE))) 1 0" "$verb: a reader that goes away ends it by SIGPIPE, without a word"
done
is "$(env --ignore-signal=PIPE "$PCLIST" export long 2>stderr | head -1 >stdout; echo "${PIPESTATUS[0]} $(wc -c <stderr)")" \
	"$((128 + $(kill -l PIPE))) 0" 'also where it is ignored'

# --- words

is "$("$PCLIST" merge -q a a | md5sum) $("$PCLIST" show -q a | wc -c)" "$(md5sum <a) 0" '-q: lists are written, tables are not'
is "$("$PCLIST" -V) $("$PCLIST" -h | head -1)" "pclist (page2cache) $("$PCFORCE" -V | awk '{ print $NF }') Usage: pclist [OPTION...] VERB LIST..." '-V and -h'
