"""The directory over HTTP (docs/spec/directory.md)."""

from __future__ import annotations

from aiohttp import web

from ringthrough.protocol import directory as d
from ringthrough.protocol import limits
from ringthrough.protocol.errors import ErrorCode

from .http import CONTEXT, Auth, Denied, Route, caller, json_answer, json_body, limit, signed_in
from .sessions import SignedIn
from .store.port import StoredAccount


async def create_account(request: web.Request) -> web.Response:
    """201. The very same account again is granted, since an answer may have been lost."""
    context = request.app[CONTEXT]
    limit(context.accounts_created, caller(request), context.monotonic())
    asked = await json_body(request, d.NewAccount)
    d.check_handle(asked.handle)
    devices = asked.device_list.verify()
    await context.store.create_account(
        StoredAccount(
            devices.account_id,
            asked.handle,
            devices.version,
            asked.device_list.payload,
            asked.device_list.signature,
        )
    )
    return web.Response(status=201)


async def get_handle(request: web.Request) -> web.Response:
    handle = d.check_handle(request.match_info["handle"])
    return _account(await request.app[CONTEXT].store.account_by_handle(handle))


async def get_account(request: web.Request) -> web.Response:
    return _account(await request.app[CONTEXT].store.account_by_id(_account_id(request)))


async def challenge(request: web.Request) -> web.Response:
    """A challenge, for whoever asks: whether the device exists shows only when it is answered."""
    context = request.app[CONTEXT]
    asked = await json_body(request, d.ChallengeRequest)
    device = SignedIn(_id(asked.account_id), _id(asked.device_id))
    return json_answer(d.Challenge(context.sessions.challenge(device, context.monotonic())))


async def sign_in(request: web.Request) -> web.Response:
    """A session, if the device is listed and signed this challenge for this server."""
    context = request.app[CONTEXT]
    asked = await json_body(request, d.SignIn)
    authority = request.host
    if not _is_ours(request, authority):
        raise Denied(ErrorCode.BAD_REQUEST, "this server does not go by that name (see its public origins)")
    device = SignedIn(_id(asked.account_id), _id(asked.device_id))
    if not context.sessions.redeem(asked.challenge, device, context.monotonic()):
        raise Denied(ErrorCode.UNAUTHENTICATED, "the challenge is unknown, used or too old")
    stored = await context.store.account_by_id(device.account_id)
    listed = {x.device_id: x for x in _devices(stored).devices} if stored else {}
    if device.device_id not in listed:
        raise Denied(ErrorCode.UNAUTHENTICATED, "no such device")
    d.verify(listed[device.device_id].signature_key, d.sign_in_payload(authority, asked.challenge), asked.signature)
    bearer = context.sessions.start(device, context.monotonic())
    return json_answer(d.Session(bearer, limits.SESSION_LIFETIME_S))


async def put_devices(request: web.Request) -> web.Response:
    """204. Replace the device list by a higher version of the same account, signed by the same identity key."""
    context = request.app[CONTEXT]
    me = signed_in(request)
    signed = await json_body(request, d.SignedDeviceList)
    devices = signed.verify()
    stored = await context.store.account_by_id(me.account_id)
    if stored is None:
        raise Denied(ErrorCode.NOT_FOUND, "the account is gone")
    if (devices.account_id, devices.identity_key) != (me.account_id, _devices(stored).identity_key):
        raise Denied(ErrorCode.FORBIDDEN, "another account, or another identity key")
    listed = [x.device_id for x in devices.devices]
    await context.store.replace_devices(me.account_id, devices.version, signed.payload, signed.signature, listed)
    context.sessions.end(me.account_id, frozenset(listed))
    return web.Response(status=204)


async def add_key_packages(request: web.Request) -> web.Response:
    """204. All of them are stored or none."""
    me = signed_in(request)
    asked = await json_body(request, d.KeyPackages)
    everything = [*asked.key_packages, *([asked.last_resort] if asked.last_resort is not None else [])]
    if not all(0 < len(package) <= limits.KEY_PACKAGE_BYTES_MAX for package in everything):
        raise Denied(ErrorCode.BAD_SIZE, f"a key package has 1 to {limits.KEY_PACKAGE_BYTES_MAX} bytes")
    await request.app[CONTEXT].store.add_key_packages(
        me.account_id, me.device_id, asked.key_packages, asked.last_resort, limits.KEY_PACKAGES_PER_DEVICE_MAX
    )
    return web.Response(status=204)


async def count_key_packages(request: web.Request) -> web.Response:
    me = signed_in(request)
    return json_answer(
        d.KeyPackageCount(await request.app[CONTEXT].store.count_key_packages(me.account_id, me.device_id))
    )


async def claim_key_packages(request: web.Request) -> web.Response:
    """One for each listed device that has any."""
    context = request.app[CONTEXT]
    account_id = _account_id(request)
    stored = await context.store.account_by_id(account_id)
    if stored is None:
        raise Denied(ErrorCode.NOT_FOUND, "no such account")
    limit(context.claims_per_address, caller(request), context.monotonic())
    limit(context.claims_per_account, account_id, context.monotonic())
    listed = [x.device_id for x in _devices(stored).devices]
    claimed = await context.store.claim_key_packages(account_id, listed)
    return json_answer(d.Claim(tuple(d.ClaimedKeyPackage(*one) for one in claimed)))


async def delete_account(request: web.Request) -> web.Response:
    """204. The account, its devices and key packages; its streams expire by themselves."""
    me = signed_in(request)
    context = request.app[CONTEXT]
    await context.store.delete_account(me.account_id)
    context.sessions.end(me.account_id)
    return web.Response(status=204)


def _account(stored: StoredAccount | None) -> web.Response:
    if stored is None:
        raise Denied(ErrorCode.NOT_FOUND, "no such account")
    signed = d.SignedDeviceList(stored.payload, stored.signature)
    return json_answer(d.Account(stored.account_id, stored.handle, signed))


def _devices(stored: StoredAccount) -> d.DeviceList:
    return d.SignedDeviceList(stored.payload, stored.signature).verify()


def _account_id(request: web.Request) -> bytes:
    try:
        return _id(bytes.fromhex(request.match_info["account_id"]))
    except ValueError:
        raise Denied(ErrorCode.BAD_REQUEST, "an account id is 32 hex digits") from None


def _id(value: bytes) -> bytes:
    if len(value) != 16:
        raise Denied(ErrorCode.BAD_REQUEST, "an id has 16 bytes")
    return value


def _is_ours(request: web.Request, authority: str) -> bool:
    """Whether people reach this server under this name. Without configured origins: the socket's own address."""
    origins = request.app[CONTEXT].config.public_origins
    if origins:
        return authority in {origin.split("://")[-1].rstrip("/") for origin in origins}
    local = request.transport.get_extra_info("sockname") if request.transport else None
    if not local:
        return False
    host, port = str(local[0]), int(local[1])
    hosts = {f"[{host}]" if ":" in host else host, "localhost"}
    names = {f"{name}:{port}" for name in hosts}
    default_port = 443 if request.app[CONTEXT].config.tls_cert else 80
    return authority in (names | hosts if port == default_port else names)


ROUTES = (
    Route("POST", "/v1/accounts", Auth.NOBODY, create_account),
    Route("GET", "/v1/accounts/{account_id}", Auth.NOBODY, get_account),
    Route("DELETE", "/v1/accounts", Auth.SESSION, delete_account),
    Route("GET", "/v1/handles/{handle}", Auth.NOBODY, get_handle),
    Route("POST", "/v1/sign-in/challenge", Auth.NOBODY, challenge),
    Route("POST", "/v1/sign-in", Auth.NOBODY, sign_in),
    Route("PUT", "/v1/devices", Auth.SESSION, put_devices),
    Route("POST", "/v1/key-packages", Auth.SESSION, add_key_packages),
    Route("GET", "/v1/key-packages/count", Auth.SESSION, count_key_packages),
    Route("POST", "/v1/accounts/{account_id}/key-packages/claim", Auth.NOBODY, claim_key_packages),
)
