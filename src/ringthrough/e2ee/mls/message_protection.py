"""Signing, tagging, encrypting and opening framed content (RFC 9420 sections 6.1 to 6.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .codec import Reader, u32, varint_size
from .errors import DecryptionFailed, InvalidMac, InvalidMessage, LimitExceeded
from .framing import (
    AuthenticatedContent,
    ContentType,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    SenderType,
    WireFormat,
    content_type_of,
    encode_content,
    read_auth,
    read_content,
    to_be_signed,
)
from .group_context import GroupContext
from .limits import MESSAGE_BYTES_MAX
from .secret_tree import FoundKey, RatchetKind, SecretTree, Window
from .signatures import Random
from .suites import CipherSuite

Pad = Callable[[int], int]
"""Maps the length of an MLSMessage without padding to the length it should have."""

_REUSE_GUARD_BYTES = 4
_SENDER_DATA_BYTES = 12
_MLS_MESSAGE_HEAD_BYTES = 4


def sign(
    cs: CipherSuite,
    wire_format: WireFormat,
    framed: FramedContent,
    context: GroupContext,
    signature_private: bytes,
    confirmation_tag: bytes | None = None,
) -> AuthenticatedContent:
    """FramedContent with its signature (section 6.1)."""
    content = to_be_signed(wire_format, framed, context)
    signature = cs.sign_with_label(signature_private, "FramedContentTBS", content)
    return AuthenticatedContent(wire_format, framed, signature, confirmation_tag)


# --- PublicMessage ------------------------------------------------------------------------------------------------


def membership_tag(
    cs: CipherSuite, content: AuthenticatedContent, context: GroupContext, membership_key: bytes
) -> bytes:
    """MAC over AuthenticatedContentTBM (section 6.2)."""
    return cs.mac(membership_key, content.to_be_signed(context) + content.encode_auth())


def protect_public(
    cs: CipherSuite, content: AuthenticatedContent, context: GroupContext, membership_key: bytes
) -> PublicMessage:
    """A PublicMessage, with a membership tag if a member sends it."""
    if content.framed.sender.type is not SenderType.MEMBER:
        return PublicMessage(content, None)
    return PublicMessage(content, membership_tag(cs, content, context, membership_key))


def check_membership_tag(
    cs: CipherSuite, message: PublicMessage, context: GroupContext, membership_key: bytes
) -> None:
    """Raises `InvalidMac` if a member's message lacks the right tag; application data is refused outright."""
    framed = message.content.framed
    if isinstance(framed.content, bytes):
        raise InvalidMessage("application data must not be sent in a PublicMessage")
    if framed.sender.type is SenderType.MEMBER:
        tbm = message.content.to_be_signed(context) + message.content.encode_auth()
        if not cs.mac_equal(membership_key, tbm, message.membership_tag or b""):
            raise InvalidMac("the membership tag is wrong")


# --- PrivateMessage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SenderData:
    """SenderData of section 6.3.2."""

    leaf: int
    generation: int
    reuse_guard: bytes

    def encode(self) -> bytes:
        return u32(self.leaf) + u32(self.generation) + self.reuse_guard


def sender_data_key(cs: CipherSuite, sender_data_secret: bytes, ciphertext: bytes) -> tuple[bytes, bytes]:
    """(key, nonce) for the sender data, from a sample of the ciphertext (section 6.3.2)."""
    sample = ciphertext[: cs.hash_bytes]
    key = cs.expand_with_label(sender_data_secret, "key", sample, cs.aead.key_bytes)
    return key, cs.expand_with_label(sender_data_secret, "nonce", sample, cs.aead.nonce_bytes)


def _guarded(nonce: bytes, reuse_guard: bytes) -> bytes:
    head = bytes(a ^ b for a, b in zip(nonce[:_REUSE_GUARD_BYTES], reuse_guard, strict=True))
    return head + nonce[_REUSE_GUARD_BYTES:]


def kind_of(content_type: ContentType) -> RatchetKind:
    """Which of a sender's two ratchets encrypts a type of content (section 9)."""
    return RatchetKind.APPLICATION if content_type is ContentType.APPLICATION else RatchetKind.HANDSHAKE


def padding_for(unpadded_bytes: int, ciphertext_bytes: int, wanted_bytes: int) -> int:
    """Padding that makes a message of `unpadded_bytes` exactly `wanted_bytes` long, or the next length above.

    The length prefix of the ciphertext grows with it, so a few totals cannot be reached.
    """
    fixed = unpadded_bytes - ciphertext_bytes - varint_size(ciphertext_bytes)
    if wanted_bytes > MESSAGE_BYTES_MAX:
        raise LimitExceeded(f"a message of {wanted_bytes} bytes; at most {MESSAGE_BYTES_MAX} are allowed")
    for total in range(max(wanted_bytes, unpadded_bytes), wanted_bytes + 8):
        for prefix in (1, 2, 4):
            padded = total - fixed - prefix
            if padded >= ciphertext_bytes and varint_size(padded) == prefix:
                return padded - ciphertext_bytes
    return 0


def protect_private(
    cs: CipherSuite,
    content: AuthenticatedContent,
    sender_data_secret: bytes,
    secret_tree: SecretTree,
    random: Random,
    pad: Pad | None = None,
) -> PrivateMessage:
    """A PrivateMessage; uses up the sender's next generation (section 6.3)."""
    framed = content.framed
    content_type = content_type_of(framed.content)
    plaintext = encode_content(framed.content) + content.encode_auth()
    bare = PrivateMessage(framed.group_id, framed.epoch, content_type, framed.authenticated_data, b"", b"")
    if pad is not None:
        plaintext += bytes(_padding(cs, bare, len(plaintext), pad))
    reuse_guard = random(_REUSE_GUARD_BYTES)
    leaf = framed.sender.index
    generation, key, nonce = secret_tree.take_next(leaf, kind_of(content_type))
    ciphertext = cs.aead.seal(key, _guarded(nonce, reuse_guard), bare.content_aad(), plaintext)
    sender_data = SenderData(leaf, generation, reuse_guard).encode()
    data_key, data_nonce = sender_data_key(cs, sender_data_secret, ciphertext)
    sealed = cs.aead.seal(data_key, data_nonce, bare.sender_data_aad(), sender_data)
    return PrivateMessage(framed.group_id, framed.epoch, content_type, framed.authenticated_data, sealed, ciphertext)


def _padding(cs: CipherSuite, bare: PrivateMessage, plaintext_bytes: int, pad: Pad) -> int:
    ciphertext_bytes = plaintext_bytes + cs.aead.tag_bytes
    sealed_bytes = _SENDER_DATA_BYTES + cs.aead.tag_bytes
    around = _MLS_MESSAGE_HEAD_BYTES + len(bare.content_aad()) + varint_size(sealed_bytes) + sealed_bytes
    unpadded = around + varint_size(ciphertext_bytes) + ciphertext_bytes
    return padding_for(unpadded, ciphertext_bytes, pad(unpadded))


def open_sender_data(cs: CipherSuite, message: PrivateMessage, sender_data_secret: bytes) -> SenderData:
    """Who sent a PrivateMessage (section 6.3.2), not yet authenticated beyond "somebody of this epoch"."""
    key, nonce = sender_data_key(cs, sender_data_secret, message.ciphertext)
    data = cs.aead.open(key, nonce, message.sender_data_aad(), message.encrypted_sender_data)
    if len(data) != _SENDER_DATA_BYTES:
        raise DecryptionFailed("sender data has the wrong length")
    reader = Reader(data)
    return SenderData(reader.u32(), reader.u32(), reader.take(_REUSE_GUARD_BYTES))


@dataclass(frozen=True)
class OpenedMessage:
    """A decrypted message whose signature is still to be checked, with the key to consume then."""

    content: AuthenticatedContent
    used: FoundKey = field(repr=False)


def open_private(
    cs: CipherSuite, message: PrivateMessage, sender: SenderData, secret_tree: SecretTree, window: Window
) -> OpenedMessage:
    """Decrypts the content (section 6.3.1); nothing is used up until `secret_tree.consume(opened.used)`."""
    found = secret_tree.find_key(sender.leaf, kind_of(message.content_type), sender.generation, window)
    nonce = _guarded(found.nonce, sender.reuse_guard)
    plaintext = cs.aead.open(found.key, nonce, message.content_aad(), message.ciphertext)
    reader = Reader(plaintext)
    content = read_content(reader, message.content_type)
    signature, confirmation_tag = read_auth(reader, content)
    if any(plaintext[reader.position :]):
        raise InvalidMessage("the padding is not all zero")
    framed = FramedContent(
        message.group_id,
        message.epoch,
        Sender(SenderType.MEMBER, sender.leaf),
        message.authenticated_data,
        content,
    )
    signed = AuthenticatedContent(WireFormat.PRIVATE_MESSAGE, framed, signature, confirmation_tag)
    return OpenedMessage(signed, found)
