"""The HTTP half of one server: directory and blobs (docs/spec/directory.md)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import ipaddress
import re
import socket
import ssl
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ringthrough.protocol import directory, limits

from .errors import Refused, ServerUnreachable
from .local_address import is_lost
from .tuned_socket import tuned_socket

T = TypeVar("T")

ADDRESS_CHECK_S = 1.0
"""How often a request that waits looks whether the device still has the address it waits at."""
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=15, sock_read=15)
_ANSWER_BYTES_MAX = 2 * 1024 * 1024
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def _is_ipv6(name: str) -> bool:
    try:
        return ":" in name and ipaddress.IPv6Address(name).compressed == name
    except ValueError:
        return False


def normalise_origin(server: str) -> str:
    """`https://host[:port]` of a server as people write it: `chat.example` means https.

    Raises:
        ValueError: not a host, or a scheme that is neither http nor https.
    """
    parts = urlsplit(server if "://" in server else f"https://{server}")
    name = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (_HOST.fullmatch(name) or _is_ipv6(name)):
        raise ValueError(f"{server!r} is not a server address; write https://host or http://localhost:port")
    host = f"[{name}]" if ":" in name else name
    default_port = 443 if parts.scheme == "https" else 80
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


class ServerHttp:
    """Requests to one server. Directory look-ups and blobs carry no credential; only the calls that change an
    account are signed in."""

    def __init__(self, origin: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.origin = origin
        self.tls = tls
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._pooled = self._client(limit=4)
        # One kept from an earlier request may have died without a word, as when the device changed networks.
        self.fresh = self._client(limit=0, force_close=True)
        """Opens a new connection for each request, and for each WebSocket."""

    def _client(self, *, limit: int, force_close: bool = False) -> aiohttp.ClientSession:
        check = self.tls if self.tls is not None else True
        connector = aiohttp.TCPConnector(
            ssl=check, limit=limit, force_close=force_close, socket_factory=self._new_socket
        )
        return aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, auto_decompress=False)

    def _new_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = tuned_socket(address)
        self._sockets.add(made)
        return made

    def _end_lost(self) -> bool:
        """End the connections that come from an address the device no longer has, so that whatever waits on one
        fails now. Whether there were any; a pool may still hold them."""
        lost = [each for each in self._sockets if is_lost(each)]
        for each in lost:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return bool(lost)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections."""
        await self._pooled.close()
        await self.fresh.close()

    @property
    def authority(self) -> str:
        """Host and port as the server sees them in the Host header; part of what a sign-in signs."""
        return urlsplit(self.origin).netloc

    async def create_account(self, account: directory.NewAccount) -> None:
        """Register the handle and the first device.

        Raises:
            Refused: `handle_taken`, `bad_request`, `bad_signature`, `rate_limited`.
        """
        await self._json("POST", "/v1/accounts", None, body=account)

    async def account_by_handle(self, handle: str) -> directory.Account:
        """Raises Refused(`not_found`) when nobody has it."""
        return await self._json("GET", f"/v1/handles/{directory.check_handle(handle)}", directory.Account)

    async def account(self, account_id: bytes) -> directory.Account:
        """Raises Refused(`not_found`) when it does not exist."""
        return await self._json("GET", f"/v1/accounts/{account_id.hex()}", directory.Account)

    async def claim_key_packages(self, account_id: bytes) -> tuple[directory.ClaimedKeyPackage, ...]:
        """One key package of each device of the account."""
        path = f"/v1/accounts/{account_id.hex()}/key-packages/claim"
        return (await self._json("POST", path, directory.Claim)).key_packages

    async def sign_in(self, account_id: bytes, device_id: bytes, sign: Callable[[bytes], bytes]) -> str:
        """A session for the calls below; `sign` is Ed25519 by the device's signature key."""
        request = directory.ChallengeRequest(account_id, device_id)
        challenge = (await self._json("POST", "/v1/sign-in/challenge", directory.Challenge, body=request)).challenge
        signature = sign(directory.sign_in_payload(self.authority, challenge))
        answer = directory.SignIn(account_id, device_id, challenge, signature)
        return (await self._json("POST", "/v1/sign-in", directory.Session, body=answer)).session

    async def put_devices(self, session: str, devices: directory.SignedDeviceList) -> None:
        """Replace the signed device list by a higher version."""
        await self._json("PUT", "/v1/devices", None, body=devices, session=session)

    async def publish_key_packages(self, session: str, packages: directory.KeyPackages) -> None:
        """Add one-time key packages, replace the last-resort one."""
        await self._json("POST", "/v1/key-packages", None, body=packages, session=session)

    async def key_package_count(self, session: str) -> int:
        """One-time key packages left in stock."""
        return (await self._json("GET", "/v1/key-packages/count", directory.KeyPackageCount, session=session)).count

    async def delete_account(self, session: str) -> None:
        """Delete the account, its devices and its key packages on the server."""
        await self._json("DELETE", "/v1/accounts", None, session=session)

    async def put_blob(self, ciphertext: bytes) -> bytes:
        """Store ciphertext; returns its SHA-256, which is its name."""
        digest = hashlib.sha256(ciphertext).digest()
        # On a connection of its own: how long a dead one is waited for is limited only after the last byte has left.
        path = f"/v1/blobs/{digest.hex()}"
        await self._ask("PUT", path, data=ciphertext, is_repeatable=True, client=self.fresh)
        return digest

    async def get_blob(self, sha256: bytes, bytes_max: int = limits.BLOB_BYTES_MAX) -> bytes:
        """Ciphertext by its hash, checked.

        Raises:
            Refused: `not_found`, `too_large` (more than `bytes_max`), `hash_mismatch` (the server sent other bytes).
        """
        path = f"/v1/blobs/{sha256.hex()}"
        blob = await self._ask("GET", path, is_repeatable=True, bytes_max=bytes_max)
        if hashlib.sha256(blob).digest() != sha256:
            raise Refused("hash_mismatch", "the server sent other bytes than asked for")
        return blob

    async def health(self) -> dict[str, object]:
        """GET /health."""
        return await self._json("GET", "/health", dict[str, object])

    async def _json(
        self,
        method: str,
        path: str,
        answer: type[T] | None,
        *,
        body: msgspec.Struct | None = None,
        session: str | None = None,
    ) -> T:
        data = msgspec.json.encode(body) if body is not None else None
        raw = await self._ask(method, path, data=data, session=session, is_repeatable=method == "GET")
        if answer is None:
            return None  # type: ignore[return-value]
        try:
            return msgspec.json.decode(raw, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise Refused("bad_frame", f"{self.origin} answered {path} with something else") from e

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        session: str | None = None,
        bytes_max: int = _ANSWER_BYTES_MAX,
        is_repeatable: bool,
        client: aiohttp.ClientSession | None = None,
    ) -> bytes:
        """The body of a success, by `client` or a kept connection.

        That may be dead without a word. What may be asked twice is then asked once more, on a new one.

        Raises:
            Refused: as the server says, or `too_large` (more than `bytes_max`).
            ServerUnreachable: unknown whether the server has done it.
        """
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        ask = functools.partial(self._ask_once, method, path, data, headers, bytes_max)
        has_moved = self._end_lost()
        watch = asyncio.create_task(self._watch())
        try:
            return await ask(self.fresh if has_moved else client or self._pooled)
        except _BrokeOff:
            if not is_repeatable:
                raise
            return await ask(self.fresh)
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(ADDRESS_CHECK_S)
            self._end_lost()

    async def _ask_once(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
        bytes_max: int,
        client: aiohttp.ClientSession,
    ) -> bytes:
        is_answered = False
        try:
            # A redirect could lead to any host, inside our own network too.
            async with client.request(
                method, self.origin + path, data=data, headers=headers, allow_redirects=False
            ) as response:
                is_answered = True
                return await _check(response, bytes_max)
        except aiohttp.SocketTimeoutError as e:
            raise _BrokeOff(f"{self.origin} does not answer; try again") from e
        except aiohttp.ClientError as e:
            if is_answered:
                raise _BrokeOff(f"{self.origin} broke off: {e}") from e
            # Here aiohttp has itself asked again what may be repeated.
            raise ServerUnreachable(f"cannot reach {self.origin}: {e}") from e
        except (TimeoutError, OSError) as e:
            raise ServerUnreachable(f"cannot reach {self.origin}: {e or type(e).__name__}") from e


class _BrokeOff(ServerUnreachable):
    """An answer that does not come, or stopped coming."""


async def _check(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The body of a success."""
    if 200 <= response.status < 300:
        return await _read_whole(response, bytes_max)
    raw = await _read_whole(response, _ANSWER_BYTES_MAX)
    try:
        refusal = msgspec.json.decode(raw, type=directory.Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused("internal", f"the server answered with status {response.status}") from None
    raise Refused(refusal.code, refusal.message, refusal.retry_after_ms)


async def _read_whole(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    async for part in response.content.iter_chunked(65536):
        total += len(part)
        if total > bytes_max:
            raise Refused("too_large", f"the server's answer exceeds {bytes_max} bytes")
        parts.append(part)
    return b"".join(parts)
