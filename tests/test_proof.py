from __future__ import annotations

import hashlib
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aprover
from aprover import Fibonacci, Proof, ProofFormatError, Statement, VerificationCode, VerificationError
from aprover.loading import proof_shape_in_c
from aprover.proof import shape_of
from aprover.prover import prove
from aprover.security import choose, layout_of, security_report
from tests.programs_for_tests import SAMPLES, TABLE_SAMPLES, Tribonacci

STATEMENT = Statement("fibonacci", (("n", 20),), (0, 1), (6765,))


@pytest.fixture(scope="module")
def stark() -> Proof:
    return aprover.prove_sync(Fibonacci(20))


@pytest.fixture(scope="module")
def own() -> Proof:
    return aprover.prove_sync(Tribonacci(20, 3))


def rejected(data: bytes) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        Proof.from_bytes(data)
    return caught.value


def envelope(
    magic: bytes = b"APRV",
    version: int = 2,
    backend: int = 0,
    reserved: bytes = b"\0\0",
    length: int | None = None,
    statement: bytes = STATEMENT.to_bytes(),
    body: bytes = b"body",
) -> bytes:
    length = len(statement) if length is None else length
    return magic + bytes((version, backend)) + reserved + length.to_bytes(4, "little") + statement + body


class TestEnvelope:
    def test_the_bytes_are_the_specified_ones(self) -> None:
        """docs/protocol.md, section 11, written out by hand."""
        assert Proof("stark", STATEMENT, b"body").to_bytes() == envelope()
        assert Proof("trace", STATEMENT, bytes(32)).to_bytes() == envelope(backend=1, body=bytes(32))

    @given(st.binary())
    def test_bytes_give_back_the_proof(self, body: bytes) -> None:
        """Decoding inverts encoding; the backend's part is opaque here."""
        proof = Proof("stark", STATEMENT, body)
        twin = Proof.from_bytes(proof.to_bytes())
        assert twin == proof
        assert hash(twin) == hash(proof)
        assert (twin.backend, twin.statement, twin.body) == ("stark", STATEMENT, body)
        assert len(proof) == len(proof.to_bytes())

    @pytest.mark.parametrize(
        "changes",
        [
            {"magic": b"APRW"},
            {"version": 0},
            {"version": 1},
            {"version": 3},
            {"reserved": b"\1\0"},
            {"reserved": b"\0\1"},
            {"length": 10_000},
            {"length": 2**32 - 1},
            {"length": len(STATEMENT.to_bytes()) - 1},
            {"length": len(STATEMENT.to_bytes()) + 1},
            {"length": len(STATEMENT.to_bytes()) + 1, "body": b""},
            {"statement": b""},
        ],
    )
    def test_a_malformed_envelope_is_rejected(self, changes: dict[str, Any]) -> None:
        """Each field that is not as specified gives ENVELOPE."""
        error = rejected(envelope(**changes))
        assert isinstance(error, ProofFormatError)
        assert error.code is VerificationCode.ENVELOPE

    @pytest.mark.parametrize("backend", [2, 255])
    def test_an_unknown_backend_has_its_own_code(self, backend: int) -> None:
        """It may come from a later version."""
        assert rejected(envelope(backend=backend)).code is VerificationCode.BACKEND

    def test_every_truncation_of_the_envelope_is_rejected(self) -> None:
        """Up to the end of the statement; what follows is the backend's."""
        data = envelope(body=b"")
        for end in range(len(data)):
            assert rejected(data[:end]).code is VerificationCode.ENVELOPE

    @pytest.mark.parametrize(("length", "code"), [(31, "TRUNCATED"), (33, "TRAILING"), (0, "TRUNCATED")])
    def test_a_trace_commitment_has_32_bytes(self, length: int, code: str) -> None:
        """No more and no fewer."""
        error = rejected(envelope(backend=1, body=bytes(length)))
        assert isinstance(error, ProofFormatError)
        assert error.code == code

    @given(st.binary())
    def test_random_bytes_never_crash_the_reader(self, data: bytes) -> None:
        """They are rejected, with and without the magic."""
        rejected(data)
        try:
            proof = Proof.from_bytes(b"APRV\2\0\0\0" + data)
        except ProofFormatError:
            return
        assert proof.to_bytes() == b"APRV\2\0\0\0" + data

    def test_other_bytes_types_are_read_too(self, stark: Proof) -> None:
        """A memoryview or a bytearray, from a network or a file."""
        assert Proof.from_bytes(bytearray(stark.to_bytes())) == stark
        assert Proof.from_bytes(memoryview(stark.to_bytes())) == stark


class TestProof:
    def test_it_says_what_it_claims(self, stark: Proof) -> None:
        """The statement, and its outputs at hand."""
        assert stark.statement == STATEMENT
        assert stark.public_outputs == (6765,)

    def test_it_pickles(self, stark: Proof, own: Proof) -> None:
        """With its security report, also for a program that is not shipped."""
        for proof in (stark, own):
            twin = pickle.loads(pickle.dumps(proof))
            assert twin == proof
            assert twin.security == proof.security

    def test_its_digest_is_that_of_its_bytes(self, stark: Proof) -> None:
        """As sha256sum prints it."""
        assert stark.digest == hashlib.sha256(stark.to_bytes()).hexdigest()

    def test_it_is_true_even_though_it_has_a_length(self) -> None:
        """`if proof:` must not depend on bytes."""
        assert Proof("stark", STATEMENT, b"")

    def test_its_repr_does_not_spill_the_bytes(self, stark: Proof) -> None:
        """A proof in a log takes a line."""
        assert len(repr(stark)) < 300

    def test_the_same_request_gives_the_same_bytes(self, stark: Proof) -> None:
        """So proofs can be compared and reproduced."""
        assert aprover.prove_sync(Fibonacci(20)) == stark


class TestSecurity:
    @pytest.mark.parametrize("bits", [1, 80, 100, 128])
    @pytest.mark.parametrize("prefer", ["time", "size"])
    def test_a_proof_has_the_bits_that_were_asked_for(self, bits: int, prefer: Any) -> None:
        """The report, computed from the parameters in the bytes, says at least as many."""
        proof = aprover.prove_sync(Fibonacci(1000), security=bits, prefer=prefer)
        assert Proof.from_bytes(proof.to_bytes()).security.proven_bits >= bits

    def test_the_report_follows_the_bytes(self, stark: Proof) -> None:
        """Fewer queries in the bytes, fewer bits in the report, whoever knows the shape."""
        parameters = stark.parameters
        body = stark.body[:4] + (1).to_bytes(4, "little") + stark.body[8:]
        weak = Proof("stark", stark.statement, body)
        assert weak.parameters.queries == 1 < parameters.queries
        assert weak.security.queries == 1
        assert weak.security.proven_bits < 50 < stark.security.proven_bits

    def test_a_program_of_one_s_own_is_needed_to_judge_bytes(self, own: Proof) -> None:
        """The maker's proof knows its shape; one from bytes asks for the class."""
        received = Proof.from_bytes(own.to_bytes())
        with pytest.raises(VerificationError) as caught:
            _ = received.security
        assert caught.value.code is VerificationCode.PROGRAM
        assert received.security_for(Tribonacci) == own.security
        with pytest.raises(VerificationError) as caught:
            received.security_for(Fibonacci)
        assert caught.value.code is VerificationCode.PROGRAM

    def test_a_trace_commitment_has_none(self) -> None:
        """It is checked by doing the work again."""
        proof = aprover.prove_sync(Fibonacci(20), backend="trace")
        for ask in (lambda: proof.security, lambda: proof.parameters, lambda: proof.security_for(Fibonacci)):
            with pytest.raises(VerificationError) as caught:
                ask()
            assert caught.value.code is VerificationCode.BACKEND

    def test_parameters_that_do_not_fit_are_a_format_error(self, stark: Proof) -> None:
        """More queries than there are indices, or no parameters at all."""
        for head in (bytes((1, 0, 0, 0)) + (4096).to_bytes(4, "little"), b"", b"\0" * 7, bytes(8)):
            with pytest.raises(ProofFormatError) as caught:
                _ = Proof("stark", stark.statement, head).security
            assert caught.value.code is VerificationCode.PARAMETERS

    @pytest.mark.parametrize("program", [*SAMPLES, *TABLE_SAMPLES], ids=lambda program: program.id)
    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    def test_the_shape_that_is_judged_is_the_shape_that_is_proved(self, program: aprover.Program, zk: bool) -> None:
        """The report lays a proof out as the C core does, for one table and several, masked or not."""
        air = program.compiled(zk=zk)
        shape = shape_of(air)
        parameters = choose(shape, zk=zk)
        layout, in_c = layout_of(shape, parameters), proof_shape_in_c(air, parameters)
        assert (layout.narrow, layout.folds, layout.openings) == (in_c["narrow"], in_c["folds"], in_c["openings"])
        assert [place.chunks for place in layout.tables] == in_c["chunks"]
        assert [place.level for place in layout.tables] == in_c["level"]

    @pytest.mark.parametrize("program", [SAMPLES[0], TABLE_SAMPLES[0]], ids=lambda program: program.id)
    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    def test_a_report_is_about_the_constraints_that_were_proved(self, program: aprover.Program, zk: bool) -> None:
        """Those of a zero-knowledge proof are others where its sums are masked; the report of the bytes knows."""
        shape = shape_of(program.compiled(zk=zk))
        body = prove(program, choose(shape, zk=zk))
        proof = Proof("stark", program.statement(), body)
        assert proof.security_for(type(program)) == security_report(shape, proof.parameters)
        assert proof.security_for(type(program)).proven_bits >= 100
