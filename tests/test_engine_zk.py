"""Zero-knowledge proofs on the engine: shared only as their randomness allows, and refused where nothing would hide."""

from __future__ import annotations

import pytest

import aprover
from aprover.programs import Fibonacci, RangeProof

PLAIN = Fibonacci(20)


def secret(value: int) -> aprover.Program:
    return RangeProof(low=0, high=1000, value=value, blinding=(1, 2, 3, 4))


class TestZk:
    def test_verifies_and_says_what_it_is(self) -> None:
        """Both verifiers accept a zero-knowledge proof, and its parameters say that it is one."""
        proof = aprover.prove_sync(PLAIN, zk=True)
        assert proof.parameters.zk
        assert not aprover.prove_sync(PLAIN).parameters.zk
        assert aprover.verify(proof) == PLAIN.statement()
        assert aprover.reference.verify(proof) == PLAIN.statement()
        assert proof.security.proven_bits >= 100

    def test_no_two_are_alike(self) -> None:
        """Two proofs of one statement share no randomness, so their bytes differ."""
        one, other = (aprover.prove_sync(PLAIN, zk=True, cache=False) for _ in range(2))
        assert one != other

    def test_shared_by_the_same_request(self) -> None:
        """The cache gives a zero-knowledge proof to who asks for the same program with the same private inputs."""
        assert aprover.prove_sync(secret(5), zk=True) is aprover.prove_sync(secret(5), zk=True)

    def test_not_shared_with_another_witness(self) -> None:
        """Another private input is another request, although it may prove the same kind of statement."""
        assert aprover.prove_sync(secret(5), zk=True) is not aprover.prove_sync(secret(6), zk=True)

    def test_not_shared_with_plain_requests(self) -> None:
        """Who asks for a zero-knowledge proof never gets a plain one that is there already."""
        plain = aprover.prove_sync(PLAIN)
        assert aprover.prove_sync(PLAIN, zk=True) != plain

    @pytest.mark.parametrize("zk", [1, None, "yes"])
    def test_wrong_value(self, zk: object) -> None:
        """The error names the field, what came and what is allowed."""
        with pytest.raises(aprover.ProgramError, match="zk"):
            aprover.prove_sync(PLAIN, zk=zk)  # type: ignore[arg-type]

    def test_not_with_the_trace_backend(self) -> None:
        """A commitment that is checked by computing again hides nothing, so it refuses to be asked."""
        with pytest.raises(aprover.ProgramError, match="trace"):
            aprover.prove_sync(PLAIN, backend="trace", zk=True)

    def test_estimate_knows_its_price(self) -> None:
        """Masks make a small trace longer, which the estimate says."""
        assert aprover.estimate(PLAIN, zk=True).proof_bytes > 2 * aprover.estimate(PLAIN).proof_bytes
