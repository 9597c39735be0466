"""What every part of the SDK shares: the store, who we are, the servers we talk to, time and randomness."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from .connection import Connection
from .errors import Refused
from .http import ServerHttp
from .identity import Directory, OwnIdentity
from .store import Store


@dataclass
class Context:
    """`clock` gives Unix seconds; `random` gives bytes fit for keys. Connections are made as they are needed, one for
    each server."""

    store: Store
    identity: OwnIdentity
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    tls: ssl.SSLContext | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._https: dict[str, ServerHttp] = {}
        self._connections: dict[str, Connection] = {}
        self.directory = Directory(self.store, self.http)

    def http(self, origin: str) -> ServerHttp:
        """Requests to this server.

        Raises:
            Refused: `insecure_origin`, an address without TLS that somebody else has named, while ours has TLS.
        """
        home = self.identity.origin
        if not origin.startswith("https://") and origin != home and home.startswith("https://"):
            raise Refused("insecure_origin", f"{origin} has no TLS")
        if origin not in self._https:
            self._https[origin] = ServerHttp(origin, tls=self.tls)
        return self._https[origin]

    def connection(self, origin: str) -> Connection:
        """The one connection to this server. Raises as `http`."""
        if origin not in self._connections:
            self._connections[origin] = connection = Connection(self.http(origin))
            connection.start(self.clock)
        return self._connections[origin]

    def now_s(self) -> float:
        """Unix seconds."""
        return self.clock()

    def notify(self) -> None:
        """Something in the store has changed."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def close(self) -> None:
        """Close connections and store."""
        for connection in self._connections.values():
            await connection.aclose()
        for http in self._https.values():
            await http.close()
        self.store.close()
