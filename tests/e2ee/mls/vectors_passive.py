"""Official vectors that play a whole group to a client that only receives.

The state is stored and loaded again before every commit, so that nothing lives in memory alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringthrough.e2ee.mls import (
    CommitApplied,
    CredentialUse,
    Group,
    KeyPackageBundle,
    ProposalStored,
)
from ringthrough.e2ee.mls.codec import decode
from ringthrough.e2ee.mls.framing import read_mls_message
from ringthrough.e2ee.mls.key_package import KeyPackage

Case = Mapping[str, Any]
hexed = bytes.fromhex


def _accept(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
    """The vectors' credentials mean nothing."""


def passive_client_case(case: Case) -> None:
    package = decode(hexed(case["key_package"]), read_mls_message)
    assert isinstance(package, KeyPackage)
    package.verify(None)
    bundle = KeyPackageBundle(
        package, hexed(case["init_priv"]), hexed(case["encryption_priv"]), hexed(case["signature_priv"])
    )
    tree = case["ratchet_tree"]
    group = Group.join(
        hexed(case["welcome"]),
        [bundle],
        check=_accept,
        now_s=None,
        ratchet_tree=hexed(tree) if tree else None,
        psks={hexed(psk["psk_id"]): hexed(psk["psk"]) for psk in case["external_psks"]},
    )
    assert group.epoch_authenticator == hexed(case["initial_epoch_authenticator"])
    for epoch in case["epochs"]:
        for proposal in epoch["proposals"]:
            stored = group.process(hexed(proposal), check=_accept, now_s=None)
            assert isinstance(stored, ProposalStored)
        data = group.to_bytes()
        group = Group.from_bytes(data)
        assert group.to_bytes() == data
        applied = group.process(hexed(epoch["commit"]), check=_accept, now_s=None)
        assert isinstance(applied, CommitApplied)
        assert group.epoch_authenticator == hexed(epoch["epoch_authenticator"])
