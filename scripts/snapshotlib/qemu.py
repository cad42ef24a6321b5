# SPDX-License-Identifier: GPL-2.0-only
"""QEMU. Guest memory is a file: shared with it while the snapshot is made, so that it need not
be saved (x-ignore-shared), mapped privately when it is restored, so that it is not changed.

Without its memory a restore is mostly QEMU's own start, so QEMU gets no more than it needs:
no default devices, no display, no BIOS devices that nobody asks for. The state is read from
an open file, not from a program's output. A guest that ran when it was saved resumes by itself."""
import json
import select
import shutil
import socket
import time

import guest
import machine
import vmm

NAME = "qemu"
PROGRAM = "qemu-system-x86_64"
PACKAGE = "qemu-system-x86"
BOOT_ARGS = "console=ttyS0,115200 panic=-1 oops=panic rdinit=/init"
MACHINE = "pc,vmport=off,hpet=off,i8042=off"


def why_not():
    """Why QEMU cannot be used here, or None."""
    return None if shutil.which(PROGRAM) else f"{PROGRAM} is missing (Debian package {PACKAGE})"


def accelerators():
    """The accelerators, in the order in which they are tried."""
    return machine.accelerators()


def kernel_image(kernel):
    """The form of a kernel that QEMU boots."""
    return kernel.image


class Qemu(vmm.Process):
    """The guest's writes go into the memory file if it is SHARED, else into private copies of pages."""

    def __init__(self, folder, accel, shared, *options):
        self.monitor, theirs = socket.socketpair()
        self.unread = b""
        size = folder.meta["mem_bytes"]
        memory = folder.memory.replace(",", ",,")   # as QEMU wants commas within a value
        with theirs:
            super().__init__(
                [PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                 "-machine", f"{MACHINE},memory-backend=ram", "-m", f"{size >> 20}M",
                 "-object", f"memory-backend-file,id=ram,size={size},mem-path={memory},"
                 f"share={'on' if shared else 'off'}",
                 "-accel", accel, "-cpu", "host" if accel == "kvm" else "max",
                 "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                 "-mon", "chardev=qmp,mode=control", "-chardev", "stdio,id=console,signal=off",
                 "-serial", "chardev:console", *options],
                [theirs.fileno()])

    def end(self):
        self.monitor.close()
        return super().end()

    def messages(self, deadline):
        """The messages of the monitor, one after the other."""
        while True:
            line, found, rest = self.unread.partition(b"\n")
            if found:
                self.unread = rest
                yield json.loads(line)
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.monitor], [], [], left)[0]:
                raise guest.Failed("QEMU did not answer in time")
            try:
                data = self.monitor.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise guest.Failed("QEMU ended before its time")
            self.unread += data

    def version(self, deadline):
        """QEMU's version, from its greeting, which has to be read first."""
        version = next(self.messages(deadline))["QMP"]["version"]
        number = ".".join(str(version["qemu"][part]) for part in ("major", "minor", "micro"))
        return f"{number} {version['package']}".strip()

    def send(self, name, fds=(), **arguments):
        text = json.dumps({"execute": name, "arguments": arguments}).encode("ascii")
        try:
            socket.send_fds(self.monitor, [text], fds)
        except OSError:
            raise guest.Failed("QEMU ended before its time") from None

    def until(self, event, deadline, wanted=lambda data: True):
        """Waits for an event; a command that was refused ends the waiting."""
        for message in self.messages(deadline):
            if "error" in message:
                raise guest.Failed("QEMU: " + message["error"]["desc"])
            if message.get("event") == event and wanted(message.get("data")):
                return message.get("data")

    def negotiate(self):
        self.send("qmp_capabilities")
        self.send("migrate-set-capabilities",
                  capabilities=[{"capability": name, "state": True}
                                for name in ("x-ignore-shared", "events")])

    def save(self, folder, deadline):
        """Ends the guest, and returns QEMU's version. The guest is saved as one that runs: QEMU
        itself stops it, and its memory does not change any more."""
        version = self.version(deadline)
        self.negotiate()
        with open(folder.state, "wb") as state:
            self.send("getfd", [state.fileno()], fdname="state")
            self.send("migrate", uri="fd:state")
            ended = self.until("MIGRATION", deadline,
                               lambda data: data["status"] in ("completed", "failed"))
        if ended["status"] != "completed":
            raise guest.Failed("QEMU could not save its state")
        return version

    def load(self, folder, deadline):
        """Returns when the guest runs."""
        self.negotiate()
        with open(folder.state, "rb") as state:
            self.send("getfd", [state.fileno()], fdname="state")
            self.send("migrate-incoming", uri="fd:state")
        self.until("RESUME", deadline)


def boot(folder, kernel, initrd, words, accel, _deadline):
    """A machine that boots, with memory that goes into the folder."""
    return Qemu(folder, accel, True, "-kernel", kernel, "-initrd", initrd,
                "-append", f"{BOOT_ARGS} {words}")


def wake(folder):
    """A QEMU that waits for the state it shall load."""
    return Qemu(folder, folder.meta["accel"], False, "-incoming", "defer")
