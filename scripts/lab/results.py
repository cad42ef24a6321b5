# SPDX-License-Identifier: GPL-2.0-only
"""The folder of an experiment's results: docs/results.md has its format."""
import fcntl
import json
import os
import time

from lab.tools import Failed

SCHEMA = 1
# If one of these has changed, further steps would be of another experiment.
SAME_HOST = ("kernel", "commit", "cpu", "memory_bytes", "patch", "module")
SAME_DISK = ("device", "filesystem", "mount_options", "scheduler", "read_ahead_kb")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


class Results:
    """A folder that is written as the experiment goes on, and is consistent at any time."""

    def __init__(self, folder, meta, made=()):
        self.folder = folder
        self.meta = meta
        self.made = made        # parent folders that this experiment has made
        self.lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise Failed(f"{folder}: an experiment is writing to it") from e

    @classmethod
    def new(cls, folder, meta):
        made, above = [], os.path.dirname(folder)
        while not os.path.exists(above):
            made.append(above)
            above = os.path.dirname(above)
        try:
            os.makedirs(folder)
            for name in ("raw", "lists"):
                os.mkdir(os.path.join(folder, name))
        except OSError as e:
            raise Failed(f"{folder}: {e.strerror}") from e
        results = cls(folder, {"record": "experiment", "schema": SCHEMA, **meta,
                               "state": "running", "reason": None, "failed": {},
                               "started": now(), "finished": None}, made)
        results.save()
        return results

    @classmethod
    def again(cls, folder):
        """Opens a folder that is not complete."""
        try:
            with open(os.path.join(folder, "meta.json"), encoding="utf-8") as f:
                meta = json.load(f)
        except (OSError, ValueError) as e:
            raise Failed(f"{folder}: not a folder of results: {e}") from e
        if meta.get("record") != "experiment" or meta.get("schema") != SCHEMA:
            raise Failed(f"{folder}: not results of this version")
        if meta["state"] == "complete":
            raise Failed(f"{folder}: complete, there is nothing to resume")
        return cls(folder, meta)

    def check_same(self, machine, keys=SAME_HOST):
        for key in keys:
            if machine[key] != self.meta["machine"][key]:
                raise Failed(f"{self.folder}: was begun with {key} {self.meta['machine'][key]}, "
                             f"now it is {machine[key]}: begin anew")

    def begin_again(self, machine, cells):
        """Keeps the steps of the complete cells and forgets those of the others: their files are
        gone, and rounds of two sessions make no pairs. CELLS: the experiment's cells on this machine
        now, where a program may have come or gone. Returns the names of the cells kept."""
        self.check_same(machine, SAME_DISK)
        # Compared as read from JSON, where tuples are lists.
        if json.loads(json.dumps(cells)) != self.meta["cells"]:
            raise Failed(f"{self.folder}: its cells would be others now (is a program there, or "
                         "gone, that was not?): begin anew")
        wanted = {cell["cell"]: cell["steps"] for cell in self.meta["cells"]}
        runs = self.runs()
        done = {name for name, steps in wanted.items()
                if sum(run["cell"] == name for run in runs) == steps}
        path = self.path("runs.jsonl")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.writelines(json.dumps(run) + "\n" for run in runs if run["cell"] in done)
        os.replace(path + ".new", path)
        for run in runs:
            if run["cell"] not in done:
                for name in run["raw"]:
                    os.unlink(self.path("raw", name))
        self.meta.update(state="running", reason=None, failed={})
        self.save()
        return done

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def save(self):
        path = self.path("meta.json")
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.meta, f, indent=1)
            f.write("\n")
        os.replace(path + ".new", path)

    def runs(self):
        """All finished steps. A sudden end may have cut off the last line."""
        found = []
        try:
            with open(self.path("runs.jsonl"), encoding="utf-8") as f:
                for line in f:
                    if line.endswith("\n"):
                        found.append(json.loads(line))
        except FileNotFoundError:
            pass
        return found

    def keep(self, name, text):
        with open(self.path("raw", name), "w", encoding="utf-8", errors="replace") as f:
            f.write(text)
        return name

    def append(self, run):
        with open(self.path("runs.jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps({"record": "run", **run, "at": now()}) + "\n")

    def finish(self, reason):
        """Ends the folder. REASON: why it is not complete, None if it is."""
        self.meta.update(state="partial" if reason else "complete", reason=reason,
                         finished=now())
        self.save()
        if "SUDO_UID" in os.environ:    # files that root makes in the user's tree become the user's
            uid, gid = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
            paths = list(self.made)
            for folder, _, names in os.walk(self.folder):
                paths += [folder, *(os.path.join(folder, n) for n in names)]
            for path in paths:
                os.chown(path, uid, gid, follow_symlinks=False)
