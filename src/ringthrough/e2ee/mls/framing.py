"""FramedContent, PublicMessage, PrivateMessage and MLSMessage (RFC 9420 section 6) as they stand on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from .codec import Reader, opaque, u8, u16, u32, u64
from .commits import Commit
from .errors import DecodeError, InvalidMessage, LimitExceeded, Unsupported
from .key_package import KeyPackage
from .limits import (
    APPLICATION_DATA_BYTES_MAX,
    AUTHENTICATED_DATA_BYTES_MAX,
    GROUP_ID_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PUBLIC_KEY_BYTES_MAX,
    SIGNATURE_BYTES_MAX,
)
from .proposals import Proposal, read_proposal
from .structure import Structure, remember
from .suites import PROTOCOL_VERSION, CipherSuite
from .welcome import GroupInfo, Welcome

if TYPE_CHECKING:
    from .group_context import GroupContext


class WireFormat(IntEnum):
    PUBLIC_MESSAGE = 1
    PRIVATE_MESSAGE = 2
    WELCOME = 3
    GROUP_INFO = 4
    KEY_PACKAGE = 5


class ContentType(IntEnum):
    APPLICATION = 1
    PROPOSAL = 2
    COMMIT = 3


class SenderType(IntEnum):
    MEMBER = 1
    EXTERNAL = 2
    NEW_MEMBER_PROPOSAL = 3
    NEW_MEMBER_COMMIT = 4


@dataclass(frozen=True)
class Sender:
    """Who sent a message; `index` is a leaf index for MEMBER, an external sender's for EXTERNAL."""

    type: SenderType
    index: int = 0

    def encode(self) -> bytes:
        if self.type in (SenderType.MEMBER, SenderType.EXTERNAL):
            return u8(self.type) + u32(self.index)
        return u8(self.type)

    @staticmethod
    def read(reader: Reader) -> Sender:
        number = reader.u8()
        try:
            type = SenderType(number)
        except ValueError as error:
            raise DecodeError(f"sender type {number} does not exist") from error
        return Sender(type, reader.u32() if type in (SenderType.MEMBER, SenderType.EXTERNAL) else 0)


Content = bytes | Proposal | Commit
"""Application data, a proposal or a commit."""


def content_type_of(content: Content) -> ContentType:
    if isinstance(content, bytes):
        return ContentType.APPLICATION
    return ContentType.COMMIT if isinstance(content, Commit) else ContentType.PROPOSAL


def encode_content(content: Content) -> bytes:
    """The content without its type."""
    return opaque(content) if isinstance(content, bytes) else content.encode()


def read_content_type(reader: Reader) -> ContentType:
    number = reader.u8()
    try:
        return ContentType(number)
    except ValueError as error:
        raise DecodeError(f"content type {number} does not exist") from error


def read_content(reader: Reader, type: ContentType) -> Content:
    """The content of a known type."""
    if type is ContentType.APPLICATION:
        return reader.opaque(APPLICATION_DATA_BYTES_MAX)
    return read_proposal(reader) if type is ContentType.PROPOSAL else Commit.read(reader)


@dataclass(frozen=True)
class FramedContent(Structure):
    """What a sender says, with the place it says it in."""

    group_id: bytes
    epoch: int
    sender: Sender
    authenticated_data: bytes
    content: Content

    def _encode(self) -> bytes:
        return b"".join(
            (
                opaque(self.group_id),
                u64(self.epoch),
                self.sender.encode(),
                opaque(self.authenticated_data),
                u8(content_type_of(self.content)),
                encode_content(self.content),
            )
        )

    @staticmethod
    def read(reader: Reader) -> FramedContent:
        start = reader.position
        framed = FramedContent(
            reader.opaque(GROUP_ID_BYTES_MAX),
            reader.u64(),
            Sender.read(reader),
            reader.opaque(AUTHENTICATED_DATA_BYTES_MAX),
            read_content(reader, read_content_type(reader)),
        )
        return remember(framed, reader, start)


@dataclass(frozen=True)
class AuthenticatedContent:
    """Framed content with its signature and, for a commit, its confirmation tag (section 6.1)."""

    wire_format: WireFormat
    framed: FramedContent
    signature: bytes
    confirmation_tag: bytes | None = None

    def encode(self) -> bytes:
        return u16(self.wire_format) + self.framed.encoded + self.encode_auth()

    def encode_auth(self) -> bytes:
        """FramedContentAuthData."""
        if self.confirmation_tag is None:
            return opaque(self.signature)
        return opaque(self.signature) + opaque(self.confirmation_tag)

    @staticmethod
    def read(reader: Reader) -> AuthenticatedContent:
        number = reader.u16()
        if number not in (WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE):
            raise DecodeError(f"wire format {number} carries no framed content")
        framed = FramedContent.read(reader)
        return AuthenticatedContent(WireFormat(number), framed, *read_auth(reader, framed.content))

    def to_be_signed(self, context: GroupContext) -> bytes:
        """FramedContentTBS: members and external joiners bind it to the group context."""
        return to_be_signed(self.wire_format, self.framed, context)

    def verify_signature(self, cs: CipherSuite, public: bytes, context: GroupContext) -> None:
        """Raises `InvalidSignature` unless the holder of this key said it in this epoch."""
        cs.verify_with_label(public, "FramedContentTBS", self.to_be_signed(context), self.signature)

    def transcript_input(self) -> bytes:
        """ConfirmedTranscriptHashInput of section 8.2."""
        return u16(self.wire_format) + self.framed.encoded + opaque(self.signature)

    def proposal_ref(self, cs: CipherSuite) -> bytes:
        """ProposalRef of section 5.2."""
        return cs.ref_hash("MLS 1.0 Proposal Reference", self.encode())


def to_be_signed(wire_format: WireFormat, framed: FramedContent, context: GroupContext) -> bytes:
    """FramedContentTBS of section 6.1."""
    bound = framed.sender.type in (SenderType.MEMBER, SenderType.NEW_MEMBER_COMMIT)
    head = u16(PROTOCOL_VERSION) + u16(wire_format) + framed.encoded
    return head + context.encoded if bound else head


def read_auth(reader: Reader, content: Content) -> tuple[bytes, bytes | None]:
    """FramedContentAuthData: (signature, confirmation tag of a commit)."""
    signature = reader.opaque(SIGNATURE_BYTES_MAX)
    return signature, reader.opaque(PUBLIC_KEY_BYTES_MAX) if isinstance(content, Commit) else None


@dataclass(frozen=True)
class PublicMessage:
    """Signed but not encrypted (section 6.2); members add a membership tag."""

    content: AuthenticatedContent
    membership_tag: bytes | None

    def encode(self) -> bytes:
        tag = b"" if self.membership_tag is None else opaque(self.membership_tag)
        return self.content.framed.encoded + self.content.encode_auth() + tag

    @staticmethod
    def read(reader: Reader) -> PublicMessage:
        framed = FramedContent.read(reader)
        signature, confirmation_tag = read_auth(reader, framed.content)
        content = AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, framed, signature, confirmation_tag)
        from_member = framed.sender.type is SenderType.MEMBER
        return PublicMessage(content, reader.opaque(PUBLIC_KEY_BYTES_MAX) if from_member else None)


@dataclass(frozen=True)
class PrivateMessage:
    """Signed and encrypted (section 6.3)."""

    group_id: bytes
    epoch: int
    content_type: ContentType
    authenticated_data: bytes
    encrypted_sender_data: bytes
    ciphertext: bytes

    def encode(self) -> bytes:
        return b"".join(
            (
                self.content_aad(),
                opaque(self.encrypted_sender_data),
                opaque(self.ciphertext),
            )
        )

    def sender_data_aad(self) -> bytes:
        """SenderDataAAD of section 6.3.2."""
        return opaque(self.group_id) + u64(self.epoch) + u8(self.content_type)

    def content_aad(self) -> bytes:
        """PrivateContentAAD of section 6.3.1."""
        return self.sender_data_aad() + opaque(self.authenticated_data)

    @staticmethod
    def read(reader: Reader) -> PrivateMessage:
        return PrivateMessage(
            reader.opaque(GROUP_ID_BYTES_MAX),
            reader.u64(),
            read_content_type(reader),
            reader.opaque(AUTHENTICATED_DATA_BYTES_MAX),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.opaque(),
        )


Body = PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage


def encode_mls_message(body: Body) -> bytes:
    """MLSMessage of section 6."""
    match body:
        case PublicMessage():
            return _head(WireFormat.PUBLIC_MESSAGE) + body.encode()
        case PrivateMessage():
            return _head(WireFormat.PRIVATE_MESSAGE) + body.encode()
        case Welcome():
            return _head(WireFormat.WELCOME) + body.encode()
        case GroupInfo():
            return _head(WireFormat.GROUP_INFO) + body.encoded
        case KeyPackage():
            return _head(WireFormat.KEY_PACKAGE) + body.encoded


def _head(wire_format: WireFormat) -> bytes:
    return u16(PROTOCOL_VERSION) + u16(wire_format)


def read_mls_message(reader: Reader) -> Body:
    """MLSMessage of section 6."""
    version = reader.u16()
    if version != PROTOCOL_VERSION:
        raise Unsupported(f"protocol version {version} is not supported")
    number = reader.u16()
    match number:
        case WireFormat.PUBLIC_MESSAGE:
            return PublicMessage.read(reader)
        case WireFormat.PRIVATE_MESSAGE:
            return PrivateMessage.read(reader)
        case WireFormat.WELCOME:
            return Welcome.read(reader)
        case WireFormat.GROUP_INFO:
            return GroupInfo.read(reader)
        case WireFormat.KEY_PACKAGE:
            return KeyPackage.read(reader)
        case _:
            raise DecodeError(f"wire format {number} does not exist")


def decode_padded_mls_message(data: bytes) -> tuple[Body, int]:
    """An MLSMessage that may be followed by zero bytes (outer padding); gives it and its own length."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise LimitExceeded(f"a message of {len(data)} bytes; at most {MESSAGE_BYTES_MAX} are allowed")
    reader = Reader(data)
    body = read_mls_message(reader)
    if any(data[reader.position :]):
        raise InvalidMessage("something other than zero bytes follows the message")
    return body, reader.position
