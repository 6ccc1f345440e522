"""Proven security: how many bits a proof carries, which parameters reach the bits that are wanted, and what they cost.

No bit rests on a conjecture. The formulas are those of docs/protocol.md, section 10.
"""

from __future__ import annotations

from aprover.security.chooser import Prefer, candidates, choose, usual_bytes
from aprover.security.costs import predicted_time, proof_size
from aprover.security.shape import Layout, Parameters, Shape, TableShape, layout_of
from aprover.security.soundness import SecurityReport, SecurityTerm, minimal_queries, security_report

__all__ = [
    "Layout",
    "Parameters",
    "Prefer",
    "SecurityReport",
    "SecurityTerm",
    "Shape",
    "TableShape",
    "candidates",
    "choose",
    "layout_of",
    "minimal_queries",
    "predicted_time",
    "proof_size",
    "security_report",
    "usual_bytes",
]
