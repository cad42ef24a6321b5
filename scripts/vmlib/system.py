# SPDX-License-Identifier: GPL-2.0-only
"""Another release of Debian: installed into a folder of the cache, where commands run on this
machine's kernel."""
import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile

import archive
import guest

SUITES = ("bookworm", "trixie")
# The groups of packages that scripts/setup installs there.
GROUPS = ("build", "test", "fuzz", "kmod", "dkms", "package", "kernel")

# Packages of a guest that is a whole system: systemd, and PostgreSQL as a service that many people run.
GUEST = ("systemd-sysv", "kmod", "procps", "jq", "perl", "postgresql")
# Documents, which nobody reads there, are left out, and units that would only take time are masked.
GUEST_WITHOUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
GUEST_MASKED = ("getty.target", "systemd-udev-trigger.service", "apt-daily.timer",
                "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
                "e2scrub_reap.service", "fstrim.timer", "logrotate.timer")

# Runs the command in a mount namespace, so that the mounts end with the command. With a scratch folder an
# overlay keeps the system as it is; without one the system itself is used.
ENTER = """\
set -e
mount --make-rprivate /
system=$1 scratch=$2 place=$3
shift 3
if [ -n "$scratch" ]; then
	mount -t overlay -o "lowerdir=$system,upperdir=$scratch/upper,workdir=$scratch/work" \
		overlay "$scratch/system"
	system=$scratch/system
fi
for path in /proc /sys /dev; do
	mount --rbind "$path" "$system$path"
done
cp /etc/resolv.conf "$system/etc/resolv.conf"
while [ "$1" != -- ]; do
	if [ -d "$1" ]; then
		mkdir -p "$system$1"
	else
		mkdir -p "$system${1%/*}"
		touch "$system$1"
	fi
	mount --bind "$1" "$system$1"
	shift
done
shift
exec env -i HOME=/root LC_ALL=C.UTF-8 TERM="$TERM" \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
	chroot "$system" sh -c 'cd "$0" && exec "$@"' "$place" "$@"
"""


def enter(system, scratch, paths, command, **options):
    """Runs COMMAND in the folder SYSTEM, within this source tree; PATHS are visible there, too."""
    return subprocess.run(["unshare", "--mount", "sh", "-c", ENTER, "sh", system, scratch,
                           guest.ROOT, guest.ROOT, *paths, "--", *command],
                          env={"TERM": "dumb", **os.environ}, check=False, **options)


def install(suite, folder):
    guest.run(os.path.join(guest.ROOT, "scripts/setup"), "system")
    print(f"system: installing Debian's {suite}", file=sys.stderr)
    guest.run("mmdebstrap", "--variant=minbase", suite, folder,
              f"deb [signed-by={archive.KEYRING}] {archive.mirror()} {suite} main")


def get(suite):
    """The folder with that release, and with all packages of GROUPS."""
    folder = os.path.join(guest.cache_folder(), "system-" + suite)
    with guest.building(folder) as scratch:
        if scratch:
            install(suite, scratch)
    with guest.locked(folder):
        done = enter(folder, "", [], ["scripts/setup", *GROUPS], stdin=subprocess.DEVNULL)
    if done.returncode:
        raise guest.Missing(f"{suite}: its packages cannot be installed")
    return folder


@contextlib.contextmanager
def scratch_folder():
    folder = tempfile.mkdtemp(prefix="system.", dir=guest.cache_folder())
    for name in ("upper", "work", "system"):
        os.mkdir(os.path.join(folder, name))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(suite, paths, command, **options):
    """Runs COMMAND in that release. Its changes to files are undone afterwards, but for this
    source tree and PATHS."""
    system = get(suite)
    with scratch_folder() as scratch:
        return enter(system, scratch, paths, command, **options)


def guest_tree():
    """The file tree of such a guest, of this machine's release, as its programs are to run there;
    made once for each set of packages."""
    key = hashlib.sha256(repr((GUEST, GUEST_WITHOUT, GUEST_MASKED)).encode()).hexdigest()[:12]
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    target = os.path.join(guest.cache_folder(), f"guest-{suite}-{key}")
    with guest.building(target) as tree:
        if not tree:
            return target
        guest.run(os.path.join(guest.ROOT, "scripts/setup"), "system")
        print(f"vm: installing Debian's {suite} for a guest", file=sys.stderr)
        guest.run("mmdebstrap", "--variant=minbase", "--include=" + ",".join(GUEST),
                  *[f"--dpkgopt=path-exclude={path}" for path in GUEST_WITHOUT], suite, tree,
                  f"deb [signed-by={archive.KEYRING}] {archive.mirror()} {suite} main")
        for folder in ("data", "usr/lib/modules"):
            shutil.rmtree(os.path.join(tree, folder), ignore_errors=True)
        os.mkdir(os.path.join(tree, "data"))
        units = os.path.join(tree, "etc/systemd/system")
        for unit in GUEST_MASKED:
            os.symlink("/dev/null", os.path.join(units, unit))
        os.symlink("/lib/systemd/system/multi-user.target", os.path.join(units, "default.target"))
        with open(os.path.join(tree, "etc/machine-id"), "w", encoding="ascii") as f:
            f.write("70326370" * 4 + "\n")
        with open(os.path.join(tree, "etc/hostname"), "w", encoding="ascii") as f:
            f.write("page2cache-vm\n")
    return target
