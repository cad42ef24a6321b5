# SPDX-License-Identifier: GPL-2.0-only
"""Files that are there whole or not at all."""
import contextlib
import os
import tempfile


def write(path, data):
    """Writes bytes to a new file beside `path` and then renames it to `path`, following links. Raises
    OSError; the former file is still there then. If `path` is no regular file, such as /dev/null, the
    bytes are written to it directly, as a file in its place would destroy it."""
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
