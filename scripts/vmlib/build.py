# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built here: Debian's source, a series of patches, a configuration for guests."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

import guest

LINES = ("6.12", "6.1")
CONFIGS = os.path.join(guest.ROOT, "scripts/config")


def series(line):
    """The patches of a line, in their order."""
    return sorted(glob.glob(os.path.join(guest.ROOT, "patches", line, "*.patch")))


def fragments(line, debug):
    """What is configured, later ones over earlier ones; some of it a line's own."""
    names = ["guest.config", "patched.config"]
    names += ["debug.config", f"debug-{line}.config"] if debug else []
    paths = [os.path.join(CONFIGS, name) for name in names]
    return [path for path in paths if os.path.exists(path)]


def packages(line):
    return guest.run(os.path.join(guest.ROOT, "scripts/setup"), "--list",
                     "kernel-" + line).split()


def cached_compiler():
    """A build after a change compiles what the change concerns: a tree's path and time are no
    part of what it makes."""
    return {"CCACHE_DIR": os.path.join(guest.cache_folder(), "ccache"), "CCACHE_MAXSIZE": "4G",
            "CCACHE_NOHASHDIR": "1", "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
            "KBUILD_BUILD_USER": "page2cache", "KBUILD_BUILD_HOST": "page2cache"}


def install(line):
    """What it takes to build: the compiler's side and the source."""
    done = subprocess.run([os.path.join(guest.ROOT, "scripts/setup"), "kernel-" + line],
                          check=False)
    if done.returncode:
        raise guest.Missing(f"not installed: {' '.join(packages(line))}")


def source_version(line):
    return guest.run("dpkg-query", "-W", "-f", "${Version}", "linux-source-" + line)


def key(line, debug):
    """Of all that goes into the build: of a patch its changes, not what it says about them."""
    digest = hashlib.sha256()
    for path in fragments(line, debug) + series(line) + [__file__]:
        with open(path, "rb") as f:
            text = f.read()
        digest.update(text[max(text.find(b"\ndiff --git "), 0):])
    return digest.hexdigest()[:12]


def step(log, tree, *command, env=None):
    """One step of a build: what it says goes into the log, whose end is shown if it fails."""
    log.write(f"\n# {' '.join(command)}\n")
    log.flush()
    done = subprocess.run(command, cwd=tree, stdout=log, stderr=log, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    if done.returncode:
        with open(log.name, encoding="utf-8", errors="replace") as f:
            end = "".join(f.readlines()[-30:])
        raise guest.Failed(f"{end}{command[0]}: status {done.returncode}")


def configure(log, tree, scratch, paths):
    """All that is not named has its default; what is named has to come out so."""
    wanted = {}
    for path in paths:
        with open(path, encoding="ascii") as f:
            for line in f:
                match = re.match(r"(CONFIG_\w+)=(.*)", line)
                if match:
                    wanted[match.group(1)] = match.group(2)
    named = os.path.join(scratch, "wanted")
    with open(named, "w", encoding="ascii") as f:
        f.writelines(f"{name}={value}\n" for name, value in wanted.items())
    step(log, tree, "make", "-s", "alldefconfig", env={"KCONFIG_ALLCONFIG": named})
    got = {}
    with open(os.path.join(tree, ".config"), encoding="ascii") as f:
        for line in f:
            match = re.match(r"(CONFIG_\w+)=(.*)", line)
            if match:
                got[match.group(1)] = match.group(2)
    wrong = [name for name, value in wanted.items() if got.get(name, "n") != value]
    if wrong:
        raise guest.Failed(f"these cannot be configured so: {' '.join(wrong)}")


def keep_selftest(log, tree, folder):
    """The selftest of the patches and what it is built with, apart from its kernel's types."""
    os.makedirs(os.path.join(folder, "linux"))
    tests = os.path.join(tree, "tools/testing/selftests/bpf")
    shutil.copy2(os.path.join(tests, "prog_tests/page2cache.c"), folder)
    shutil.copy2(os.path.join(tests, "progs/page2cache.c"), os.path.join(folder, "page2cache.bpf.c"))
    shutil.copy2(os.path.join(tree, "tools/include/uapi/linux/bpf.h"), os.path.join(folder, "linux"))
    step(log, tree, "sh", "-c", "scripts/bpf_doc.py --header --file include/uapi/linux/bpf.h >" +
         os.path.join(folder, "bpf_helper_defs.h"))


def keep_headers(log, tree, folder):
    """What a module is built against, where the kernel's source says what that is."""
    collect = "scripts/package/install-extmod-build"
    if os.path.exists(os.path.join(tree, collect)):
        step(log, tree, "make", "-s", "run-command", f"KBUILD_RUN_COMMAND={collect} {folder}")


def compile_kernel(line, debug, folder):
    """Fills FOLDER: vmlinuz, its types in vmlinux.btf, config, the selftest, headers."""
    scratch = os.path.join(folder, "scratch")
    os.mkdir(scratch)
    # Beside the folder: it is there to be read while the build goes on, and if it fails.
    with open(folder + ".log", "w", encoding="utf-8") as log:
        step(log, scratch, "tar", "xf", f"/usr/src/linux-source-{line}.tar.xz")
        tree = os.path.join(scratch, f"linux-source-{line}")
        step(log, tree, "perl", "scripts/checkpatch.pl", "--strict", "-q", *series(line))
        for patch in series(line):
            step(log, tree, "patch", "-p1", "--no-backup-if-mismatch", "-i", patch)
        configure(log, tree, scratch, fragments(line, debug))
        step(log, tree, "make", "-s", f"-j{os.cpu_count() + 1}", "CC=ccache gcc", "bzImage",
             "modules", env={**cached_compiler(), "CCACHE_BASEDIR": tree})
        step(log, tree, "objcopy", "--dump-section", ".BTF=" + os.path.join(folder, "vmlinux.btf"),
             "vmlinux", os.path.join(scratch, "vmlinux.same"))
        keep_selftest(log, tree, os.path.join(folder, "selftest"))
        keep_headers(log, tree, os.path.join(folder, "headers"))
    shutil.copy2(os.path.join(tree, "arch/x86/boot/bzImage"), os.path.join(folder, "vmlinuz"))
    shutil.copy2(os.path.join(tree, ".config"), os.path.join(folder, "config"))
    with open(folder + ".log", encoding="utf-8", errors="replace") as log:
        warnings = [text for text in log if re.search(r"\bwarning:|^WARNING", text)]
    for text in warnings:
        print(text.rstrip(), file=sys.stderr)
    shutil.rmtree(scratch)
    os.rename(folder + ".log", os.path.join(folder, "log"))
    if warnings:
        raise guest.Failed("the build warned")


def kernel(line, debug):
    """The folder of the cache that holds the kernel, built if it is not there."""
    install(line)
    name = f"{'debug' if debug else 'patched'}-{line}"
    folder = os.path.join(guest.cache_folder(),
                          f"{name}-{source_version(line)}-{key(line, debug)}")
    with guest.building(folder) as scratch:
        if scratch:
            print(f"kernel: building {name} from linux-source-{line} {source_version(line)}: "
                  "some ten minutes", file=sys.stderr)
            compile_kernel(line, debug, scratch)
    return folder
