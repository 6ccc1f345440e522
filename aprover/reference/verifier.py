"""Sections 7 to 9: the verifier."""

from __future__ import annotations

from collections.abc import Sequence

from .air import Air, decode, quotient
from .blake3 import keyed_hash
from .field import F, P, horner, powers, word_bytes
from .fri import Deep, check_deep, check_folds
from .proof import PARAMETERS_BYTES, Messages, Opening, ReferenceParameters, Shape
from .reader import Reader, require
from .transcript import Tag, Transcript


def _begin(air: Air, parameters: bytes, publics: Sequence[int], statement: bytes) -> Transcript:
    """Section 7, step 1."""
    transcript = Transcript()
    transcript.absorb(Tag.PROTOCOL, b"aprover stark v1")
    transcript.absorb(Tag.PARAMETERS, parameters)
    transcript.absorb(Tag.AIR, air.digest)
    transcript.absorb(Tag.HEIGHT, word_bytes([air.header.log_height]))
    transcript.absorb(Tag.PUBLICS, word_bytes(publics))
    transcript.absorb(Tag.STATEMENT, statement)
    return transcript


def _out_of_domain_point(transcript: Transcript) -> F:
    """Section 7, step 3: z is redrawn while it lies in Fp, where all domains are."""
    z = transcript.challenge_element()
    while z.in_base_field():
        z = transcript.challenge_element()
    return z


def _batching_coefficients(transcript: Transcript, shape: Shape) -> list[F]:
    """Section 7, step 5."""
    if shape.parameters.independent:
        return transcript.challenge_elements(shape.air.openings)
    return powers(transcript.challenge_element(), shape.air.openings)


def _folding_challenges(transcript: Transcript, shape: Shape, messages: Messages) -> list[F]:
    """Section 7, steps 6 and 7."""
    betas = []
    for t in range(shape.folds):
        if t in shape.committed:
            transcript.absorb(Tag.FRI_CAP, messages.layer_caps[t])
        betas.append(transcript.challenge_element())
    transcript.absorb(Tag.FINAL, messages.final_bytes)
    return betas


def _check_nonce(transcript: Transcript, nonce: bytes, grinding_bits: int) -> None:
    """Section 7, step 8. That it is the smallest valid nonce is the prover's affair."""
    transcript.squeeze()
    work = int.from_bytes(keyed_hash(transcript.state, nonce)[:8], "little")
    require(work % 2**grinding_bits == 0, "GRINDING")
    require(grinding_bits > 0 or not any(nonce), "GRINDING")
    transcript.absorb(Tag.NONCE, nonce)


def _open_layers(reader: Reader, shape: Shape, octets: Sequence[int]) -> dict[int, Opening]:
    """Section 7, step 10, for the FRI layers; `octets` is I_1, those of layer 0."""
    layers = {}
    for t in range(shape.folds):
        if t > 0:
            octets = sorted({shape.domains[t].octet_of(position)[0] for position in octets})
        if t in shape.committed:
            layers[t] = Opening(reader, shape.layers[t], octets)
    return layers


def verify_stark(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes) -> ReferenceParameters:
    """Checks a STARK proof (section 9); whether the parameters it returns are strong enough is section 10.

    `air` is the encoding of section 4.1 and `publics` are its public values, residues below p. Time and
    memory are bounded by the AIR, the limits of the parameters and the length of the proof, whatever its bytes.

    Raises:
        Rejected: The proof is not valid; the code is that of the first check that fails.
        ValueError: `air` is malformed, or `publics` do not fit it.
    """
    checked = decode(air)
    if len(publics) != checked.header.publics or not all(0 <= value < P for value in publics):
        raise ValueError(f"the AIR needs {checked.header.publics} public values, each in 0..{P - 1}")

    reader = Reader(proof)
    parameters = reader.take(PARAMETERS_BYTES)
    shape = Shape(checked, ReferenceParameters.from_bytes(parameters, checked))  # step 1
    messages = Messages(reader, shape)  # step 2

    transcript = _begin(checked, parameters, publics, statement)
    transcript.absorb(Tag.TRACE_CAP, messages.trace_cap)
    alpha = transcript.challenge_element()
    transcript.absorb(Tag.QUOTIENT_CAP, messages.quotient_cap)
    z = _out_of_domain_point(transcript)
    reads, chunks = messages.openings[: len(checked.reads)], messages.openings[len(checked.reads) :]
    require(
        quotient(checked, publics, reads, alpha, z) == horner(chunks, z**checked.header.height), "QUOTIENT"
    )  # step 3

    transcript.absorb(Tag.OPENINGS, messages.openings_bytes)
    deep = Deep(checked, messages.openings, z, _batching_coefficients(transcript, shape))
    betas = _folding_challenges(transcript, shape, messages)
    _check_nonce(transcript, messages.nonce_bytes, shape.parameters.grinding_bits)  # step 4

    queries = transcript.challenge_indices(shape.parameters.queries, 2**shape.log_index_domain)
    lde = shape.domains[0]
    octets = queries if checked.narrow else sorted({lde.octet_of(position)[0] for position in queries})
    trace = Opening(reader, shape.trace, queries)  # step 5, until the reader is finished
    quotients = Opening(reader, shape.quotient, queries)
    layers = _open_layers(reader, shape, octets)
    reader.finish()

    trace.check(messages.trace_cap, "TRACE_MERKLE")  # step 6
    quotients.check(messages.quotient_cap, "QUOTIENT_MERKLE")  # step 7
    for t, layer in layers.items():
        layer.check(messages.layer_caps[t], "FRI_MERKLE")  # step 8
    if checked.narrow:
        values = {octet: deep.at_octet(lde, octet, trace, quotients) for octet in octets}
    else:
        check_deep(shape, deep, queries, trace, quotients, layers[0])  # step 9
        values = {octet: layers[0].octet_elements(octet) for octet in octets}
    check_folds(shape, values, layers, betas, messages.final)  # steps 10 and 11
    return shape.parameters
