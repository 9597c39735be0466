"""The HTTP half of one server: directory and blobs (docs/spec/directory.md)."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from ringthrough.protocol import directory, limits

from .errors import Refused, ServerUnreachable

T = TypeVar("T")

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=15)
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
        check = tls if tls is not None else True
        connector = aiohttp.TCPConnector(ssl=check, limit=4)
        self.session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, auto_decompress=False)
        # One kept from an earlier request may have died without a word, as when the device changed networks.
        connector = aiohttp.TCPConnector(ssl=check, limit=0, force_close=True)
        self.websockets = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        """Opens each WebSocket on a new connection."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections."""
        await self.session.close()
        await self.websockets.close()

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
        async with self._request("PUT", f"/v1/blobs/{digest.hex()}", data=ciphertext) as response:
            await _check(response)
        return digest

    async def get_blob(self, sha256: bytes, bytes_max: int = limits.BLOB_BYTES_MAX) -> bytes:
        """Ciphertext by its hash, checked.

        Raises:
            Refused: `not_found`, `too_large` (more than `bytes_max`), `hash_mismatch` (the server sent other bytes).
        """
        chunks: list[bytes] = []
        async for chunk in self._blob_chunks(sha256, bytes_max):
            chunks.append(chunk)
        blob = b"".join(chunks)
        if hashlib.sha256(blob).digest() != sha256:
            raise Refused("hash_mismatch", "the server sent other bytes than asked for")
        return blob

    async def health(self) -> dict[str, object]:
        """GET /health."""
        return await self._json("GET", "/health", dict[str, object])

    async def _blob_chunks(self, sha256: bytes, bytes_max: int) -> AsyncIterator[bytes]:
        async with self._request("GET", f"/v1/blobs/{sha256.hex()}") as response:
            await _check(response)
            total = 0
            try:
                async for chunk in response.content.iter_chunked(65536):
                    total += len(chunk)
                    if total > bytes_max:
                        raise Refused("too_large", f"the file exceeds {bytes_max} bytes")
                    yield chunk
            except (aiohttp.ClientError, TimeoutError) as e:
                raise ServerUnreachable(f"{self.origin} broke off: {e}") from e

    def _request(self, method: str, path: str, *, data: bytes | None = None, session: str | None = None) -> _Request:
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        return _Request(self._send(method, path, data, headers), self.origin)

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> aiohttp.client._RequestContextManager:
        # A redirect could lead to any host, inside our own network too.
        return self.session.request(method, self.origin + path, data=data, headers=headers, allow_redirects=False)

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
        async with self._request(method, path, data=data, session=session) as response:
            raw = await _check(response)
        if answer is None:
            return None  # type: ignore[return-value]
        try:
            return msgspec.json.decode(raw, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise Refused("bad_frame", f"{self.origin} answered {path} with something else") from e


class _Request:
    """An aiohttp request whose network errors are ours."""

    def __init__(self, context: aiohttp.client._RequestContextManager, origin: str) -> None:
        self._context = context
        self._origin = origin

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            return await self._context.__aenter__()
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise ServerUnreachable(f"cannot reach {self._origin}: {e or type(e).__name__}") from e

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, value, trace)


async def _check(response: aiohttp.ClientResponse) -> bytes:
    """The small body of a success; b"" for a blob, which the caller reads."""
    is_success = 200 <= response.status < 300
    if is_success and response.content_type == "application/octet-stream":
        return b""
    raw = await _read_whole(response)
    if is_success:
        return raw
    try:
        refusal = msgspec.json.decode(raw, type=directory.Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused("internal", f"the server answered with status {response.status}") from None
    raise Refused(refusal.code, refusal.message, refusal.retry_after_ms)


async def _read_whole(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    total = 0
    try:
        async for part in response.content.iter_chunked(65536):
            total += len(part)
            if total > _ANSWER_BYTES_MAX:
                raise Refused("too_large", "the server's answer is too long")
            parts.append(part)
    except (aiohttp.ClientError, TimeoutError, OSError) as e:
        raise ServerUnreachable(f"the server broke off: {e or type(e).__name__}") from e
    return b"".join(parts)
