"""The process as a whole: every route, every answer, stopping, and what never reaches the log."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import ipaddress
import logging
import socket
import ssl
import threading
from pathlib import Path

import aiohttp
import apsw
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringthrough.protocol.frames import Append, Appended, Create, Created, Error, Open, Ping, Signal, StreamKind
from ringthrough.server.app import ROUTES, Limits, Rate, RunningServer
from ringthrough.server.http import SECURITY_HEADERS, Auth
from ringthrough.server.log import Event, library_logger, log, log_unexpected, on_loop_error
from tests.server.conftest import StartServer
from tests.server.script import (
    Scene,
    body,
    conversation,
    opened,
    records,
    stream_id,
    token,
    token_hash,
)
from tests.server.test_directory_routes import Api, Person


def test_every_route_and_what_it_asks_for() -> None:
    assert {f"{r.method} {r.path}": r.auth for r in ROUTES} == {
        "GET /health": Auth.NOBODY,
        "GET /v1/server": Auth.NOBODY,
        "GET /v1/check": Auth.NOBODY,
        "GET /v1/connect": Auth.CAPABILITY,
        "POST /v1/accounts": Auth.NOBODY,
        "GET /v1/accounts/{account_id}": Auth.NOBODY,
        "DELETE /v1/accounts": Auth.SESSION,
        "GET /v1/handles/{handle}": Auth.NOBODY,
        "POST /v1/sign-in/challenge": Auth.NOBODY,
        "POST /v1/sign-in": Auth.NOBODY,
        "PUT /v1/devices": Auth.SESSION,
        "POST /v1/key-packages": Auth.SESSION,
        "GET /v1/key-packages/count": Auth.SESSION,
        "POST /v1/accounts/{account_id}/key-packages/claim": Auth.NOBODY,
        "GET /v1/server-knows": Auth.SESSION,
        "OPTIONS /v1/blobs/{sha256}": Auth.NOBODY,
        "PUT /v1/blobs/{sha256}": Auth.HASH,
        "GET /v1/blobs/{sha256}": Auth.HASH,
    }


@pytest.mark.promise("CANNOT-FORGE")
async def test_every_session_route_refuses_a_stranger(server: RunningServer) -> None:
    async with aiohttp.ClientSession() as http:
        for route in (r for r in ROUTES if r.auth is Auth.SESSION):
            answer = await http.request(route.method, server.url + route.path)
            assert answer.status == 401, route


async def test_every_answer_carries_the_security_headers(server: RunningServer) -> None:
    async with aiohttp.ClientSession() as http:
        for path in [route.path for route in ROUTES] + ["/nothing"]:
            answer = await http.get(server.url + path)
            assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS, path
            if answer.status >= 400:
                assert set(await answer.json()) == {"code", "message", "retry_after_ms"}, path


async def test_pages_of_other_servers_may_ask_but_not_in_somebodys_name(server: RunningServer) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await http.get(server.url + "/v1/handles/nobody", headers={"Origin": "https://other.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        asked = await http.options(f"{server.url}/v1/blobs/{'0' * 64}")
        assert (asked.status, asked.headers["Access-Control-Allow-Methods"]) == (204, "PUT")
        for path in ("/v1/accounts", "/v1/devices", "/v1/key-packages", "/v1/sign-in"):
            refused = await http.options(server.url + path)
            assert refused.status == 405
            assert "Access-Control-Allow-Headers" not in refused.headers
        assert "Access-Control-Allow-Origin" not in (await http.get(server.url + "/health")).headers


async def test_a_network_check_gets_so_many_bytes_and_no_more(start_server: StartServer) -> None:
    server = await start_server(Limits(check_bytes=Rate(0, 100_000)))
    async with aiohttp.ClientSession() as http:

        async def asked(query: str) -> tuple[int, int]:
            answer = await http.get(f"{server.url}/v1/check{query}")
            # What a connection has carried before would count: none is used twice.
            assert (answer.headers.get("Connection") == "close") == (answer.status == 200)
            return answer.status, len(await answer.read()) if answer.status == 200 else 0

        for refused in ("", "?bytes=", "?bytes=0", "?bytes=-1", "?bytes=65537", "?bytes=1e3", "?bytes=²"):
            assert await asked(refused) == (400, 0), refused
        assert await asked("?bytes=1") == (200, 1)
        assert await asked("?bytes=65536") == (200, 65_536)
        assert await asked("?bytes=65536") == (429, 0)


@pytest.mark.promise("CANNOT-LOSE")
async def test_health_tells_whether_the_store_commits(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aiohttp.ClientSession() as http:
        assert (await (await http.get(f"{server.url}/health")).json())["status"] == "ok"
        server.context.healthy_at_s = -1e9

        def refuse(db: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(server.store.writer, "commit", refuse)
            answer = await http.get(f"{server.url}/health")
            assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
        assert (await http.get(f"{server.url}/health")).status == 200


@pytest.mark.promise("CANNOT-LOSE")
async def test_an_append_during_a_full_disk_is_unavailable_and_the_server_goes_on(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(db: object) -> None:
        raise OSError(28, "No space left on device")

    talk = stream_id("talk")
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        with monkeypatch.context() as patch:
            patch.setattr(server.store.writer, "commit", refuse)
            await alice.send(Append(1, 3, (body("one"),)))
            assert getattr(await alice.receive(), "code", None) == "unavailable"
        await scene.play(
            alice >> Open(4, talk, token("t0"), 1),
            alice << opened(4, 1, 7),
            alice >> Append(1, 5, (body("one"),)),
            alice << Appended(5, 1),
            alice << records(1, 1, "one"),
        )


async def test_stopping_acknowledges_what_was_taken_and_says_goodbye(start_server: StartServer) -> None:
    server = await start_server()
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        for i in range(20):
            await alice.send(Append(1, 10 + i, (body("x"),)))
        await alice.send(Ping(1))  # once it is answered, all twenty were taken
        assert alice.socket is not None
        codes: list[int] = []
        while 0x88 not in codes:
            codes.append((await alice.socket.receive(timeout=5)).data[0])
        stopping = asyncio.create_task(server.close())
        while (message := await alice.socket.receive(timeout=5)).type is aiohttp.WSMsgType.BINARY:
            codes.append(message.data[0])
        assert message.data == 1001
        assert codes.count(0x85) == 20
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await scene.session.get(f"{server.url}/health")


async def test_who_connects_and_says_nothing_is_cut(start_server: StartServer) -> None:
    server = await start_server(Limits(hello_timeout_s=0.05))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HT")
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


def test_sockets_are_told_to_send_at_once() -> None:
    seen: set[tuple[int, int]] = set()

    class OldKernel:
        def setsockopt(self, level: int, name: int, value: object) -> None:
            seen.add((level, name))
            raise OSError("this kernel knows none of them")

    from ringthrough.server.outlet import tune_socket

    tune_socket(OldKernel())
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY) in seen
    assert (socket.IPPROTO_TCP, 13) in seen


@pytest.mark.promise("CANNOT-LINK")
async def test_the_log_names_nobody_and_nothing(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets: list[bytes] = [stream_id("talk"), stream_id("inbox"), token("t0"), token_hash("t0"), token("i")]
    alice = Person("alice.in.the.log", b"\xa1" * 16)
    async with Scene(server) as scene:
        peer = await scene.connect("peer")
        await conversation(scene, peer)
        await scene.play(
            peer >> Append(1, 3, (body("a message in the log"),)),
            peer << Appended(3, 1),
            peer << records(1, 1, "a message in the log"),
            peer >> Create(4, stream_id("inbox"), StreamKind.INBOX, token_hash("i")),
            peer << Created(4),
            peer >> Signal(9, body("bad handle")),
        )
        await peer.send(b"\x03garbage " + stream_id("talk"))
        api = Api(server, scene.session)
        await api.create(alice)
        await api.sign_in(alice)
        await api.call("POST", "/v1/key-packages", b"not json \xff", alice)
        await api.call("GET", f"/v1/handles/{alice.handle}")
        blob = hashlib.sha256(b"blob").hexdigest()
        await api.call("PUT", f"/v1/blobs/{blob}", b"blob")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/handles/alice.in.the.log\x00 HTTP/9.9\r\nHost: \x00\r\n\r\n")
        await reader.read()
        writer.close()
        secrets += [alice.account_id, alice.device_id, alice.handle.encode(), alice.bearer.encode()]
        secrets += [b"a message in the log", bytes.fromhex(blob), alice.device_list().payload]
        with pytest.raises(AssertionError):
            await scene.quiet()
    await server.close()
    text = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.records)
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("ringthrough", "aiohttp")))
    assert '"event": "stopped"' in ours
    for secret in secrets:
        for form in (secret.hex(), secret.decode("latin-1"), repr(secret)[2:-1]):
            assert form not in ours
    assert "127.0.0.1" not in ours
    assert "Traceback" not in text


@pytest.mark.promise("CANNOT-LINK")
def test_the_log_takes_numbers_only(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TypeError):
        log(Event.SWEPT, who="alice")  # type: ignore[arg-type]
    caplog.set_level(logging.DEBUG)
    try:
        raise ValueError("alice said")
    except ValueError as e:
        log_unexpected(e)
        library_logger().exception("Error handling request from %s", "192.0.2.7")
    assert "ValueError" in caplog.text
    assert "alice" not in caplog.text
    assert "192.0.2.7" not in caplog.text


async def test_one_server_for_one_data_folder(start_server: StartServer) -> None:
    first = await start_server()
    with pytest.raises(OSError, match="used by another server"):
        await start_server()
    await first.close()
    await start_server()


async def test_it_speaks_tls(start_server: StartServer, tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path)
    server = await start_server(tls_cert=cert, tls_key=key)
    assert server.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(cert))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
        answer = await http.get(f"{server.url}/health")
        assert answer.status == 200
        assert "Strict-Transport-Security" in answer.headers
        async with Scene(server, session=http) as scene:
            await conversation(scene, await scene.connect("alice"))
            await scene.quiet()


async def test_a_server_that_cannot_start_lets_go_of_its_folder(start_server: StartServer, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await start_server(tls_cert=tmp_path / "none", tls_key=tmp_path / "none")
    with pytest.raises(OSError, match="address"):
        await start_server(host="192.0.2.1")
    await start_server()


async def test_while_the_disk_is_behind_appends_are_refused(start_server: StartServer) -> None:
    server = await start_server(Limits(bytes_under_way_max=200))
    async with Scene(server) as scene:
        alice = await scene.connect("alice")
        await conversation(scene, alice)
        hold = threading.Event()
        real = server.store.writer.begin

        def begin(db: apsw.Connection) -> None:
            assert hold.wait(10)
            real(db)

        server.store.writer.begin = begin  # type: ignore[method-assign]
        await scene.play(
            alice >> Append(1, 3, (body("one"),)),
            alice >> Append(1, 4, (body("two"),)),
            alice >> Append(1, 5, (body("three"),)),
        )
        refused = await alice.receive()
        hold.set()
        assert isinstance(refused, Error)
        assert (refused.request, refused.code) == (5, "rate_limited")
        await scene.play(alice << Appended(3, 1))
        await alice.receive_all(2)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ringthrough test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


async def test_behind_a_proxy_the_address_it_names_counts(start_server: StartServer) -> None:
    server = await start_server(Limits(http_requests=Rate(0.001, 1)), proxy_hops=1)
    async with aiohttp.ClientSession() as http:

        async def status(*forwarded: str) -> int:
            headers = [("X-Forwarded-For", value) for value in forwarded]
            return (await http.get(f"{server.url}/v1/server", headers=headers)).status

        assert [await status("192.0.2.1"), await status("192.0.2.1")] == [200, 429]
        assert await status("192.0.2.9, 192.0.2.1") == 429  # what a client claims comes before what the proxy adds
        assert await status("192.0.2.9", "192.0.2.1") == 429
        assert await status("192.0.2.2") == 200


@pytest.mark.promise("CANNOT-LINK")
async def test_a_fault_in_a_task_is_logged_by_type_only(caplog: pytest.LogCaptureFixture) -> None:
    on_loop_error(asyncio.get_running_loop(), {"message": "alice's task", "exception": ValueError("alice said")})
    on_loop_error(asyncio.get_running_loop(), {"message": "alice left", "exception": ConnectionResetError("alice")})
    assert "ValueError" in caplog.text
    assert "alice" not in caplog.text
    assert "Connection" not in caplog.text
