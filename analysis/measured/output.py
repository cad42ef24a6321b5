# SPDX-License-Identifier: GPL-2.0-only
"""Files that are there whole or not at all."""
import contextlib
import os
import tempfile


def write(path, data):
    """Writes bytes beside `path` and then gives them its name. Raises OSError; then what was
    there before is still there."""
    fd, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(os.path.abspath(path)))
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
