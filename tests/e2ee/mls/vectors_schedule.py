"""Official vectors for labelled primitives, the key schedule, the secret tree, transcripts and PSKs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringthrough.e2ee.mls.codec import decode
from ringthrough.e2ee.mls.framing import AuthenticatedContent
from ringthrough.e2ee.mls.group_context import (
    GroupContext,
    confirmed_transcript_hash,
    interim_transcript_hash,
)
from ringthrough.e2ee.mls.hpke import decrypt_with_label, encrypt_with_label
from ringthrough.e2ee.mls.key_schedule import epoch_keys, joiner_secret, member_secret
from ringthrough.e2ee.mls.message_protection import sender_data_key
from ringthrough.e2ee.mls.psk import PreSharedKeyId, PskType, psk_secret
from ringthrough.e2ee.mls.secret_tree import RatchetKind, SecretTree, Window
from ringthrough.e2ee.mls.suites import suite

Case = Mapping[str, Any]
hexed = bytes.fromhex


def crypto_basics_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    it = case["ref_hash"]
    assert cs.ref_hash(it["label"], hexed(it["value"])) == hexed(it["out"])
    it = case["expand_with_label"]
    expanded = cs.expand_with_label(hexed(it["secret"]), it["label"], hexed(it["context"]), it["length"])
    assert expanded == hexed(it["out"])
    it = case["derive_secret"]
    assert cs.derive_secret(hexed(it["secret"]), it["label"]) == hexed(it["out"])
    it = case["derive_tree_secret"]
    derived = cs.derive_tree_secret(hexed(it["secret"]), it["label"], it["generation"], it["length"])
    assert derived == hexed(it["out"])
    it = case["sign_with_label"]
    cs.verify_with_label(hexed(it["pub"]), it["label"], hexed(it["content"]), hexed(it["signature"]))
    signature = cs.sign_with_label(hexed(it["priv"]), it["label"], hexed(it["content"]))
    cs.verify_with_label(hexed(it["pub"]), it["label"], hexed(it["content"]), signature)
    it = case["encrypt_with_label"]
    private, public = hexed(it["priv"]), hexed(it["pub"])
    context, plaintext = hexed(it["context"]), hexed(it["plaintext"])
    sealed = hexed(it["kem_output"]), hexed(it["ciphertext"])
    assert decrypt_with_label(cs, private, it["label"], context, *sealed) == plaintext
    again = encrypt_with_label(cs, public, it["label"], context, plaintext, lambda size: b"\x11" * size)
    assert decrypt_with_label(cs, private, it["label"], context, *again) == plaintext


def key_schedule_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    init_secret = hexed(case["initial_init_secret"])
    for number, epoch in enumerate(case["epochs"]):
        context = GroupContext(
            cs.id,
            hexed(case["group_id"]),
            number,
            hexed(epoch["tree_hash"]),
            hexed(epoch["confirmed_transcript_hash"]),
        )
        assert context.encoded == hexed(epoch["group_context"])
        joiner = joiner_secret(cs, init_secret, hexed(epoch["commit_secret"]), context.encoded)
        assert joiner == hexed(epoch["joiner_secret"])
        member = member_secret(cs, joiner, hexed(epoch["psk_secret"]))
        assert cs.derive_secret(member, "welcome") == hexed(epoch["welcome_secret"])
        keys = epoch_keys(cs, member, context.encoded)
        secrets = keys.secrets
        assert keys.encryption_secret == hexed(epoch["encryption_secret"])
        for name in ("sender_data_secret", "exporter_secret", "external_secret", "membership_key"):
            assert getattr(secrets, name) == hexed(epoch[name]), name
        for name in ("confirmation_key", "resumption_psk", "epoch_authenticator", "init_secret"):
            assert getattr(secrets, name) == hexed(epoch[name]), name
        assert secrets.external_key_pair(cs).public == hexed(epoch["external_pub"])
        export = epoch["exporter"]
        # The label is a string, although it looks like hexadecimal digits.
        exported = secrets.export(cs, export["label"], hexed(export["context"]), export["length"])
        assert exported == hexed(export["secret"])
        init_secret = secrets.init_secret


def secret_tree_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    it = case["sender_data"]
    key, nonce = sender_data_key(cs, hexed(it["sender_data_secret"]), hexed(it["ciphertext"]))
    assert (key, nonce) == (hexed(it["key"]), hexed(it["nonce"]))
    leaves = case["leaves"]
    sending = SecretTree.of(cs, len(leaves), hexed(case["encryption_secret"]))
    receiving = SecretTree.of(cs, len(leaves), hexed(case["encryption_secret"]))
    window = Window(2000, 10_000)
    kinds = ((RatchetKind.APPLICATION, "application"), (RatchetKind.HANDSHAKE, "handshake"))
    for leaf, generations in enumerate(leaves):
        for wanted in generations:
            for kind, prefix in kinds:
                expected = hexed(wanted[f"{prefix}_key"]), hexed(wanted[f"{prefix}_nonce"])
                while True:
                    generation, *taken = sending.take_next(leaf, kind)
                    if generation == wanted["generation"]:
                        break
                assert tuple(taken) == expected
                found = receiving.find_key(leaf, kind, wanted["generation"], window)
                assert (found.key, found.nonce) == expected
                receiving.consume(found, window)


def transcript_hashes_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    content = decode(hexed(case["authenticated_content"]), AuthenticatedContent.read)
    assert content.encode() == hexed(case["authenticated_content"])
    before = hexed(case["interim_transcript_hash_before"])
    confirmed = confirmed_transcript_hash(cs, before, content.transcript_input())
    assert confirmed == hexed(case["confirmed_transcript_hash_after"])
    assert content.confirmation_tag is not None
    interim = interim_transcript_hash(cs, confirmed, content.confirmation_tag)
    assert interim == hexed(case["interim_transcript_hash_after"])
    assert cs.mac_equal(hexed(case["confirmation_key"]), confirmed, content.confirmation_tag)


def psk_secret_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    psks = [
        (PreSharedKeyId(PskType.EXTERNAL, hexed(psk["psk_nonce"]), hexed(psk["psk_id"])), hexed(psk["psk"]))
        for psk in case["psks"]
    ]
    assert psk_secret(cs, psks) == hexed(case["psk_secret"])
