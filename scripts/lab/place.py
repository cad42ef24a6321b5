# SPDX-License-Identifier: GPL-2.0-only
"""Where an experiment runs: the machine in figures, a folder on a real disk, or a whole device,
which is overwritten."""
import contextlib
import json
import os
import re
import shutil
import tempfile
import time

from lab import cache
from lab.tools import Disturbed, Failed, ROOT, run, run_ok

MKFS = {
    "ext4": ["mke2fs", "-q", "-F", "-t", "ext4"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
IN_MEMORY = ("tmpfs", "ramfs", "hugetlbfs", "proc", "sysfs", "devtmpfs")


def first_line(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.readline().strip() or None
    except OSError:
        return None


def mounted(folder, column):
    """A column of findmnt for the mount that holds a folder; the last one if several do."""
    lines = run(["findmnt", "-n", "-o", column, "--target", folder])[1].splitlines()
    return lines[-1].strip() or None if lines else None


def disk_of(folder):
    """The disk that holds a folder, such as "nvme0n1"; None if there is none."""
    source = (mounted(folder, "SOURCE") or "").split("[", 1)[0]
    for line in run(["lsblk", "-n", "-s", "-r", "-o", "NAME,TYPE", source])[1].splitlines():
        name, _, kind = line.partition(" ")
        if kind in ("disk", "loop"):
            return name
    return None


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        text = f.read()
    model = re.search(r"^model name\s*: (.*)$", text, re.M)
    return model[1] if model else None, bool(re.search(r"^flags\s*:.*\bhypervisor\b", text, re.M))


def virtualization(hypervisor):
    """As systemd-detect-virt says it ("kvm", "qemu"); "vm" where that is not installed."""
    said = run(["systemd-detect-virt", "--vm"])[1].strip() if shutil.which("systemd-detect-virt") \
        else ("vm" if hypervisor else "none")
    return None if said in ("none", "") else said


def git(*args):
    status, out, _ = run(["git", "-c", "safe.directory=" + ROOT, "-C", ROOT, *args])
    return out.strip() if status == 0 else None


def machine(folder, engines):
    """The machine's fields of docs/results.md; ENGINES as tools.engines() returns them."""
    disk = disk_of(folder)
    sys_disk = f"/sys/block/{disk}"
    scheduler = re.search(r"\[(.*?)\]", first_line(sys_disk + "/queue/scheduler") or "")
    cpu, hypervisor = processor()
    ra = first_line(read_ahead_file(folder))
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": os.uname().release,
        "patch": engines.get("helper", "") is None,
        "module": engines.get("kfunc", "") is None,
        "cpu": cpu, "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * cache.PAGE,
        "virtualization": virtualization(hypervisor),
        "filesystem": mounted(folder, "FSTYPE"), "mount_options": mounted(folder, "OPTIONS"),
        "device": disk,
        "device_model": first_line(sys_disk + "/device/model"),
        "device_firmware": first_line(sys_disk + "/device/firmware_rev")
        or first_line(sys_disk + "/device/rev"),
        "nvme": bool(disk and disk.startswith("nvme")),
        "scheduler": scheduler[1] if scheduler else None,
        "read_ahead_kb": int(ra) if ra else None,
        "nr_requests": first_line(sys_disk + "/queue/nr_requests"),
        "transparent_hugepage": first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "commit": git("rev-parse", "HEAD"),
        "uncommitted": bool(git("status", "--porcelain")),
    }


# --- readahead ----------------------------------------------------------------------------

def read_ahead_file(folder):
    """The file with the readahead that files of this folder get when they are opened."""
    uuid = mounted(folder, "UUID")
    btrfs = f"/sys/fs/btrfs/{uuid}/bdi/read_ahead_kb"
    if os.path.exists(btrfs):       # btrfs has a setting of its own, as it may have several disks
        return btrfs
    return f"/sys/class/bdi/{mounted(folder, 'MAJ:MIN')}/read_ahead_kb"


class ReadAhead:
    """Sets readahead for the time of an experiment, and notices if somebody else changes it."""

    def __init__(self, folder, wanted):
        self.path = read_ahead_file(folder)
        self.found = first_line(self.path)
        if wanted is not None:
            self.write(wanted)
        self.now = first_line(self.path)

    def write(self, value):
        try:
            with open(self.path, "w", encoding="ascii") as f:
                f.write(str(value))
        except OSError as e:
            raise Failed(f"{self.path}: {e.strerror}") from e

    def check(self):
        now = first_line(self.path)
        if now != self.now:
            raise Disturbed(f"read_ahead_kb went from {self.now} to {now} meanwhile: something "
                            "else is at work here, measure alone")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.found is not None and first_line(self.path) == self.now != self.found:
            self.write(self.found)


# --- folders and devices ------------------------------------------------------------------

def check_folder(folder):
    kind = mounted(folder, "FSTYPE") if os.path.isdir(folder) else None
    if not kind:
        raise Failed(f"{folder}: no such folder")
    if kind in IN_MEMORY:
        raise Failed(f"{folder} is on {kind}, which is memory: name a folder on a real disk")


def check_room(folder, need):
    st = os.statvfs(folder)
    free = st.f_bavail * st.f_frsize
    if free < need * 1.1:
        raise Failed(f"{folder} has {free // cache.MIB} MiB free, this needs "
                     f"{int(need * 1.1) // cache.MIB}")


def describe(device):
    """The data that would be lost, in words; raises Failed if the device must not be touched."""
    status, out, err = run(["lsblk", "-J", "-b", "-o",
                            "PATH,TYPE,SIZE,MODEL,SERIAL,FSTYPE,LABEL,MOUNTPOINTS,RO", device])
    if status:
        raise Failed(f"{device}: {err.strip() or 'not a block device'}")
    top = json.loads(out)["blockdevices"][0]
    if top.get("children"):
        raise Failed(f"{device}: in use, or it has partitions: "
                     + ", ".join(child["path"] for child in top["children"]))
    if any(top.get("mountpoints") or []):
        raise Failed(f"{device}: mounted on {', '.join(filter(None, top['mountpoints']))}")
    if top["ro"]:
        raise Failed(f"{device}: read-only")
    try:        # swap, RAID members and others hold a device exclusively
        os.close(os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    except OSError as e:
        raise Failed(f"{device}: {e.strerror}") from e
    holds = f"{top['fstype']} {top['label'] or ''}".strip() if top["fstype"] else "nothing known"
    return (f"{device}: {top['type']} {top['model'] or ''} {top['serial'] or ''}, "
            f"{int(top['size']) // cache.MIB} MiB, holds {holds}")


@contextlib.contextmanager
def device_of(device, fs):
    """Makes a file system on a whole device and mounts it: the folder, while the block runs."""
    describe(device)
    run_ok(MKFS[fs] + [device])
    folder = tempfile.mkdtemp(prefix="page2cache-device.")
    try:
        status, _, err = run(["mount", "-t", fs, device, folder])
        if status:
            raise Failed(f"{device}: cannot be mounted: {err.strip()}")
        yield folder
    finally:
        unmount(folder)


def unmount(folder):
    for _ in range(50):
        if not os.path.ismount(folder) or not run(["umount", folder])[0]:
            os.rmdir(folder)
            return
        time.sleep(0.1)
    raise Failed(f"{folder}: cannot be unmounted, somebody is in it")
