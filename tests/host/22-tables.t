#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every table of the three programs with --columns, --raw and -n; and names that contain what
# a terminal or a line would take for something else.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

RATRACE=$BUILD/ratrace

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS" "$PCFORCE" "$RATRACE" "$PROGS/access"
setup_dir

plan $((6 * 4 + 4 + 6))

file=$DIR/data
make_file "$file" 1m
seq 0 9 >"$DIR/list"
reader=("$PROGS/access" --evict -n 20 "$file")

# table NAME COLUMNS ROW PROGRAM...: one table with COLUMNS, asked for in lower case, and
# --raw; ROW matches a row of it
table()
{
	local name=$1 columns=$2 row=$3
	shift 3
	local options=(--raw --columns "${columns,,}") usage=2
	# Around COMMAND bad usage has a status apart from COMMAND's own.
	[[ " $* " != *' -- '* ]] || usage=125
	"${@:1:1}" "${options[@]}" -O "$DIR/chosen" "${@:2}" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	is "$(head -1 "$DIR/chosen")" "${columns//,/ }" "$name: --columns and their order"
	matches "$(sed -n 2p "$DIR/chosen")" "^$row\$" "$name: --raw: one blank between cells"
	"${@:1:1}" -n "${options[@]}" -O "$DIR/chosen" "${@:2}" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	matches "$(head -1 "$DIR/chosen")" "^$row\$" "$name: -n: no heading"
	"${@:1:1}" --columns "${columns%%,*},nosuch" -O "$DIR/chosen" "${@:2}" >"$DIR/stdout" 2>"$DIR/stderr" </dev/null
	matches "$? $(cat "$DIR/stderr")" "^$usage .*'nosuch'.*${columns%%,*}" "$name: a name that is none: status $usage, and the names"
}

table 'intervals' MISSES,TIME '[0-9]+ [0-9]+:[0-9]+:[0-9]+' "$CACHEMISS" -f "$file" 0.2 1
table 'files' FILE,READMISS,HIT% "$file [0-9]+ [0-9.]+%" "$CACHEMISS" -f "$file" -- "${reader[@]}"
table 'what is resident' RESIDENT,FILE "[0-9]+ $file" "$CACHEMISS" --resident -f "$file"
table 'receipts' FILE,REQUESTED,MS "$file 10 [0-9.]+" "$PCFORCE" --now -f "$file" -o "$DIR/list"
table 'what is allowed' NAME,USABLE,REASON '[a-z_]+ (yes|no) [^ ]+' "$PCFORCE" --check
table 'decisions' KIND,FILE,INDEX "[a-z]+ $file [0-9]+" "$RATRACE" -f "$file" -- "${reader[@]}"

"$CACHEMISS" --columns TIME,FILE -n -f "$file" -O "$DIR/out" 0.2 2
is "$(sed 's/^[0-9:]*$/TIME/' "$DIR/out")" "TIME
TIME
$file" 'each table has those of the columns that it has'
"$CACHEMISS" --columns FILE -f "$file" -O "$DIR/out" 0.2 2
is "$(cat "$DIR/out")" "FILE
$file" 'a table that has none is left out'
for option in --raw -n --columns=FILE; do
	"$CACHEMISS" -j $option --resident -f "$file"
	echo $?
	"$RATRACE" -j $option -f "$file" -d 0.1
	echo $?
	"$PCFORCE" -j $option --now -f "$file"
	echo $?
done >"$DIR/out" 2>"$DIR/stderr"
is "$(sort "$DIR/out" | uniq -c | xargs) $(grep -c 'for tables' "$DIR/stderr")" '9 2 9' '-j prints no tables: bad usage together'
"$CACHEMISS" --columns= --resident -f "$file" >"$DIR/stdout" 2>"$DIR/stderr"
is "$? $(wc -c <"$DIR/stdout")" '2 0' 'no name at all: bad usage'

# --- names

name=$DIR/$(printf 'gr\xc3\xbc\xc3\x9fe')
cp "$file" "$name"
matches "$(LC_ALL=C.UTF-8 "$CACHEMISS" --resident -f "$name")" "$name" 'a UTF-8 name is itself in a UTF-8 locale'
LC_ALL=C.UTF-8 "$RATRACE" -f "$name" -O "$DIR/out" -- "$PROGS/access" --evict "$name" >/dev/null
is "$(grep -c "sync.* $name\$" "$DIR/out") $(grep -cx "$name" "$DIR/out")" "$(grep -c "sync.*/" "$DIR/out") 1" \
	'ratrace: in its lines and in its summary'
name=$(printf '%s/x\n   9.9 1 evil sync\033[31m\302\233' "$DIR")
cp "$file" "$name"
cat >"$DIR/rename.py" <<-'END'
	import ctypes, os, sys
	ctypes.CDLL(None).prctl(15, b"\x1b[7mA\nB", 0, 0, 0)  # PR_SET_NAME
	os.read(os.open(sys.argv[1], os.O_RDONLY), 4096)
END
evict "$name"
LC_ALL=C.UTF-8 "$RATRACE" -f "$name" -O "$DIR/out" -- python3 "$DIR/rename.py" "$name"
is "$(tr -cd '\033\233' <"$DIR/out" | wc -c) $(grep -c '^ *9.9 1 evil\|^B' "$DIR/out") $(grep -c 'evil' "$DIR/out")" '0 0 2' \
	'ratrace: names of files and tasks start no line and no escape sequence'
for format in '' --raw; do
	# shellcheck disable=SC2086 # an option or none
	LC_ALL=C.UTF-8 "$CACHEMISS" --resident $format -f "$name" >"$DIR/out"
	is "$(tr -cd '\033\233' <"$DIR/out" | wc -c) $(wc -l <"$DIR/out")" '0 2' "cachemiss ${format:-for people}: neither"
done
cp "$file" "$DIR/"$'\377'
cp "$file" "$DIR/%FF"
is "$("$CACHEMISS" --resident -j -f "$DIR/"$'\377' -f "$DIR/%FF" | jq -r 'select(.record == "resident").file' | sort)" \
	"$(printf '%s\n' "$DIR/%25FF" "$DIR/%FF")" 'JSON: no two names are shown alike'
