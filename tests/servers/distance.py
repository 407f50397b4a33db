"""A server farther away than it is: a proxy that carries bytes after a delay, as its own process.

``python3 -m tests.servers.distance PORT SECONDS RATE`` prints the port to connect to; RATE is how many bytes
a second the server sends at most on each connection, or 0.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.waiting import read_line


@contextmanager
def distant(port: int, round_trip_s: float, rate: float = 0) -> Iterator[int]:
    """Give a port that leads to this one, with half a round trip each way, and a whole one to connect."""
    command = (sys.executable, "-m", "tests.servers.distance", str(port), str(round_trip_s / 2), str(rate))
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        try:
            yield int(read_line(process.stdout))
        finally:
            process.terminate()


async def proxy(port: int, delay_s: float, rate: float) -> None:
    """Carry bytes to a port and back, each after a delay, for ever; print the port to connect to."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float = 0) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            if rate:
                await asyncio.sleep(len(data) / rate)
            loop.call_later(delay_s, writer.write, data)
        loop.call_later(delay_s, writer.close)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay_s)  # the handshake of TCP
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, to_writer), carry(to_reader, writer, rate))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(proxy(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
