# SPDX-License-Identifier: GPL-2.0-only
"""A VMM's process: how it is started, what it has mapped, and how it always ends."""
import os
import subprocess
import time

import guest
import machine
import service


class Process:
    """One VMM. The guest's console is on its stdin and stdout. `start` is the time just before its
    start; deadlines are on the same clock."""

    def __init__(self, command, pass_fds=()):
        self.start = time.monotonic()
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, bufsize=0, pass_fds=pass_fds,
                                            preexec_fn=machine.die_with_parent)
        except OSError as e:
            raise guest.Failed(f"{command[0]}: {e.strerror}") from None
        self.console = service.Console(self.process.stdin.fileno(), self.process.stdout.fileno())

    def end(self):
        """Returns the VMM's own error messages."""
        if self.process.poll() is None:
            self.process.kill()
        said = self.process.stderr.read().decode("utf-8", "replace").strip()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return said

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        said = self.end()
        if isinstance(error, guest.Failed):
            lines = [f"console: {line}" for line in self.console.tail()]
            lines += [said] if said else []
            raise guest.Failed("\n".join([str(error), *lines])) from None

    def microseconds(self):
        return (time.monotonic() - self.start) * 1e6

    def mapped(self):
        """The files that the VMM has mapped: itself, its libraries, its modules, guest memory."""
        found = set()
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8",
                  errors="surrogateescape") as f:
            for line in f:
                fields = line.rstrip("\n").split(maxsplit=5)
                if len(fields) == 6 and os.path.isfile(fields[5]):
                    found.add(fields[5])
        return found
