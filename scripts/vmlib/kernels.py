# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that a machine can boot: where each comes from, kept by version."""
import collections
import glob
import hashlib
import lzma
import os
import re
import shutil

import archive
import build
import guest

# Debian's kernels, and the release that has each line.
STOCK = {
    "stock-6.1": archive.HERE,
    "stock-6.12": archive.HERE,
    "stock-7.3": archive.BACKPORTS,
}
# Modules of Debian's kernels that the tests use; the modules that these depend on are added.
MODULES = ("xfs", "btrfs", "erofs", "squashfs", "overlay", "loop", "cts", "xts")

# Built here: the line, and whether for debugging.
BUILT = {f"{kind}-{line}": (line, kind == "debug")
         for kind in ("patched", "debug") for line in build.LINES}
NAMES = sorted(STOCK) + sorted(BUILT)

# image: to boot; modules: a folder with the one of its version in it, or None; release: where
# Debian has it, or None
Kernel = collections.namedtuple("Kernel", "name image modules release")


def newest_package(name):
    """The newest kernel of a stock line; of any line, where the archive has replaced that; None if
    the package lists have none."""
    release = STOCK[name]
    line = re.escape(name.split("-")[1])
    return (release.newest(rf"linux-image-{line}\.\d.*-cloud-amd64") or
            release.newest(r"linux-image-\d.*-cloud-amd64"))


def wanted_modules(folder):
    """The files of MODULES and of all that they depend on, relative to FOLDER."""
    depends = {}
    with open(os.path.join(folder, "modules.dep"), encoding="ascii") as f:
        for line in f:
            name, _, needs = line.partition(":")
            depends[name] = needs.split()
    wanted = set()
    for path, needs in depends.items():
        if re.sub(r"\.ko(\.xz)?$", "", os.path.basename(path)) in MODULES:
            wanted.update([path, *needs])
    return wanted


def copy_modules(source, target):
    """Copies the wanted modules, with an index of their own."""
    version = os.path.basename(source)
    # Debian's packages carry no modules.dep, their installation makes it.
    guest.run("depmod", "-b", source.split("/lib/modules/")[0], version)
    for path in wanted_modules(source):
        to = os.path.join(target, "lib/modules", version, re.sub(r"\.xz$", "", path))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with (lzma.open if path.endswith(".xz") else open)(os.path.join(source, path), "rb") as f, \
                open(to, "wb") as out:
            shutil.copyfileobj(f, out)
    for name in ("modules.builtin", "modules.order"):
        shutil.copy2(os.path.join(source, name), os.path.join(target, "lib/modules", version))
    guest.run("depmod", "-b", target, version)


def download(release, package, folder):
    """The kernel of an image package, reduced to what a guest boots."""
    version = package.replace("linux-image-", "")
    # Newer kernels come in parts.
    parts = [f"linux-{part}-{version}" for part in ("binary", "modules", "base")]
    unpacked = os.path.join(folder, "deb")
    os.mkdir(unpacked)
    release.unpack([package] + [part for part in parts if release.version(part)], unpacked)
    modules = (glob.glob(unpacked + "/lib/modules/*") or glob.glob(unpacked + "/usr/lib/modules/*"))[0]
    image = (glob.glob(unpacked + "/boot/vmlinuz-*") or [modules + "/vmlinuz"])[0]
    shutil.copy2(image, os.path.join(folder, "vmlinuz"))
    copy_modules(modules, folder)
    shutil.rmtree(unpacked)


def stock(name, lists_are_new=False):
    """The kernel of that name: the newest that the package lists have, else the newest kept."""
    release = STOCK[name]
    kept = os.path.join(guest.cache_folder(), name + "-")
    newest = newest_package(name)
    try:
        if not newest:
            raise guest.Failed(f"{name}: the package lists have no such kernel")
        modules = hashlib.sha256(" ".join(MODULES).encode()).hexdigest()[:4]
        folder = f"{kept}{release.version(newest)}-{modules}"
        with guest.building(folder) as scratch:
            if scratch:
                download(release, newest, scratch)
    except guest.Failed as e:
        # Old lists name versions that the archive no longer has, or nothing yet.
        if not lists_are_new:
            try:
                release.update()
                return stock(name, True)
            except guest.Failed:
                pass
        folders = [f for f in glob.glob(kept + "*") if os.path.isdir(f) and not f.endswith(".new")]
        if not folders:
            raise guest.Missing(f"{e}, and none is kept") from e
        folder = max(folders, key=os.path.getmtime)
    modules = os.path.join(folder, "lib/modules")
    return Kernel(name, os.path.join(folder, "vmlinuz"), modules, release)


def get(name):
    """The kernel of one of NAMES, or the bzImage at a path."""
    if name in STOCK:
        return stock(name)
    image = os.path.join(build.kernel(*BUILT[name]), "vmlinuz") if name in BUILT else name
    return Kernel(name, image, None, None)
