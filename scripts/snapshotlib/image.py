# SPDX-License-Identifier: GPL-2.0-only
"""The files that a guest boots: an initramfs with one program in it, and for a VMM that cannot unpack a
kernel itself the unpacked kernel. Both are kept in the cache."""
import gzip
import hashlib
import lzma
import os
import shutil
import struct
import subprocess

import guest

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "answer.c")
ELF = b"\x7fELF"


def needs(program, package):
    if not shutil.which(program):
        raise guest.Missing(f"needs {program} (Debian package {package})")


def initramfs():
    """The path of an initramfs whose /init is answer.c."""
    with open(SOURCE, "rb") as f:
        key = hashlib.sha256(f.read()).hexdigest()[:12]
    folder = os.path.join(guest.cache_folder(), "snapshot-guest-" + key)
    with guest.building(folder) as scratch:
        if scratch:
            needs("gcc", "gcc")
            needs("cpio", "cpio")
            guest.run("gcc", "-O2", "-static", "-o", os.path.join(scratch, "init"), SOURCE)
            packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=b"init\n",
                                    cwd=scratch, stdout=subprocess.PIPE, check=True).stdout
            with open(os.path.join(scratch, "initrd"), "wb") as f:
                f.write(packed)
    return os.path.join(folder, "initrd")


def zstd(data):
    needs("zstd", "zstd")
    # The length that follows the data is no part of it: zstd complains, but has unpacked it.
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


UNPACK = {
    b"\x28\xb5\x2f\xfd": zstd,
    b"\xfd7zX": lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data),
    b"\x1f\x8b\x08\x00": gzip.decompress,
}


def payload(image):
    """The packed kernel in a bzImage, where its header says that it is (boot protocol 2.08)."""
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise guest.Failed("no bzImage")
    setup_sectors = image[0x1f1] or 4
    start, length = struct.unpack_from("<II", image, 0x248)
    start += (setup_sectors + 1) * 512
    return image[start:start + length]


def vmlinux(path):
    """The path of the ELF kernel that the bzImage at PATH, or PATH itself, is."""
    with open(path, "rb") as f:
        image = f.read()
    if image.startswith(ELF):
        return path
    key = hashlib.sha256(image).hexdigest()[:12]
    folder = os.path.join(guest.cache_folder(), "vmlinux-" + key)
    with guest.building(folder) as scratch:
        if scratch:
            try:
                packed = payload(image)
                unpack = UNPACK.get(packed[:4])
                kernel = unpack(packed) if unpack else b""
            except (OSError, EOFError, ValueError, lzma.LZMAError, guest.Failed) as e:
                raise guest.Failed(f"{path}: {e}") from None
            if not kernel.startswith(ELF):
                raise guest.Failed(f"{path}: packed in a way that is not known here")
            with open(os.path.join(scratch, "vmlinux"), "wb") as f:
                f.write(kernel)
    return os.path.join(folder, "vmlinux")
