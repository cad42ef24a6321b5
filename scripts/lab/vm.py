# SPDX-License-Identifier: GPL-2.0-only
"""An experiment in a guest: scripts/vm runs it there, and its folder of results comes back."""
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time

from lab import place, tools
from lab.tools import Failed, ROOT

# Stdout is the archive of the folder and nothing else. In the guest both streams are terminals. tar
# writes no archive to a terminal, so it writes to cat; and the experiment, whose progress overwrites
# itself on a terminal, gets a pipe unless this script's own stderr is a terminal (PLAIN).
IN_GUEST = ('scripts/experiment "$@" --dir /data --results /root/results >/dev/null{}; '
            'status=$?; [ ! -d /root/results ] || tar -C /root/results -cz . | cat; exit $status')
PLAIN = " 2> >(cat >&2)"
# Software emulation is slow, and scripts/vm notices by itself if it hangs: this is only a last limit.
TIMEOUT = 6 * 3600


def guest_words(argv):
    """The options without those that are only for the host's side."""
    words, skip, ours = [], False, ("--vm", "--results", "--fs", "--cpus")
    for word in argv:
        if skip:
            skip = False
        elif word in ours:
            skip = True
        elif word != "--kmod" and word.partition("=")[0] not in ours:
            words.append(word)
    return words


def unpack(data, target):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        tar.extractall(target, filter="data")
    path = os.path.join(target, "meta.json")
    with open(path, encoding="utf-8") as f:
        meta = json.load(f)
    # The guest has this source tree, but not its history.
    meta["machine"].update(commit=place.git("rev-parse", "HEAD"),
                           uncommitted=bool(place.git("status", "--porcelain")))
    meta["command"] = shlex.join(["scripts/experiment", *sys.argv[1:]])
    with open(path, "w", encoding="utf-8") as f:
        json.dump(meta, f, indent=1)
        f.write("\n")


def run(args, argv, room):
    """As scripts/experiment does it here: shows the summary, returns the status. ROOM: bytes of
    disk that the cells need."""
    target = os.path.abspath(args.results or os.path.join(
        ROOT, "results", time.strftime(f"{args.name}-{args.vm}-%Y%m%d-%H%M%S")))
    if os.path.exists(target):
        raise Failed(f"{target}: File exists")
    command = [os.path.join(ROOT, "scripts/vm"), "--kernel", args.vm, "--fs", args.fs,
               "--mem", "2G", "--nvme", f"{max(2 * room >> 20, 2048)}M",
               "--timeout", str(TIMEOUT), *(["--kmod"] if args.kmod else []),
               *(["--cpus", str(args.cpus)] if args.cpus else []),
               "--", "bash", "-c", IN_GUEST.format("" if sys.stderr.isatty() else PLAIN),
               "experiment", *guest_words(argv)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as machine:
        try:
            folder, _ = machine.communicate()
        except BaseException:
            machine.terminate()     # which ends its guest, too
            raise
    if folder:
        os.makedirs(target)
        unpack(folder, target)
        tools.summary(target)
    return machine.returncode
