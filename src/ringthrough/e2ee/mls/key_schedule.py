"""The key schedule (RFC 9420 section 8) and the exporter (section 8.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kem import HpkeKeyPair
from .suites import CipherSuite


def joiner_secret(cs: CipherSuite, init_secret: bytes, commit_secret: bytes, context: bytes) -> bytes:
    """The secret from which members and joiners alike reach the new epoch; `context` is the new one."""
    extracted = cs.extract(init_secret, commit_secret)
    return cs.expand_with_label(extracted, "joiner", context, cs.hash_bytes)


def member_secret(cs: CipherSuite, joiner: bytes, psk_secret: bytes) -> bytes:
    """The unnamed intermediate secret after the pre-shared keys."""
    return cs.extract(joiner, psk_secret)


def welcome_key_and_nonce(cs: CipherSuite, member: bytes) -> tuple[bytes, bytes]:
    """The AEAD key and nonce of a Welcome's GroupInfo (section 12.4.3)."""
    welcome_secret = cs.derive_secret(member, "welcome")
    key = cs.expand_with_label(welcome_secret, "key", b"", cs.aead.key_bytes)
    return key, cs.expand_with_label(welcome_secret, "nonce", b"", cs.aead.nonce_bytes)


@dataclass(frozen=True)
class EpochSecrets:
    """The secrets of one epoch that a member keeps; the encryption secret lives in the secret tree only."""

    sender_data_secret: bytes = field(repr=False)
    exporter_secret: bytes = field(repr=False)
    external_secret: bytes = field(repr=False)
    confirmation_key: bytes = field(repr=False)
    membership_key: bytes = field(repr=False)
    resumption_psk: bytes = field(repr=False)
    epoch_authenticator: bytes
    init_secret: bytes = field(repr=False)

    def external_key_pair(self, cs: CipherSuite) -> HpkeKeyPair:
        """The key pair that external joiners seal to (section 8.3)."""
        return cs.kem.derive_key_pair(self.external_secret)

    def export(self, cs: CipherSuite, label: str, context: bytes, size: int) -> bytes:
        """MLS-Exporter of section 8.5."""
        secret = cs.derive_secret(self.exporter_secret, label)
        return cs.expand_with_label(secret, "exported", cs.hash(context), size)


@dataclass(frozen=True)
class EpochKeys:
    """A fresh epoch: its lasting secrets and the root of its secret tree."""

    secrets: EpochSecrets
    encryption_secret: bytes = field(repr=False)


def epoch_keys(cs: CipherSuite, member: bytes, context: bytes) -> EpochKeys:
    """All secrets of the epoch whose encoded GroupContext is `context`."""
    epoch_secret = cs.expand_with_label(member, "epoch", context, cs.hash_bytes)
    return epoch_keys_from(cs, epoch_secret)


def epoch_keys_from(cs: CipherSuite, epoch_secret: bytes) -> EpochKeys:
    """All secrets below an epoch secret; a new group begins with a random one (section 11)."""

    def derive(label: str) -> bytes:
        return cs.derive_secret(epoch_secret, label)

    secrets = EpochSecrets(
        derive("sender data"),
        derive("exporter"),
        derive("external"),
        derive("confirm"),
        derive("membership"),
        derive("resumption"),
        derive("authentication"),
        derive("init"),
    )
    return EpochKeys(secrets, derive("encryption"))
