"""Files: sealed before they are uploaded, opened only after size, hash and tag were checked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import ContentError, Reason
from .model import Disposition, EncAlg, ExternalPart, HashAlg

_KEY_BYTES: Final = {EncAlg.AES_128_GCM: 16, EncAlg.AES_256_GCM: 32}
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What is uploaded (`blob`), and what only the receivers of the message get."""

    blob: bytes = field(repr=False)
    key: bytes = field(repr=False)
    nonce: bytes
    enc_alg: EncAlg

    def part(
        self,
        url: str,
        content_type: str,
        filename: str = "",
        description: str = "",
        disposition: int = Disposition.ATTACHMENT,
        expires_s: int = 0,
    ) -> ExternalPart:
        """The part that tells the receivers where the blob is and how to open it."""
        return ExternalPart(
            content_type=content_type,
            url=url,
            size=len(self.blob),
            expires_s=expires_s,
            enc_alg=self.enc_alg,
            key=self.key,
            nonce=self.nonce,
            hash_alg=HashAlg.SHA_256,
            content_hash=hashlib.sha256(self.blob).digest(),
            description=description,
            filename=filename,
            disposition=disposition,
        )


def seal_file(plaintext: bytes, random: Callable[[int], bytes], enc_alg: EncAlg = EncAlg.AES_128_GCM) -> SealedFile:
    """Encrypt a file with a key of its own. The blob is 16 bytes longer than the file.

    Raises:
        ContentError: `unsupported_algorithm` for no encryption.
    """
    if enc_alg not in _KEY_BYTES:
        raise ContentError(Reason.UNSUPPORTED_ALGORITHM, f"AEAD {enc_alg}")
    key, nonce = random(_KEY_BYTES[enc_alg]), random(_NONCE_BYTES)
    return SealedFile(AESGCM(key).encrypt(nonce, plaintext, b""), key, nonce, enc_alg)


def open_file(part: ExternalPart, blob: bytes) -> bytes:
    """The file that `part` describes, from the bytes found at its URL.

    Raises:
        ContentError: `unsupported_algorithm` (no encryption or no hash is refused too), `hash_mismatch`,
            `decryption_failed`.
    """
    if part.enc_alg not in _KEY_BYTES or part.hash_alg != HashAlg.SHA_256:
        raise ContentError(Reason.UNSUPPORTED_ALGORITHM, f"AEAD {part.enc_alg}, hash {part.hash_alg}")
    if part.size not in (0, len(blob)) or not hmac.compare_digest(hashlib.sha256(blob).digest(), part.content_hash):
        raise ContentError(Reason.HASH_MISMATCH, "these are not the bytes that the sender uploaded")
    try:
        return AESGCM(part.key).decrypt(part.nonce, blob, part.aad)
    except (InvalidTag, ValueError):
        raise ContentError(Reason.DECRYPTION_FAILED, "the key does not open these bytes") from None
