# SPDX-License-Identifier: GPL-2.0-only
"""A script that is ended ends all that it has started."""
import contextlib
import ctypes
import os
import signal
import sys
import time

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PR_SET_CHILD_SUBREAPER = 36
# Seconds that a process may take to tidy up after SIGTERM.
PATIENCE_SECONDS = 5
# Seconds that it may take after SIGKILL. A process that waits for a hung device ends only with the device.
LEFT_SECONDS = 10


def parents():
    """{process: parent} of all running processes."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                # NUMBER (NAME) STATE PARENT ...; a name may have brackets and blanks.
                state, parent = f.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state != b"Z":
            found[int(name)] = int(parent)
    return found


def descendants():
    """All descendants of this process."""
    of, found = parents(), {os.getpid()}
    while True:
        more = {pid for pid, parent in of.items() if parent in found} - found
        if not more:
            return found - {os.getpid()}
        found |= more


def end_descendants():
    """Ends all descendants. One whose parent has ended is this process's own child by then."""
    begin = time.monotonic()
    while left := descendants():
        waited = time.monotonic() - begin
        if waited > PATIENCE_SECONDS + LEFT_SECONDS:
            print(f"{os.path.basename(sys.argv[0])}: left behind: processes that do not end after "
                  f"SIGKILL: {' '.join(map(str, sorted(left)))} (ps shows D: a device or mount "
                  "that hangs?)", file=sys.stderr)
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if waited < PATIENCE_SECONDS else signal.SIGKILL)
        time.sleep(0.05)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end(received, _):
    # No second signal disturbs the ending.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_descendants()
    sys.exit(128 + received)


def all_with_this():
    """From now on SIGTERM, SIGHUP and SIGINT end this script. Before, all its descendants are ended
    and its cleanups run: of a build not make alone, but also the makes and compilers that make has
    started."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in SIGNALS:
        # A signal that is ignored, as by nohup, stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
