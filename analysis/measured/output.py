# SPDX-License-Identifier: GPL-2.0-only
"""Files that are there whole or not at all."""
import contextlib
import os
import tempfile


def write(path, data):
    """Writes bytes beside `path` and then gives them its name, by links to where they lead.
    Raises OSError; then what was there before is still there. What is no regular file, such as
    /dev/null, is written to as it is: a file in its place would destroy it."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as f:
            f.write(data)
        return
    fd, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path))
    try:
        with open(fd, "wb") as f:
            f.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
