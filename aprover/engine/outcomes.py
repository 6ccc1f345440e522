"""How the answer of a flight becomes what one waiter returns or raises."""

from __future__ import annotations

import copy

from ..errors import AproverError, DeadlineExceeded, EngineClosed, ProveError
from ..proof import Proof
from .messages import Closed, Expired, Failed, Outcome, Proved

__all__ = ["answer_of", "error_of", "own_error"]


def own_error(cause: BaseException) -> AproverError:
    """A waiter's own exception, so that the tracebacks of several never mix, raised from what they share.

    If the shared exception has a cause, such as what a user's trace() raised, that is the cause of each; else the
    shared one is.
    """
    if isinstance(cause, AproverError):
        error = copy.copy(cause)
        error.__cause__ = cause.__cause__ if cause.__cause__ is not None else cause
    else:
        error = ProveError(f"proving raised {type(cause).__name__}")
        error.__cause__ = cause
    error.__suppress_context__ = True
    return error


def answer_of(outcome: Outcome) -> Proof:
    """The proof.

    Raises:
        AproverError: Whatever else became of it.
    """
    if isinstance(outcome, Proved):
        return outcome.proof
    if isinstance(outcome, Failed):
        raise own_error(outcome.cause)
    if isinstance(outcome, Expired):
        raise DeadlineExceeded("the deadline passed before the proof was made")
    assert isinstance(outcome, Closed)
    if outcome.cause is not None:
        raise EngineClosed("the engine broke down, which is a bug in it") from outcome.cause
    raise EngineClosed("the engine was closed before the proof was made")


def error_of(outcome: Outcome) -> AproverError | None:
    """What `answer_of` raises; None if that is nothing."""
    try:
        answer_of(outcome)
    except AproverError as error:
        return error
    return None
