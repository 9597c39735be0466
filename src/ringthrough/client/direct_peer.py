"""WebRTC's half of a direct channel, by aiortc (the extra `direct`).

No server is asked for anything: a device offers its own addresses and no others (docs/spec/media.md section 8).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from ringthrough.e2ee.direct import CANDIDATES_MAX, Candidate, Description

from .direct import News

SETTLE_S = 0.1
"""So long after its end, what aioice had under way has come to its end too."""
PRIORITY = 2_113_937_151
"""Of the first address of a device; RFC 8445 section 5.1.2."""
UNSENT_BYTES_MAX = 2048
"""What waits behind more would come too late: it goes on the lanes instead."""
LOOK_S = 0.25
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE | re.MULTILINE)


def sdp_of(description: Description, setup: str) -> str:
    """The session description (RFC 8866) of a data channel and nothing else, from fields that were checked.
    `setup`: "actpass" or "active" (RFC 8842). Where no address is left, it does not say that none will come: who has
    none that may be asked can still ask us."""
    fingerprint = description.fingerprint.hex(":").upper()
    asked = [candidate for candidate in description.candidates if _may_be_asked(candidate.address)]
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.password}",
        f"a=fingerprint:sha-256 {fingerprint}",
        f"a=setup:{setup}",
        "a=sctp-port:5000",
        "a=max-message-size:65536",
        *(
            f"a=candidate:{n + 1} 1 udp {PRIORITY - n} {candidate.address} {candidate.port} typ host"
            for n, candidate in enumerate(asked)
        ),
        *(["a=end-of-candidates"] if asked else []),
    ]
    return "".join(f"{line}\r\n" for line in lines)


def description_of(sdp: str) -> Description:
    """The same fields of this end's description. Raises ValueError where one is missing."""

    def one(pattern: str) -> str:
        found = re.search(pattern, sdp, re.MULTILINE | re.IGNORECASE)
        if found is None:
            raise ValueError(f"no {pattern} in the session description")
        return found[1]

    # An address with a zone (RFC 6874) means nothing at another device.
    own = [(address.lower(), int(port)) for address, port in _CANDIDATE.findall(sdp) if "%" not in address]
    return Description(
        ufrag=one(r"^a=ice-ufrag:(\S+)"),
        password=one(r"^a=ice-pwd:(\S+)"),
        fingerprint=bytes.fromhex(one(r"^a=fingerprint:sha-256 (\S+)").replace(":", "")),
        candidates=tuple(Candidate(address, port) for address, port in own[:CANDIDATES_MAX]),
    )


def _may_be_asked(address: str) -> bool:
    """A peer names the addresses to which this device sends its first packets: none that reaches programs of this
    device alone, or many devices. A name in .local is whatever any device of this network says that it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified or parsed.is_reserved)


class AiortcPeer:
    """One attempt (`direct.Peer`)."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel: RTCDataChannel = self._connection.createDataChannel(
            "", negotiated=True, id=0, ordered=False, maxRetransmits=0
        )
        self._is_closed = False
        self._work = asyncio.Lock()
        """aioice forgets sockets that it is still opening when it is closed: one thing after the other."""
        self._looking: asyncio.Task[None] | None = None
        self._connection.on("iceconnectionstatechange", self._ice_changed)
        self._connection.on("connectionstatechange", self._changed)
        self._channel.on("open", self._opened)
        self._channel.on("close", self._ended)
        self._channel.on("message", self._heard)

    async def offer(self) -> Description:
        """Describe this end."""
        async with self._work:
            return await self._describe(await self._connection.createOffer())

    async def answer(self, offer: Description) -> Description:
        """Connect to who offered, and describe this end."""
        async with self._work:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp_of(offer, "actpass"), "offer"))
            return await self._describe(await self._connection.createAnswer())

    async def accept(self, answer: Description) -> None:
        """Connect to who answered the offer."""
        async with self._work:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp_of(answer, "active"), "answer"))

    def send(self, message: bytes) -> None:
        """On the open channel, now or never."""
        if self._channel.readyState == "open" and self._channel.bufferedAmount <= UNSENT_BYTES_MAX:
            self._channel.send(message)

    async def close(self) -> None:
        """Nothing is heard of it from now on."""
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
        async with self._work:
            await self._connection.close()
            # Checks of the path that came to their end at the same time leave a task that asks for consent for ever.
            await asyncio.sleep(SETTLE_S)
            if self._connection.sctp is not None:
                await self._connection.sctp.transport.transport._connection.close()

    async def _describe(self, local: RTCSessionDescription) -> Description:
        await self._connection.setLocalDescription(local)
        return description_of(self._connection.localDescription.sdp)

    def _ice_changed(self) -> None:
        if self._connection.iceConnectionState == "completed" and not self._is_closed and self._looking is None:
            self._news.path_found()
            self._looking = asyncio.ensure_future(self._look_for_keys())

    async def _look_for_keys(self) -> None:
        """Wait until anything but checks of the path has come on it: then nobody keeps the keys' exchange from
        beginning."""
        while not self._has_heard_keys():
            await asyncio.sleep(LOOK_S)
        self._news.keys_heard()

    def _has_heard_keys(self) -> bool:
        sctp = self._connection.sctp
        return sctp is not None and any(s.bytesReceived > 0 for s in sctp.transport._get_stats().values())

    def _changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._ended()

    def _opened(self) -> None:
        if not self._is_closed:
            self._news.opened()

    def _ended(self) -> None:
        if self._is_closed:
            return
        if self._has_heard_keys():
            self._news.keys_heard()
        self._news.closed()

    def _heard(self, message: bytes | str) -> None:
        if isinstance(message, bytes) and not self._is_closed:
            self._news.received(message)
