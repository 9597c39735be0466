"""The messengers under test, by name. A driver's own packages are imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from lab.driver import Driver

OURS = "ours"
DIRECT = "ours direct"
"""The same call where both let each other see their address: over UDP from one to the other where that passes."""


def _ours() -> Driver:
    from lab.ours.driver import Ours

    return Ours()


def _direct() -> Driver:
    from lab.ours.driver import Ours

    return Ours(direct=True)


def _browsers() -> Driver:
    from lab.peers.ours_in_browsers import OursInBrowsers

    return OursInBrowsers()


def _webrtc() -> Driver:
    from lab.peers.webrtc import WebRtc

    return WebRtc()


def _turn_udp() -> Driver:
    from lab.peers.webrtc import WebRtc

    return WebRtc("udp")


def _turn_tcp() -> Driver:
    from lab.peers.webrtc import WebRtc

    return WebRtc("tcp")


def _turn_tls() -> Driver:
    from lab.peers.webrtc import WebRtc

    return WebRtc("tls")


def _mumble() -> Driver:
    from lab.peers.mumble import Mumble

    return Mumble()


DRIVERS: dict[str, Callable[[], Driver]] = {
    OURS: _ours,
    DIRECT: _direct,
    "ours in browsers": _browsers,
    "webrtc": _webrtc,
    "webrtc turn/udp": _turn_udp,
    "webrtc turn/tcp": _turn_tcp,
    "webrtc turn/tls": _turn_tls,
    "mumble": _mumble,
}
"""Ours first, then the peers in the order of the tables."""

PEERS = tuple(name for name in DRIVERS if not name.startswith(OURS))
