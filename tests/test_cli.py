"""The command line as people call it: words, exit statuses, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers.maildir import make_maildir
from tests.servers.waiting import DEADLINE_S
from tests.service.harness import environment, mswatch, script


def call(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call mswatch with a home of the test's own."""
    return subprocess.run(
        mswatch(*words), env=environment(base), capture_output=True, text=True, timeout=DEADLINE_S
    )


def write_account(base: Path, text: str, name: str = "work") -> None:
    """Write an account below the test's home."""
    environment(base)
    file = base / f"home/.config/mswatch/{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def working(base: Path) -> str:
    """Return an account that works."""
    make_maildir(base / "near")
    syncer = script(base / "syncer", "exit 0")
    return (
        f'[sync]\ncommand = ["{syncer}"]\n[store.near]\nmaildir = "{base}/near"\n'
        f'[store.far]\ncommand = ["sh", "-c", "echo; exec cat"]\n'
    )


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(tmp_path: Path, option: str) -> None:
    """The version is no failure, as it was in the old program."""
    done = call(tmp_path, option)

    assert done.returncode == 0
    assert done.stdout.startswith("mswatch ")


@pytest.mark.parametrize("option", ["-h", "-?", "--help"])
def test_help(tmp_path: Path, option: str) -> None:
    """Help is on standard output and names every command."""
    done = call(tmp_path, option)

    assert done.returncode == 0
    for verb in ("run", "sync", "changed", "status", "check", "import", "reload", "setup", "sample"):
        assert f"    {verb} " in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("frobnicate",), "frobnicate"),
        (("--frobnicate",), "--frobnicate"),
        (("-c",), "-c"),
        (("run",), "ACCOUNT"),
        (("run", "work", "--config", "x"), "exclude"),
        (("changed", "work"), "MAILBOX"),
        (("sync",), "ACCOUNT"),
        (("sync", "../../etc"), "../../etc"),
        (("status", "a/b"), "a/b"),
        (("run", "work", "--launch", "rockets"), "rockets"),
    ],
)
def test_usage(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    """What cannot be meant ends with 64 and names what was wrong; nothing aborts, as the old program did."""
    done = call(tmp_path, *words)

    assert done.returncode == 64
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_an_account_that_is_not_there(tmp_path: Path) -> None:
    """An unknown account ends with 78, names the file, and the account that was probably meant."""
    write_account(tmp_path, working(tmp_path))
    done = call(tmp_path, "run", "wrok")

    assert done.returncode == 78
    assert "wrok.toml" in done.stderr
    assert '"work"' in done.stderr


def test_the_old_program_without_its_file(tmp_path: Path) -> None:
    """Without a command ~/.mswatchrc is read; that it is not there is told with its name."""
    done = call(tmp_path)

    assert done.returncode == 78
    assert ".mswatchrc" in done.stderr


def test_check_of_what_works(tmp_path: Path) -> None:
    """Each part has a line, and the status is 0."""
    write_account(tmp_path, working(tmp_path))
    done = call(tmp_path, "check")

    assert done.returncode == 0, done.stdout
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == [
        f"configuration {tmp_path}/home/.config/mswatch/work.toml".split(": ")[0],
        "store near",
        "store far",
        "syncer command",
    ]


def test_check_of_what_does_not(tmp_path: Path) -> None:
    """What does not work is named with its remedy; the others are tried all the same; the status is 69."""
    text = (
        working(tmp_path)
        .replace('"sh", "-c", "echo; exec cat"', '"false"')
        .replace(f"{tmp_path}/syncer", "nowhere")
    )
    write_account(tmp_path, text)
    done = call(tmp_path, "check", "work")

    assert done.returncode == 69
    assert "store near: works" in done.stdout
    assert "store far: DOES NOT WORK: watcher exited with status 1" in done.stdout
    assert "syncer command: DOES NOT WORK: there is no program 'nowhere'" in done.stdout
    assert "install it" in done.stdout


def test_check_of_a_server_that_is_not_there(tmp_path: Path) -> None:
    """What mailsync says, which is part of us, is the remedy: its configuration is the one that works."""
    text = (
        f'[store.near]\nmaildir = "{tmp_path}/near"\n'
        '[store.far]\nimap = "127.0.0.1:1"\nuser = "me"\npassword_command = ["echo", "secret"]\n'
    )
    write_account(tmp_path, text)
    done = call(tmp_path, "check", "work")

    assert done.returncode == 69
    assert "no connection to 127.0.0.1:1" in done.stdout
    assert "own configuration" not in done.stdout


def test_check_of_a_wrong_configuration(tmp_path: Path) -> None:
    """All errors of a configuration are told at once, each with its line; the next account is tried."""
    write_account(tmp_path, 'base_dellay = "3x"\n[sync]\nwith = "mbsink"\n', "bad")
    write_account(tmp_path, working(tmp_path))
    done = call(tmp_path, "check")

    assert done.returncode == 78
    for named in ("bad.toml:1", "base_dellay", "mbsink", "store"):
        assert named in done.stderr
    assert "work: store near: works" in done.stdout


def test_check_without_accounts(tmp_path: Path) -> None:
    """Who has no account yet is told how to get one."""
    done = call(tmp_path, "check")

    assert done.returncode == 78
    assert "mswatch sample" in done.stderr


def test_import_and_sample_give_accounts(tmp_path: Path) -> None:
    """What import and sample print is an account that check can read."""
    old = tmp_path / "old"
    old.write_text("# mine\nsync true\nstore a { watch false }\nstore b { watch false }\n")
    imported = call(tmp_path, "import", str(old))
    sample = call(tmp_path, "sample")

    assert imported.returncode == sample.returncode == 0
    assert "# mine" in imported.stdout
    write_account(tmp_path, imported.stdout, "imported")
    write_account(tmp_path, sample.stdout, "sample")
    status = call(tmp_path, "status", "--json")
    assert json.loads(status.stdout)["not_running"] == ["imported", "sample"]
    assert "configuration" in call(tmp_path, "check", "imported").stdout


def test_import_of_a_channel(tmp_path: Path) -> None:
    """A channel of an old mailsync becomes an account; its password is not printed."""
    old = tmp_path / "old"
    old.write_text(
        "store a { server {host/ssl/user=me} pat * passwd s3cret } store b { pat Mail/* prefix Mail/ }\n"
        "channel c a b { msinfo ms } channel d b a { msinfo ms }\n"
    )
    imported = call(tmp_path, "import", str(old), "d")
    write_account(tmp_path, imported.stdout, "imported")
    assert json.loads(call(tmp_path, "status", "--json").stdout)["not_running"] == ["imported"]
    assert "configuration" in call(tmp_path, "check", "imported").stdout
    assert "s3cret" not in imported.stdout + imported.stderr
    assert "mswatch import" in call(tmp_path, "import", str(old)).stderr


def test_import_of_nothing(tmp_path: Path) -> None:
    """A file that is not there is told."""
    done = call(tmp_path, "import", str(tmp_path / "none"))

    assert done.returncode == 78
    assert "none" in done.stderr


def test_reload_without_a_service(tmp_path: Path) -> None:
    """There is nobody to read it again: 69."""
    assert call(tmp_path, "reload", "work").returncode == 69


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """Who pipes the output into head gets no traceback."""
    command = " ".join(mswatch("sample"))
    done = subprocess.run(
        ["sh", "-c", f"{command} | head -n 1"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
