"""A mapping whose values are worked out when somebody asks.

What a listing tells of a message (its flags, its stamp) can be read out of its name at any time, so it is
not kept a second and a third time for each message of a large mailbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
S = TypeVar("S")
T = TypeVar("T")


class Derived(Mapping[K, T]):
    """The keys of a mapping, which nobody changes any more, and what a function makes of key and value."""

    def __init__(self, of: Mapping[K, S], make: Callable[[K, S], T]) -> None:
        self._of = of
        self._make = make

    def __getitem__(self, key: K) -> T:
        return self._make(key, self._of[key])

    def __contains__(self, key: object) -> bool:
        return key in self._of

    def __iter__(self) -> Iterator[K]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
