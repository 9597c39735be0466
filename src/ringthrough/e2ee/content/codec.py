"""MIMI content to bytes and back. Whatever `decode` accepts, `encode` gives back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from . import limits
from .cbor import Value, decode_deterministic, encode_deterministic
from .errors import ContentError, Reason
from .model import (
    ROOM_URI,
    SENDER_URI,
    Cardinality,
    EncAlg,
    Expiration,
    Extensions,
    ExternalPart,
    HashAlg,
    MessageId,
    MimiContent,
    MultiPart,
    NestedPart,
    NullPart,
    Salt,
    Semantics,
    SinglePart,
)

_UINT32_MAX: Final = 2**32 - 1
_AEAD_SIZES: Final[dict[int, tuple[int, int]]] = {
    EncAlg.NONE: (0, 0),
    EncAlg.AES_128_GCM: (16, 12),
    EncAlg.AES_256_GCM: (32, 12),
}
"""Bytes of key and nonce."""
_HASH_SIZES: Final[dict[int, int]] = {HashAlg.NONE: 0, HashAlg.SHA_256: 32}


def encode(message: MimiContent) -> bytes:
    """The deterministic encoding.

    Raises:
        ContentError: the message is one that `decode` would refuse, for the same reason.
    """
    expires = message.expires
    encoded = encode_deterministic(
        [
            message.salt,
            message.replaces,
            message.topic_id,
            None if expires is None else [expires.relative, expires.time_s],
            message.in_reply_to,
            message.extensions,
            _part_value(message.body),
        ]
    )
    decode(encoded)
    return encoded


def decode(data: bytes) -> MimiContent:
    """Read and check one message.

    Raises:
        ContentError: not deterministic CBOR, not a message, or beyond a limit.
    """
    if len(data) > limits.CONTENT_BYTES_MAX:
        raise ContentError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {limits.CONTENT_BYTES_MAX}")
    salt, replaces, topic_id, expires, in_reply_to, extensions, body = _array(decode_deterministic(data), 7)
    return MimiContent(
        salt=Salt(_exact(salt, limits.SALT_BYTES)),
        replaces=_message_id(replaces),
        topic_id=_bytes(topic_id, limits.TOPIC_ID_BYTES_MAX),
        expires=_expiration(expires),
        in_reply_to=_message_id(in_reply_to),
        extensions=_extensions(extensions),
        body=_part(body, 1, iter(range(limits.PARTS_MAX))),
    )


def _part_value(part: NestedPart) -> Value:
    head: list[Value] = [int(part.disposition), part.language]
    match part:
        case NullPart():
            return [*head, int(Cardinality.NULL)]
        case SinglePart():
            return [*head, int(Cardinality.SINGLE), part.content_type, part.content]
        case ExternalPart():
            where: list[Value] = [part.content_type, part.url, part.expires_s, part.size]
            seal: list[Value] = [
                int(part.enc_alg),
                part.key,
                part.nonce,
                part.aad,
                int(part.hash_alg),
                part.content_hash,
            ]
            return [*head, int(Cardinality.EXTERNAL), *where, *seal, part.description, part.filename]
        case MultiPart():
            parts = [_part_value(inner) for inner in part.parts]
            return [*head, int(Cardinality.MULTI), int(part.semantics), parts]


def _part(value: Value, depth: int, numbers: Iterator[int]) -> NestedPart:
    if depth > limits.PART_DEPTH_MAX:
        raise ContentError(Reason.TOO_DEEP, f"parts nested in more than {limits.PART_DEPTH_MAX} levels")
    if next(numbers, None) is None:
        raise ContentError(Reason.TOO_MANY, f"more than {limits.PARTS_MAX} parts")
    if not isinstance(value, list) or len(value) < 3:
        raise ContentError(Reason.BAD_STRUCTURE, "a part is no array of three or more")
    disposition = _uint(value[0], 255)
    language = _text(value[1], limits.LANGUAGE_BYTES_MAX)
    match _uint(value[2], _UINT32_MAX):
        case Cardinality.NULL:
            _array(value, 3)
            return NullPart(disposition, language)
        case Cardinality.SINGLE:
            content_type, content = _array(value, 5)[3:]
            content_type = _text(content_type, limits.CONTENT_TYPE_BYTES_MAX)
            return SinglePart(content_type, _bytes(content, limits.CONTENT_BYTES_MAX), disposition, language)
        case Cardinality.EXTERNAL:
            return _external(_array(value, 15)[3:], disposition, language)
        case Cardinality.MULTI:
            semantics, parts = _array(value, 5)[3:]
            if not isinstance(parts, list) or len(parts) < 2:
                raise ContentError(Reason.BAD_STRUCTURE, "fewer than two parts")
            inner = tuple(_part(part, depth + 1, numbers) for part in parts)
            return MultiPart(_semantics(semantics), inner, disposition, language)
        case unknown:
            raise ContentError(Reason.UNKNOWN_CARDINALITY, str(unknown))


def _external(fields: list[Value], disposition: int, language: str) -> ExternalPart:
    content_type, url, expires_s, size, enc_alg, key, nonce, aad, hash_alg, digest, description, filename = fields
    part = ExternalPart(
        content_type=_text(content_type, limits.CONTENT_TYPE_BYTES_MAX),
        url=_text(url, limits.URL_BYTES_MAX),
        expires_s=_uint(expires_s, _UINT32_MAX),
        size=_uint(size, 2**64 - 1),
        enc_alg=_uint(enc_alg, 2**16 - 1),
        key=_bytes(key, limits.CRYPTO_FIELD_BYTES_MAX),
        nonce=_bytes(nonce, limits.CRYPTO_FIELD_BYTES_MAX),
        aad=_bytes(aad, limits.AAD_BYTES_MAX),
        hash_alg=_uint(hash_alg, 255),
        content_hash=_bytes(digest, limits.CRYPTO_FIELD_BYTES_MAX),
        description=_text(description, limits.DESCRIPTION_BYTES_MAX),
        filename=_filename(filename),
        disposition=disposition,
        language=language,
    )
    sizes = _AEAD_SIZES.get(part.enc_alg)
    if sizes is not None and (len(part.key), len(part.nonce)) != sizes:
        raise ContentError(Reason.BAD_ENCRYPTION, f"key or nonce do not fit algorithm {part.enc_alg}")
    if part.enc_alg == EncAlg.NONE and part.aad:
        raise ContentError(Reason.BAD_ENCRYPTION, "associated data without encryption")
    if len(part.content_hash) != _HASH_SIZES.get(part.hash_alg, len(part.content_hash)):
        raise ContentError(Reason.BAD_HASH, f"{len(part.content_hash)} bytes for algorithm {part.hash_alg}")
    return part


def _filename(value: Value) -> str:
    """A suggested name must not choose a folder, nor hide in one."""
    name = _text(value, limits.FILENAME_BYTES_MAX)
    if name in (".", "..") or any(char in "/\\" or ord(char) < 32 or ord(char) == 127 for char in name):
        raise ContentError(Reason.UNSAFE_FILENAME, repr(name))
    return name


def _semantics(value: Value) -> Semantics:
    number = _uint(value, _UINT32_MAX)
    try:
        return Semantics(number)
    except ValueError:
        raise ContentError(Reason.UNKNOWN_SEMANTICS, str(number)) from None


def _message_id(value: Value) -> MessageId | None:
    if value is None:
        return None
    identity = _exact(value, limits.MESSAGE_ID_BYTES)
    if identity[0] != HashAlg.SHA_256:
        raise ContentError(Reason.BAD_MESSAGE_ID, f"unknown hash algorithm {identity[0]}")
    return MessageId(identity)


def _expiration(value: Value) -> Expiration | None:
    if value is None:
        return None
    relative, time_s = _array(value, 2)
    if not isinstance(relative, bool):
        raise ContentError(Reason.BAD_STRUCTURE, "an expiration without its boolean")
    return Expiration(relative, _uint(time_s, _UINT32_MAX))


def _extensions(value: Value) -> Extensions:
    if not isinstance(value, Mapping):
        raise ContentError(Reason.BAD_STRUCTURE, "extensions are no map")
    if len(value) > limits.EXTENSIONS_MAX:
        raise ContentError(Reason.TOO_MANY, f"more than {limits.EXTENSIONS_MAX} extensions")
    found: dict[int | str, Value] = {}
    for key, item in value.items():
        if isinstance(key, bytes) or key == "":
            raise ContentError(Reason.BAD_KEY, "an extension's name is an integer or a text that is not empty")
        if isinstance(key, str) and len(key.encode()) > limits.EXTENSION_NAME_BYTES_MAX:
            raise ContentError(Reason.TOO_LONG, "an extension's name")
        if len(encode_deterministic(item)) > limits.EXTENSION_VALUE_BYTES_MAX:
            raise ContentError(Reason.TOO_LONG, f"extension {key!r}")
        if key in (SENDER_URI, ROOM_URI):
            _text(item, limits.URI_BYTES_MAX)
        found[key] = item
    return found


def _array(value: Value, length: int) -> list[Value]:
    if not isinstance(value, list) or len(value) != length:
        raise ContentError(Reason.BAD_STRUCTURE, f"no array of {length}")
    return value


def _uint(value: Value, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ContentError(Reason.BAD_STRUCTURE, "no unsigned integer")
    if not 0 <= value <= maximum:
        raise ContentError(Reason.OUT_OF_RANGE, f"{value}, at most {maximum}")
    return value


def _bytes(value: Value, maximum: int) -> bytes:
    if not isinstance(value, bytes):
        raise ContentError(Reason.BAD_STRUCTURE, "no byte string")
    if len(value) > maximum:
        raise ContentError(Reason.TOO_LONG, f"{len(value)} bytes, at most {maximum}")
    return value


def _exact(value: Value, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise ContentError(Reason.BAD_STRUCTURE, f"no byte string of {length}")
    return value


def _text(value: Value, maximum: int) -> str:
    if not isinstance(value, str):
        raise ContentError(Reason.BAD_STRUCTURE, "no text")
    if len(value.encode()) > maximum:
        raise ContentError(Reason.TOO_LONG, f"a text of more than {maximum} bytes")
    return value
