"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ..regions import Models


@dataclass(frozen=True, slots=True)
class Hardware:
    """Processor, cores that may be used, threads of a network, graphics card if one is used, system,
    and where each network runs with which precision; None where there is no network."""

    processor: str
    cores: int
    threads: int
    graphics: str | None
    system: str
    backbone: str | None
    proposer: str | None

    @property
    def said(self) -> str:
        """What decides how long it takes, in short."""
        return self.graphics or f"{self.cores} cores of {self.processor}"


def hardware(models: Models) -> Hardware:
    """What these models run on."""
    import torch

    parts = {"backbone": models.backbone.compute, "proposer": models.proposer.compute}
    runs = {
        name: None if compute is None else f"{compute.device}, {compute.precision}"
        for name, compute in parts.items()
    }
    uses = any(compute is not None and compute.device.startswith("cuda") for compute in parts.values())
    return Hardware(
        processor=processor(),
        cores=cores(),
        threads=torch.get_num_threads(),
        graphics=torch.cuda.get_device_name() if uses else None,
        system=platform.platform(terse=True),
        **runs,
    )


def processor() -> str:
    """The name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
