# SPDX-License-Identifier: GPL-2.0-only
"""The guest's service, seen from outside: its words on the console, and what it has to answer.
The other side, with what the words mean, is answer.c."""
import os
import select
import time

import guest

PAGE = 4096
WORDS = PAGE // 8
READY, BEGIN, SUM = (b"answer: " + word for word in (b"ready ", b"begin", b"sum "))
FAILED = b"answer: failed: "
MASK64 = (1 << 64) - 1
TAIL_LINES = 20


def request(pages, span, seed):
    return f"sum {pages} {span} {seed}\n".encode("ascii")


def mix(z):
    z = (z + 0x9e3779b97f4a7c15) & MASK64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9 & MASK64
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb & MASK64
    return z ^ (z >> 31)


def order(pages, span, held, seed):
    """The pages of HELD that a request touches."""
    first = mix(seed) % (held - span + 1)
    mask = (1 << (span - 1).bit_length()) - 1
    factors = [mix((seed + turn) & MASK64) | 1 for turn in range(3)]
    for page in range(pages):
        while True:
            for factor in factors:
                page = (page * factor + seed) & mask
                page ^= page >> 7
            if page < span:
                break
        yield first + page


def expected(pages, span, held, seed):
    """The sum that a guest which holds HELD pages has to answer."""
    total = 0
    for page in order(pages, span, held, seed):
        word = page * WORDS + mix(seed ^ page) % WORDS
        total = (total * 31 + mix(word)) & 0xffffffff
    return total


class Console:
    """A guest's serial port: bytes to one descriptor, lines from another."""

    def __init__(self, to_guest, from_guest):
        self.to_guest = to_guest
        self.from_guest = from_guest
        self.seen = b""     # all that came
        self.taken = 0      # how much of it has been looked at, in whole lines

    def send(self, data):
        try:
            os.write(self.to_guest, data)
        except BrokenPipeError:
            raise guest.Failed("the guest ended before it was asked") from None

    def lines(self):
        """Whole lines that nobody has looked at yet."""
        while True:
            end = self.seen.find(b"\n", self.taken)
            if end < 0:
                return
            line = self.seen[self.taken:end].rstrip(b"\r")
            self.taken = end + 1
            yield line

    def wait(self, word, deadline):
        """The rest of the first line that begins with WORD. DEADLINE is on the monotonic clock."""
        what = word.decode("ascii").strip()
        while True:
            for line in self.lines():
                if line.startswith(word):
                    return line[len(word):]
                if line.startswith(FAILED):
                    raise guest.Failed("in the guest: " + line[len(FAILED):].decode("ascii", "replace"))
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.from_guest], [], [], left)[0]:
                raise guest.Failed(f"the guest did not say '{what}' in time")
            data = os.read(self.from_guest, 65536)
            if not data:
                raise guest.Failed(f"the guest ended before it said '{what}'")
            self.seen += data

    def tail(self):
        return self.seen.decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
