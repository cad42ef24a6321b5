# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that a machine can boot: where each comes from, kept by version."""
import collections
import glob
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys

import build
import guest

# Debian's meta packages: the newest kernel of each line.
STOCK = {
    "stock-6.1": "linux-image-cloud-amd64",
    "stock-6.12": "linux-image-6.12-cloud-amd64",
}
# What the tests use and Debian builds as modules; what these need comes along.
MODULES = ("xfs", "btrfs", "overlay", "loop", "cts", "xts")

# Built here: the line, and whether for debugging.
BUILT = {f"{kind}-{line}": (line, kind == "debug")
         for kind in ("patched", "debug") for line in build.LINES}
NAMES = sorted(STOCK) + sorted(BUILT)

# image: to boot; modules: a folder with the one of its version in it, or None
Kernel = collections.namedtuple("Kernel", "name image modules")


def apt(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout if not done.returncode else None


def newest_package(meta):
    """The image package that META depends on now, with its version; None if apt knows none."""
    depends = apt("apt-cache", "depends", "--no-recommends", meta) or ""
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    if not match:
        return None
    policy = apt("apt-cache", "policy", match.group(1)) or ""
    version = re.search(r"Candidate: (\S+)", policy)
    return (match.group(1), version.group(1)) if version else None


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
    """Those that are wanted, unpacked, with an index of their own."""
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


def download(package, version, folder):
    """The package, unpacked but not installed, reduced to what a guest boots."""
    print(f"vm: downloading {package} {version}", file=sys.stderr)
    command = ["apt-get", "download", "-qq", f"{package}={version}"]
    done = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, text=True, check=False)
    debs = glob.glob(os.path.join(folder, "*.deb"))
    if done.returncode or len(debs) != 1:
        raise guest.Failed(f"{package} {version} cannot be downloaded: {done.stderr}")
    unpacked = os.path.join(folder, "deb")
    guest.run("dpkg-deb", "-x", debs[0], unpacked)
    shutil.copy2(glob.glob(unpacked + "/boot/vmlinuz-*")[0], os.path.join(folder, "vmlinuz"))
    copy_modules(glob.glob(unpacked + "/lib/modules/*")[0], folder)
    shutil.rmtree(unpacked)
    os.unlink(debs[0])


def stock(name, lists_are_new=False):
    """The kernel of that name: the newest that the package lists have, else the newest kept."""
    kept = os.path.join(guest.cache_folder(), name + "-")
    newest = newest_package(STOCK[name])
    if newest:
        modules = hashlib.sha256(" ".join(MODULES).encode()).hexdigest()[:4]
        folder = f"{kept}{newest[1]}-{modules}"
        try:
            with guest.building(folder) as scratch:
                if scratch:
                    download(*newest, scratch)
        except guest.Failed:
            # Old lists name versions that the archive no longer has.
            if lists_are_new or apt("apt-get", "-qq", "update") is None:
                raise
            return stock(name, True)
    else:
        folders = [f for f in glob.glob(kept + "*") if os.path.isdir(f) and not f.endswith(".new")]
        if not folders:
            raise guest.Missing(f"{name}: the package lists have no {STOCK[name]}, and none is "
                                "kept: apt-get update (Debian 12 with bookworm-security)")
        folder = max(folders, key=os.path.getmtime)
    modules = os.path.join(folder, "lib/modules")
    return Kernel(name, os.path.join(folder, "vmlinuz"), modules)


def get(name):
    """The kernel of one of NAMES, or the bzImage at a path."""
    if name in STOCK:
        return stock(name)
    image = os.path.join(build.kernel(*BUILT[name]), "vmlinuz") if name in BUILT else name
    return Kernel(name, image, None)
