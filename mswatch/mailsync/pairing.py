"""Which messages of two mailboxes are the same, where no native marks tell.  Pure.

That is at the first meeting of two stores, after native marks were lost, and after a run that was cut off.

A Message-ID pairs two messages if it stands once on each side and the header digest is the same too.
Whatever is in doubt (several with one id, none at all, an equal id under another subject) is decided by
the bytes of the body. Two messages with one id and different bodies are two messages; of three copies
here and one there, one is paired, and two are copied.  Nothing is ever removed by pairing.

The id is read with the repairs of the old mailsync (absent brackets, blanks in it, more behind it), so that a
copy that a server mended is recognised.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from mswatch.mailsync.stores.contract import Key

FIELDS = (b"message-id", b"date", b"subject", b"from", b"to")
_FIELD = re.compile(
    rb"^(message-id|date|subject|from|to):[ \t]*([^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_BLANKS = re.compile(rb"[\s\x00-\x1f]+")
DIGEST_BYTES = 16
HEADER_LIMIT = 1 << 18  # bytes without an empty line that are no header any more


@dataclass(frozen=True, slots=True)
class Identity:
    """What a header says about who a message is."""

    message_id: bytes  # empty: none that is worth anything
    digest: bytes


def header_of(data: bytes) -> bytes:
    """Return the header of a message that begins like this."""
    for end in (b"\n\n", b"\r\n\r\n"):
        head, found, _ = data.partition(end)
        if found and b"\r\n\r\n" not in head:
            return head
    return data


def identity(header: bytes) -> Identity:
    """Return the identity of a message with this header."""
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(header):
        fields.setdefault(name.lower(), _BLANKS.sub(b" ", value).strip())
    digest = blake2b(b"\0".join(fields.get(name, b"") for name in FIELDS), digest_size=DIGEST_BYTES)
    return Identity(message_id(fields.get(b"message-id", b"")), digest.digest())


def message_id(value: bytes) -> bytes:
    """Return a Message-ID without its brackets, repaired; empty if there is none."""
    inner = value.strip().removeprefix(b"<").partition(b">")[0].strip()
    return _BLANKS.sub(b".", inner)


def body_digest(data: Iterable[bytes]) -> bytes:
    """Return the digest of a message's body, whatever its line ends; blank lines at its end do not count."""
    body = blake2b(digest_size=DIGEST_BYTES)
    begin, in_body, held = b"", False, b""
    for chunk in data:
        if not in_body:
            begin += chunk.replace(b"\r", b"")
            _, found, rest = begin.partition(b"\n\n")
            if not found and len(begin) < HEADER_LIMIT:
                continue
            in_body, chunk = True, rest if found else begin
        chunk = held + chunk.replace(b"\r", b"")
        kept = chunk.rstrip(b"\n")
        held = chunk[len(kept) :]
        body.update(kept)
    return body.digest()


def pair(
    near: Mapping[Key, Identity], far: Mapping[Key, Identity]
) -> tuple[list[tuple[Key, Key]], tuple[list[Key], list[Key]]]:
    """Pair what is beyond doubt; return the pairs, and the keys on both sides whose bodies must decide."""
    pairs: list[tuple[Key, Key]] = []
    doubtful: tuple[list[Key], list[Key]] = ([], [])
    far_groups = _groups(far)
    for name, near_keys in _groups(near).items():
        far_keys = far_groups.get(name)
        if far_keys is None:
            continue
        if isinstance(near_keys, bytes) and isinstance(far_keys, bytes):
            one, other_one = near[near_keys], far[far_keys]
            if one.message_id and one.digest == other_one.digest:
                pairs.append((near_keys, far_keys))
                continue
        doubtful[0].extend([near_keys] if isinstance(near_keys, bytes) else near_keys)
        doubtful[1].extend([far_keys] if isinstance(far_keys, bytes) else far_keys)
    return pairs, doubtful


def _groups(messages: Mapping[Key, Identity]) -> dict[bytes, Key | list[Key]]:
    """Group messages that may be the same: by their id, without one by the digest.

    No list for one that is alone: nearly all are, and there may be many.
    """
    groups: dict[bytes, Key | list[Key]] = {}
    for key, each in messages.items():
        name = each.message_id or b"\0" + each.digest  # no id begins like that
        others = groups.setdefault(name, key)
        if isinstance(others, list):
            others.append(key)
        elif others != key:
            groups[name] = [others, key]
    return groups


def pair_by_body(
    near: Mapping[Key, tuple[Identity, bytes]], far: Mapping[Key, tuple[Identity, bytes]]
) -> Iterator[tuple[Key, Key]]:
    """Pair the doubtful by id and body; equal headers first, in order of the keys."""
    taken: set[Key] = set()
    for strict in (True, False):
        free = _by_body(far, taken, strict)
        for key in sorted(near.keys() - taken):
            candidates = free.get(_name(*near[key], strict))
            if candidates:
                partner = candidates.pop()
                taken |= {key, partner}
                yield key, partner


def _by_body(
    far: Mapping[Key, tuple[Identity, bytes]], taken: set[Key], strict: bool
) -> dict[tuple[bytes, ...], list[Key]]:
    found: dict[tuple[bytes, ...], list[Key]] = defaultdict(list)
    for key in sorted(far.keys() - taken, reverse=True):
        found[_name(*far[key], strict)].append(key)
    return found


def _name(who: Identity, body: bytes, strict: bool) -> tuple[bytes, ...]:
    return (who.message_id, body, who.digest if strict or not who.message_id else b"")
