# SPDX-License-Identifier: GPL-2.0-only
"""Debian's archive: packages of this machine's release, or of another one, unpacked but never
installed. Another release has package lists of its own, which the machine's apt never sees."""
import glob
import os
import re
import subprocess
import sys

import guest

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Release:
    """A release as apt sees it: SUITE of the archive that this machine uses, or its own lists.
    SYSTEM: the release whose compilers its packages are built with, if that is another one."""

    def __init__(self, suite=None, system=None):
        self.suite = suite
        self.system = system
        self.environment = None

    def apt(self, *command, cwd=None):
        """The output of an apt program; Failed says what went wrong."""
        if self.suite and not self.environment:
            self.environment = self.apart()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=cwd, env=self.environment, check=False)
        if done.returncode:
            raise guest.Failed(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def apart(self):
        """An environment in which apt reads SUITE alone, with state and cache of its own."""
        folder = os.path.join(guest.cache_folder(), "apt-" + self.suite)
        config = os.path.join(folder, "apt.conf")
        with guest.building(folder) as scratch:
            if scratch:
                for name in ("state/lists/partial", "cache/archives/partial", "none"):
                    os.makedirs(os.path.join(scratch, name))
                with open(os.path.join(scratch, "status"), "w", encoding="ascii"):
                    pass
                with open(os.path.join(scratch, "sources.list"), "w", encoding="ascii") as f:
                    f.write(f"deb [signed-by={KEYRING}] {mirror()} {self.suite} main\n")
                with open(os.path.join(scratch, "apt.conf"), "w", encoding="ascii") as f:
                    f.write(f'Dir::Etc "{folder}";\nDir::Etc::SourceParts "none";\n'
                            f'Dir::Etc::PreferencesParts "none";\nDir::State "{folder}/state";\n'
                            f'Dir::State::Status "{folder}/status";\n'
                            f'Dir::Cache "{folder}/cache";\n')
        return {**os.environ, "APT_CONFIG": config}

    def update(self):
        self.apt("apt-get", "-qq", "update")

    def newest(self, pattern):
        """The package with the highest numbers in its name, of those whose whole name PATTERN matches."""
        found = self.apt("apt-cache", "pkgnames", re.match(r"[\w.+-]*", pattern).group()).split()
        found = [name for name in found if re.fullmatch(pattern, name)]
        found.sort(key=lambda name: [int(n) for n in re.findall(r"\d+", name)], reverse=True)
        return next(filter(self.version, found), None)

    def version(self, package):
        """The file that apt would download; None if the lists have no such package."""
        match = re.search(r"Candidate: (\d\S*)", self.apt("apt-cache", "policy", package))
        return match.group(1) if match else None

    def depends(self, package, pattern):
        """The packages that PACKAGE depends on and whose names PATTERN matches from the first letter on."""
        found = re.findall(r"Depends: (\S+)", self.apt("apt-cache", "depends", "--no-recommends",
                                                       package))
        return [name for name in found if re.match(pattern, name)]

    def unpack(self, packages, folder):
        """Downloads the packages and unpacks them into FOLDER."""
        print(f"vm: downloading {' '.join(packages)}", file=sys.stderr)
        self.apt("apt-get", "download", "-qq", *packages, cwd=folder)
        for deb in glob.glob(os.path.join(folder, "*.deb")):
            guest.run("dpkg-deb", "-x", deb, folder)
            os.unlink(deb)


def mirror():
    """Where this machine's own packages come from."""
    out = guest.run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages")
    for uri in out.split():
        if not uri.rstrip("/").endswith("security"):
            return uri
    raise guest.Missing("apt knows no archive: apt-get update")


HERE = Release()
TRIXIE = Release("trixie", "trixie")
BACKPORTS = Release("trixie-backports", "trixie")
