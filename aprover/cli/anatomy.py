"""Of what parts the bytes of a proof are: docs/protocol.md, sections 8 and 11."""

from __future__ import annotations

import attrs

from aprover import Program, Proof
from aprover.air import program_from_statement
from aprover.proof import HEADER_BYTES, shape_of
from aprover.security import Parameters, Shape
from aprover.security.costs import trees

__all__ = ["Part", "parts_of"]

ELEMENT_BYTES = 20
DIGEST_BYTES = 32
PARAMETERS_BYTES = 8
NONCE_BYTES = 8


@attrs.frozen
class Part:
    """Bytes that belong together; `count` of things of one kind, 0 where that says nothing."""

    name: str
    size: int
    count: int = 0
    unit: str = ""


def parts_of(proof: Proof, program: type[Program] | None) -> list[Part]:
    """The parts in their order; their sizes add up to ``len(proof)``, whether or not the proof would be accepted.

    All that is not derived from the statement and the parameters (what the queries open beyond the rows themselves, and
    whatever a malformed proof holds) is in the last part.

    Args:
        program: The class that the proof is about, for one's own; None for one that is shipped.

    Raises:
        VerificationError: The program is unknown or refuses the statement, or the parameters are malformed.
    """
    envelope = [Part("envelope", HEADER_BYTES), Part("statement", len(proof.statement.to_bytes()))]
    if proof.backend != "stark":
        return [*envelope, Part("commitment", len(proof.body))]
    air, _ = program_from_statement(proof.statement, program)
    rest = len(proof.body)
    parts = []
    for part in _derived(shape_of(air), proof.parameters):
        if part.size > rest:
            break
        parts.append(part)
        rest -= part.size
    return [*envelope, *parts, Part("paths and folds opened", rest)]


def _derived(shape: Shape, parameters: Parameters) -> list[Part]:
    """What every proof of this shape with these parameters has, in order of the proof but for the opened rows."""
    trace, quotient, *layers = trees(shape, parameters.log_blowup)

    def cap(name: str, log_leaves: int) -> Part:
        nodes = 1 << min(parameters.cap_log, log_leaves)
        return Part(name, DIGEST_BYTES * nodes, nodes, "digest")

    queries, rows = parameters.queries, "octet of rows" if shape.narrow else "row"
    return [
        Part("parameters", PARAMETERS_BYTES),
        cap("trace commitment", trace.log_leaves),
        cap("quotient commitment", quotient.log_leaves),
        Part("out-of-domain values", ELEMENT_BYTES * shape.openings, shape.openings, "value"),
        *[cap(f"fold {number} commitment", layer.log_leaves) for number, layer in enumerate(layers, 1)],
        Part("final polynomial", ELEMENT_BYTES * shape.final_length, shape.final_length, "coefficient"),
        Part("nonce", NONCE_BYTES),
        Part("trace opened", queries * trace.leaf_bytes, queries, rows),
        Part("quotient opened", queries * quotient.leaf_bytes, queries, rows),
    ]
