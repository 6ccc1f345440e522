"""Ports: how requests enter from one event loop or thread, and how answers return to it."""

from __future__ import annotations

from .base import Port, Waiter, running_loop

__all__ = ["Port", "Waiter", "running_loop"]
