"""Messaging Layer Security (RFC 9420). Unaudited.

Bytes in, bytes out: randomness and time are arguments. `Group` is the way in; each other module is one structure
or chapter of the RFC. Bad input raises an `MlsError` and leaves the group as it was.
"""

from .credentials import CredentialCheck, CredentialUse, Member
from .errors import (
    CommitStaged,
    CredentialRefused,
    DecodeError,
    DecryptionFailed,
    GenerationTooFar,
    InvalidCommit,
    InvalidKey,
    InvalidKeyPackage,
    InvalidLeafNode,
    InvalidMac,
    InvalidMessage,
    InvalidProposal,
    InvalidSignature,
    InvalidTree,
    InvalidWelcome,
    LimitExceeded,
    MlsError,
    NoMatchingKeyPackage,
    NotActive,
    NothingStaged,
    OwnMessage,
    Replayed,
    UnknownProposal,
    UnknownPsk,
    Unsupported,
    WrongEpoch,
    WrongGroup,
)
from .events import ApplicationMessage, CommitApplied, Processed, ProposalStored
from .extensions import Extension
from .framing import WireFormat
from .group import ExternalJoin, Group
from .hpke import hpke_generate, hpke_open, hpke_seal
from .kem import HpkeKeyPair
from .key_package import (
    KeyPackage,
    KeyPackageBundle,
    create_key_package,
    key_package_ref,
    parse_key_package,
)
from .proposals import (
    AddProposal,
    GroupContextExtensionsProposal,
    Proposal,
    PskProposal,
    RemoveProposal,
)
from .psk import PreSharedKeyId
from .signatures import Random, SignatureKeyPair
from .state import Retention, StagedCommit
from .suites import CIPHER_SUITE_DEFAULT, CipherSuite, suite

__all__ = [
    "CIPHER_SUITE_DEFAULT",
    "AddProposal",
    "ApplicationMessage",
    "CipherSuite",
    "CommitApplied",
    "CommitStaged",
    "CredentialCheck",
    "CredentialRefused",
    "CredentialUse",
    "DecodeError",
    "DecryptionFailed",
    "Extension",
    "ExternalJoin",
    "GenerationTooFar",
    "Group",
    "GroupContextExtensionsProposal",
    "HpkeKeyPair",
    "InvalidCommit",
    "InvalidKey",
    "InvalidKeyPackage",
    "InvalidLeafNode",
    "InvalidMac",
    "InvalidMessage",
    "InvalidProposal",
    "InvalidSignature",
    "InvalidTree",
    "InvalidWelcome",
    "KeyPackage",
    "KeyPackageBundle",
    "LimitExceeded",
    "Member",
    "MlsError",
    "NoMatchingKeyPackage",
    "NotActive",
    "NothingStaged",
    "OwnMessage",
    "PreSharedKeyId",
    "Processed",
    "Proposal",
    "ProposalStored",
    "PskProposal",
    "Random",
    "RemoveProposal",
    "Replayed",
    "Retention",
    "SignatureKeyPair",
    "StagedCommit",
    "UnknownProposal",
    "UnknownPsk",
    "Unsupported",
    "WireFormat",
    "WrongEpoch",
    "WrongGroup",
    "create_key_package",
    "hpke_generate",
    "hpke_open",
    "hpke_seal",
    "key_package_ref",
    "parse_key_package",
    "suite",
]
