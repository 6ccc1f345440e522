"""Hundreds of messages, each hashed inside a proof of its own that two verifiers check."""

from __future__ import annotations

import hashlib
import random

import attrs
import pytest

import aprover
from aprover.programs.sha256 import Sha256

pytestmark = pytest.mark.soak

BOUNDARIES = (55, 56, 63, 64, 119, 120)
MESSAGES = 200


def digest(statement: aprover.Statement) -> bytes:
    return b"".join(int(half).to_bytes(2, "big") for half in statement.public_outputs)  # type: ignore[arg-type]


def messages() -> list[bytes]:
    rng = random.Random(20)
    lengths = [*BOUNDARIES, *(rng.randrange(301) for _ in range(MESSAGES))]
    return [rng.randbytes(length) for length in lengths]


class TestManyMessages:
    def test_all_prove_and_verify(self) -> None:
        """Two hundred of random lengths from 0 to 300, and all boundaries of the padding: hashlib's digests, proved."""
        given = messages()
        proofs = aprover.prove_batch_sync([Sha256(message) for message in given])
        for message, proof in zip(given, proofs, strict=True):
            assert digest(aprover.verify(proof)) == hashlib.sha256(message).digest()
        for proof in proofs[:: MESSAGES // 10]:
            assert aprover.reference.verify(proof) == proof.statement

    def test_a_wrong_digest_fails(self) -> None:
        """The proof of one message is none of another digest."""
        for message in messages()[:20]:
            proof = aprover.prove_sync(Sha256(message))
            outputs = proof.statement.public_outputs
            wrong = attrs.evolve(proof.statement, public_outputs=(int(outputs[0]) ^ 1, *outputs[1:]))  # type: ignore[arg-type]
            with pytest.raises(aprover.VerificationError):
                aprover.verify(attrs.evolve(proof, statement=wrong))
