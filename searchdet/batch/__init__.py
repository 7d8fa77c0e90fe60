"""Many images: one record each, in this process, in one that can be ended, or on a Ray cluster."""

from __future__ import annotations

from .cluster import RaySearch
from .runner import Result, Tally
from .summary import Summary
from .worker import Worker, WorkerSpec

__all__ = [
    "RaySearch",
    "Result",
    "Summary",
    "Tally",
    "Worker",
    "WorkerSpec",
]
