# SPDX-License-Identifier: GPL-2.0-only
"""The kernel module of this project, built for the kernels that a machine can boot."""
import glob
import os
import shutil
import subprocess

import guest
import kernels


def stock_headers(kernel):
    """The headers of a stock kernel, at a place of their own."""
    release = os.path.basename(glob.glob(kernel.modules + "/*")[0])
    folder = os.path.join(guest.cache_folder(), "headers-" + release)
    with guest.building(folder) as scratch:
        if scratch:
            name = "linux-headers-" + release
            parts = kernel.release.depends(name, "linux-headers-.*-common$|linux-kbuild-")
            kernel.release.unpack([name, *parts], scratch)
            makefile = os.path.join(scratch, "usr/src/linux-headers-" + release, "Makefile")
            with open(makefile, "r+", encoding="ascii") as f:
                text = f.read().replace("/usr/src/", folder + "/usr/src/")
                f.seek(0)
                f.write(text)
    return release, os.path.join(folder, "usr/src/linux-headers-" + release)


def built_headers(kernel):
    """Those of a kernel built here, with its types, which only its folder has."""
    folder = os.path.dirname(kernel.image)
    headers = os.path.join(folder, "headers")
    if not os.path.isdir(headers):
        raise guest.Missing(f"{kernel.name}: no headers to build a module against")
    if not os.path.exists(os.path.join(headers, "vmlinux")):
        shutil.copy2(os.path.join(folder, "vmlinux.btf"), os.path.join(headers, "vmlinux"))
    return kernel.name, headers


def get(kernel):
    """The path of bpf_page2cache.ko for that kernel."""
    if kernel.name not in kernels.NAMES:
        raise guest.Missing(f"{kernel.name}: a module can be built for {', '.join(kernels.NAMES)}")
    guest.run(os.path.join(guest.ROOT, "scripts/setup"), "kmod")
    release, headers = (built_headers if kernel.name in kernels.BUILT else stock_headers)(kernel)
    target = os.path.join(guest.ROOT, "build/kmod", release)
    with guest.locked(target):
        done = subprocess.run(["make", "-s", "-C", guest.ROOT, "O=build", "kmod",
                               f"KVER={release}", f"KDIR={headers}"], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise guest.Failed(f"building the module for {kernel.name}:\n{done.stdout}")
    return os.path.join(target, "bpf_page2cache.ko")
