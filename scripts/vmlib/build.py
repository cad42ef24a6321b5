# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built here: Debian's source, a series of patches, a configuration for guests."""
import collections
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

import archive
import guest
import system

# source: Debian's package of it; release: where Debian has that. Another release than this
# machine's is also where the kernel is built: a new one asks for newer tools.
Line = collections.namedtuple("Line", "source release")
LINES = {
    "6.12": Line("linux-source-6.12", archive.HERE),
    "6.1": Line("linux-source-6.1", archive.HERE),
    "7.3-rfc": Line("linux-source-7.3", archive.BACKPORTS),
}
CONFIGS = os.path.join(guest.ROOT, "scripts/config")


def series(line):
    """The patches of a line, in their order."""
    return sorted(glob.glob(os.path.join(guest.ROOT, "patches", line, "*.patch")))


def fragments(line, debug):
    """What is configured, later ones over earlier ones; some of it a line's own."""
    names = ["guest.config", "patched.config", f"patched-{line}.config"]
    names += ["debug.config", f"debug-{line}.config"] if debug else []
    paths = [os.path.join(CONFIGS, name) for name in names]
    return [path for path in paths if os.path.exists(path)]


def cached_compiler():
    """A build after a change compiles what the change concerns: a tree's path and time are no
    part of what it makes."""
    return {"CCACHE_DIR": os.path.join(guest.cache_folder(), "ccache"), "CCACHE_MAXSIZE": "4G",
            "CCACHE_NOHASHDIR": "1", "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
            "KBUILD_BUILD_USER": "page2cache", "KBUILD_BUILD_HOST": "page2cache"}


def install(line):
    """What it takes to build: the compiler's side and, of this machine's release, the source."""
    setup = os.path.join(guest.ROOT, "scripts/setup")
    group = "kernel" if LINES[line].release.system else "kernel-" + line
    if subprocess.run([setup, group], check=False).returncode:
        packages = guest.run(setup, "--list", group).split()
        raise guest.Missing(f"not installed: {' '.join(packages)}")


def source_version(line):
    source, release = LINES[line]
    if not release.system:
        return guest.run("dpkg-query", "-W", "-f", "${Version}", source)
    try:
        version = release.version(source)
        if not version:
            release.update()
            version = release.version(source)
    except guest.Failed as e:
        raise guest.Missing(f"{source}: {e}") from e
    if not version:
        raise guest.Missing(f"{source}: {release.suite} has it no longer")
    return version


def unpack_source(log, line, scratch):
    """The folder of the unpacked source."""
    source, release = LINES[line]
    if release.system:
        release.unpack([source], scratch)
    at = scratch if release.system else ""
    step(log, scratch, "tar", "xf", f"{at}/usr/src/{source}.tar.xz")
    return os.path.join(scratch, source)


def key(line, debug):
    """Of all that goes into the build: of a patch its changes, not what it says about them."""
    digest = hashlib.sha256()
    for path in fragments(line, debug) + series(line) + [__file__]:
        with open(path, "rb") as f:
            text = f.read()
        digest.update(text[max(text.find(b"\ndiff --git "), 0):])
    return digest.hexdigest()[:12]


def step(log, tree, *command, env=None, release=None):
    """One step of a build, with the programs of RELEASE: what it says goes into the log, whose
    end is shown if it fails."""
    log.write(f"\n# {' '.join(command)}\n")
    log.flush()
    output = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
    if release and release.system:
        words = [f"{name}={value}" for name, value in (env or {}).items()]
        done = system.run(release.system, [guest.cache_folder()],
                          ["env", "-C", tree, *words, *command], **output)
    else:
        done = subprocess.run(command, cwd=tree, check=False, env={**os.environ, **(env or {})},
                              **output)
    if done.returncode:
        with open(log.name, encoding="utf-8", errors="replace") as f:
            end = "".join(f.readlines()[-30:])
        raise guest.Failed(f"{end}{command[0]}: status {done.returncode}")


def configure(log, tree, scratch, paths, release):
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
    step(log, tree, "make", "-s", "alldefconfig", env={"KCONFIG_ALLCONFIG": named},
         release=release)
    got = {}
    with open(os.path.join(tree, ".config"), encoding="ascii") as f:
        for line in f:
            match = re.match(r"(CONFIG_\w+)=(.*)", line)
            if match:
                got[match.group(1)] = match.group(2)
    wrong = [name for name, value in wanted.items() if got.get(name, "n") != value]
    if wrong:
        raise guest.Failed(f"these cannot be configured so: {' '.join(wrong)}")


def selftest(line):
    """The name of the BPF selftest that the patches bring."""
    for path in series(line):
        with open(path, encoding="utf-8") as f:
            match = re.search(r"^\+\+\+ b/tools/testing/selftests/bpf/prog_tests/(\w+)\.c$",
                              f.read(), re.MULTILINE)
        if match:
            return match.group(1)
    raise guest.Failed(f"patches/{line}: no selftest")


def keep_selftest(log, tree, name, folder):
    """The selftest of the patches and what it is built with, apart from its kernel's types."""
    os.makedirs(os.path.join(folder, "linux"))
    tests = os.path.join(tree, "tools/testing/selftests/bpf")
    shutil.copy2(os.path.join(tests, f"prog_tests/{name}.c"), folder)
    shutil.copy2(os.path.join(tests, f"progs/{name}.c"), os.path.join(folder, name + ".bpf.c"))
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
    release = LINES[line].release
    scratch = os.path.join(folder, "scratch")
    os.mkdir(scratch)
    # Beside the folder: it is there to be read while the build goes on, and if it fails.
    with open(folder + ".log", "w", encoding="utf-8") as log:
        tree = unpack_source(log, line, scratch)
        # What is a proposal is signed off by who sends it.
        unsigned = ["--no-signoff"] if line.endswith("-rfc") else []
        step(log, tree, "perl", "scripts/checkpatch.pl", "--strict", "-q", *unsigned, *series(line))
        for patch in series(line):
            step(log, tree, "patch", "-p1", "--no-backup-if-mismatch", "-i", patch)
        configure(log, tree, scratch, fragments(line, debug), release)
        step(log, tree, "make", "-s", f"-j{os.cpu_count() + 1}", "CC=ccache gcc", "bzImage",
             "modules", env={**cached_compiler(), "CCACHE_BASEDIR": tree}, release=release)
        step(log, tree, "objcopy", "--dump-section", ".BTF=" + os.path.join(folder, "vmlinux.btf"),
             "vmlinux", os.path.join(scratch, "vmlinux.same"))
        keep_selftest(log, tree, selftest(line), os.path.join(folder, "selftest"))
        if not release.system:  # a module is built by this machine's compiler
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
            print(f"kernel: building {name} from {LINES[line].source} {source_version(line)}: "
                  "some ten minutes", file=sys.stderr)
            compile_kernel(line, debug, scratch)
    return folder
