# SPDX-License-Identifier: GPL-2.0-only
"""The cell of experiment snapshot: a microVM's memory file, read by the VMM that restores it."""
import os

from lab import readers, tools
from lab.cell import Cell
from lab.tools import ROOT

SNAPSHOT = os.path.join(ROOT, "scripts/snapshot")


class Restore(Cell):
    """The VMM and the machine's state are cached in every arm, as on a host that starts many
    microVMs. Only the guest's memory is cold, or forced."""

    def __init__(self, name, vmm, memory, rounds, engines):
        super().__init__(name, f"a guest of {memory >> 20} MiB restored by {vmm}", self._restore,
                         rounds, engines, size=memory, kind="mmap",
                         arms=("cold", "forced", "warm", "floor", "count"), trace=True,
                         marks=[{"mark": "of-warm", "at_most": 1.15}], pages=memory >> 16)
        self.vmm = vmm

    def _restore(self, file, work):
        return readers.Own([SNAPSHOT, "restore", os.path.dirname(file.path)])

    def open(self, lab):
        self.folder = os.path.join(lab.work, self.name)
        tools.run_ok([SNAPSHOT, "make", "--vmm", self.vmm, "--mem", f"{self.size >> 20}M",
                      self.folder])
        self.path = os.path.join(self.folder, "memory")
        super().open(lab)

    def close(self):
        super().close()
        if self.file:
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)

    def ready(self):
        tools.run_ok([SNAPSHOT, "warm", self.folder])
