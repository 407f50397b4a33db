"""Root file systems of Debian, made once on a machine: what every test machine starts from.

They are kept in CACHE under a name that changes with the recipe, and never written to: a machine lays its own
files over one.  mmdebstrap gets the sources and the settings of this machine's own apt, with the name of the
suite changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path("/var/cache/mswatch-tests")
SUITES = {"bookworm": 252, "trixie": 257}  # the version of systemd in each
KEPT_S = 14 * 86400.0  # a root that no run used so long is removed
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "dbus-user-session"),
    *("python3", "python3-sdnotify", "python3-systemd", "isync", "man-db", "procps"),
    *("openssh-client", "openssh-server", "dovecot-imapd", "iproute2"),
)
USER, UID = "alice", 1000
# Servers that run only where a test starts them.
SERVERS = ("ssh.service", "ssh.socket", "dovecot.service", "dovecot.socket")
# What would run at a time that no test chooses.
TIMERS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "man-db.timer",
    "e2scrub_all.timer",
)


def _customise(root: Path) -> None:
    """Add a user whose manager runs from boot on, and a journal that outlives a boot."""
    _run("chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", f"--uid={UID}", USER)
    linger = root / "var/lib/systemd/linger"
    linger.mkdir(parents=True, exist_ok=True)
    (linger / USER).touch()
    (root / "var/log/journal").mkdir(exist_ok=True)
    (root / "etc/machine-id").write_text(
        hashlib.md5(root.name.encode(), usedforsecurity=False).hexdigest() + "\n"
    )
    for copied in ("etc/hostname", "etc/resolv.conf"):  # mmdebstrap takes them from this machine
        (root / copied).unlink(missing_ok=True)
    for unit in (*TIMERS, *SERVERS):
        masked = root / "etc/systemd/system" / unit
        masked.unlink(missing_ok=True)
        masked.symlink_to("/dev/null")


def _place(suite: str) -> Path:
    """Return where the root of a suite belongs: elsewhere whenever this file, the recipe, changes."""
    return CACHE / f"{suite}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}"


def base_root(suite: str) -> Path:
    """Return the root of a suite; the first time it is made, of packages that are fetched."""
    root = _place(suite)
    CACHE.mkdir(exist_ok=True)
    with _lock(CACHE / f"{suite}.lock"):
        if not root.is_dir():
            _make(suite, root)
        os.utime(root)
        _remove_unused(suite)
    return root


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_unused(suite: str) -> None:
    for old in CACHE.glob(f"{suite}-*"):
        if old.stat().st_mtime < time.time() - KEPT_S:
            shutil.rmtree(old)


def _make(suite: str, root: Path) -> None:
    unfinished = root.with_name(f"{root.name}.unfinished")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
        settings.write(_run("apt-config", "dump", "--no-empty", "Acquire"))
        settings.flush()
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}", f"--aptopt={settings.name}"]
        options += [f"--keyring={KEYRING}"] if KEYRING.exists() else []
        _run("mmdebstrap", *options, suite, unfinished, *sources(suite))
    _customise(unfinished)
    unfinished.rename(root)


def sources(suite: str) -> list[str]:
    """Return this machine's sources of packages, for another suite, as lines of sources.list(5)."""
    codename = _codename()
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    found = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
    ours = [line.split() for line in dict.fromkeys(found)]
    lines = [
        f"deb {uri} {release.replace(codename, suite, 1)} {component}"
        for uri, release, component in ours
        if release == codename or release.startswith(f"{codename}-")
    ]
    if not lines:
        raise FileNotFoundError(
            f"apt has no sources of Debian {codename} here, so none of {suite} can be derived"
        )
    return lines


def _codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"].strip('"')


def _run(*argv: str | Path) -> str:
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if ended.returncode != 0:
        last = "\n".join(ended.stderr.splitlines()[-12:])
        raise ChildProcessError(f"{' '.join(map(str, argv))} ended with {ended.returncode}:\n{last}")
    return ended.stdout


def main() -> int:
    """Make the roots of all suites, or with --check tell whether that is needed."""
    if sys.argv[1:] == ["--check"]:
        return 0 if all(_place(suite).is_dir() for suite in SUITES) else 1
    for suite in SUITES:
        print(base_root(suite))
    return 0


if __name__ == "__main__":
    sys.exit(main())
