"""Official vectors for decoding, message protection and Welcomes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ringthrough.e2ee.mls.codec import Reader, decode, varint
from ringthrough.e2ee.mls.commits import Commit
from ringthrough.e2ee.mls.errors import InvalidMessage
from ringthrough.e2ee.mls.framing import (
    Content,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    SenderType,
    WireFormat,
    encode_mls_message,
    read_mls_message,
)
from ringthrough.e2ee.mls.group_context import GroupContext
from ringthrough.e2ee.mls.joining import open_group_info, open_group_secrets
from ringthrough.e2ee.mls.key_package import KeyPackage, KeyPackageBundle
from ringthrough.e2ee.mls.key_schedule import epoch_keys, member_secret
from ringthrough.e2ee.mls.message_protection import (
    check_membership_tag,
    open_private,
    open_sender_data,
    protect_private,
    protect_public,
    sign,
)
from ringthrough.e2ee.mls.proposals import read_proposal
from ringthrough.e2ee.mls.psk import psk_secret
from ringthrough.e2ee.mls.ratchet_tree import RatchetTree
from ringthrough.e2ee.mls.secret_tree import SecretTree, Window
from ringthrough.e2ee.mls.suites import CipherSuite, suite
from ringthrough.e2ee.mls.welcome import GroupInfo, GroupSecrets, Welcome

Case = Mapping[str, Any]
hexed = bytes.fromhex


class _Encodes(Protocol):
    def encode(self) -> bytes: ...


def deserialization_case(case: Case) -> None:
    header = hexed(case["vlbytes_header"])
    assert Reader(header).varint() == case["length"]
    assert varint(case["length"]) == header


# --- messages -----------------------------------------------------------------------------------------------------


def _typed(number: int) -> Callable[[bytes], bytes]:
    """The vectors leave a proposal's type out; it is put in front for decoding."""

    def round_trip(data: bytes) -> bytes:
        return decode(number.to_bytes(2, "big") + data, read_proposal).encode()[2:]

    return round_trip


def _plain(read: Callable[[Reader], _Encodes]) -> Callable[[bytes], bytes]:
    return lambda data: decode(data, read).encode()


def _message(kind: type) -> Callable[[bytes], bytes]:
    def round_trip(data: bytes) -> bytes:
        body = decode(data, read_mls_message)
        assert isinstance(body, kind)
        return encode_mls_message(body)

    return round_trip


def _tree(data: bytes) -> bytes:
    def read(reader: Reader) -> RatchetTree:
        return RatchetTree.read(reader, suite(1))

    tree = decode(data, read)
    return RatchetTree(suite(1), tree.leaves, tree.parents).encode()


_ROUND_TRIPS: Mapping[str, Callable[[bytes], bytes]] = {
    "mls_welcome": _message(Welcome),
    "mls_group_info": _message(GroupInfo),
    "mls_key_package": _message(KeyPackage),
    "ratchet_tree": _tree,
    "group_secrets": _plain(GroupSecrets.read),
    "add_proposal": _typed(1),
    "update_proposal": _typed(2),
    "remove_proposal": _typed(3),
    "pre_shared_key_proposal": _typed(4),
    "re_init_proposal": _typed(5),
    "external_init_proposal": _typed(6),
    "group_context_extensions_proposal": _typed(7),
    "commit": _plain(Commit.read),
    "public_message_application": _message(PublicMessage),
    "public_message_proposal": _message(PublicMessage),
    "public_message_commit": _message(PublicMessage),
    "private_message": _message(PrivateMessage),
}


def messages_case(case: Case) -> None:
    assert set(case) == set(_ROUND_TRIPS)
    for name, round_trip in _ROUND_TRIPS.items():
        assert round_trip(hexed(case[name])) == hexed(case[name]), name


# --- message protection ---------------------------------------------------------------------------------------------

_WINDOW = Window(2000, 10_000)
_LEAF = 1


def message_protection_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    context = GroupContext(
        cs.id,
        hexed(case["group_id"]),
        case["epoch"],
        hexed(case["tree_hash"]),
        hexed(case["confirmed_transcript_hash"]),
    )
    proposal = decode(hexed(case["proposal"]), read_proposal)
    commit = decode(hexed(case["commit"]), Commit.read)
    contents: dict[str, Content] = {
        "proposal": proposal,
        "commit": commit,
        "application": hexed(case["application"]),
    }
    for name, content in contents.items():
        _open_private(case, cs, context, hexed(case[f"{name}_priv"]), content)
        _open_private(case, cs, context, _own_private(case, cs, context, content), content)
        if name != "application":
            _open_public(case, cs, context, hexed(case[f"{name}_pub"]), content)
            _open_public(case, cs, context, _own_public(case, cs, context, content), content)
    _refuse_public_application(case, cs, context)


def _signed(case: Case, cs: CipherSuite, context: GroupContext, content: Content, form: WireFormat) -> Any:
    sender = Sender(SenderType.MEMBER, _LEAF)
    framed = FramedContent(context.group_id, context.epoch, sender, b"", content)
    tag = bytes(cs.hash_bytes) if isinstance(content, Commit) else None
    return sign(cs, form, framed, context, hexed(case["signature_priv"]), tag)


def _own_private(case: Case, cs: CipherSuite, context: GroupContext, content: Content) -> bytes:
    signed = _signed(case, cs, context, content, WireFormat.PRIVATE_MESSAGE)
    tree = SecretTree.of(cs, 2, hexed(case["encryption_secret"]))
    secret = hexed(case["sender_data_secret"])
    message = protect_private(cs, signed, secret, tree, secrets.token_bytes, lambda size: 600)
    return encode_mls_message(message)


def _own_public(case: Case, cs: CipherSuite, context: GroupContext, content: Content) -> bytes:
    signed = _signed(case, cs, context, content, WireFormat.PUBLIC_MESSAGE)
    return encode_mls_message(protect_public(cs, signed, context, hexed(case["membership_key"])))


def _open_private(case: Case, cs: CipherSuite, context: GroupContext, data: bytes, expected: Content) -> None:
    message = decode(data, read_mls_message)
    assert isinstance(message, PrivateMessage)
    assert (message.group_id, message.epoch) == (context.group_id, context.epoch)
    sender = open_sender_data(cs, message, hexed(case["sender_data_secret"]))
    assert sender.leaf == _LEAF
    tree = SecretTree.of(cs, 2, hexed(case["encryption_secret"]))
    opened = open_private(cs, message, sender, tree, _WINDOW)
    opened.content.verify_signature(cs, hexed(case["signature_pub"]), context)
    assert opened.content.framed.content == expected


def _open_public(case: Case, cs: CipherSuite, context: GroupContext, data: bytes, expected: Content) -> None:
    message = decode(data, read_mls_message)
    assert isinstance(message, PublicMessage)
    check_membership_tag(cs, message, context, hexed(case["membership_key"]))
    message.content.verify_signature(cs, hexed(case["signature_pub"]), context)
    assert message.content.framed.content == expected


def _refuse_public_application(case: Case, cs: CipherSuite, context: GroupContext) -> None:
    data = _own_public(case, cs, context, hexed(case["application"]))
    message = decode(data, read_mls_message)
    assert isinstance(message, PublicMessage)
    try:
        check_membership_tag(cs, message, context, hexed(case["membership_key"]))
    except InvalidMessage:
        return
    raise AssertionError("application data in a PublicMessage was accepted")


# --- welcome ------------------------------------------------------------------------------------------------------


def welcome_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    package = decode(hexed(case["key_package"]), read_mls_message)
    welcome = decode(hexed(case["welcome"]), read_mls_message)
    assert isinstance(package, KeyPackage)
    assert isinstance(welcome, Welcome)
    bundle = KeyPackageBundle(package, hexed(case["init_priv"]), b"", b"")
    _, group_secrets = open_group_secrets(cs, welcome, [bundle])
    member = member_secret(cs, group_secrets.joiner_secret, psk_secret(cs, ()))
    info = open_group_info(cs, welcome, member)
    info.verify_signature(cs, hexed(case["signer_pub"]))
    keys = epoch_keys(cs, member, info.group_context.encoded)
    transcript = info.group_context.confirmed_transcript_hash
    assert cs.mac_equal(keys.secrets.confirmation_key, transcript, info.confirmation_tag)
