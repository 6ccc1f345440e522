"""Shapes of AIRs in the forms in which the tests compare them.

These are the forms of aprover.security, of the reference verifier, and, by way of the slow prover's layout, of
security_exact. Only what bits depend on is there.
"""

from __future__ import annotations

from hypothesis import strategies as st

from aprover.reference import air as reference
from aprover.security import Parameters, Shape, TableShape
from tests import security_exact as exact
from tests.support.toy_air import Air, Interaction, Table
from tests.support.toy_layout import Layout
from tests.support.toy_layout import Parameters as ToyParameters


def table(
    log_height: int,
    columns: int = 2,
    *,
    reads: int | None = None,
    offset: int = 1,
    asserted: tuple[tuple[int, int], ...] = ((1, 1), (1, 1)),
    bounded: int = 2,
    log_slots: int = 0,
    preprocessed: int = 0,
    interactions: int = 0,
    batch: int = 1,
    lookup_degree: int = 2,
) -> Table:
    """By default Fibonacci's: two columns, two transitions, two boundary columns, four reads."""
    count = columns + preprocessed + 2 if reads is None else reads
    return Table(
        columns=columns,
        log_height=log_height,
        log_slots=log_slots,
        registers=0,
        batch=batch,
        reads=((0, 0),) * (count - 1) + ((0, offset),),
        periodics=(),
        publics=0,
        constants=(),
        instructions=(),
        boundaries=tuple((column, 0, 0) for column in range(bounded)),
        interactions=(Interaction(0, 0, 0, ()),) * interactions,
        preprocessed=((),) * preprocessed,
        asserted=asserted,
        lookup_degrees=(lookup_degree,) * -(-interactions // batch),
    )


def airs(*tables: Table, bus_width: int = 3) -> Air:
    """An AIR of these tables."""
    return Air(b"", 0, (bus_width,) if any(one.interactions for one in tables) else (), tables)


def shape_of(air: Air) -> Shape:
    """As aprover.security has it."""
    tables = [
        TableShape(
            log_height=one.log_height,
            columns=one.columns,
            rows_read=one.rows_read,
            constraints=one.constraints,
            openings=len(one.reads) + (one.lookup_columns + 1 if one.interactions else 0),
            terms=tuple(sorted(set(one.asserted))),
            boundaries=bool(one.boundaries),
            preprocessed=len(one.preprocessed),
            log_slots=one.log_slots,
            interactions=len(one.interactions),
            lookup_columns=one.lookup_columns,
            lookup_degrees=tuple(sorted(set(one.lookup_degrees))),
        )
        for one in air.tables
    ]
    return Shape(tuple(tables), max(air.buses, default=0))


def reference_of(air: Air) -> reference.Air:
    """As the reference verifier has it."""
    tables = []
    for one in air.tables:
        header = reference.Header(
            one.columns, len(one.preprocessed), one.log_height, one.log_slots, len(one.reads), 0, 0, 0, 0,
            len(one.boundaries), len(one.interactions), one.batch,
        )  # fmt: skip
        interactions = tuple(reference.Interaction(0, 0, 0, ()) for _ in one.interactions)
        boundaries = tuple((column, ()) for column in one.bounded_columns)
        tables.append(
            reference.Table(
                header, one.reads, (), (), (), boundaries, interactions, one.preprocessed, one.asserted,
                one.lookup_degrees,
            )
        )  # fmt: skip
    return reference.Air(0, air.buses, tuple(tables), b"")


def case_of(air: Air, parameters: Parameters) -> exact.Case:
    """As security_exact has it."""
    layout = Layout(air, ToyParameters.from_bytes(parameters.to_bytes()))
    tables = []
    for one, place in zip(air.tables, layout.places, strict=True):
        degrees = [(d, s << one.log_slots) for d, s in one.asserted] + [(d, 0) for d in one.lookup_degrees]
        degrees += [(1, one.height - 1)] * bool(one.boundaries)
        tables.append(
            exact.TableCase(
                one.log_height,
                one.rows_read,
                one.constraints,
                place.openings,
                len(one.interactions),
                place.log_length,
                (place.chunks - 1) * place.stride,
                tuple(degrees),
            )
        )
    return exact.Case(
        tuple(tables),
        max(air.buses, default=0),
        tuple(layout.log_lengths),
        layout.narrow,
        parameters.zk,
        parameters.log_blowup,
        parameters.queries,
        parameters.grinding_bits,
        parameters.independent,
    )


@st.composite
def random_table(draw: st.DrawFn, max_log_height: int) -> Table:
    """Any table."""
    log_height = draw(st.integers(3, max_log_height))
    log_slots = draw(st.sampled_from([0, 0, 0, draw(st.integers(0, log_height))]))
    run = 1 << log_height - log_slots
    columns = draw(st.integers(1, 40) | st.integers(1, 3000))
    preprocessed = draw(st.sampled_from([0, 0, 1, 5]))
    terms = st.tuples(st.integers(1, 8), st.integers(0, min(15, run - 1)))
    asserted = tuple(draw(st.lists(terms, max_size=4)))
    interactions = draw(st.sampled_from([0, 0, 1, 2, 7]))
    bounded = draw(st.integers(0 if asserted or interactions else 1, min(columns, 3)))
    return table(
        log_height,
        columns,
        reads=draw(st.integers(columns + preprocessed, 4 * columns + preprocessed)),
        offset=draw(st.integers(0, min(15, (1 << log_height) - 1))),
        asserted=asserted * draw(st.sampled_from([1, 1, 1000])),
        bounded=bounded,
        log_slots=log_slots,
        preprocessed=preprocessed,
        interactions=interactions,
        batch=draw(st.integers(1, 4)) if interactions else 1,
        lookup_degree=draw(st.integers(2, 8)),
    )


@st.composite
def random_airs(draw: st.DrawFn, max_log_height: int = 22) -> Air:
    """Any AIR; most have one table."""
    count = draw(st.sampled_from([1, 1, 1, 2, 3, 5]))
    tables = [draw(random_table(max_log_height)) for _ in range(count)]
    return airs(*tables, bus_width=draw(st.integers(1, 16)))


@st.composite
def random_proofs(draw: st.DrawFn, max_log_height: int = 22) -> tuple[Air, Parameters]:
    """Any AIR with parameters that fit it."""
    air, masked = draw(random_airs(max_log_height)), draw(st.booleans())
    queries = draw(st.integers(1, 200) | st.integers(1, 4096))
    shape = shape_of(air)
    log_length = shape.layout(queries if masked else 0).log_length
    log_blowup = draw(st.integers(1, min(6, 27 - log_length)))
    queries = min(queries, 1 << shape.layout(queries if masked else 0).log_indices(log_blowup))
    grinding, cap_log = draw(st.integers(0, 32)), draw(st.integers(0, 8))
    return air, Parameters(log_blowup, queries, grinding, cap_log, draw(st.booleans()), masked)
