# SPDX-License-Identifier: GPL-2.0-only
"""Firecracker, by its HTTP API on a Unix socket. Requests and answers are as its repository
documents them (src/firecracker/swagger/firecracker.yaml, docs/snapshotting/snapshot-support.md,
version 1.17); they were tested against a program that checks them, not against Firecracker.

A guest boots in anonymous memory, which is written to the file when it is saved; a restored one
maps that file privately. The guest's console is the process's own stdin and stdout."""
import contextlib
import http.client
import json
import os
import shutil
import socket
import tempfile
import time

import guest
import image
import machine
import vmm

NAME = "firecracker"
PROGRAM = "firecracker"
BOOT_ARGS = "console=ttyS0,115200 reboot=k panic=-1 oops=panic pci=off rdinit=/init"
POLL_SECONDS = 0.0005


def why_not():
    """Why Firecracker cannot be used here, or None."""
    if not shutil.which(PROGRAM):
        return f"no {PROGRAM} on PATH (github.com/firecracker-microvm/firecracker/releases)"
    if "kvm" not in machine.accelerators():
        return "no /dev/kvm that can be used, and it knows nothing else"
    return None


def accelerators():
    """The ways to run it, in the order in which they are tried."""
    return ["kvm"]


def kernel_image(kernel):
    """The form of a kernel that Firecracker boots."""
    return image.vmlinux(kernel.image)


class Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Firecracker(vmm.Process):
    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix="snapshot.")
        self.api = Connection(os.path.join(self.scratch, "api"))
        try:
            super().__init__([PROGRAM, "--api-sock", self.api.path, "--level", "Error"])
        except guest.Failed:
            shutil.rmtree(self.scratch)
            raise

    def end(self):
        self.api.close()
        said = super().end()
        shutil.rmtree(self.scratch)
        return said

    def connect(self, deadline):
        """Waits for its socket, which appears some time after its start."""
        while not self.api.sock:
            try:
                self.api.timeout = max(deadline - time.monotonic(), POLL_SECONDS)
                self.api.connect()
            except (FileNotFoundError, ConnectionRefusedError):
                self.api.close()
                if self.process.poll() is not None:
                    raise guest.Failed("Firecracker ended before its time") from None
                if time.monotonic() > deadline:
                    raise guest.Failed("Firecracker opened no API socket in time") from None
                time.sleep(POLL_SECONDS)

    def call(self, method, path, body, deadline):
        """Makes a request and returns the content of its answer."""
        self.connect(deadline)
        self.api.sock.settimeout(max(deadline - time.monotonic(), POLL_SECONDS))
        try:
            self.api.request(method, path, json.dumps(body) if body else None,
                             {"Accept": "application/json", "Content-Type": "application/json"})
            answer = self.api.getresponse()
            text = answer.read()
        except TimeoutError:
            raise guest.Failed(f"Firecracker: {method} {path}: no answer in time") from None
        except (OSError, http.client.HTTPException):
            raise guest.Failed(f"Firecracker ended during {method} {path}") from None
        said = {}
        with contextlib.suppress(ValueError):
            said = json.loads(text or b"{}")
        if answer.status not in (200, 204):
            raise guest.Failed(f"Firecracker: {method} {path}: "
                               f"{said.get('fault_message', answer.reason)}")
        return said

    def version(self, deadline):
        return self.call("GET", "/version", None, deadline)["firecracker_version"]

    def save(self, folder, deadline):
        """Pauses the guest and returns Firecracker's version."""
        version = self.version(deadline)
        self.call("PATCH", "/vm", {"state": "Paused"}, deadline)
        self.call("PUT", "/snapshot/create",
                  {"snapshot_type": "Full", "snapshot_path": folder.state,
                   "mem_file_path": folder.memory}, deadline)
        return version

    def load(self, folder, deadline):
        """Returns when the guest runs."""
        self.call("PUT", "/snapshot/load",
                  {"snapshot_path": folder.state, "resume_vm": True,
                   "mem_backend": {"backend_type": "File", "backend_path": folder.memory}},
                  deadline)


def boot(folder, kernel, initrd, words, _accel, deadline):
    """A machine that boots."""
    process = Firecracker()
    with contextlib.ExitStack() as stack:
        stack.enter_context(process)
        process.call("PUT", "/machine-config",
                     {"vcpu_count": 1, "mem_size_mib": folder.meta["mem_bytes"] >> 20}, deadline)
        process.call("PUT", "/boot-source",
                     {"kernel_image_path": kernel, "initrd_path": initrd,
                      "boot_args": f"{BOOT_ARGS} {words}"}, deadline)
        process.call("PUT", "/actions", {"action_type": "InstanceStart"}, deadline)
        stack.pop_all()
    return process


def wake(_folder):
    """A Firecracker that waits for the snapshot it shall load."""
    return Firecracker()
