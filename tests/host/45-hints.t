#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libpagehint, as a program uses it that loads the library which `make install-hint` installs:
# hints bring exactly the hinted pages in, whatever becomes of descriptors, files and processes.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

needs_root
needs make make
needs python3 python3
needs gcc gcc
needs pkg-config pkg-config
needs_built "$PROGS/access" "$PROGS/cached" "$PROGS/sharing" "$BUILD/hint/libpagehint.so.0"
setup_dir

plan $((4 + 37 + 2 + 7 + 4))

# --- what is installed

make -s O="$BUILD" prefix=/usr DESTDIR="$DIR/root" install-hint >"$DIR/made" 2>&1 || diag "$(cat "$DIR/made")"
root=$DIR/root/usr
is "$(cd "$root" && find . ! -type d | sort | paste -sd' ')" \
	"$(printf './%s ' include/pagehint.h lib/libpagehint.{a,so,so.0,so."$(sed -n 's/^VERSION := //p' Makefile)"} lib/pkgconfig/pagehint.pc \
		share/man/man3/pagehint.3 share/man/man7/pagehint.7 | sed 's/ $//')" \
	'header, libraries, pkg-config file and manual pages are installed'
is "$(nm -D --defined-only "$root/lib/libpagehint.so" | sed -n 's/.* T \(.*\)@@.*/\1/p' | sort | paste -sd' ')" \
	"$(grep -o 'pagehint_[a-z_]*(' hint/pagehint.h | tr -d '(' | sort -u | paste -sd' ')" \
	'the library has the functions of its header, and no others'
is "$(objdump -p "$root/lib/libpagehint.so" | awk '/NEEDED|SONAME/ { print $1, $2 }' | paste -sd' ')" \
	'NEEDED libc.so.6 SONAME libpagehint.so.0' 'it needs nothing but libc'
is "$(PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DIR/root pkg-config --cflags --libs pagehint | tr -s ' ' | sed 's/ $//')" \
	"-I$root/include -L$root/lib -lpagehint" 'pkg-config knows where all of it is'

# --- what it does

cat >"$DIR/hints.py" <<'END_PY'
import ctypes, errno, fcntl, os, subprocess, sys, time

root, progs, tests = sys.argv[1:]
sys.path.insert(0, tests)
from hint_lib import *

lib = load(root + "/lib/libpagehint.so.0")
files = Files(progs)
make, evict, cached, becomes = files.make, files.evict, files.cached, files.becomes
connect, file, forget = lib.pagehint_connect, lib.pagehint_file, lib.pagehint_forget
need, many, dropped, stat, close = (lib.pagehint_willneed, lib.pagehint_willneed_many, lib.pagehint_dropped,
                                    lib.pagehint_stat, lib.pagehint_close)

def known(h, i):
    """What is said of a file's hits, misses, late, forced and used pages; - of what is not known."""
    st = Stat()
    err = stat(h, i, ctypes.byref(st))
    return name(err) if err else " ".join("-" if v == UNKNOWN else str(v)
                                          for v in (st.hits, st.misses, st.late, st.forced, st.used))

def shows(h, i, want, what):
    """That is what is known. Pages are counted behind their submission."""
    wait_for(lambda: known(h, i) == want)
    is_(known(h, i), want, what)

def opened(h, path):
    fd = os.open(path, os.O_RDONLY)
    i = file(h, fd)
    os.close(fd)
    return i

def threads():
    """[TID] of the library's threads."""
    out = subprocess.run("grep -lx pagehint /proc/%d/task/*/comm" % os.getpid(), shell=True,
                         capture_output=True, text=True).stdout
    return [path.split("/")[4] for path in out.split()]

# --- what is asked for wrongly
is_((connect(b"none"), errno.errorcode[ctypes.get_errno()]), (None, "ECONNREFUSED"), "there is no server")
is_([name(f) for f in (file(None, 0), forget(None, 0), need(None, 0, 0, 1), many(None, 0, None, 0),
                       stat(None, 0, None), close(None), dropped(None))], ["EINVAL"] * 6 + [0],
    "no handle: EINVAL, and nothing else")
h = connect(None)
make("data", 4096)
fd = os.open("data", os.O_RDONLY)
out, place, folder = os.open("data", os.O_WRONLY), os.open("data", os.O_PATH), os.open(".", os.O_RDONLY)
is_([name(file(h, f)) for f in (out, place, folder, 999, -1)],
    ["EBADF", "EBADF", "EINVAL", "EBADF", "EBADF"], "what is not open for reading, or no file, is refused")
is_([name(need(h, i, 0, 1)) for i in (0, -1, 4095, 4096, 2 ** 31 - 1)], ["EBADF"] * 5, "ids that there are not")
for f in (out, place, folder):
    os.close(f)

# --- exactly the hinted pages
data = file(h, fd)
is_(data, 0, "the first file has number 0")
pages = [7, 100, 101, 1000, 3000, 4095]
is_([need(h, data, p * PAGE, PAGE) for p in pages], [0] * 6, "hints are taken")
becomes("data", ranges_of(map(str, pages)), "exactly the hinted pages are read in")
shows(h, data, "- - - 6 -", "so many pages are said to be forced; what nobody counts is not known")
need(h, data, 100 * PAGE, 3 * PAGE)
becomes("data", "7 100-102 1000 3000 4095", "a range of which two pages are cached")
wait_for(lambda: known(h, data) == "- - - 7 -")
is_((known(h, data), known(h, 1)), ("- - - 7 -", "EBADF"), "what is cached is not forced")
evict("data")
need(h, data, 20 * PAGE - 1, 2)
need(h, data, 4096 * PAGE, PAGE)
need(h, data, END_U64, END_U64)
need(h, data, 5, 0)
need(h, data, 4093 * PAGE + 1, END_U64)
becomes("data", "19-20 4093-4095", "bytes are rounded to pages, and end with the file")
evict("data")
need(h, data, 1000 * PAGE, 1000 * PAGE)
becomes("data", "1000-1999", "a long range is read whole")
evict("data")
ranges = (Range * 1500)(*[Range(2 * p * PAGE, 1) for p in range(1500)])
is_(many(h, data, ranges, 1500), 0, "many ranges at once, more than a record may have")
becomes("data", " ".join(str(2 * p) for p in range(1500)), "all of them are read in")

# --- descriptors
evict("data")
make("other", 64)
os.close(fd)
is_(os.open("other", os.O_RDONLY), fd, "the number of a closed descriptor is another file's")
need(h, data, 9 * PAGE, 1)
becomes("data", "9", "a descriptor may be closed")
is_(cached("other"), "none", "who has its number now is left alone")
os.closerange(3, 100)
need(h, data, 11 * PAGE, 1)
becomes("data", "9 11", "all descriptors may be closed")

lock = os.open("data", os.O_RDWR)
fcntl.lockf(lock, fcntl.LOCK_EX)
again = file(h, lock)
is_((again, forget(h, again), name(need(h, again, 0, 1)), name(forget(h, again))), (1, 0, "EBADF", "EBADF"),
    "an id is given back")
held = subprocess.run([sys.executable, "-c", "import fcntl; fcntl.lockf(open('data', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"],
                      stderr=subprocess.DEVNULL).returncode
is_(held, 1, "a record lock outlives the library's own descriptor")
fcntl.flock(lock, fcntl.LOCK_EX)
again = file(h, lock)
os.close(lock)
is_(subprocess.run(["flock", "-n", "data", "true"]).returncode, 0, "a lock goes with the program's descriptor")
is_(again, 1, "and a number that was given back is used again")
forget(h, again)

# --- files that change
evict("data")
os.truncate("data", 100 * PAGE)
need(h, data, 0, 1)
need(h, data, 2000 * PAGE, PAGE)
need(h, data, 99 * PAGE, END_U64)
becomes("data", "0 99", "a file that became shorter")
os.truncate("data", 4096 * PAGE)
evict("data")
need(h, data, 3000 * PAGE, PAGE)
becomes("data", "3000", "and longer again")
make("new", 4096)
os.link("data", "old")
os.rename("new", "data")
need(h, data, 50 * PAGE, PAGE)
becomes("old", "50 3000", "a file that was replaced is hinted under its new name")
is_(cached("data"), "none", "and the one that replaced it is not")

# --- two handles, a full queue, a signal
second = connect(None)
twice = opened(second, "other")
need(second, twice, 3 * PAGE, 1)
need(h, data, 60 * PAGE, 1)
becomes("other", "3", "a second handle has files of its own")
becomes("old", "50 60 3000", "beside the first")
refused = 0
for i in range(10 ** 6):
    if many(second, twice, ranges, 512) == -errno.EAGAIN:
        refused += 512
        if refused > 10000:
            break
is_((refused > 0, dropped(second)), (True, refused), "a full queue drops, and counts what it drops")
is_((dropped(h), close(second)), (0, 0), "it is that handle's queue alone")

# --- threads
import threading
lock = threading.Lock()
def hints(first, lock):
    for p in range(first, 4000, 40):
        with lock:
            need(h, data, p * PAGE, 1)
def both(lock):
    two = [threading.Thread(target=hints, args=(first, lock)) for first in (7, 27)]
    for t in two:
        t.start()
    for t in two:
        t.join()
evict("old")
both(lock)
becomes("old", " ".join(str(p) for p in range(7, 4000, 20)), "two threads with a lock have one handle")
is_(dropped(h), 0, "which drops nothing")
evict("old")

# --- rest
tid = threads()
is_(wait_for(lambda: os.sched_getscheduler(int(tid[0])) == os.SCHED_BATCH), True,
    "a thread that rests takes no processor from who wakes it")

# --- fork
r, w = os.pipe()
if not os.fork():
    said = [name(f) for f in (need(h, data, 0, 1), many(h, data, ranges, 1), file(h, r), forget(h, data), stat(h, data, None))]
    own = connect(None)
    need(own, opened(own, "other"), 8 * PAGE, 1)
    wait_for(lambda: "8" in cached("other").split())
    os.write(w, repr((said, close(h), close(own), "8" in cached("other").split())).encode())
    os._exit(0)
os.close(w)
os.wait()
is_(os.read(r, 1000).decode() or "nothing", repr((["ESTALE"] * 5, 0, 0, True)), "a child is told, and connects for itself")
need(h, data, 70 * PAGE, 1)
becomes("old", "70", "its parent's handle still works")

# --- the end
tid = threads()
is_((len(tid), len(os.listdir("/proc/self/task/%s/fd" % tid[0]))), (1, 1), "a thread, which has the one file open")
closed = close(h)
wait_for(lambda: not threads())     # one that was joined is still listed for a moment
is_((closed, threads()), (0, []), "no thread is left of a handle that was closed")
END_PY

tree=$PWD
cd "$DIR" || exit
while step; do
	rm -rf work
	mkdir work
	(cd work && timeout -k 5 300 python3 ../hints.py "$root" "$PROGS" "$tree/tests/host") >said 2>err || diag "$(tail -n 3 err)"
	while IFS=$'\t' read -r got want name; do
		is "$got" "$want" "$name"
	done <said
done

# --- killed in the middle of it
cat >killed.py <<'END_PY'
import ctypes, os, sys
lib = ctypes.CDLL(sys.argv[1] + "/lib/libpagehint.so.0")
lib.pagehint_connect.restype = ctypes.c_void_p
h = ctypes.c_void_p(lib.pagehint_connect(None))
i = lib.pagehint_file(h, os.open("work/data", os.O_RDONLY))
print("goes on", flush=True)
while True:
    lib.pagehint_willneed(h, i, ctypes.c_uint64(0), ctypes.c_uint64(2 ** 64 - 1))
END_PY
python3 killed.py "$root" >running & app=$!
at_exit "end_child $app"
wait_until 30 test -s running

# Who has the file open, in whichever thread.
holders()
{
	find /proc/[0-9]*/task/*/fd -lname "$DIR/work/data" 2>/dev/null | cut -d/ -f3 | sort -u
}
is "$(holders)" "$app" 'a program that hints has its file open'
{
	kill -KILL "$app"
	wait "$app"
} 2>/dev/null
is "$(holders)" '' 'nobody has it when the program was killed'

# --- the guide's program and the examples, compiled as an application is

# compiled COMPILER SOURCE PROGRAM OPTION...
compiled()
{
	# shellcheck disable=SC2046 # several words
	"$1" -O2 -Wall -Werror "${@:4}" "$2" -o "$3" $(pkg-config --cflags --libs pagehint) >said 2>&1 || diag "$(cat said)"
}
export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DIR/root LD_LIBRARY_PATH=$root/lib
sed -n '/^```c$/,/^```$/{//!p}' "$tree/docs/applications.md" >ahead.c
compiled gcc ahead.c ahead
make_file guide 4m
is "$(shuf -i 0-1023 -n 500 --random-source=guide | timeout 60 ./ahead guide)" '500 blocks, 2048000 bytes' "applications.md: the program"
compiled gcc "$tree/hint/examples/sorted.c" sorted
ok 'example: a table and its index' ./sorted build table index 5000
evict table
matches "$(timeout 60 ./sorted walk table index 64)" '^5000 records, 0 wrong' 'example in C'
if command -v g++ >/dev/null; then
	compiled g++ "$tree/hint/examples/sorted.cpp" sorted++
	is "$(timeout 60 ./sorted++ table index 64)" '5000 records, 0 wrong' 'example in C++'
else
	skip 1 'needs g++ (Debian package g++)'
fi
is "$(timeout 60 "$tree/hint/examples/sorted.py" table index 64)" '5000 records, 0 wrong' 'example in Python'

# scan VFS: what a query says of the whole table, cold, and the reads that missed
scan()
{
	evict rows.db
	printf '.load ./pagehint.so\n.open file:rows.db?vfs=%s\nSELECT sum(k), sum(length(v)) FROM t;\n' "$1" >query
	"$BUILD/cachemiss" -f rows.db -j -O counted -- sqlite3 -batch :memory: <query
	jq 'select(.record == "file").misses' counted
}

if command -v sqlite3 >/dev/null && [ -e /usr/include/sqlite3ext.h ]; then
	compiled gcc "$tree/hint/examples/sqlite.c" pagehint.so -shared -fPIC
	sqlite3 rows.db 'CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB);
		WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 9999)
		INSERT INTO t SELECT i * 6007 % 10007, randomblob(1000) FROM c;'
	mapfile -t plain < <(scan unix 2>&1)
	# Whether the hints are ahead of their reader is a race on a busy machine: the best of five shows that they can be.
	for _ in {1..5}; do
		mapfile -t hinted < <(scan pagehint 2>&1)
		[ "${hinted[1]}" -ge "${plain[1]}" ] || break
	done
	is "${hinted[0]}" "${plain[0]}" 'SQLite: a scan says the same with the extension'
	ok 'and fewer of its reads miss' [ "${hinted[1]}" -lt "${plain[1]}" ] || diag "${hinted[*]}, ${plain[*]}"
else
	skip 2 'needs sqlite3 and its headers (Debian packages sqlite3, libsqlite3-dev)'
fi

# --- memory that is shared with BPF

cd "$tree" || exit
is "$("$PROGS/sharing" agree 1000000 2>&1)" '{"asked": 1000000, "alike": 1000000, "weights_alike": true}' \
	'a perceptron: BPF and this process predict and learn alike, whatever the weights'
matches "$("$PROGS/sharing" scribble 1 2>&1)" '"records": [1-9][0-9]*, "right_after_it": true}$' \
	'BPF takes from a ring that is scribbled over, and what is right after it'
for way in ring user; do
	matches "$("$PROGS/sharing" queue $way 72 256 2>&1)" '^.*"records": 51456}$' "records of 72 bytes, each as it was written: $way"
done
