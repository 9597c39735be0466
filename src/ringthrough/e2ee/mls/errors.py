"""The one error tree of the MLS package: whatever bytes come in, only these go out.

A raised error means the group is exactly as it was before the call.
"""


class MlsError(Exception):
    """Root of every error the MLS package raises on purpose."""


class DecodeError(MlsError):
    """The bytes are not a well-formed structure (RFC 9420 section 2.1)."""


class LimitExceeded(MlsError):
    """A length or a count is above one of the constants in `limits`."""


class Unsupported(MlsError):
    """Well formed, but outside of what this implementation takes part in (suite, version, ReInit, ...)."""


class InvalidKey(MlsError):
    """A public or private key is not a valid key of its algorithm."""


class InvalidSignature(MlsError):
    """A signature does not verify under the key it claims."""


class DecryptionFailed(MlsError):
    """An AEAD or an HPKE ciphertext did not open."""


class InvalidMac(MlsError):
    """A membership tag or a confirmation tag is wrong."""


class InvalidLeafNode(MlsError):
    """A leaf node breaks a rule of RFC 9420 section 7.3."""


class InvalidKeyPackage(MlsError):
    """A key package breaks a rule of RFC 9420 section 10.1."""


class InvalidTree(MlsError):
    """A ratchet tree breaks a rule of RFC 9420 sections 7.8, 7.9 or 12.4.3.1."""


class InvalidProposal(MlsError):
    """A proposal, or a list of them, breaks a rule of RFC 9420 section 12."""


class InvalidCommit(MlsError):
    """A commit breaks a rule of RFC 9420 section 12.4."""


class InvalidWelcome(MlsError):
    """A Welcome or a GroupInfo breaks a rule of RFC 9420 section 12.4.3."""


class InvalidMessage(MlsError):
    """A framed message breaks a rule of RFC 9420 section 6."""


class CredentialRefused(MlsError):
    """The application's credential check refused a leaf (RFC 9420 section 5.3.1)."""


class WrongGroup(MlsError):
    """The message belongs to another group."""


class WrongEpoch(MlsError):
    """The message belongs to an epoch this group cannot process; `epoch` says which."""

    def __init__(self, message: str, epoch: int) -> None:
        super().__init__(message)
        self.epoch = epoch


class OwnMessage(MlsError):
    """The message names this very member as its sender.

    `is_staged_commit` is true only when the bytes equal those of the staged commit: another member could
    write our leaf index into a message of its own, so nothing less means "our commit was accepted".
    """

    def __init__(self, message: str, is_staged_commit: bool = False) -> None:
        super().__init__(message)
        self.is_staged_commit = is_staged_commit


class Replayed(MlsError):
    """The key of this message was used already (RFC 9420 section 9.2), or it is older than the window."""


class GenerationTooFar(MlsError):
    """The message is more generations ahead than `forward_ratchet_max` allows."""


class NotActive(MlsError):
    """This member was removed from the group; it can neither send nor read."""


class NoMatchingKeyPackage(MlsError):
    """A Welcome is for none of the key packages offered."""


class UnknownPsk(MlsError):
    """A pre-shared key is named that this member does not hold."""


class UnknownProposal(MlsError):
    """A commit references a proposal this member has not received."""


class CommitStaged(MlsError):
    """A commit is staged already: merge or discard it first."""


class NothingStaged(MlsError):
    """There is no staged commit."""
