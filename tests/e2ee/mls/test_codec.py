"""Everything that is encoded decodes to itself, and only one encoding of a value is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.e2ee.mls import DecodeError, LimitExceeded, MlsError
from ringthrough.e2ee.mls.codec import Reader, decode, opaque, optional, u8, u16, u32, u64, varint, varint_size
from ringthrough.e2ee.mls.commits import Commit, HpkeCiphertext
from ringthrough.e2ee.mls.credentials import Credential
from ringthrough.e2ee.mls.extensions import Capabilities, Extension, encode_extensions, read_extensions
from ringthrough.e2ee.mls.framing import FramedContent, PrivateMessage, Sender, SenderType, read_mls_message
from ringthrough.e2ee.mls.group_context import GroupContext
from ringthrough.e2ee.mls.key_package import KeyPackage
from ringthrough.e2ee.mls.leaf_node import LeafNode, LeafNodeSource, Lifetime
from ringthrough.e2ee.mls.proposals import (
    AddProposal,
    ExternalInitProposal,
    GroupContextExtensionsProposal,
    PskProposal,
    ReInitProposal,
    RemoveProposal,
    UpdateProposal,
    read_proposal,
)
from ringthrough.e2ee.mls.psk import PreSharedKeyId, PskType, ResumptionUsage
from ringthrough.e2ee.mls.ratchet_tree import ParentNode
from ringthrough.e2ee.mls.welcome import EncryptedGroupSecrets, GroupInfo, GroupSecrets, Welcome

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
SHORT = st.binary(max_size=80)
NUMBERS = st.lists(U16, max_size=4).map(tuple)
CAPABILITIES = st.builds(Capabilities, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
EXTENSIONS = st.lists(st.builds(Extension, U16, SHORT), max_size=3, unique_by=lambda e: e.type).map(tuple)


def _leaf(source: LeafNodeSource, lifetime: st.SearchStrategy[Any], parent_hash: st.SearchStrategy[bytes]) -> Any:
    credential = st.builds(Credential, SHORT)
    return st.builds(
        LeafNode, SHORT, SHORT, credential, CAPABILITIES, st.just(source), lifetime, parent_hash, EXTENSIONS, SHORT
    )


LEAVES = st.one_of(
    _leaf(LeafNodeSource.KEY_PACKAGE, st.builds(Lifetime, U64, U64), st.just(b"")),
    _leaf(LeafNodeSource.UPDATE, st.none(), st.just(b"")),
    _leaf(LeafNodeSource.COMMIT, st.none(), SHORT),
)
KEY_PACKAGES = st.builds(KeyPackage, U16, U16, SHORT, LEAVES, EXTENSIONS, SHORT)
PSKS = st.one_of(
    st.builds(PreSharedKeyId, st.just(PskType.EXTERNAL), SHORT, SHORT),
    st.builds(
        PreSharedKeyId,
        st.just(PskType.RESUMPTION),
        SHORT,
        st.just(b""),
        st.sampled_from(ResumptionUsage),
        SHORT,
        U64,
    ),
)
PROPOSALS = st.one_of(
    st.builds(AddProposal, KEY_PACKAGES),
    st.builds(UpdateProposal, LEAVES),
    st.builds(RemoveProposal, U32),
    st.builds(PskProposal, PSKS),
    st.builds(ReInitProposal, SHORT, U16, U16, EXTENSIONS),
    st.builds(ExternalInitProposal, SHORT),
    st.builds(GroupContextExtensionsProposal, EXTENSIONS),
)
COMMITS = st.builds(Commit, st.lists(st.one_of(PROPOSALS, SHORT), max_size=3).map(tuple), st.none())
SENDERS = st.one_of(
    st.builds(Sender, st.sampled_from((SenderType.MEMBER, SenderType.EXTERNAL)), U32),
    st.builds(Sender, st.sampled_from((SenderType.NEW_MEMBER_COMMIT, SenderType.NEW_MEMBER_PROPOSAL))),
)
FRAMED = st.builds(FramedContent, SHORT, U64, SENDERS, SHORT, st.one_of(SHORT, PROPOSALS, COMMITS))
CONTEXTS = st.builds(GroupContext, U16, SHORT, U64, SHORT, SHORT, EXTENSIONS)
SECRETS = st.builds(GroupSecrets, SHORT, st.one_of(st.none(), SHORT), st.lists(PSKS, max_size=2).map(tuple))
SEALED = st.builds(EncryptedGroupSecrets, SHORT, st.builds(HpkeCiphertext, SHORT, SHORT))


@given(U16, U32, U64, SHORT, st.one_of(st.none(), SHORT))
def test_values_come_back(a: int, b: int, c: int, data: bytes, maybe: bytes | None) -> None:
    encoded = u8(a & 0xFF) + u16(a) + u32(b) + u64(c) + opaque(data)
    encoded += optional(None if maybe is None else opaque(maybe))
    reader = Reader(encoded)
    assert (reader.u8(), reader.u16(), reader.u32(), reader.u64()) == (a & 0xFF, a, b, c)
    assert (reader.opaque(), reader.optional(Reader.opaque)) == (data, maybe)
    reader.finish()


@given(st.one_of(st.sampled_from((0, 63, 64, 16383, 16384, 2**30 - 1)), st.integers(0, 2**30 - 1)))
def test_lengths_come_back_in_their_shortest_form(value: int) -> None:
    encoded = varint(value)
    assert len(encoded) == varint_size(value)
    assert Reader(encoded).varint() == value


@pytest.mark.parametrize(
    "encoded", ["4000", "403f", "80000000", "80003fff", "c000000000000000", "ff", "40", "8000", ""]
)
def test_other_forms_of_a_length_are_refused(encoded: str) -> None:
    with pytest.raises(DecodeError):
        Reader(bytes.fromhex(encoded)).varint()


def test_a_length_beyond_30_bits_has_no_encoding() -> None:
    with pytest.raises(LimitExceeded):
        varint(2**30)


@pytest.mark.parametrize(
    ("strategy", "read"),
    [
        (LEAVES, LeafNode.read),
        (KEY_PACKAGES, KeyPackage.read),
        (FRAMED, FramedContent.read),
        (CONTEXTS, GroupContext.read),
        (st.builds(ParentNode, SHORT, SHORT, st.lists(U32, max_size=4).map(tuple)), ParentNode.read),
        (st.builds(GroupInfo, CONTEXTS, EXTENSIONS, SHORT, U32, SHORT), GroupInfo.read),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_structures_come_back(strategy: st.SearchStrategy[Any], read: Any) -> None:
    @given(strategy)
    def check(value: Any) -> None:
        back = decode(value.encoded, read)
        assert back == value
        assert back._encode() == value.encoded
        with pytest.raises(MlsError):
            decode(value.encoded + b"\x00", read)
        with pytest.raises(MlsError):
            decode(value.encoded[:-1], read)

    check()


@pytest.mark.parametrize(
    ("strategy", "read"),
    [
        (PROPOSALS, read_proposal),
        (COMMITS, Commit.read),
        (SECRETS, GroupSecrets.read),
        (CAPABILITIES, Capabilities.read),
        (st.builds(Welcome, U16, st.lists(SEALED, max_size=2).map(tuple), SHORT), Welcome.read),
    ],
    ids=["Proposal", "Commit", "GroupSecrets", "Capabilities", "Welcome"],
)
def test_parts_come_back(strategy: st.SearchStrategy[Any], read: Any) -> None:
    @given(strategy)
    def check(value: Any) -> None:
        assert decode(value.encode(), read) == value

    check()


@given(st.binary(max_size=200))
def test_random_bytes_never_crash_a_decoder(data: bytes) -> None:
    for read in (
        read_mls_message,
        read_proposal,
        Commit.read,
        GroupSecrets.read,
        FramedContent.read,
        PrivateMessage.read,
    ):
        try:
            decode(data, read)
        except MlsError:
            continue


def test_an_extension_type_appears_once() -> None:
    twice = encode_extensions((Extension(9, b"a"), Extension(9, b"b")))
    with pytest.raises(DecodeError):
        decode(twice, read_extensions)
