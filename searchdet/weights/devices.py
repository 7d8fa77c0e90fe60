"""Device and precision: what was asked for, what the hardware has, and nothing chosen in silence."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..errors import UsageError

if TYPE_CHECKING:
    import torch

Context: TypeAlias = contextlib.AbstractContextManager[object]


class Shared:
    """A context of the whole process, which several threads may be in at once: the first enters it and
    the last one leaves it, in whatever order they go. By itself one that leaves would put back what it
    found, under those that are still in, or for good what another had set."""

    def __init__(self, make: Callable[[], Context]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._held: Context = contextlib.nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                held = self._make()
                held.__enter__()
                self._held = held
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._held.__exit__(None, None, None)


def _full_floats() -> Context:
    import torch

    cudnn = torch.backends.cudnn
    return cudnn.flags(
        cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    )


_EXACT = Shared(_full_floats)
"""One for the process, as is the flag that it sets."""


@dataclass(frozen=True, slots=True)
class Compute:
    """A resolved device and precision (fp32, bf16 or fp16)."""

    device: str
    precision: str

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype of this precision."""
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    def autocast(self) -> Context:
        """Context in which a network's forward runs in this precision. Weights stay float32."""
        import torch

        if self.precision == "fp32":
            return self.exact()
        return torch.autocast(torch.device(self.device).type, dtype=self.dtype)

    def exact(self) -> Context:
        """Context in which float32 is float32: by PyTorch's default a card rounds what it convolves to
        the ten bits of TF32. Several threads may be in it; on the CPU it does nothing."""
        import torch

        return contextlib.nullcontext() if torch.device(self.device).type == "cpu" else _EXACT


def resolve(device: str, precision: str) -> Compute:
    """Resolve ``auto``. Raises UsageError for a device that is not there.

    auto device: CUDA where torch sees one, else the CPU. auto precision: bf16 where the processor has
    it natively (CUDA with bf16, avx512_bf16, AMX), else fp32.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UsageError(f"--device {device!r} is not a device; use auto, cpu or cuda.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device; use --device cpu.")
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"--device {device!r} is not supported; use auto, cpu or cuda.")
    if precision == "auto":
        precision = "bf16" if _native_bf16(torch.device(device)) else "fp32"
    if precision == "fp16" and kind == "cpu":
        raise UsageError("--precision fp16 needs a CUDA device; use bf16 or fp32 on the CPU.")
    return Compute(device, precision)


def _native_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
