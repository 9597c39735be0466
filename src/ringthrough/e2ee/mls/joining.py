"""Joining by Welcome (RFC 9420 section 12.4.3.1)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from .codec import Reader, decode
from .credentials import CredentialCheck
from .epoch import Epoch
from .errors import InvalidMac, InvalidTree, InvalidWelcome, NoMatchingKeyPackage, UnknownPsk
from .extensions import RATCHET_TREE, find_extension
from .framing import decode_padded_mls_message
from .hpke import decrypt_with_label
from .key_package import KeyPackageBundle
from .key_schedule import member_secret, welcome_key_and_nonce
from .proposal_list import check_psks
from .psk import PreSharedKeyId, PskType, psk_secret
from .ratchet_tree import RatchetTree
from .state import enter_epoch
from .suites import CipherSuite, suite
from .tree_math import common_ancestor
from .tree_validation import validate_joined_tree
from .treekem import keys_above
from .welcome import GroupInfo, GroupSecrets, Welcome


def parse_welcome(data: bytes) -> Welcome:
    """The Welcome in an MLSMessage."""
    body, _ = decode_padded_mls_message(data)
    if not isinstance(body, Welcome):
        raise InvalidWelcome("this message is not a Welcome")
    return body


def join_epoch(
    welcome: Welcome,
    bundles: Sequence[KeyPackageBundle],
    *,
    check: CredentialCheck,
    now_s: float | None,
    ratchet_tree: bytes | None,
    psks: Mapping[bytes, bytes],
) -> tuple[Epoch, KeyPackageBundle]:
    """The epoch a Welcome leads to, and the key package of ours that it is for."""
    cs = suite(welcome.cipher_suite)
    bundle, secrets = open_group_secrets(cs, welcome, bundles)
    bundle.package.leaf_node.check_lifetime(now_s)
    check_psks(cs, secrets.psks)
    values = [(psk, _external_psk(psk, psks)) for psk in secrets.psks]
    member = member_secret(cs, secrets.joiner_secret, psk_secret(cs, values))
    info = open_group_info(cs, welcome, member)
    tree = joined_tree(cs, info, ratchet_tree, check)
    own_leaf = _find_own_leaf(tree, bundle)
    if info.signer == own_leaf:
        raise InvalidWelcome("the GroupInfo claims to be signed by ourselves")
    private_keys = {2 * own_leaf: bundle.encryption_private}
    if secrets.path_secret is not None:
        node = common_ancestor(info.signer, own_leaf)
        found, _ = keys_above(tree, node, secrets.path_secret, InvalidWelcome)
        private_keys.update(found)
    epoch = enter_epoch(tree, info.group_context, own_leaf, private_keys, member)
    if not hmac.compare_digest(epoch.confirmation_tag, info.confirmation_tag):
        raise InvalidMac("the confirmation tag of the GroupInfo is wrong")
    return epoch, bundle


def open_group_secrets(
    cs: CipherSuite, welcome: Welcome, bundles: Sequence[KeyPackageBundle]
) -> tuple[KeyPackageBundle, GroupSecrets]:
    """Finds the entry for one of our key packages and decrypts it."""
    ours = {bundle.ref: bundle for bundle in bundles if bundle.package.cipher_suite == cs.id}
    for entry in welcome.secrets:
        bundle = ours.get(entry.new_member)
        if bundle is None:
            continue
        sealed = entry.encrypted_group_secrets
        plain = decrypt_with_label(
            cs,
            bundle.init_private,
            "Welcome",
            welcome.encrypted_group_info,
            sealed.kem_output,
            sealed.ciphertext,
        )
        return bundle, decode(plain, GroupSecrets.read)
    raise NoMatchingKeyPackage("the Welcome is for none of these key packages")


def _external_psk(psk: PreSharedKeyId, psks: Mapping[bytes, bytes]) -> bytes:
    found = psks.get(psk.psk_id) if psk.type is PskType.EXTERNAL else None
    if found is None:
        raise UnknownPsk("a pre-shared key of the Welcome is not known here")
    return found


def open_group_info(cs: CipherSuite, welcome: Welcome, member: bytes) -> GroupInfo:
    """Decrypts the GroupInfo; its signature is checked with the tree."""
    key, nonce = welcome_key_and_nonce(cs, member)
    info = decode(cs.aead.open(key, nonce, b"", welcome.encrypted_group_info), GroupInfo.read)
    if info.group_context.cipher_suite != cs.id:
        raise InvalidWelcome("the group has another cipher suite than its Welcome")
    return info


def joined_tree(cs: CipherSuite, info: GroupInfo, ratchet_tree: bytes | None, check: CredentialCheck) -> RatchetTree:
    """The tree a GroupInfo brings, or the one given beside it, after every check on both."""
    encoded = find_extension(info.extensions, RATCHET_TREE) or ratchet_tree
    if encoded is None:
        raise InvalidWelcome("there is no ratchet tree")
    tree = decode(encoded, lambda reader: _read_tree(reader, cs))
    context = info.group_context
    if tree.tree_hash() != context.tree_hash:
        raise InvalidTree("the tree is not the one of the group context")
    info.verify_signature(cs, tree.leaf(info.signer).signature_key)
    validate_joined_tree(tree, context.group_id, context.extensions, check)
    return tree


def _read_tree(reader: Reader, cs: CipherSuite) -> RatchetTree:
    return RatchetTree.read(reader, cs)


def _find_own_leaf(tree: RatchetTree, bundle: KeyPackageBundle) -> int:
    own = bundle.package.leaf_node.encoded
    for index, leaf in tree.occupied():
        if leaf.encoded == own:
            return index
    raise InvalidWelcome("the tree does not hold our key package")
