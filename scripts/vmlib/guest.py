# SPDX-License-Identifier: GPL-2.0-only
"""The guest's root file system, made of this machine's programs and this source tree."""
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init")

UNWANTED = re.compile(r"^/usr/(share/(doc|man|locale|info|lintian|bash-completion|zsh|"
                      r"applications|icons|fio|xfsprogs|initramfs-tools)|lib/systemd)(/|$)|^/etc/systemd")


# The root image is a disk with one partition: its id, and where that begins, in sectors.
DISK_ID = 0x70326370
PARTITION_START = 2048


class Failed(Exception):
    """The machine cannot be made or run; the message says why."""


class Missing(Exception):
    """A program or package is not installed; the message says what installs it."""


def cache_folder():
    folder = os.environ.get("PAGE2CACHE_CACHE") or os.path.expanduser("~/.cache/page2cache")
    os.makedirs(folder, exist_ok=True)
    return folder


def run(*command):
    """A program's output; its messages are shown only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise Failed(f"{shlex.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def locked(target):
    """Holds TARGET's lock, so that one process at a time makes TARGET."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def building(target):
    """Makes a folder of the cache whole or not at all: yields a scratch folder that becomes
    TARGET, or None if TARGET is there. Other processes that want TARGET wait."""
    with locked(target):
        if os.path.isdir(target):
            yield None
            return
        scratch = target + ".new"
        shutil.rmtree(scratch, ignore_errors=True)
        os.mkdir(scratch)
        yield scratch
        os.rename(scratch, target)

# States in which dpkg has put a package's files in place. A guest takes the files: whether dpkg has
# configured the package on this machine does not matter to a guest.
UNPACKED = ("installed", "triggers-pending", "triggers-awaited", "half-configured", "unpacked")


def installed():
    """{package: version} of the packages that guests are made of. Their shared libraries are not
    listed, but found."""
    packages = run(os.path.join(ROOT, "scripts/setup"), "--list", "guest").split()
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\n",
                          *packages], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         check=False).stdout
    rows = [line.split() for line in out.splitlines()]
    found = {row[0]: row[2] for row in rows if len(row) == 3 and row[1] in UNPACKED}
    missing = sorted(set(packages) - set(found))
    if missing:
        raise Missing(f"not installed: {' '.join(missing)} (scripts/setup vm brings them)")
    return found


def libraries(tree):
    """The shared libraries of all programs below TREE, as this machine resolves them."""
    programs = []
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                if f.read(4) == b"\x7fELF":
                    programs.append(path)
    found = set()
    out = subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, check=False).stdout if programs else ""
    for line in out.splitlines():
        match = re.match(r"\s+(?:\S+ => )?(/\S+) \(0x", line)
        if match:
            found.add(match.group(1))
    return found


def place(tree, path, source=None):
    """Copies a file to its own path below TREE. Links stay links, and their targets are copied,
    too."""
    source = source or path
    target = tree + path
    if os.path.isdir(source) and not os.path.islink(source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        return
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        real = os.path.join(os.path.dirname(path), os.readlink(source))
        real = os.path.normpath(real)
        if os.path.lexists(real) and not os.path.isdir(real):
            place(tree, real)
    elif os.path.isfile(source):
        shutil.copy2(source, target)


SKELETON = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}


# With systemd as its first process, init is a service of it.
SYSTEMD_INIT = "/etc/page2cache-vm-init"
SYSTEMD_UNIT = f"""\
[Unit]
Description=The command of scripts/vm

[Service]
Type=oneshot
ExecStart={SYSTEMD_INIT}
"""
# The source tree, and paths of --add, may be below /tmp, which systemd empties when it starts.
SYSTEMD_TMP = "d /tmp 1777 root root -\nd /var/tmp 1777 root root -\n"


def place_init(tree, systemd):
    """Makes init run the command: as the first process, or as a service of systemd."""
    if not systemd:
        shutil.copy2(INIT, os.path.join(tree, "sbin/init"))
        return
    shutil.copy2(INIT, tree + SYSTEMD_INIT)
    units = os.path.join(tree, "etc/systemd/system")
    with open(os.path.join(units, "page2cache-vm.service"), "w", encoding="ascii") as f:
        f.write(SYSTEMD_UNIT)
    os.makedirs(os.path.join(tree, "etc/tmpfiles.d"), exist_ok=True)
    with open(os.path.join(tree, "etc/tmpfiles.d/tmp.conf"), "w", encoding="ascii") as f:
        f.write(SYSTEMD_TMP)
    os.makedirs(os.path.join(units, "multi-user.target.wants"), exist_ok=True)
    os.symlink("../page2cache-vm.service",
               os.path.join(units, "multi-user.target.wants/page2cache-vm.service"))


def base_tree():
    """The tree of programs, made once for each set of package versions."""
    versions = installed()
    packages = list(versions)
    with open(__file__, "rb") as f:
        key = hashlib.sha256(repr(sorted(versions.items())).encode() + f.read()).hexdigest()[:16]
    target = os.path.join(cache_folder(), "root-" + key)
    with building(target) as tree:
        if not tree:
            return target
        for link in ("bin", "sbin", "lib", "lib64"):
            os.makedirs(os.path.join(tree, "usr", link))
            os.symlink("usr/" + link, os.path.join(tree, link))
        for folder in ("dev", "proc", "sys", "run", "tmp", "root", "data", "var/tmp", "etc", "mnt"):
            os.makedirs(os.path.join(tree, folder))
        for path in run("dpkg-query", "-L", *packages).splitlines():
            if path.startswith("/") and not UNWANTED.match(path):
                place(tree, path)
        # dpkg does not know links of update-alternatives, such as awk.
        for name in ("awk",):
            place(tree, "/usr/bin/" + name, shutil.which(name))
        for path in libraries(tree):
            place(tree, path)
        for path, text in SKELETON.items():
            with open(tree + path, "w", encoding="ascii") as f:
                f.write(text)
    return target


def copy_source(tree):
    """Copies this source tree, build products included, to its own path."""
    target = tree + ROOT
    os.makedirs(target, exist_ok=True)
    shutil.copytree(ROOT, target, symlinks=True, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns(".git", "results", "*.o", "*.skel.h",
                                                  "fuzz", "__pycache__"))


def command_script(args):
    """The script that init runs."""
    command = "exec bash -i" if args.shell else "exec " + shlex.join(args.command)
    return f"cd {shlex.quote(ROOT)}\nexport PATH={shlex.quote(ROOT + '/build')}:{shlex.quote(ROOT + '/build/tests')}:$PATH\n{command}\n"


def partition_table(sectors):
    """An MBR with one partition. Without an initramfs a kernel can find its root by the id of a
    partition; the order in which it finds the disks is up to chance."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\0\0", 0x83, b"\0\0\0", PARTITION_START, sectors)
    return struct.pack("<440xI2x", DISK_ID) + entry + bytes(48) + b"\x55\xaa"


def root_image(scratch, base, kernel, module, args):
    """An ext4 image of the programs, the kernel's modules, the source tree and the paths of --add.
    MODULE, if there is one, is loaded before the command runs."""
    tree = os.path.join(scratch, "root")
    run("cp", "-al", base, tree)
    if kernel.modules:
        run("cp", "-al", kernel.modules, os.path.join(tree, "usr/lib/modules"))
    copy_source(tree)
    for path in args.add:
        path = os.path.abspath(path)
        os.makedirs(os.path.dirname(tree + path), exist_ok=True)
        run("cp", "-a", "-T", path, tree + path)
    if module:
        shutil.copy2(module, os.path.join(tree, "etc/page2cache-vm.ko"))
    for path in libraries(tree + ROOT):
        place(tree, path)
    run("ldconfig", "-r", tree)
    place_init(tree, args.systemd)
    with open(os.path.join(tree, "etc/page2cache-vm"), "w", encoding="utf-8") as f:
        f.write(command_script(args))
    image = os.path.join(scratch, "root.img")
    kib = int(run("du", "-sk", "--apparent-size", tree).split()[0])
    kib = kib * 5 // 4 + 512 * 1024
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree,
        "-E", f"root_owner=0:0,offset={PARTITION_START * 512}", image, f"{kib}k")
    with open(image, "r+b") as f:
        f.truncate(PARTITION_START * 512 + kib * 1024)
        f.write(partition_table(kib * 2))
    shutil.rmtree(tree)
    return image
