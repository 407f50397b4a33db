"""Listens to the kernel's word on addresses and routes.  What it means is in ``netlink``."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from mswatch.service.netlink import GROUPS, Network

_LARGEST = 65536
_AT_ONCE = 100  # datagrams, before others on the loop have their turn


class NetworkListener:
    """Calls ``on_change`` when the network is another one.

    Raises:
        OSError: the kernel does not tell us.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._network = Network()
        self._loop = asyncio.get_running_loop()
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            self._socket.bind((0, GROUPS))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._read)

    def _read(self) -> None:
        changed = False
        for _ in range(_AT_ONCE):
            try:
                data, sender = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed = True  # more was told than there was room for
                continue
            if sender[0] == 0:  # the kernel
                changed |= self._network.changes(data)
        if changed:
            self._on_change()

    def close(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
