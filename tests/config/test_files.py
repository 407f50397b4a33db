"""Finding and reading the files of accounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mswatch.config import known_accounts, load_account, load_file
from mswatch.config.files import LIMIT_BYTES, account_file, file_account_name
from mswatch.config.texts import sample
from mswatch.errors import ConfigError, UsageError

RC = "sync x\nstore a { watch x }\nstore b { watch y }\n"


def write_account(home: Path, name: str, text: str | None = None) -> Path:
    """Write an account's file where it belongs."""
    path = home / ".config/mswatch" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sample() if text is None else text)
    return path


def problem(path: Path) -> str:
    """Return the one reason why a file cannot be loaded, without the directory."""
    with pytest.raises(ConfigError) as caught:
        load_file(path, {"HOME": "/home/user"})
    (line,) = caught.value.problems
    assert line.startswith(str(path))
    return line.removeprefix(str(path))


def test_an_account_is_found_by_its_name(tmp_path: Path) -> None:
    """Its file is below ~/.config/mswatch, and its defaults follow its name."""
    path = write_account(tmp_path, "work")
    account = load_account("work", {"HOME": str(tmp_path)})
    assert (account.name, account.source, account.sync.target) == ("work", path, "work")
    assert account.stores[0].maildir == tmp_path / "Mail/work"


def test_xdg_config_home_counts(tmp_path: Path) -> None:
    """An absolute XDG_CONFIG_HOME replaces ~/.config; a relative one is ignored, as specified."""
    environment = {"HOME": "/home/user", "XDG_CONFIG_HOME": str(tmp_path)}
    assert account_file("work", environment) == tmp_path / "mswatch/work.toml"
    environment["XDG_CONFIG_HOME"] = "relative"
    assert account_file("work", environment) == Path("/home/user/.config/mswatch/work.toml")


def test_a_missing_account_is_told_with_the_known_ones(tmp_path: Path) -> None:
    """The error names the file to write, the accounts there are, and the nearest one."""
    write_account(tmp_path, "work")
    write_account(tmp_path, "home")
    environment = {"HOME": str(tmp_path)}
    with pytest.raises(ConfigError) as caught:
        load_account("wrok", environment)
    expected = (
        f'{account_file("wrok", environment)}: no account "wrok"; there are home, work; did you mean "work"?'
    )
    assert caught.value.problems == [expected]
    assert caught.value.fix


def test_known_accounts(tmp_path: Path) -> None:
    """Files with another suffix or an impossible name are no accounts; no directory is no account."""
    environment = {"HOME": str(tmp_path)}
    assert known_accounts(environment) == []
    for name in ("work", "a@b", "-x", "a b", ".hidden"):
        write_account(tmp_path, name)
    (tmp_path / ".config/mswatch/notes.txt").touch()
    assert known_accounts(environment) == ["a@b", "work"]


@pytest.mark.parametrize("name", ["../work", "a/b", "", "-c", "a:b", "x" * 65, "a..b", "a\nb"])
def test_an_impossible_name_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    """Such a name is refused before any file is looked for."""
    with pytest.raises(UsageError, match="cannot be the name of an account"):
        load_account(name, {"HOME": str(tmp_path)})


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_no_home_is_told(home: dict[str, str]) -> None:
    """Without a home directory there is no place for accounts."""
    with pytest.raises(ConfigError, match="HOME"):
        load_account("work", home)
    with pytest.raises(ConfigError, match="HOME"):
        known_accounts(home)


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    """Called *.toml it is TOML, otherwise an old rc file; the account is named after it."""
    toml, old = tmp_path / "my mail.toml", tmp_path / ".mswatchrc"
    toml.write_text(sample())
    old.write_text(RC)
    environment = {"HOME": str(tmp_path)}
    assert load_file(str(toml), environment).name == "my_mail"
    assert load_file(toml, environment).sync.kind == "mbsync"
    assert load_file(old, environment).name == "mswatchrc"
    assert load_file(old, {}).sync.command == ("x",)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/.mswatchrc", "mswatchrc"),
        ("work.toml", "work"),
        ("rc.work.conf", "rc.work"),
        ("a..b.toml", "a_.b"),
        ("…", "_"),
        ("-x", "_-x"),
        ("...", "account"),
        ("x" * 99, "x" * 60),
    ],
)
def test_names_after_files(path: str, name: str) -> None:
    """Whatever a file is called, its account has a usable name."""
    assert file_account_name(Path(path)) == name


def test_what_is_no_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    """TOML is UTF-8; in an old file a name may be any bytes."""
    toml, old = tmp_path / "a.toml", tmp_path / "rc"
    toml.write_bytes(b'# fine\nignore = ["\xff"]\n')
    assert problem(toml) == ":2: byte 0xff is no UTF-8"
    old.write_bytes(RC.encode() + b"ignore \xff\n")
    assert not load_file(old, {}).policy.wants("\udcff")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Some editors write one."""
    for name, text in (("a.toml", sample()), ("rc", RC)):
        (tmp_path / name).write_text("\ufeff" + text)
        assert load_file(tmp_path / name, {"HOME": "/home/user"}).stores


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    """A FIFO without a writer is refused at once."""
    os.mkfifo(tmp_path / "rc")
    assert problem(tmp_path / "rc") == ": is no regular file"


def test_what_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    """A directory, nothing, and what is forbidden are named with the system's words."""
    assert problem(tmp_path) == ": is no regular file"
    assert problem(tmp_path / "none") == ": cannot be opened: No such file or directory"
    assert problem(tmp_path / ("x" * 256)) == ": cannot be opened: File name too long"
    secret = tmp_path / "secret"
    secret.write_text(RC)
    secret.chmod(0)
    assert problem(secret) == ": cannot be opened: Permission denied"


def test_a_path_with_a_nul_is_told() -> None:
    """No file has such a path, and the message is printable."""
    with pytest.raises(ConfigError) as caught:
        load_file("a\0b", {})
    assert caught.value.problems[0].isprintable()


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """No more than a mebibyte is read, so that /dev/zero by any other name does no harm."""
    path = tmp_path / "rc"
    path.write_text(RC + "#" * (LIMIT_BYTES - len(RC)))
    assert load_file(path, {}).stores
    path.write_text(RC + "#" * (LIMIT_BYTES - len(RC) + 1))
    assert problem(path) == f": is larger than {LIMIT_BYTES} bytes, so it is no configuration"
