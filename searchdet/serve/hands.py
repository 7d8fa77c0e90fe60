"""What persons draw and paste, found and described in the thread that has the models."""

from __future__ import annotations

from dataclasses import dataclass

from ..bank import Bank
from ..live import ModelHands
from ..live.events import Box
from ..live.exemplars import Drawn
from ..records import ImageInfo
from .work import Work


@dataclass(frozen=True, slots=True)
class QueuedHands:
    """Hands whose work goes before the next image. Whoever asks waits, so no lock may be held."""

    models: ModelHands
    work: Work

    def draw(self, image: ImageInfo, box: Box) -> Drawn:
        """As ``ModelHands.draw``. Raises ResourceError too, where the program ends."""
        return self.work.ask(lambda: self.models.draw(image, box))

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        """As ``ModelHands.paste``."""
        return self.work.ask(lambda: self.models.paste(name, data, label, bank))
