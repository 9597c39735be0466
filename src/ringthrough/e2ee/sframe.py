"""SFrame (RFC 9605): sealed media frames, and the fixed-size body that a voice frame travels in.

A sealed frame is `header || ciphertext || tag`. The header (RFC 9605 section 4.3) is in the clear and authenticated;
its length grows with the key id and the counter, so `seal_frame` pads the plaintext by what the header leaves over
and every body on the wire is equally long.

Keys are shared by the group: any member can derive every sender's key, so a valid frame proves "a member of the group
at this epoch", and in a call of two devices "the other device". See docs/spec/media.md.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final, NamedTuple, NewType, NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ringthrough.e2ee.errors import E2eeError

KeyId = NewType("KeyId", int)
Counter = NewType("Counter", int)

NONCE_BYTES: Final = 12
INTEGER_MAX: Final = 2**64 - 1
"""Largest key id or counter that a header can carry."""

CALL_EXPORTER_LABEL: Final = "ringthrough call"
"""Label of the MLS exporter (RFC 9420 section 8.5) for a call's base key; the context is the 16-byte call id."""
CALL_BASE_KEY_BYTES: Final = 32
CALL_ID_BYTES: Final = 16
CALL_COUNTER_END: Final = 2**32
"""A call's counters stay below this, so that a header never exceeds `HEADER_BYTES_MAX`."""
EPOCH_BITS: Final = 8
LEAF_INDEX_MAX: Final = 2**16 - 1
REPLAY_WINDOW_FRAMES: Final = 1024

HEADER_BYTES_MAX: Final = 1 + 3 + 4
"""Config byte, key id below 2^24, counter below 2^32."""
TAG_BYTES: Final = 16
LENGTH_BYTES: Final = 2
VOICE_BODY_BYTES: Final = 160
"""The wire size of a voice frame, the smallest that the transport has."""
SIGNAL_KIND_BYTES: Final = 1
"""What the transport may put in front of the sealed frame inside the same 160 bytes."""


class SFrameError(E2eeError):
    """A frame could not be sealed or opened; sender and receiver are unchanged."""

    reason = "sframe"


class Malformed(SFrameError):
    """Too short, a header not in its shortest form, or padding that is not ours."""

    reason = "malformed"


class UnknownKid(SFrameError):
    """No key is known for the frame's key id."""

    reason = "unknown_kid"


class AuthenticationFailed(SFrameError):
    """The tag does not fit: header, ciphertext, tag or key differ from what was sealed."""

    reason = "authentication_failed"


class Replayed(SFrameError):
    """A frame with this key id and counter was opened before."""

    reason = "replayed"


class TooOld(Replayed):
    """The counter lies behind the replay window, so nobody can tell whether it is a replay."""

    reason = "too_old"


class CounterExhausted(SFrameError):
    """The sender has used its last counter. Only a new key (a new call or epoch) helps."""

    reason = "counter_exhausted"


class TooLarge(SFrameError):
    """The payload does not fit into the fixed size."""

    reason = "too_large"


class BadParameter(SFrameError):
    """A key id, leaf index, counter or key outside of its range."""

    reason = "bad_parameter"


class Suite(IntEnum):
    """Cipher suites, RFC 9605 section 8.1."""

    AES_128_CTR_HMAC_SHA256_80 = 1
    AES_128_CTR_HMAC_SHA256_64 = 2
    AES_128_CTR_HMAC_SHA256_32 = 3
    AES_128_GCM_SHA256_128 = 4
    AES_256_GCM_SHA512_128 = 5


class _SuiteSizes(NamedTuple):
    hash_name: str
    key_bytes: int
    tag_bytes: int


_SIZES: Final = {
    Suite.AES_128_CTR_HMAC_SHA256_80: _SuiteSizes("sha256", 48, 10),
    Suite.AES_128_CTR_HMAC_SHA256_64: _SuiteSizes("sha256", 48, 8),
    Suite.AES_128_CTR_HMAC_SHA256_32: _SuiteSizes("sha256", 48, 4),
    Suite.AES_128_GCM_SHA256_128: _SuiteSizes("sha256", 16, TAG_BYTES),
    Suite.AES_256_GCM_SHA512_128: _SuiteSizes("sha512", 32, TAG_BYTES),
}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {"sha256": hashes.SHA256(), "sha512": hashes.SHA512()}


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class AesCtrHmac:
    """AES-CTR with a truncated HMAC-SHA256 as an AEAD, RFC 9605 section 4.5.1."""

    ENC_KEY_BYTES: ClassVar[int] = 16

    def __init__(self, key: bytes, tag_bytes: int) -> None:
        self._aes = algorithms.AES(key[: self.ENC_KEY_BYTES])
        self._auth_key = key[self.ENC_KEY_BYTES :]
        self._tag_bytes = tag_bytes

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext followed by the tag."""
        ciphertext = self._keystream(nonce, data)
        return ciphertext + self._tag(nonce, associated_data or b"", ciphertext)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """The plaintext, after the tag was compared in constant time.

        Raises:
            InvalidTag: as `cryptography`'s own AEADs do.
        """
        split = len(data) - self._tag_bytes
        ciphertext, tag = data[:split], data[split:]
        if not hmac.compare_digest(tag, self._tag(nonce, associated_data or b"", ciphertext)):
            raise InvalidTag
        return self._keystream(nonce, ciphertext)

    def _keystream(self, nonce: bytes, data: bytes) -> bytes:
        stream = Cipher(self._aes, modes.CTR(nonce + bytes(16 - NONCE_BYTES))).encryptor()
        return stream.update(data) + stream.finalize()

    def _tag(self, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        lengths = b"".join(n.to_bytes(8, "big") for n in (len(aad), len(ciphertext), self._tag_bytes))
        message = lengths + nonce + aad + ciphertext
        return hmac.digest(self._auth_key, message, "sha256")[: self._tag_bytes]


class DerivedSecrets(NamedTuple):
    """The key schedule of RFC 9605 section 4.4.2, exposed for the official vectors."""

    secret: bytes
    key: bytes
    salt: bytes


def derive_secrets(base_key: bytes, kid: KeyId, suite: Suite) -> DerivedSecrets:
    """Key and salt for one key id, RFC 9605 section 4.4.2."""
    sizes = _SIZES[suite]
    algorithm = _HASHES[sizes.hash_name]
    no_salt = bytes(hashlib.new(sizes.hash_name).digest_size)
    secret = hmac.digest(no_salt, base_key, sizes.hash_name)
    suffix = kid.to_bytes(8, "big") + suite.to_bytes(2, "big")

    def expand(label: bytes, length: int) -> bytes:
        return HKDFExpand(algorithm, length, label + suffix).derive(secret)

    key = expand(b"SFrame 1.0 Secret key ", sizes.key_bytes)
    return DerivedSecrets(secret, key, expand(b"SFrame 1.0 Secret salt ", NONCE_BYTES))


class SFrameKey:
    """One sender's key: a key id, a suite and the AEAD, set up once and used for every frame."""

    __slots__ = ("_aead", "_salt", "kid", "suite", "tag_bytes")

    def __init__(self, base_key: bytes, kid: int, suite: Suite = Suite.AES_128_GCM_SHA256_128) -> None:
        """
        Raises:
            BadParameter: the key id does not fit into 64 bits, or the base key is empty.
        """
        if not 0 <= kid <= INTEGER_MAX:
            raise BadParameter(f"key id {kid} does not fit into 64 bits")
        if not base_key:
            raise BadParameter("the base key is empty")
        self.kid = KeyId(kid)
        self.suite = suite
        self.tag_bytes = _SIZES[suite].tag_bytes
        secrets = derive_secrets(base_key, self.kid, suite)
        self._salt = int.from_bytes(secrets.salt, "big")
        self._aead: _Aead = (
            AESGCM(secrets.key) if self.tag_bytes == TAG_BYTES else AesCtrHmac(secrets.key, self.tag_bytes)
        )

    def __repr__(self) -> str:
        return f"SFrameKey(kid={self.kid}, suite={self.suite.name})"

    def nonce(self, ctr: int) -> bytes:
        """The salt, xored with the counter, RFC 9605 section 4.4.3."""
        return (self._salt ^ ctr).to_bytes(NONCE_BYTES, "big")

    def encrypt(self, ctr: int, header: bytes, metadata: bytes, plaintext: bytes) -> bytes:
        """Ciphertext and tag. Never call it twice with one counter: use `SFrameSender`."""
        return self._aead.encrypt(self.nonce(ctr), plaintext, header + metadata)

    def decrypt(self, ctr: int, header: bytes, metadata: bytes, sealed: bytes) -> bytes:
        """The plaintext.

        Raises:
            Malformed: shorter than a tag.
            AuthenticationFailed: the tag does not fit.
        """
        if len(sealed) < self.tag_bytes:
            raise Malformed("shorter than its tag")
        try:
            return self._aead.decrypt(self.nonce(ctr), sealed, header + metadata)
        except InvalidTag:
            raise AuthenticationFailed(f"frame {ctr} of key id {self.kid}") from None


class Header(NamedTuple):
    """The clear part of a frame, RFC 9605 section 4.3. `length` is its size in bytes."""

    kid: KeyId
    ctr: Counter
    length: int


def encode_header(kid: int, ctr: int) -> bytes:
    """The header in its only allowed, shortest form.

    Raises:
        BadParameter: a number does not fit into 64 bits.
    """
    if not (0 <= kid <= INTEGER_MAX and 0 <= ctr <= INTEGER_MAX):
        raise BadParameter("key id and counter have at most 64 bits")
    kid_nibble, kid_bytes = _encode_integer(kid)
    ctr_nibble, ctr_bytes = _encode_integer(ctr)
    return bytes((kid_nibble << 4 | ctr_nibble,)) + kid_bytes + ctr_bytes


def decode_header(data: bytes) -> Header:
    """Read the header at the start of `data`.

    Raises:
        Malformed: it ends too early, or a number is not in its shortest form.
    """
    if not data:
        raise Malformed("empty frame")
    config = data[0]
    kid, after_kid = _decode_integer(data, 1, config >> 4)
    ctr, length = _decode_integer(data, after_kid, config & 0x0F)
    return Header(KeyId(kid), Counter(ctr), length)


def _encode_integer(value: int) -> tuple[int, bytes]:
    if value < 8:
        return value, b""
    length = (value.bit_length() + 7) // 8
    return 8 | (length - 1), value.to_bytes(length, "big")


def _decode_integer(data: bytes, start: int, nibble: int) -> tuple[int, int]:
    if nibble < 8:
        return nibble, start
    end = start + (nibble & 7) + 1
    if end > len(data):
        raise Malformed("header ends too early")
    value = int.from_bytes(data[start:end], "big")
    # Two forms of one number would let a relay alter the clear bytes of a frame and evade its duplicate check.
    if value < 8 or data[start] == 0:
        raise Malformed("number not in its shortest form")
    return value, end


class _OneOfAKind:
    """A copy would hold the same counter or replay window twice, so there is none, in memory or on disk."""

    def __copy__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be saved")


class SFrameSender(_OneOfAKind):
    """Seals the frames of one key; every frame takes the next counter and no counter is used twice.

    It lives as long as one call. After a restart nothing loads it: place a new call, whose id gives a new key.
    """

    def __init__(self, key: SFrameKey, counter_start: int = 0, counter_end: int = CALL_COUNTER_END) -> None:
        """`counter_end` is the first counter that must not be used.

        Raises:
            BadParameter: the range is empty or exceeds 64 bits.
        """
        if not 0 <= counter_start < counter_end <= INTEGER_MAX + 1:
            raise BadParameter(f"counters from {counter_start} to {counter_end}")
        self._key = key
        self._next = counter_start
        self._end = counter_end

    @property
    def kid(self) -> KeyId:
        """The key id of every frame this sender seals."""
        return self._key.kid

    @property
    def suite(self) -> Suite:
        """The suite of every frame this sender seals."""
        return self._key.suite

    @property
    def tag_bytes(self) -> int:
        """Length of the tag at each frame's end."""
        return self._key.tag_bytes

    @property
    def counter_next(self) -> Counter:
        """The counter of the next frame."""
        return Counter(self._next)

    def skip_to(self, counter: int) -> None:
        """Make `counter` the next one, so that it can be the frame's place in time.

        Raises:
            BadParameter: it lies behind the next one; nothing has changed.
        """
        if counter < self._next:
            raise BadParameter(f"counter {counter} after {self._next - 1}")
        self._next = counter

    def next_header(self) -> bytes:
        """The header of the next frame, without using it up.

        Raises:
            CounterExhausted: there is no next frame.
        """
        if self._next >= self._end:
            raise CounterExhausted(f"key id {self._key.kid} has used all of its counters")
        return encode_header(self._key.kid, self._next)

    def seal(self, plaintext: bytes, metadata: bytes = b"") -> bytes:
        """`header || ciphertext || tag`, RFC 9605 section 4.4.3. `metadata` is authenticated, not sent.

        Raises:
            CounterExhausted: the key is used up.
        """
        header = self.next_header()
        ctr = self._next
        # Before sealing: whatever happens from here on, this counter is gone.
        self._next = ctr + 1
        return header + self._key.encrypt(ctr, header, metadata, plaintext)


@dataclass(slots=True)
class ReplayWindow:
    """Which of the last `size` counters were seen; the idea of RFC 4303 section 3.4.3."""

    size: int = REPLAY_WINDOW_FRAMES
    highest: int = -1
    _seen: int = 0

    def check(self, ctr: int) -> None:
        """
        Raises:
            Replayed: seen before.
            TooOld: behind the window.
        """
        if ctr > self.highest:
            return
        behind = self.highest - ctr
        if behind >= self.size:
            raise TooOld(f"frame {ctr} is {behind} behind the newest")
        if self._seen >> behind & 1:
            raise Replayed(f"frame {ctr} came before")

    def accept(self, ctr: int) -> None:
        """Note an authenticated frame that `check` let pass."""
        if ctr > self.highest:
            ahead = ctr - self.highest
            # A jump by more than the window forgets it all; shifting by a hostile distance would eat the memory.
            self._seen = (self._seen << ahead) & (1 << self.size) - 1 if ahead < self.size else 0
            self._seen |= 1
            self.highest = ctr
        else:
            self._seen |= 1 << (self.highest - ctr)


class OpenedFrame(NamedTuple):
    """An authentic frame: who sealed it (key id), its number, and what was in it."""

    kid: KeyId
    ctr: Counter
    payload: bytes


@dataclass(slots=True)
class _Source:
    key: SFrameKey
    window: ReplayWindow = field(default_factory=ReplayWindow)


class SFrameReceiver(_OneOfAKind):
    """Opens frames of the senders whose keys were added; each has a replay window of its own.

    Add the peer's key only: a receiver that held its own sender's key would accept its own frames sent back to it.
    """

    def __init__(self, *keys: SFrameKey) -> None:
        self._sources: dict[KeyId, _Source] = {}
        for key in keys:
            self.add_key(key)

    @property
    def kids(self) -> frozenset[KeyId]:
        """Key ids whose frames are opened."""
        return frozenset(self._sources)

    def add_key(self, key: SFrameKey) -> None:
        """Accept frames of one more sender or epoch.

        Raises:
            BadParameter: the key id is taken; replacing it would empty its replay window.
        """
        if key.kid in self._sources:
            raise BadParameter(f"key id {key.kid} has a key already")
        self._sources[key.kid] = _Source(key)

    def forget(self, kid: KeyId) -> None:
        """Refuse this key id from now on."""
        self._sources.pop(kid, None)

    def open(self, frame: bytes, metadata: bytes = b"") -> OpenedFrame:
        """Authenticate and decrypt one frame, RFC 9605 section 4.4.4.

        Raises:
            Malformed: not a frame.
            UnknownKid: no key for it.
            Replayed, TooOld: its counter was seen or can no longer be judged.
            AuthenticationFailed: altered, forged, or sealed with another key.
        """
        return self._open(frame, metadata, fixed_size=False)

    def _open(self, frame: bytes, metadata: bytes, *, fixed_size: bool) -> OpenedFrame:
        kid, ctr, length = decode_header(frame)
        source = self._sources.get(kid)
        if source is None:
            raise UnknownKid(f"key id {kid}")
        source.window.check(ctr)
        payload = source.key.decrypt(ctr, frame[:length], metadata, frame[length:])
        if fixed_size:
            payload = _unpad(payload)
        # Only now: an unauthenticated counter must not be able to push real frames out of the window.
        source.window.accept(ctr)
        return OpenedFrame(kid, ctr, payload)


def payload_bytes_max(total_bytes: int) -> int:
    """What `seal_frame` takes for this total size, whatever the counter."""
    return total_bytes - HEADER_BYTES_MAX - TAG_BYTES - LENGTH_BYTES


AUDIO_PAYLOAD_BYTES_MAX: Final = payload_bytes_max(VOICE_BODY_BYTES - SIGNAL_KIND_BYTES)
"""Largest audio packet that always fits into a voice frame, with or without the transport's kind byte."""


def seal_frame(sender: SFrameSender, payload: bytes, total_bytes: int = VOICE_BODY_BYTES) -> bytes:
    """A sealed frame of exactly `total_bytes`: `header || seal(length(2) || payload || zeros) || tag`.

    Raises:
        TooLarge: the payload exceeds `payload_bytes_max(total_bytes)`, a limit that does not depend on the counter.
        CounterExhausted: the key is used up.
    """
    if len(payload) > payload_bytes_max(total_bytes):
        raise TooLarge(f"{len(payload)} bytes, at most {payload_bytes_max(total_bytes)}")
    room = total_bytes - len(sender.next_header()) - sender.tag_bytes
    if room > 0xFFFF + LENGTH_BYTES or room < LENGTH_BYTES + len(payload):
        raise TooLarge(f"{len(payload)} bytes in a frame of {total_bytes}")
    padded = (len(payload).to_bytes(LENGTH_BYTES, "big") + payload).ljust(room, b"\0")
    return sender.seal(padded)


def open_frame(receiver: SFrameReceiver, body: bytes) -> OpenedFrame:
    """The opposite of `seal_frame`.

    Raises:
        Malformed: also when the length or the padding inside is wrong, though the tag fits.
        UnknownKid, Replayed, TooOld, AuthenticationFailed: see `SFrameReceiver.open`.
    """
    return receiver._open(body, b"", fixed_size=True)


def _unpad(padded: bytes) -> bytes:
    if len(padded) < LENGTH_BYTES:
        raise Malformed("no length inside")
    end = LENGTH_BYTES + int.from_bytes(padded[:LENGTH_BYTES], "big")
    if end > len(padded):
        raise Malformed("payload ends too early")
    if any(padded[end:]):
        raise Malformed("padding is not zero")
    return padded[LENGTH_BYTES:end]


def call_kid(leaf_index: int, epoch: int) -> KeyId:
    """The key id of a device in a call: `leaf_index << 8 | epoch mod 256`, RFC 9605 section 5.2 with E = 8.

    Raises:
        BadParameter: a leaf index above `LEAF_INDEX_MAX`, or a negative number.
    """
    if not 0 <= leaf_index <= LEAF_INDEX_MAX or epoch < 0:
        raise BadParameter(f"leaf {leaf_index} in epoch {epoch} has no key id")
    return KeyId(leaf_index << EPOCH_BITS | epoch & (1 << EPOCH_BITS) - 1)


def split_call_kid(kid: int) -> tuple[int, int]:
    """Leaf index and the low 8 bits of the epoch.

    Raises:
        BadParameter: not a key id of a call.
    """
    leaf_index = kid >> EPOCH_BITS
    if not 0 <= leaf_index <= LEAF_INDEX_MAX:
        raise BadParameter(f"{kid} is no key id of a call")
    return leaf_index, kid & (1 << EPOCH_BITS) - 1


def call_key(base_key: bytes, leaf_index: int, epoch: int) -> SFrameKey:
    """One device's key in a call. `base_key` is the MLS exporter's output for this call id in this epoch.

    Raises:
        BadParameter: a base key not of `CALL_BASE_KEY_BYTES`, or a leaf index out of range.
    """
    if len(base_key) != CALL_BASE_KEY_BYTES:
        raise BadParameter(f"base key of {len(base_key)} bytes instead of {CALL_BASE_KEY_BYTES}")
    return SFrameKey(base_key, call_kid(leaf_index, epoch), Suite.AES_128_GCM_SHA256_128)
