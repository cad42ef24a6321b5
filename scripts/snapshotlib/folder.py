# SPDX-License-Identifier: GPL-2.0-only
"""A snapshot's folder: `memory`, `state`, and `snapshot.json`, which is written last and without
which it is no snapshot."""
import hashlib
import json
import os

SCHEMA = 1
KEYS = {"schema": int, "vmm": str, "version": str, "accel": str, "kernel": str, "mem_bytes": int,
        "data_pages": int, "state_sha256": str, "sample_sha256": str}
SAMPLE_BYTES = 4096


class Bad(Exception):
    """The given folder cannot be used; the message says why."""


def digest(path, length=-1):
    with open(path, "rb", buffering=0) as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_RANDOM)    # no page that is not asked for
        return hashlib.sha256(f.read(length)).hexdigest()


class Folder:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.memory, self.state, self.about = (os.path.join(self.path, name) for name in
                                               ("memory", "state", "snapshot.json"))
        self.meta = {}

    def files(self):
        return self.memory, self.state, self.about

    def sample(self):
        return digest(self.memory, SAMPLE_BYTES)


class New(Folder):
    """A folder to be filled, which is removed again if it does not become complete."""

    def __init__(self, path, **meta):
        super().__init__(path)
        self.meta = meta
        self.made = False

    def __enter__(self):
        try:
            self.made = not os.path.isdir(self.path)
            if self.made:
                os.mkdir(self.path)
            elif os.listdir(self.path):
                raise Bad(f"{self.path} is not empty")
        except OSError as e:
            raise Bad(f"{self.path}: {e.strerror}") from None
        return self

    def complete(self, **meta):
        """Writes all files to disk before the snapshot counts as complete: dirty pages could not be
        evicted."""
        self.meta.update(meta, schema=SCHEMA, state_sha256=digest(self.state),
                         sample_sha256=self.sample())
        with open(self.about, "w", encoding="utf-8") as f:
            json.dump(self.meta, f, indent=1)
            f.write("\n")
        for path in self.files():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    def __exit__(self, kind, error, _):
        if not kind:
            return
        for path in self.files():
            if os.path.exists(path):
                os.unlink(path)
        if self.made:
            os.rmdir(self.path)


class Whole(Folder):
    """An existing snapshot. Only the size of its memory is checked, because reading would warm it."""

    def __init__(self, path):
        super().__init__(path)
        try:
            with open(self.about, encoding="utf-8") as f:
                self.meta = json.load(f)
        except FileNotFoundError:
            raise Bad(f"{path} is not a snapshot: it has no snapshot.json") from None
        except (OSError, ValueError) as e:
            raise Bad(f"{self.about}: {e}") from None
        if not isinstance(self.meta, dict) or any(
                not isinstance(self.meta.get(key), kind) for key, kind in KEYS.items()):
            raise Bad(f"{self.about}: not what scripts/snapshot writes")
        if self.meta["schema"] != SCHEMA:
            raise Bad(f"{self.about}: schema {self.meta['schema']}, this is {SCHEMA}")
        try:
            if os.stat(self.memory).st_size != self.meta["mem_bytes"]:
                raise Bad(f"{self.memory}: damaged: not {self.meta['mem_bytes']} bytes long")
            if digest(self.state) != self.meta["state_sha256"]:
                raise Bad(f"{self.state}: damaged: not what was saved")
        except OSError as e:
            raise Bad(f"{e.filename}: {e.strerror}") from None

    def check_memory(self):
        """Reads the first page only, so that the time of this check belongs to the restore. This read also
        tells pcforce that a restore has begun, while the VMM is still starting."""
        if self.sample() != self.meta["sample_sha256"]:
            raise Bad(f"{self.memory}: damaged: not what was saved")
