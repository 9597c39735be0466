"""Every option of the server, each with a trust note: what may be lost by it, what a thief or a crowd gains by it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_type_hints

from ringthrough.protocol import limits


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `per_s` in the long run, `burst` at once."""

    per_s: float
    burst: float

    def __str__(self) -> str:
        return f"{self.per_s:_.0f}/s, {self.burst:_.0f} at once"


@dataclass(frozen=True, slots=True)
class Option:
    """What an option means, and its trust note."""

    text: str
    trust: str


_SHARED = "Too low shuts out people behind one shared address; too high lets one address use up the server."
_ONE = "Too low slows honest clients; too high lets one connection slow the others."


@dataclass(frozen=True)
class Limits:
    """How much one connection, stream or network address may ask. Addresses live in memory only."""

    connections_max: Annotated[
        int, Option("connections in total", "Bounds memory; beyond it newcomers are refused.")
    ] = 20_000
    connections_per_address_max: Annotated[int, Option("connections from one address", _SHARED)] = 4_000
    streams_per_connection_max: Annotated[
        int, Option("streams open on one connection", "Bounds memory of one connection.")
    ] = limits.STREAMS_PER_CONNECTION_MAX
    requests_in_flight_max: Annotated[int, Option("requests of one connection not yet answered", _ONE)] = (
        limits.REQUESTS_IN_FLIGHT_MAX
    )
    hello_timeout_s: Annotated[
        float, Option("time for the request line and for HELLO", "Bounds how long an idle stranger holds a socket.")
    ] = 10.0
    heartbeat_s: Annotated[float, Option("WebSocket ping interval", "Longer finds dead connections later.")] = 45.0
    stall_timeout_s: Annotated[
        float,
        Option("time in which a congested connection must take something", "Bounds memory held for dead readers."),
    ] = 60.0
    bytes_under_way_max: Annotated[
        int, Option("bytes of all appends not yet on disk", "Bounds memory while the disk is slow.")
    ] = 128 * 1024 * 1024
    records: Annotated[Rate, Option("records appended by one connection", _ONE)] = Rate(500, 4_000)
    bytes_received: Annotated[Rate, Option("bytes appended or signalled by one connection", _ONE)] = Rate(4e6, 32e6)
    signals: Annotated[Rate, Option("signals sent by one connection", _ONE)] = Rate(500, 1_500)
    stream_records: Annotated[Rate, Option("records appended to one stream by all its members", _ONE)] = Rate(
        500, 4_000
    )
    inbox_deposits: Annotated[
        Rate, Option("records left in one inbox by strangers", "Bounds what a crowd can leave in one inbox.")
    ] = Rate(10, 1_000)
    address_deposits: Annotated[Rate, Option("records left in inboxes from one address", _SHARED)] = Rate(100, 5_000)
    streams_created: Annotated[Rate, Option("streams created from one address", _SHARED)] = Rate(10, 5_000)
    opens: Annotated[Rate, Option("streams opened by one connection", "Bounds guessing; tokens have 256 bits.")] = (
        Rate(200, 10_000)
    )
    accounts_created: Annotated[Rate, Option("accounts created from one address", _SHARED)] = Rate(1, 1_000)
    http_requests: Annotated[Rate, Option("HTTP requests from one address", _SHARED)] = Rate(200, 10_000)
    claims_per_account: Annotated[
        Rate, Option("key packages claimed of one account", "Bounds how fast strangers use up one-time key packages.")
    ] = Rate(1, 600)
    claims_per_address: Annotated[Rate, Option("key packages claimed from one address", _SHARED)] = Rate(20, 4_000)
    check_bytes: Annotated[Rate, Option("bytes of network checks sent to one address", _SHARED)] = Rate(16_384, 1e6)
    blob_bytes: Annotated[Rate, Option("blob bytes uploaded from one address", _SHARED)] = Rate(5e6, 4e9)
    uploads_at_once_max: Annotated[int, Option("blobs being uploaded at one moment", "Bounds temporary files.")] = 64
    errors: Annotated[
        Rate, Option("refusals of one connection before it is closed", "Bounds work for a client gone mad.")
    ] = Rate(20, 400)


@dataclass(frozen=True)
class ServerConfig:
    """What `start` needs."""

    data_dir: Annotated[
        Path,
        Option(
            "the one folder with everything at rest",
            "Losing it loses accounts and every record not yet fetched; a thief gets ciphertext, stream ids, sizes"
            " and times, token hashes, handles and device lists, no message and no key.",
        ),
    ]
    host: Annotated[str, Option("address to listen on", "0.0.0.0 makes the server reachable by others.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Option("port to listen on; 0 takes a free one", "None.")] = 8440
    tls_cert: Annotated[
        Path | None,
        Option("certificate chain (PEM)", "Without TLS here or at a proxy, the network sees stream ids and tokens."),
    ] = None
    tls_key: Annotated[
        Path | None,
        Option(
            "private key of the certificate (PEM)", "A thief can pose as this server; message content stays sealed."
        ),
    ] = None
    public_origins: Annotated[
        tuple[str, ...],
        Option(
            "origins under which people reach the server, such as https://chat.example",
            "Sign-ins made for any other authority are refused; without it only IP addresses of this machine and"
            " localhost are accepted.",
        ),
    ] = ()
    proxy_hops: Annotated[
        int,
        Option(
            "trusted proxies in front that append to X-Forwarded-For",
            "Too high lets a client choose the address it is limited by.",
        ),
    ] = 0
    record_lifetime_s: Annotated[
        int, Option("how long records are kept", "Devices offline for longer lose what they missed.")
    ] = limits.RECORD_LIFETIME_S
    blob_lifetime_s: Annotated[
        int, Option("how long blobs are kept", "Attachments not fetched by then are lost.")
    ] = limits.BLOB_LIFETIME_S
    blob_bytes_max: Annotated[int, Option("largest blob", "Bounds what one upload takes on disk.")] = (
        limits.BLOB_BYTES_MAX
    )
    blob_bytes_total_max: Annotated[
        int, Option("all blobs together", "Beyond it uploads are refused; too high can fill the disk.")
    ] = 50 * 1024**3
    page_dir: Annotated[
        Path | None,
        Option(
            "folder with the built web client; None takes the one that came with this server, if any",
            "Whoever can write there decides what code the browsers of all users run.",
        ),
    ] = None
    sweep_interval_s: Annotated[
        float, Option("pause between sweeps of what has expired", "Longer keeps expired data longer.")
    ] = 60.0
    limits: Annotated[Limits, Option("rates and bounds, see Limits", "See each of them.")] = Limits()


def option_of(options: type[Limits] | type[ServerConfig], name: str) -> Option:
    """The help and trust note of one option."""
    hint = get_type_hints(options, include_extras=True)[name]
    (option,) = hint.__metadata__
    assert isinstance(option, Option)
    return option


def options_table(options: type[Limits] | type[ServerConfig]) -> str:
    """The options as a Markdown table, as the specification and the operator's guide quote it."""
    lines = ["| option | default | meaning | trust note |", "|---|---|---|---|"]
    for f in dataclasses.fields(options):
        default = "(required)" if f.default is dataclasses.MISSING else str(f.default)
        if isinstance(f.default, Limits):
            default = "see below"
        option = option_of(options, f.name)
        lines.append(f"| `{f.name}` | {default} | {option.text} | {option.trust} |")
    return "\n".join(lines)
