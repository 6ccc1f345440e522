"""Of what parts the bytes of a proof are: docs/protocol.md, sections 8 and 11."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs

from aprover import AggregateMember, AggregateProof, Program, Proof
from aprover.air import CompiledAir, program_from_statement
from aprover.proof import HEADER_BYTES, shape_of
from aprover.security import Layout, Parameters, layout_of
from aprover.security.costs import Tree, trees
from aprover.security.shape import PHASES

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

    @property
    def counted(self) -> str:
        """The count with its unit, in words."""
        if not self.count:
            return ""
        plural = self.unit.replace("coset ", "cosets ") if self.unit.startswith("coset ") else f"{self.unit}s"
        return f"{self.count:,} {self.unit if self.count == 1 else plural}"


def parts_of(proof: Proof | AggregateProof, program: type[Program] | None) -> list[Part]:
    """The parts in their order; their sizes add up to ``len(proof)``, whether or not the proof would be accepted.

    All that is not derived from the statement and the parameters (what the queries open beyond the rows themselves, and
    whatever a malformed proof holds) is in the last part.

    Args:
        program: The class that the proof is about, for one's own; None for one that is shipped.

    Raises:
        VerificationError: The program is unknown or refuses the statement, or the parameters are malformed.
    """
    if isinstance(proof, AggregateProof):
        values = len(proof.publics) // 4
        envelope = [Part("envelope", HEADER_BYTES), Part("claims", len(proof.claims), proof.count, "statement")]
        envelope.append(Part("public values", len(proof.publics), values, "value"))
        return [*envelope, *_body(proof.air(program), proof.parameters, len(proof.body))]
    envelope = [Part("envelope", HEADER_BYTES), Part("statement", len(proof.statement.to_bytes()))]
    if isinstance(proof, AggregateMember):
        whole = Part("aggregate", len(proof.aggregate), proof.aggregate.count, "statement")
        return [*envelope, Part("index", len(proof) - whole.size - sum(part.size for part in envelope)), whole]
    if proof.backend != "stark":
        return [*envelope, Part("commitment", len(proof.body))]
    parameters = proof.parameters
    air, _ = program_from_statement(proof.statement, program, zk=parameters.zk)
    return [*envelope, *_body(air, parameters, len(proof.body))]


def _body(air: CompiledAir, parameters: Parameters, rest: int) -> list[Part]:
    """Of the bytes of a STARK proof, of which there are `rest`."""
    parts = []
    for part in _derived(layout_of(shape_of(air), parameters), parameters):
        if part.size > rest:
            break
        parts.append(part)
        rest -= part.size
    return [*parts, Part("paths and folds opened", rest)]


def _derived(layout: Layout, parameters: Parameters) -> list[Part]:
    """What every proof of this layout with these parameters has, in order of the proof but for the opened rows."""
    by_phase, layers = _trees(layout, parameters)

    def caps(name: str, committed: Sequence[Tree]) -> list[Part]:
        nodes = sum(1 << min(parameters.cap_log, tree.log_leaves) for tree in committed)
        return [Part(name, DIGEST_BYTES * nodes, nodes, "digest")] if nodes else []

    lookup, sums = caps("lookup commitment", by_phase["lookup"]), layout.sums
    return [
        Part("parameters", PARAMETERS_BYTES),
        *caps("trace commitment", by_phase["trace"]),
        *lookup,
        *([Part("lookup sums", ELEMENT_BYTES * sums, sums, "value")] if sums else []),
        *caps("quotient commitment", by_phase["quotient"]),
        Part("out-of-domain values", ELEMENT_BYTES * layout.openings, layout.openings, "value"),
        *[part for number, layer in enumerate(layers, 1) for part in caps(f"fold {number} commitment", [layer])],
        Part("final polynomial", ELEMENT_BYTES * layout.final_length, layout.final_length, "coefficient"),
        Part("nonce", NONCE_BYTES),
        *_opened_rows(layout, parameters.queries, by_phase),
    ]


def _trees(layout: Layout, parameters: Parameters) -> tuple[dict[str, list[Tree]], list[Tree]]:
    """The trees of each phase, and those of the FRI layers."""
    rest = trees(layout, parameters.log_blowup)
    by_phase = {
        name: list(itertools.islice(rest, sum(bool(level.columns[phase]) for level in layout.levels)))
        for phase, name in enumerate(PHASES)
    }
    return by_phase, list(rest)


def _opened_rows(layout: Layout, queries: int, by_phase: dict[str, list[Tree]]) -> Iterator[Part]:
    """What the queries open at level 0. Further down several may share a row, so that their number varies."""
    unit = f"coset of {1 << layout.levels[0].log_arity} rows" if layout.narrow else "row"
    for phase, name in enumerate(PHASES):
        if layout.levels[0].columns[phase]:
            yield Part(f"{name} opened", queries * by_phase[name][0].leaf_bytes, queries, unit)
