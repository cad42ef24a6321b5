# SPDX-License-Identifier: GPL-2.0-only
"""Cells of experiment programs: real programs, which read many files, as a person types them.

Before a cold step neither pages nor inodes nor names are cached, as after a boot. The clock measures
the whole line, including the time to open the list's files."""
import glob
import os
import random
import shlex
import shutil

from lab import cache, readers, tools
from lab.cell import Cell
from lab.tools import Failed

MOST_LEFT = 0.05        # share of a list's pages that others may keep cached before a cold step


class Program(Cell):
    """NEEDS: programs without which the cell is skipped. SHRINK: its data is so many times smaller.
    `prepared` makes the data in self.folder and returns the command; `after` undoes the changes of a
    run."""

    needs = ()

    def __init__(self, name, workload, rounds, shrink, room, marks=()):
        super().__init__(name, workload, None, rounds, ["user"], size=room, marks=marks,
                         arms=("cold", "forced", "now", "warm"))
        self.shrink = shrink
        self.folder, self.listed = None, []

    def missing(self):
        """Why the cell has to be skipped, None if it can run."""
        gone = [name for name in self.needs if not shutil.which(name)]
        return f"{gone[0]} is not installed" if gone else None

    def describe(self, seed):
        return {**super().describe(seed), "file_bytes": None, "clock": "typed"}

    def seconds(self):
        return 2 * len(self.arms)

    def open(self, lab):
        self.results, self.work = lab.results, lab.work
        self.list = lab.results.path("lists", self.name + ".offsets")
        self.folder = os.path.join(lab.work, self.name)
        os.mkdir(self.folder)
        self.reader = readers.Line(self.prepared())
        os.sync()

    def close(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def prepared(self):
        raise NotImplementedError

    def after(self):
        """Most programs end by themselves and change nothing."""

    # --- for the files of a list what Cell does for one file ---------------------------------

    def _only(self):
        return []

    def _force(self, engine):
        return []           # as it is typed

    def _read_list(self):
        self.listed = cache.sections(self.list)
        self.bytes = cache.PAGE * sum(n for _, extents in self.listed for _, n in extents)
        if not self.listed:
            raise Failed(f"{self.workload}: reads nothing when it starts cold")

    @staticmethod
    def _receipt(said):
        return tools.receipt_of_all(said)

    def _read(self, step, command):
        try:
            return super()._read(step, command)
        finally:
            self.after()

    def _run(self):
        try:
            tools.run_ok(self.reader.command)
        finally:
            self.after()

    def _cool(self, new=False):
        if not new:
            cache.prepare(self.bytes)
            self._run()
        left = cache.evict_listed(self.listed)
        if left * cache.PAGE > MOST_LEFT * self.bytes:
            raise Failed(f"not cold: somebody else uses {left} pages of {self.list}")
        cache.drop(3)       # asking about files has cached their inodes
        cache.start_programs()

    def _warm(self, step):
        self._run()
        return self._read(step, self.reader.command)


class Python(Program):
    """A copy of Debian's interpreter, without the user's settings. This script may run in Debian's
    own, whose pages could then not be evicted."""

    MODULES = ("argparse asyncio concurrent.futures configparser csv ctypes dataclasses decimal "
               "difflib email.message fractions http.client http.server importlib.metadata inspect "
               "json logging.handlers lzma multiprocessing.pool pathlib pdb pickle sqlite3 ssl "
               "statistics tarfile tempfile unittest.mock urllib.request xml.dom.minidom zipfile")
    REAL = "/usr/bin/python3"

    def missing(self):
        return None if os.path.exists(self.REAL) else f"{self.REAL} is not installed"

    def interpreter(self):
        copy = os.path.join(self.folder, "python3")
        shutil.copy(os.path.realpath(self.REAL), copy)
        return [copy, "-I", "-B", "-W", "ignore"]

    def prepared(self):
        return [*self.interpreter(), "-c", "import importlib, sys\n"
                "for m in sys.argv[1:]: importlib.import_module(m)", *self.MODULES.split()]


class Sqlite(Python):
    """Queries by key, in random order, of a table of which they touch a part."""

    QUERIES, ROWS = 3000, 400_000
    MAKE = """import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("create table t (id integer primary key, words text)")
db.executemany("insert into t values (?, ?)", ((i, f"{i:0240}") for i in range(int(sys.argv[2]))))
db.commit()"""
    ASK = """import random, sqlite3, sys
db, rng = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True), random.Random(1)
for _ in range(int(sys.argv[3])):
    db.execute("select words from t where id = ?", (rng.randrange(int(sys.argv[2])),)).fetchone()"""

    def prepared(self):
        base, db = self.interpreter(), os.path.join(self.folder, "db")
        rows = str(self.ROWS // self.shrink)
        tools.run_ok([*base, "-c", self.MAKE, db, rows])
        return [*base, "-c", self.ASK, db, rows, str(self.QUERIES // self.shrink)]


def tree(folder, files, seed):
    """Files of text of 1 to 8 KiB, 100 in a folder."""
    rng = random.Random(seed)
    for i in range(files):
        if i % 100 == 0:
            inner = os.path.join(folder, f"part{i // 100}")
            os.mkdir(inner)
        with open(os.path.join(inner, f"file{i}.txt"), "wb") as f:
            f.write((rng.randbytes(32).hex().encode() + b"\n") * rng.randrange(16, 126))


class Git(Program):
    needs = ("git",)
    FILES = 5000

    def prepared(self):
        tree(self.folder, self.FILES // self.shrink, 1)
        git = ["git", "-C", self.folder, "-c", "user.name=page2cache", "-c", "user.email=none@none",
               "-c", "gc.auto=0", "-c", "commit.gpgSign=false"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all of it"]):
            tools.run_ok([*git, *words])
        # Without optional locks a run does not write the index again.
        return ["git", "--no-optional-locks", "-C", self.folder, "status", "--short"]


class Grep(Program):
    needs = ("grep",)
    FILES = 20_000

    def prepared(self):
        data = os.path.join(self.folder, "tree")
        os.mkdir(data)
        tree(data, self.FILES // self.shrink, 2)
        with open(os.path.join(data, "needle"), "w", encoding="ascii") as f:
            f.write("needle\n")
        return ["grep", "-r", "needle", data]


class Node(Program):
    needs = ("node",)

    def prepared(self):
        return ["node", "-e", "for (const m of ['http', 'https', 'crypto', 'zlib', 'readline', "
                "'worker_threads', 'child_process', 'stream/web']) require(m)"]


class Postgres(Program):
    """A server's restart, to the last of so many look-ups by key. The look-ups are the end of the
    line, so that the clock does not measure the server's end."""

    QUERIES, ROWS = 6000, 1_000_000
    needs = ("setpriv", "psql")
    USER, GROUP = "nobody", "nogroup"

    def __init__(self, *args):
        super().__init__(*args)
        self.stop, self.parts = [], []      # commands: to end the server; to start it, to look up

    @staticmethod
    def programs():
        """The folder with the programs of the newest server, None if none is installed."""
        found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
        return os.path.dirname(max(found, key=lambda p: int(p.split("/")[4]))) if found else None

    def missing(self):
        return super().missing() or (None if self.programs() else
                                     "no PostgreSQL server below /usr/lib/postgresql")

    def _as_user(self, *words):
        return ["setpriv", "--reuid", self.USER, "--regid", self.GROUP, "--clear-groups", *words]

    def _write(self, name, *lines):
        with open(os.path.join(self.folder, name), "a", encoding="ascii") as f:
            f.writelines(line + "\n" for line in lines)

    def prepared(self):
        os.chmod(self.work, 0o711)
        shutil.chown(self.folder, self.USER, self.GROUP)
        bin_, data = self.programs(), os.path.join(self.folder, "data")
        rows, rng = self.ROWS // self.shrink, random.Random(1)
        tools.run_ok(self._as_user(bin_ + "/initdb", "-D", data, "-A", "trust", "-U", "page2cache",
                                   "--no-sync", "--locale=C"))
        self._write("data/postgresql.conf", "listen_addresses = ''", "autovacuum = off",
                    f"unix_socket_directories = '{self.folder}'")
        self._write("fill.sql", "create table t (id int primary key, words text);",
                    "insert into t select i, repeat(md5(i::text), 4) "
                    f"from generate_series(1, {rows}) i;",
                    "vacuum (freeze, analyze) t;", "checkpoint;")
        self._write("ask.sql", *(f"select words from t where id = {1 + rng.randrange(rows)};"
                                 for _ in range(self.QUERIES // self.shrink)))
        server = [bin_ + "/pg_ctl", "-D", data, "-l", self.folder + "/log", "-w", "-s", "start"]
        client = ["psql", "-X", "-q", "-U", "page2cache", "-h", self.folder, "-d", "postgres",
                  "-o", "/dev/null", "-f"]
        self._write("restart.sh", shlex.join(server) + " &&", shlex.join(client) + ' "$1"')
        self.stop = self._as_user(bin_ + "/pg_ctl", "-D", data, "-m", "fast", "-s", "-w", "stop")
        self.parts = [self._as_user(*server),
                      self._as_user(*client, os.path.join(self.folder, "ask.sql"))]
        restart = self._as_user("sh", os.path.join(self.folder, "restart.sh"))
        try:
            tools.run_ok([*restart, os.path.join(self.folder, "fill.sql")])
        finally:
            self.after()
        return [*restart, os.path.join(self.folder, "ask.sql")]

    def after(self):
        tools.run_ok(self.stop, (0, 1))         # 1: it did not start
