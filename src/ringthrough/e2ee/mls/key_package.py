"""KeyPackage (RFC 9420 section 10): what a device publishes so that others can add it to groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from .codec import Reader, decode, opaque, u16
from .credentials import Credential
from .errors import InvalidKeyPackage, LimitExceeded, Unsupported
from .extensions import (
    LAST_RESORT,
    Capabilities,
    Extension,
    Extensions,
    encode_extensions,
    find_extension,
    read_extensions,
)
from .hpke import hpke_generate
from .leaf_node import LeafNode, LeafNodeSource, Lifetime
from .limits import KEY_PACKAGE_BYTES_MAX, PUBLIC_KEY_BYTES_MAX, SIGNATURE_BYTES_MAX
from .signatures import Random, SignatureKeyPair
from .structure import Structure, remember
from .suites import PROTOCOL_VERSION, CipherSuite, suite

_WIRE_FORMAT_KEY_PACKAGE = 5
_BUNDLE_VERSION = 1


@dataclass(frozen=True)
class KeyPackage(Structure):
    """A key package; `version` and `cipher_suite` are kept as the numbers on the wire."""

    version: int
    cipher_suite: int
    init_key: bytes
    leaf_node: LeafNode
    extensions: Extensions
    signature: bytes

    @property
    def identity(self) -> bytes:
        """The identity of the leaf's credential."""
        return self.leaf_node.identity

    @property
    def signature_key(self) -> bytes:
        """The leaf's signature public key."""
        return self.leaf_node.signature_key

    @property
    def is_last_resort(self) -> bool:
        """Whether the owner means it to be used more than once."""
        return find_extension(self.extensions, LAST_RESORT) is not None

    def _encode(self) -> bytes:
        return self.unsigned + opaque(self.signature)

    @cached_property
    def unsigned(self) -> bytes:
        """Everything before the signature."""
        if "encoded" in self.__dict__:
            return self.encoded[: -len(opaque(self.signature))]
        return b"".join(
            (
                u16(self.version),
                u16(self.cipher_suite),
                opaque(self.init_key),
                self.leaf_node.encoded,
                encode_extensions(self.extensions),
            )
        )

    @staticmethod
    def read(reader: Reader) -> KeyPackage:
        start = reader.position
        package = KeyPackage(
            reader.u16(),
            reader.u16(),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            LeafNode.read(reader),
            read_extensions(reader),
            reader.opaque(SIGNATURE_BYTES_MAX),
        )
        return remember(package, reader, start)

    def ref(self, cs: CipherSuite) -> bytes:
        """KeyPackageRef of section 5.2."""
        return cs.ref_hash("MLS 1.0 KeyPackage Reference", self.encoded)

    def verify(self, now_s: float | None) -> None:
        """Every rule of section 10.1 that needs no group; `now_s` None leaves the lifetime out."""
        if self.version != PROTOCOL_VERSION:
            raise Unsupported(f"protocol version {self.version} is not supported")
        cs = suite(self.cipher_suite)
        leaf = self.leaf_node
        if leaf.source is not LeafNodeSource.KEY_PACKAGE:
            raise InvalidKeyPackage("the leaf of a key package says that it comes from elsewhere")
        if leaf.encryption_key == self.init_key:
            raise InvalidKeyPackage("the init key and the encryption key are the same")
        leaf.check_capabilities(cs, ())
        leaf.check_lifetime(now_s)
        leaf.verify_signature(cs)
        cs.verify_with_label(leaf.signature_key, "KeyPackageTBS", self.unsigned, self.signature)


@dataclass(frozen=True)
class KeyPackageBundle:
    """A key package with its private keys. `to_bytes` is for secret storage only."""

    package: KeyPackage
    init_private: bytes = field(repr=False)
    encryption_private: bytes = field(repr=False)
    signature_private: bytes = field(repr=False)

    @property
    def key_package(self) -> bytes:
        """The bare KeyPackage, to be published."""
        return self.package.encoded

    @cached_property
    def ref(self) -> bytes:
        """KeyPackageRef: the name a Welcome calls it by."""
        return self.package.ref(suite(self.package.cipher_suite))

    def to_mls_message(self) -> bytes:
        """The key package as an MLSMessage (section 6)."""
        return u16(PROTOCOL_VERSION) + u16(_WIRE_FORMAT_KEY_PACKAGE) + self.package.encoded

    def to_bytes(self) -> bytes:
        """Public and private parts, in this implementation's own format."""
        private = opaque(self.init_private) + opaque(self.encryption_private) + opaque(self.signature_private)
        return bytes([_BUNDLE_VERSION]) + self.package.encoded + private

    @staticmethod
    def from_bytes(data: bytes) -> KeyPackageBundle:
        """The reverse of `to_bytes`."""
        return decode(data, _read_bundle)


def _read_bundle(reader: Reader) -> KeyPackageBundle:
    version = reader.u8()
    if version != _BUNDLE_VERSION:
        raise Unsupported(f"key package bundles of version {version} are not supported")
    return KeyPackageBundle(KeyPackage.read(reader), reader.opaque(), reader.opaque(), reader.opaque())


def parse_key_package(data: bytes) -> KeyPackage:
    """Decodes a bare KeyPackage; call `verify` before trusting it."""
    if len(data) > KEY_PACKAGE_BYTES_MAX:
        raise LimitExceeded(f"a key package of {len(data)} bytes; at most {KEY_PACKAGE_BYTES_MAX} are allowed")
    return decode(data, KeyPackage.read)


def key_package_ref(cs: CipherSuite, key_package: bytes) -> bytes:
    """KeyPackageRef of an encoded key package."""
    return cs.ref_hash("MLS 1.0 KeyPackage Reference", key_package)


def create_key_package(
    cs: CipherSuite,
    identity: bytes,
    signature_key: SignatureKeyPair,
    *,
    random: Random,
    not_before_s: int,
    not_after_s: int,
    last_resort: bool = False,
) -> KeyPackageBundle:
    """A fresh key package for `identity`, valid between the two moments (seconds since 1970)."""
    encryption = hpke_generate(cs, random)
    init = hpke_generate(cs, random)
    leaf = LeafNode(
        encryption.public,
        signature_key.public,
        Credential(identity),
        Capabilities.of(cs, (LAST_RESORT,)),
        LeafNodeSource.KEY_PACKAGE,
        Lifetime(not_before_s, not_after_s),
        b"",
        (),
        b"",
    ).signed(cs, signature_key.private)
    extensions = (Extension(LAST_RESORT, b""),) if last_resort else ()
    unsigned = KeyPackage(PROTOCOL_VERSION, cs.id, init.public, leaf, extensions, b"")
    signature = cs.sign_with_label(signature_key.private, "KeyPackageTBS", unsigned.unsigned)
    package = replace(unsigned, signature=signature)
    return KeyPackageBundle(package, init.private, encryption.private, signature_key.private)
