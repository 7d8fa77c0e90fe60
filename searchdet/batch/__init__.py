"""Many images: one record each, in this process or in one that can be ended."""

from __future__ import annotations

from .runner import Result, Tally
from .summary import Summary
from .worker import Worker, WorkerSpec

__all__ = [
    "Result",
    "Summary",
    "Tally",
    "Worker",
    "WorkerSpec",
]
