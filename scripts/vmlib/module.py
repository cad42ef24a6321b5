# SPDX-License-Identifier: GPL-2.0-only
"""The kernel module of this project, built for the kernels that a machine can boot."""
import glob
import os
import shutil
import subprocess

import guest
import kernels
import system


def stock_headers(release, version):
    """The headers of a stock kernel, at a place of their own."""
    folder = os.path.join(guest.cache_folder(), "headers-" + version)
    with guest.building(folder) as scratch:
        if scratch:
            name = "linux-headers-" + version
            parts = release.depends(name, "linux-headers-.*-common$|linux-kbuild-")
            release.unpack([name, *parts], scratch)
            makefile = os.path.join(scratch, "usr/src", name, "Makefile")
            with open(makefile, "r+", encoding="ascii") as f:
                text = f.read().replace("/usr/src/", folder + "/usr/src/")
                f.seek(0)
                f.write(text)
    return os.path.join(folder, "usr/src/linux-headers-" + version)


def built_headers(kernel):
    """The headers of a kernel that was built here, with its BTF, which only its folder has."""
    folder = os.path.dirname(kernel.image)
    headers = os.path.join(folder, "headers")
    if not os.path.isdir(headers):
        raise guest.Missing(f"{kernel.name}: no headers to build a module against")
    if not os.path.exists(os.path.join(headers, "vmlinux")):
        shutil.copy2(os.path.join(folder, "vmlinux.btf"), os.path.join(headers, "vmlinux"))
    return headers


def build(release, version, headers):
    """The output and status of making the module, with the compiler that built the kernel."""
    command = ["make", "-s", "-C", guest.ROOT, "O=build", "kmod", f"KVER={version}",
               f"KDIR={headers}"]
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if release and release.system:
        return system.run(release.system, [guest.cache_folder()], command, **options)
    guest.run(os.path.join(guest.ROOT, "scripts/setup"), "kmod")
    return subprocess.run(command, check=False, **options)


def get(kernel):
    """The path of bpf_page2cache.ko for that kernel."""
    if kernel.name not in kernels.NAMES:
        raise guest.Missing(f"{kernel.name}: a module can be built for {', '.join(kernels.NAMES)}")
    if kernel.name in kernels.BUILT:
        version, headers = kernel.name, built_headers(kernel)
    else:
        version = os.path.basename(glob.glob(kernel.modules + "/*")[0])
        headers = stock_headers(kernel.release, version)
    target = os.path.join(guest.ROOT, "build/kmod", version)
    with guest.locked(target):
        done = build(kernel.release, version, headers)
    if done.returncode:
        raise guest.Failed(f"building the module for {kernel.name}:\n{done.stdout}")
    return os.path.join(target, "bpf_page2cache.ko")
