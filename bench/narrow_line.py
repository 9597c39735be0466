"""A relay on loopback that behaves like a slow line: so many bits a second, so long a way. Nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK_BYTES = 4096


class _Line:
    """One direction, shared by all connections, as on a phone."""

    def __init__(self, bits_per_s: float, delay_s: float) -> None:
        self._bits_per_s, self._delay_s = bits_per_s, delay_s
        self._free_at_s = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything from `reader` to `writer`, late and slowly."""
        loop = asyncio.get_running_loop()
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

        async def arrive() -> None:
            while True:
                at_s, data = await arriving.get()
                await asyncio.sleep(max(0.0, at_s - loop.time()))
                if not data:
                    return writer.close()
                writer.write(data)
                await writer.drain()

        end = asyncio.create_task(arrive())
        with contextlib.suppress(OSError):
            while not end.done():
                data = await reader.read(CHUNK_BYTES)
                self._free_at_s = max(self._free_at_s, loop.time()) + len(data) * 8 / self._bits_per_s
                await arriving.put((self._free_at_s + self._delay_s, data))
                if not data:
                    break
            await end


@contextlib.asynccontextmanager
async def narrow_line(port: int, bits_per_s: float, rtt_s: float) -> AsyncIterator[int]:
    """The port that leads to `port` on this machine. The handshake costs a round trip, as anywhere."""
    up, down = _Line(bits_per_s, rtt_s / 2), _Line(bits_per_s, rtt_s / 2)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(rtt_s)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.close()
        await asyncio.gather(up.carry(reader, there_writer), down.carry(there_reader, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
