"""``mswatch import``: a channel of the old ``~/.mailsync`` as an account's TOML.  Pure.

Nothing is guessed: what an account says otherwise, or cannot say, is a doubt for its owner.  Passwords are
not printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mswatch.config.naming import clean_name
from mswatch.config.rc_import import toml_key, toml_string
from mswatch.errors import ConfigError, UsageError
from mswatch.oldmailsync import rc
from mswatch.oldmailsync.names import INBOX, BadNameError, Spec, parse_spec, split
from mswatch.oldmailsync.rc import Channel, OldStore
from mswatch.oldmailsync.selection import Selection, selection
from mswatch.showing import show

LARGEST_LIMIT = 10**12  # bytes that a setting may say


def is_old(text: str, path: Path) -> bool:
    """Tell whether a file is one of the old mailsync, or at least no old mswatchrc."""
    try:
        return bool(rc.read(text, path).stores)
    except ConfigError:
        words = text.split()
        return "channel" in words or "pat" in words


def import_channel(text: str, path: Path, channel: str | None) -> tuple[str, list[str]]:
    """Translate a channel; without a name the only one.

    Returns:
        The text of the TOML file, and what its owner should look at, as complete lines.

    Raises:
        ConfigError: The old file has errors.
        UsageError: There is no such channel, or several.
    """
    found = rc.read(text, path)
    names = list(found.channels)
    if channel is None and len(names) != 1:
        told = ", ".join(show(name) for name in names) or "none"
        raise UsageError(
            f"{show(str(path))} has {len(names)} channels ({told}), and an account is one of them",
            f"say which: mswatch import {show(str(path))} CHANNEL",
        )
    name = names[0] if channel is None else channel
    if name not in found.channels:
        raise UsageError(f'{show(str(path))} has no channel "{show(name)}"', f"it has {', '.join(names)}")
    chosen = found.channels[name]
    doubts = [f"{line}: {doubt}" for line, doubt in sorted(_doubts(chosen))]
    lines = [*(f"# Look at line {doubt}" for doubt in doubts), *_lines(chosen)]
    return "\n".join(lines) + "\n", [f"{show(str(path))}:{doubt}" for doubt in doubts]


def _lines(channel: Channel) -> Iterator[str]:
    if channel.size_limit is not None and channel.size_limit < LARGEST_LIMIT:
        yield "[sync]"
        yield f"size_limit = {channel.size_limit}"
        yield ""
    for store, name in zip(channel.stores, _store_names(channel), strict=True):
        yield f"[store.{toml_key(name)}]"
        if store.server:
            yield from _server(store, f"{clean_name(channel.name)}.{name}")
        else:
            yield from _local(store)
        yield ""


def _store_names(channel: Channel) -> tuple[str, str]:
    first, second = (clean_name(store.name) for store in channel.stores)
    return first, second if second != first else clean_name(f"{second}_2")


def _server(store: OldStore, file: str) -> Iterator[str]:
    spec = _spec(store)
    if spec is None:
        return
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    yield f"imap = {toml_string(f'{host}:{spec.port}' if spec.port else spec.host)}"
    if spec.security != "tls":
        yield f"security = {toml_string(spec.security)}"
    if spec.user:
        yield f"user = {toml_string(spec.user)}"
    else:
        yield '# user = "..."'
    if store.password is not None:
        yield f"password_file = {toml_string(f'~/.config/mswatch/{file}.password')}"
    else:
        yield '# password_command = ["pass", "show", "..."]  # otherwise it is asked for on the terminal'
    if spec.is_secure:
        yield 'mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1"]'
    if spec.is_read_only:
        yield "read_only = true"


def _local(store: OldStore) -> Iterator[str]:
    chosen = selection(store)
    if chosen.pattern.lower().startswith("#mh"):
        yield 'mh = "~/Mail"'
        return
    place = _place(chosen.top if chosen.single is None else chosen.single)
    yield f"mbox = {toml_string(place)}"
    yield f'# maildir = {toml_string(place)}, layout = "nested", if they are Maildirs'


def _place(name: str) -> str:
    if name.startswith(("/", "~")):
        return name
    return f"~/{name}" if name else "~"


def _spec(store: OldStore) -> Spec | None:
    try:
        return parse_spec(split(store.server)[0] or store.server)
    except BadNameError:
        return None  # a doubt says why


def _doubts(channel: Channel) -> Iterator[tuple[int, str]]:
    name = show(channel.name)
    yield (
        channel.line,
        f'run "mailsync {name}" once before: an account does not take over what msinfo remembers',
    )
    for store in channel.stores:
        if store.server:
            yield from _server_doubts(store)
        yield from _selection_doubts(store, selection(store))


def _server_doubts(store: OldStore) -> Iterator[tuple[int, str]]:
    name = show(store.name)
    try:
        spec = parse_spec(split(store.server)[0] or store.server)
    except BadNameError as error:
        yield store.line, f'store "{name}": {error}'
        return
    if not spec.is_checked:
        yield store.line, f'store "{name}": /novalidate-cert is no more; name the certificate by fingerprints'
    if store.password is not None:
        yield (
            store.line,
            f'store "{name}": put its passwd into the password_file (chmod 600), or use password_command',
        )
    if not spec.user:
        yield store.line, f'store "{name}": it has no /user=; write user'


def _selection_doubts(store: OldStore, chosen: Selection) -> Iterator[tuple[int, str]]:
    told = f'store "{show(store.name)}": '
    pattern = show(chosen.pattern)
    if chosen.single is not None and chosen.single.upper() != INBOX:
        yield store.line, f"{told}it is one mailbox, which is called INBOX now; leave out all others by skip"
    elif store.server and split(store.pat)[1] not in ("*", "INBOX*", "INBOX.*", "INBOX/*"):
        yield store.line, f'{told}all mailboxes are synced, not only "{pattern}"; leave others out by skip'
    elif not store.server and not chosen.pattern.endswith("*"):
        yield store.line, f'{told}mailboxes at any depth are synced, not only "{pattern}"'
