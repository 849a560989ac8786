"""A TCP proxy between the clients and the store, which can be told to do what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: an RST, not a FIN


class Link:
    """One client's connection, and the proxy's own to the store for it."""

    def __init__(self, proxy: Proxy, ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._ends = ends
        self._dead = False

    def kill(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        self._dead = True

    def cut(self) -> None:
        """Reset both ends."""
        for end in self._ends:
            with suppress(OSError):
                if open_still := end.get_extra_info("socket"):  # with TLS there is none when the other end has closed
                    open_still.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        """Bring what one end says to the other, as long as nothing happens."""
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if answers and self._proxy.swallows():
                    self.cut()
                    return
                await self._proxy.hold_up()
                if not self._dead:
                    writer.write(data)
                    await writer.drain()
            if not (self._dead or writer.is_closing()):  # closed twice, TLS of CPython can't say a thing about itself
                writer.close()


class Proxy:
    """Listens on a port of its own, and forwards to ``host`` and ``port``."""

    def __init__(self, host: str, port: int, random: Random) -> None:
        self._target = (host, port)
        self._random = random
        self._links: set[Link] = set()
        self._delay = 0.0
        self._swallowing = 0
        self._refusing = False
        self._through = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy", daemon=True)
        self._thread.start()
        self.port = self._do(self._listen())

    def close(self) -> None:
        """Cut everything, and listen no more."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection."""
        self._do(self._each("cut"))

    def kill(self) -> None:
        """Leave every connection half open: both ends believe in it, and nothing comes through. New ones work."""
        self._do(self._each("kill"))

    def refuse(self) -> None:
        """Reset every connection, old and new, until ``heal``."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Let nothing through on any connection, old or new, until ``heal``; then it comes."""
        self._loop.call_soon_threadsafe(self._through.clear)

    def delay(self, seconds: float) -> None:
        """Hold everything up by up to so many seconds, until ``heal``."""
        self._delay = seconds

    def swallow(self) -> None:
        """Drop the next answer of the store, and reset its connection."""
        self._swallowing += 1

    def heal(self) -> None:
        """Be a good network again."""
        self._delay, self._refusing = 0.0, False
        self._loop.call_soon_threadsafe(self._through.set)

    def swallows(self) -> bool:
        """Whether an answer is to be dropped; for the links."""
        if self._swallowing:
            self._swallowing -= 1
            return True
        return False

    async def hold_up(self) -> None:
        """Wait as long as the network takes; for the links."""
        if self._delay:
            await asyncio.sleep(self._random.uniform(0, self._delay))
        await self._through.wait()

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> int:
        self._through.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._link(reader, writer)
        except (OSError, asyncio.CancelledError):  # to be cancelled at the end is no news, and asyncio would print it
            writer.transport.abort()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            raise ConnectionRefusedError
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        link = Link(self, (writer, far_writer))
        self._links.add(link)
        try:
            await asyncio.gather(
                link.carry(reader, far_writer, answers=False), link.carry(far_reader, writer, answers=True)
            )
        finally:
            self._links.discard(link)
            link.cut()

    async def _each(self, what: str) -> None:
        for link in list(self._links):
            getattr(link, what)()

    async def _end(self) -> None:
        self._server.close()
        await self._each("cut")
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
