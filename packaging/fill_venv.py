"""Put into the running virtual environment what pyproject.toml asks for, and the checkout itself.

``pip install --editable`` would leave an egg-info directory in the checkout; so the checkout becomes
importable by a .pth file, and its commands are scripts of four lines.  The shim (mswatch/socketwatch) is
compiled where there is a compiler; all works without it, but a hung synchroniser is found later.  Nothing is
written outside the environment.  Called by packaging/setup.sh: ``fill_venv.py [--check] [EXTRA]...``; with
``--check`` it only tells by its exit status whether all is in place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # before there is anything but pip in the environment
    from pip._vendor import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parent.parent
LIBRARY = Path(sysconfig.get_path("purelib"))  # of this Python version: another one starts afresh
INSTALLED = LIBRARY / "mswatch-requirements.txt"  # one line for each requirement that pip has seen to
SHIM = Path(sys.prefix, "lib", "mswatch", "shim.so")
SHIM_SOURCES = SHIM.with_suffix(".sources")  # the digest of what it was made from
SCRIPT = """\
#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def wanted_requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Return the requirements of the project and of some extras, in the words of pyproject.toml."""
    requirements: list[str] = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    return requirements


def wanted_files(project: dict[str, Any]) -> dict[Path, str]:
    """Return what makes the checkout part of the environment: path and content of each file."""
    scripts = Path(sys.prefix, "bin")
    files = {LIBRARY / "mswatch-checkout.pth": f"{CHECKOUT}\n"}
    for name, entry_point in project["scripts"].items():
        module, function = entry_point.split(":")
        files[scripts / name] = SCRIPT.format(python=scripts / "python", module=module, function=function)
    return files


def has_content(path: Path, content: str) -> bool:
    """Tell whether a file is there with just this content."""
    return path.exists() and path.read_text() == content


def install(requirements: list[str]) -> None:
    """Have pip see to some requirements; those that the distribution meets already are left alone."""
    # Wheels only: what has none (systemd-python) must come from the distribution, not from a compiler.
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--only-binary=:all:"]
    subprocess.run([*pip, *requirements], check=True)


def can_compile() -> bool:
    """Tell whether there is a compiler, libc's headers, and what calls the one with the others."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path("/usr/include/stdio.h")
    return bool(shutil.which(compiler) and headers.exists() and importlib.util.find_spec("setuptools"))


def shim_sources() -> str:
    """Return a digest of what the shim is made from."""
    directory = CHECKOUT / "mswatch" / "socketwatch"
    files = [CHECKOUT / "setup.py", *sorted([*directory.glob("*.c"), *directory.glob("*.h")])]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def needs_shim() -> bool:
    """Tell whether the shim can be made and is not there, or was made from other sources."""
    return can_compile() and not (SHIM.exists() and has_content(SHIM_SOURCES, shim_sources()))


def make_shim() -> None:
    """Compile the shim as a wheel would have it, and put it where mswatch/socketwatch/preload.py looks."""
    sources = shim_sources()
    with tempfile.TemporaryDirectory() as directory:
        build = [sys.executable, "setup.py", "build_ext", "--build-lib", directory, "--build-temp", directory]
        subprocess.run(build, cwd=CHECKOUT, check=True)
        (shim,) = Path(directory, "mswatch", "socketwatch").glob("*.so")
        SHIM.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shim, SHIM.with_suffix(".new"))
    SHIM.with_suffix(".new").replace(SHIM)  # never written to while a program has it loaded
    SHIM_SOURCES.write_text(sources)


def main() -> int:
    """Fill the environment, or with --check tell whether that is needed."""
    check = sys.argv[1:2] == ["--check"]
    extras = sys.argv[2:] if check else sys.argv[1:]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    requirements = wanted_requirements(project, extras)
    files = wanted_files(project)
    seen = set(INSTALLED.read_text().splitlines()) if INSTALLED.exists() else set()
    if check:
        complete = seen.issuperset(requirements) and all(has_content(*file) for file in files.items())
        return 0 if complete and not needs_shim() else 1
    if not seen.issuperset(requirements):
        install(requirements)
    for path, content in files.items():
        path.write_text(content)
        path.chmod(0o755 if path.parent.name == "bin" else 0o644)
    if needs_shim():
        make_shim()
    INSTALLED.write_text("".join(f"{line}\n" for line in sorted(seen.union(requirements))))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as failed:  # it has said why
        sys.exit(f"{' '.join(failed.cmd[:4])} ... ended with {failed.returncode}")
