"""What the kernel tells of addresses and routes: rtnetlink(7) messages in, "is the network another one?" out.

Pure.  Most messages say nothing new: a router's advertisement makes the kernel tell of the same IPv6 address
and routes every few seconds, and containers bring link-local ones.  So what is known is kept, and only what
comes, goes or becomes usable counts.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator

_RTM_NEWADDR, _RTM_DELADDR, _RTM_NEWROUTE, _RTM_DELROUTE = 20, 21, 24, 25
_ADDRESS_ATTRIBUTES = frozenset([1, 2])  # IFA_ADDRESS, IFA_LOCAL
_IFA_FLAGS = 8
_TENTATIVE = 0x40  # IFA_F_TENTATIVE: not usable before it is known that nobody else has it
_RT_SCOPE_LINK = 253  # this and what is above leads nowhere else
_ROUTE_ATTRIBUTES = frozenset([1, 4, 5, 6, 9, 15, 18])  # where to, by what, how dear, in which table
_RTA_DST = 1
_RTN_UNICAST = 1
_RT_TABLE_LOCAL = 255
_RTM_F_CLONED = 0x200
_MOST_KNOWN = 20_000

GROUPS = 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_: IPv4 and IPv6, addresses and routes
Key = tuple[object, ...]


class Network:
    """The addresses and routes that were told of."""

    def __init__(self) -> None:
        self._known: set[Key] = set()

    def changes(self, data: bytes) -> bool:
        """Tell whether this datagram says that the network is another one."""
        notes = [self._note(kind, body) for kind, body in _messages(data)]  # each, not up to the first
        return any(notes)

    def _note(self, kind: int, body: bytes) -> bool:
        is_address = kind in (_RTM_NEWADDR, _RTM_DELADDR)
        if not is_address and kind not in (_RTM_NEWROUTE, _RTM_DELROUTE):
            return False
        key = _address(body) if is_address else _route(body)
        if key is None:
            return False
        if kind in (_RTM_DELADDR, _RTM_DELROUTE):
            self._known.discard(key)
            return True
        if key in self._known:
            return False
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(key)
        return True


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (type, body) of each message (netlink(7)); what is cut off is left out."""
    while len(data) >= 16:
        size, kind = struct.unpack_from("=IH", data)
        if not 16 <= size <= len(data):
            return
        yield kind, data[16:size]
        data = data[(size + 3) & ~3 :]


def _address(body: bytes) -> Key | None:
    """Return what makes an address that others can reach, None for any other."""
    if len(body) < 8:
        return None
    family, length, flags, scope, index = struct.unpack_from("=BBBBI", body)
    attributes = dict(_attributes(body[8:]))
    flags = int.from_bytes(attributes.get(_IFA_FLAGS, bytes([flags])), sys.byteorder)
    if scope >= _RT_SCOPE_LINK or flags & _TENTATIVE:
        return None
    return ("address", family, length, index, *_those(attributes, _ADDRESS_ATTRIBUTES))


def _route(body: bytes) -> Key | None:
    """Return what makes a route to others, None for any other."""
    if len(body) < 12:
        return None
    family, length, _, _, table, _, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
    attributes = dict(_attributes(body[12:]))
    target = attributes.get(_RTA_DST, b"")
    is_of_link = len(target) == 16 and (target[0] == 0xFF or target[:1] == b"\xfe")  # ff00::/8, fe80::/10
    if kind != _RTN_UNICAST or table == _RT_TABLE_LOCAL or flags & _RTM_F_CLONED or is_of_link:
        return None
    return ("route", family, length, *_those(attributes, _ROUTE_ATTRIBUTES))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (type, value) of each attribute (rtnetlink(7))."""
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if not 4 <= size <= len(data):
            return
        yield kind & 0x3FFF, data[4:size]
        data = data[(size + 3) & ~3 :]


def _those(attributes: dict[int, bytes], kinds: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    return ((kind, value) for kind, value in sorted(attributes.items()) if kind in kinds)
