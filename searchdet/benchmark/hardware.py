"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..regions import Models
from ..storage.values import JsonObject


def hardware(models: Models) -> JsonObject:
    """Processor, cores that may be used, graphics card if one is used, and where each network runs."""
    import torch

    parts = {"backbone": models.backbone.compute, "proposer": models.proposer.compute}
    runs = {
        name: None if compute is None else f"{compute.device}, {compute.precision}"
        for name, compute in parts.items()
    }
    uses = any(compute is not None and compute.device.startswith("cuda") for compute in parts.values())
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "graphics": torch.cuda.get_device_name() if uses else None,
        "system": platform.platform(terse=True),
        **runs,
    }


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
