"""Which messages of two mailboxes are the same, where no native marks tell.  Pure.

That is at the first meeting of two stores, when messages are new on both sides, after native marks were
lost, and after a run that was cut off.

Headers choose the candidates: messages whose fields in FIELDS are the same, however they are folded.  Bytes
decide (``content``): of three copies here and one there, one is paired, and two are copied; two messages with
one Message-ID and different bytes are two messages.  Nothing is ever removed by pairing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from mswatch.mailsync.decide import Side
from mswatch.mailsync.stores.contract import Key

FIELDS = (b"message-id", b"date", b"subject", b"from", b"to")
_FIELD = re.compile(
    rb"^(message-id|date|subject|from|to):[ \t]*([^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_BLANKS = re.compile(rb"[\s\x00-\x1f]+")
DIGEST_BYTES = 16


def header_of(data: bytes) -> bytes:
    """Return the header of a message that begins like this."""
    for end in (b"\n\n", b"\r\n\r\n"):
        head, found, _ = data.partition(end)
        if found and b"\r\n\r\n" not in head:
            return head
    return data


def header_digest(header: bytes) -> bytes:
    """Return the digest of the fields by which candidates are found."""
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(header):
        fields.setdefault(name.lower(), _BLANKS.sub(b" ", value).strip())
    digest = blake2b(b"\0".join(fields.get(name, b"") for name in FIELDS), digest_size=DIGEST_BYTES)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Messages on both sides that may be the same, because their headers are alike."""

    near: tuple[Key, ...]
    far: tuple[Key, ...]

    def on(self, side: Side) -> tuple[Key, ...]:
        """Return those of a side."""
        return self.near if side == "near" else self.far

    @property
    def is_single(self) -> bool:
        """Whether there is one on each side."""
        return len(self.near) == len(self.far) == 1


def candidates(near: Mapping[Key, bytes], far: Mapping[Key, bytes]) -> Iterator[Candidates]:
    """Give the groups of candidates among messages whose header digests these are, near's order first."""
    far_groups = _groups(far)
    for digest, keys in _groups(near).items():
        others = far_groups.get(digest)
        if others is not None:
            yield Candidates(_keys(keys), _keys(others))


def _groups(messages: Mapping[Key, bytes]) -> dict[bytes, Key | list[Key]]:
    """Group messages by their digest; no list for one that is alone, as nearly all are."""
    groups: dict[bytes, Key | list[Key]] = {}
    for key, digest in messages.items():
        others = groups.setdefault(digest, key)
        if isinstance(others, list):
            others.append(key)
        elif others != key:
            groups[digest] = [others, key]
    return groups


def _keys(keys: Key | list[Key]) -> tuple[Key, ...]:
    return (keys,) if isinstance(keys, bytes) else tuple(keys)


def pair_by_content(near: Mapping[Key, bytes], far: Mapping[Key, bytes]) -> Iterator[tuple[Key, Key]]:
    """Pair messages whose content digests these are, in the order of their keys, as many as can be."""
    free: dict[bytes, list[Key]] = defaultdict(list)
    for key in sorted(far, reverse=True):
        free[far[key]].append(key)
    for key in sorted(near):
        partners = free.get(near[key])
        if partners:
            yield key, partners.pop()
