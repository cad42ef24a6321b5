#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many files that nobody named: more than have counters for each CPU and a histogram (8,192). Each is
# counted and listed; what is beyond the table is counted together.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs jq jq
needs python3 python3
needs_built "$CACHEMISS"
setup_dir

plan $((3 + 2 + 2))

list=$DIR/list
mkdir "$DIR/many"
python3 - "$DIR/many" 9500 <<-'END'
	import os, sys
	folder, n = sys.argv[1], int(sys.argv[2])
	for i in range(n):
	    with open(f"{folder}/{i}", "wb") as f:
	        f.write(b"x" * (100 if i % 2 else 5000))
	os.sync()
	for i in range(n):
	    fd = os.open(f"{folder}/{i}", os.O_RDONLY)
	    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
	    os.close(fd)
END
cat >"$DIR/read-all" <<-'END'
	import os, sys
	for i in range(9500):
	    fd = os.open(f"{sys.argv[1]}/{i}", os.O_RDONLY)
	    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
	    os.pread(fd, 1, 0)
	    if len(sys.argv) > 2:
	        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
	    os.close(fd)
END
many="select(.record == \"file\" and .file != null and (.file | startswith(\"$DIR/many/\")))"
watched -w "$list" -- python3 "$DIR/read-all" "$DIR/many" evict
is "$(grep -c "^# file=$DIR/many/" "$list") $(owned_of "$list" | grep -c "^$DIR/many/[0-9]* 0$")" \
	'9500 9500' '9,500 files without -f: each is in the list, with the page that missed'
is "$(json "$OUT" "$many | [.accesses, .misses]" | sort | uniq -c | tr -s ' ')" ' 9500 [1,1]' 'and each is counted by name'
is "$(json "$OUT" "$many | .miss_us_p50 != null" | sort | uniq -c | awk '$2 == "false" && $1 > 1000 || $2 == "true" && $1 > 8000 { print $2 }' | paste -sd' ')" \
	'false true' 'those that were found last have no histogram'
PAGE2CACHE_FILES=600 watched -w "$list" -- python3 "$DIR/read-all" "$DIR/many"
here=$(grep -c "^# file=$DIR/many/" "$list")
is "$(sed -n 's/.* misses are not in the list: //p' "$ERR")" "$((9500 - here)) files were accessed beyond the 600 that have counters of their own" \
	'PAGE2CACHE_FILES: a smaller table, and how many files it had no room for'
is "$(json "$OUT" 'select(.record == "file" and .ino == null) | .misses')" $((9500 - here)) 'which are counted together'
for files in 0 200001; do
	is "$(PAGE2CACHE_FILES=$files "$CACHEMISS" --tool-status -- true 2>&1 >/dev/null; echo $?)" \
		"cachemiss: PAGE2CACHE_FILES: must be 1 to 200000 files: '$files'
2" "PAGE2CACHE_FILES=$files is bad input"
done
