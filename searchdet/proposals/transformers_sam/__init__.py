"""``sam2``, ``edgetam`` and ``sam3``: networks of the Python package transformers that answer points.

SAM 2 and 2.1 (Ravi et al. 2024, arXiv 2408.00714), EdgeTAM (Zhou et al. 2025, arXiv 2501.07256) and
the tracker of SAM 3 follow objects through videos; their image parts turn points into masks as SAM
does. What is asked, and which masks are kept, is ours (``..points``). Images are squashed to a square,
which is how these networks were trained. kinds.py has what differs between the three.
"""

from __future__ import annotations

from dataclasses import replace

from ..points import PointProposer
from ..types import FloatArray, Proposals, UInt8Array

SQUASHED = "squashed_to"
"""In ``details``: pixels a side of the square that the image was squashed to."""


class SquashedProposer(PointProposer):
    """A point-prompted network that sees images squashed to a square."""

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """As ``PointProposer.propose``; details say what the image was squashed to."""
        from .network import side_of

        found = super().propose(image, promise)
        side = side_of(self._loaded.get())
        return replace(found, details={**found.details, SQUASHED: side})
