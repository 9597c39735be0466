"""Messaging Layer Security (RFC 9420). Unaudited."""

from .hpke import hpke_generate, hpke_open, hpke_seal
from .kem import HpkeKeyPair
from .signatures import Random, SignatureKeyPair
from .suites import CIPHER_SUITE_DEFAULT, CipherSuite, suite

__all__ = [
    "CIPHER_SUITE_DEFAULT",
    "CipherSuite",
    "HpkeKeyPair",
    "Random",
    "SignatureKeyPair",
    "hpke_generate",
    "hpke_open",
    "hpke_seal",
    "suite",
]
