# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: its command line, its output, and how it always ends."""
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty

import guest

MKFS = {
    "ext4": ("mke2fs", "-q", "-t", "ext4"),
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
TIMEOUT, BROKEN = 124, 125
# Software emulation boots in seconds; a machine that has not booted by then never will.
BOOT_SECONDS = {"kvm": 30, "tcg": 240}
UP, STATUS = "up", "status "


def needs_programs(fs):
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("mke2fs", "e2fsprogs"),
                             (MKFS[fs][0], {"xfs": "xfsprogs", "btrfs": "btrfs-progs"}
                              .get(fs, "e2fsprogs")), ("depmod", "kmod")):
        if not shutil.which(program):
            raise guest.Missing(f"needs {program} (Debian package {package}; "
                                "scripts/setup vm brings it)")


def data_image(scratch, fs, size):
    image = os.path.join(scratch, "data.img")
    with open(image, "wb") as f:
        f.truncate(size)
    guest.run(*MKFS[fs], image)
    return image


def drive(name, path):
    return ["-drive", f"if=none,id={name},file={path},format=raw,cache=unsafe,discard=unmap"]


def command_line(accel, kernel, disks, ports, args):
    """Root and data are namespaces of one NVMe controller, in this order. One processor is
    configured as the first of two: the emulator leaves out memory barriers where there can only
    be one, or one at a time (thread=single), and the controller, which runs beside it, then
    misses requests (its doorbells are in memory). With two or more of them running, kernels
    that patch their own code can crash under emulation. A kernel that tries its timer at boot
    (no_timer_check: it does not) gives up where this machine is too busy to emulate some ticks
    at once."""
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot",
               "-machine", "q35", "-smp", f"{args.cpus},maxcpus={max(args.cpus, 2)}",
               "-m", f"{args.mem >> 20}M",
               "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
               "-cpu", "host" if accel == "kvm" else "max",
               "-kernel", kernel.image, "-append",
               f"root=PARTUUID={guest.DISK_ID:08x}-01 rootwait rw init=/sbin/init "
               "console=ttyS0 panic=-1 oops=panic quiet no_timer_check "
               f"data_fs={args.fs} vm_shell={int(args.shell)} {args.append}",
               "-device", "nvme,id=nvme0,serial=page2cache", "-device", "virtio-rng-pci"]
    for nsid, path in enumerate(disks, 1):
        command += ["-drive", f"if=none,id=d{nsid},file={path},format=raw,cache=unsafe,"
                    "discard=unmap",
                    "-device", f"nvme-ns,bus=nvme0,drive=d{nsid},nsid={nsid}"]
    for i, port in enumerate(ports):
        backend = "stdio,signal=off" if port is None else f"file,path=/proc/self/fd/{port}"
        command += ["-chardev", f"{backend},id=c{i}", "-serial", f"chardev:c{i}"]
    return command


def die_with_parent():
    """For the child: no machine outlives its script, not even a killed one."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Machine:
    """One run. What comes out of its serial ports, in this order: the kernel's messages, the
    command's stdout and stderr, and two words of init's: up, and the command's status."""

    def __init__(self, accel, kernel, disks, args):
        self.accel = accel
        self.console = b""
        self.words = b""
        self.start = time.monotonic()
        self.seconds = None if args.shell else args.timeout
        self.readers = {}
        ports = []
        for i in range(4):
            if i == 1 and args.shell:
                ports.append(None)
                continue
            out, port = os.pipe()
            self.readers[out] = i
            ports.append(port)
        given = [port for port in ports if port is not None]
        self.process = subprocess.Popen(
            command_line(accel, kernel, disks, ports, args), pass_fds=given,
            stdin=None if args.shell else subprocess.DEVNULL, stdout=None if args.shell else
            subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        for port in given:
            os.close(port)
        self.readers[self.process.stderr.fileno()] = 4
        self.complaints = b""

    def take(self, port, data):
        if port in (1, 2):
            # A closed stdout is no reason to stop: the command's status still counts.
            stream = sys.stdout if port == 1 else sys.stderr
            try:
                stream.buffer.write(data)
                stream.buffer.flush()
            except BrokenPipeError:
                pass
        elif port == 0:
            self.console += data
        elif port == 3:
            self.words += data
        else:
            self.complaints += data

    def up(self):
        return UP.encode() in self.words

    def overdue(self):
        """The limit that was passed, in words, or None."""
        passed = time.monotonic() - self.start
        if not self.up() and passed > BOOT_SECONDS[self.accel]:
            return f"did not start within {BOOT_SECONDS[self.accel]} s"
        if self.seconds and passed > self.seconds:
            return f"the time limit of {self.seconds} s is over"
        return None

    def stream(self):
        """Until the machine is off. Returns why it was ended, or None if it ended by itself."""
        open_readers = dict(self.readers)
        while open_readers:
            ready, _, _ = select.select(list(open_readers), [], [], 0.5)
            for fd in ready:
                data = os.read(fd, 65536)
                if data:
                    self.take(open_readers[fd], data)
                else:
                    del open_readers[fd]
            why = self.overdue()
            if why:
                return why
        self.process.wait()
        return None

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in self.readers:
            if fd != self.process.stderr.fileno():
                os.close(fd)
        self.process.stderr.close()

    def status(self):
        """What init said of the command, None if it said nothing."""
        for line in self.words.decode("ascii", "replace").splitlines():
            if line.startswith(STATUS):
                return int(line[len(STATUS):])
        return None


def verdict_file():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return os.path.join(guest.cache_folder(), "kvm-" + f.read().strip())


def accelerators():
    """The accelerators to try, in order. KVM can be there and still not run a kernel, so the outcome of
    the first try is remembered until the host boots again."""
    try:
        with open(verdict_file(), encoding="ascii") as f:
            return [f.read().strip()]
    except FileNotFoundError:
        return ["kvm", "tcg"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else ["tcg"]


def report(machine, why, args):
    """The end of the kernel's messages, and what happened."""
    lines = machine.console.decode("utf-8", "replace").splitlines()
    for line in lines[-40:]:
        print(f"console: {line}", file=sys.stderr)
    if machine.complaints:
        print("qemu: " + machine.complaints.decode("utf-8", "replace").strip(), file=sys.stderr)
    kept = f"; all of it in {args.console}" if args.console else " (--console FILE keeps it all)"
    print(f"vm: {args.kernel}: {why}; above, the last {min(len(lines), 40)} of {len(lines)} lines "
          f"of its console{kept}", file=sys.stderr)


def attempt(accel, kernel, disks, args):
    """Boots once. Returns the machine and why it did not end as it should, or None."""
    machine = Machine(accel, kernel, disks, args)
    try:
        why = machine.stream()
    finally:
        machine.end()
        if args.console:
            with open(args.console, "wb") as f:
                f.write(machine.console)
    if not why and machine.status() is None:
        panicked = b"Kernel panic" in machine.console
        why = "the kernel panicked" if panicked else "it ended before the command did"
    return machine, why


def run(scratch, kernel, root, args):
    """Runs the command; returns its status, or TIMEOUT or BROKEN."""
    data = data_image(scratch, args.fs, args.nvme)
    saved = termios.tcgetattr(0) if args.shell and os.isatty(0) else None
    try:
        if saved:
            tty.setraw(0)
        choices = accelerators()
        for accel in choices:
            machine, why = attempt(accel, kernel, (root, data), args)
            if machine.up() and len(choices) > 1:
                with open(verdict_file(), "w", encoding="ascii") as f:
                    f.write(accel)
            if machine.up():
                break
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
    # A status that init has sent is the command's, however the machine went down afterwards.
    if machine.status() is not None:
        return machine.status()
    report(machine, why, args)
    return TIMEOUT if why.startswith("the time limit") else BROKEN
