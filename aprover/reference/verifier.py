"""Sections 7 to 9: the verifier."""

from __future__ import annotations

from collections.abc import Sequence

from .air import Air, decode
from .blake3 import keyed_hash
from .field import ZERO, F, P, horner, powers, word_bytes
from .fri import Deep, check_deep, check_folds
from .layout import Layout, Phase, ReferenceParameters
from .preprocessed import preprocessed_caps
from .proof import PARAMETERS_BYTES, Messages, Opening
from .quotient import Challenges, quotient
from .reader import Reader, require
from .transcript import Tag, Transcript

MERKLE_CODES = {
    Phase.PREPROCESSED: "PREPROCESSED_MERKLE",
    Phase.TRACE: "TRACE_MERKLE",
    Phase.LOOKUP: "LOOKUP_MERKLE",
    Phase.QUOTIENT: "QUOTIENT_MERKLE",
}


def _begin(air: Air, parameters: bytes, publics: Sequence[int], statement: bytes, caps: bytes) -> Transcript:
    """Section 7, step 1; `caps` are those of the preprocessed trees."""
    transcript = Transcript()
    transcript.absorb(Tag.PROTOCOL, b"aprover stark v2")
    transcript.absorb(Tag.PARAMETERS, parameters)
    transcript.absorb(Tag.AIR, air.digest)
    transcript.absorb(Tag.HEIGHT, word_bytes([table.header.log_height for table in air.tables]))
    transcript.absorb(Tag.PUBLICS, word_bytes(publics))
    transcript.absorb(Tag.STATEMENT, statement)
    if air.has_preprocessed:
        transcript.absorb(Tag.PREPROCESSED_CAP, caps)
    return transcript


def _out_of_domain_point(transcript: Transcript) -> F:
    """Section 7, step 4: z is redrawn while it lies in Fp, where all domains are."""
    z = transcript.challenge_element()
    while z.in_base_field():
        z = transcript.challenge_element()
    return z


def _challenges(transcript: Transcript, air: Air, messages: Messages) -> Challenges:
    """Section 7, steps 2 to 4."""
    transcript.absorb(Tag.TRACE_CAP, messages.caps_bytes(Phase.TRACE))
    gamma = beta = ZERO
    if air.has_lookups:
        gamma, beta = transcript.challenge_elements(2)
        transcript.absorb(Tag.LOOKUP_CAP, messages.caps_bytes(Phase.LOOKUP))
        transcript.absorb(Tag.LOOKUP_SUM, messages.sums_bytes)
    alpha = transcript.challenge_element()
    transcript.absorb(Tag.QUOTIENT_CAP, messages.caps_bytes(Phase.QUOTIENT))
    return Challenges(gamma, beta, alpha, _out_of_domain_point(transcript))


def _check_quotients(layout: Layout, publics: Sequence[int], messages: Messages, challenges: Challenges) -> None:
    """Section 7, step 5."""
    for place, openings, sigma in zip(layout.places, messages.table_openings(), messages.table_sums(), strict=True):
        stated = horner(openings.chunks, challenges.z**place.stride)
        found = quotient(place.table, publics, openings, sigma, challenges, place.first_constraint)
        require(stated == found, "QUOTIENT")


def _batching_coefficients(transcript: Transcript, layout: Layout) -> list[F]:
    """Section 7, step 6."""
    if layout.parameters.independent:
        return transcript.challenge_elements(layout.batched)
    return powers(transcript.challenge_element(), layout.batched)


def _folding_challenges(transcript: Transcript, layout: Layout, messages: Messages) -> list[F]:
    """Section 7, steps 7 and 8."""
    betas = []
    for t in range(layout.folds):
        if t in layout.layers:
            transcript.absorb(Tag.FRI_CAP, messages.layer_caps[t])
        betas.append(transcript.challenge_element())
    transcript.absorb(Tag.FINAL, messages.final_bytes)
    return betas


def _check_nonce(transcript: Transcript, nonce: bytes, grinding_bits: int) -> None:
    """Section 7, step 9. That it is the smallest valid nonce is the prover's affair."""
    transcript.squeeze()
    work = int.from_bytes(keyed_hash(transcript.state, nonce)[:8], "little")
    require(work % 2**grinding_bits == 0, "GRINDING")
    require(grinding_bits > 0 or not any(nonce), "GRINDING")
    transcript.absorb(Tag.NONCE, nonce)


def _positions(layout: Layout, queries: Sequence[int]) -> list[list[int]]:
    """Section 7, steps 10 and 11: the positions I_t of each level that the queries lead to.

    In the wide layout I_0 are the queries; in the narrow one, where a query is a fold coset of level 0, there are none.
    """
    first = layout.domains[0]
    if layout.narrow:
        positions = [[], list(queries)]
    else:
        positions = [list(queries), sorted({first.coset_of(position)[0] for position in queries})]
    for domain in layout.domains[1:-1]:
        positions.append(sorted({domain.coset_of(position)[0] for position in positions[-1]}))
    return positions


def verify_stark(air: bytes, publics: Sequence[int], statement: bytes, proof: bytes) -> ReferenceParameters:
    """Checks a STARK proof (section 9); whether the parameters it returns are strong enough is section 10.

    `air` is the encoding of section 4.1 and `publics` are its public values, residues below p. Time and
    memory are bounded by the AIR, the limits of the parameters and the length of the proof, whatever its bytes.

    Raises:
        Rejected: The proof is not valid; the code is that of the first check that fails.
        ValueError: `air` is malformed, or `publics` do not fit it.
    """
    checked = decode(air)
    if len(publics) != checked.publics or not all(0 <= value < P for value in publics):
        raise ValueError(f"the AIR needs {checked.publics} public values, each in 0..{P - 1}")

    reader = Reader(proof)
    encoded = reader.take(PARAMETERS_BYTES)
    parameters = ReferenceParameters.from_bytes(encoded)
    layout = Layout(checked, parameters)  # step 1
    messages = Messages(reader, layout)  # step 2
    require(sum(messages.sums, ZERO) == ZERO, "LOOKUP_SUM")  # step 3

    messages.caps[Phase.PREPROCESSED] = preprocessed_caps(air, parameters) if checked.has_preprocessed else {}
    transcript = _begin(checked, encoded, publics, statement, messages.caps_bytes(Phase.PREPROCESSED))
    challenges = _challenges(transcript, checked, messages)
    _check_quotients(layout, publics, messages, challenges)  # step 4
    transcript.absorb(Tag.OPENINGS, messages.openings_bytes)
    deep = Deep(layout, messages.openings, challenges.z, _batching_coefficients(transcript, layout))
    betas = _folding_challenges(transcript, layout, messages)
    _check_nonce(transcript, messages.nonce_bytes, parameters.grinding_bits)  # step 5

    queries = transcript.challenge_indices(parameters.queries, 2**layout.log_indices)
    positions = _positions(layout, queries)
    opened = {  # step 6, until the reader is finished
        phase: {t: Opening(reader, tree, positions[t] if t else queries) for t, tree in trees.items()}
        for phase, trees in layout.trees.items()
    }
    layers = {t: Opening(reader, tree, positions[t + 1]) for t, tree in layout.layers.items()}
    reader.finish()

    for phase, trees in opened.items():
        for t, opening in trees.items():
            opening.check(messages.caps[phase][t], MERKLE_CODES[phase])  # steps 7 to 10
    for t, layer in layers.items():
        layer.check(messages.layer_caps[t], "FRI_MERKLE")  # step 11
    if layout.narrow:
        arity = layout.domains[0].arity
        values = {coset: [deep.at(0, opened, coset, m) for m in range(arity)] for coset in queries}
    else:
        check_deep(layout, deep, queries, opened, layers[0])  # step 12
        values = {coset: layers[0].elements(coset) for coset in positions[1]}
    check_folds(layout, deep, opened, values, layers, betas, messages.final)  # steps 13 and 14
    return parameters
