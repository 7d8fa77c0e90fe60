"""A detector that shows what it sees of each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..backbones import FeatureMap
from ..bank import Gathered
from ..config import Settings
from ..detector import Detector
from ..images import LoadedImage
from ..proposals import Proposals
from ..regions import Models, Regions


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an image. proposals: all that are described and scored; feature_map: of the
    whole image, None where its regions were remembered or it was looked at in tiles."""

    image: LoadedImage
    name: str
    proposals: Proposals
    feature_map: FeatureMap | None = None


class Watched(Detector):
    """A detector whose watchers are shown what it sees of each image, before there is a record."""

    def __init__(self, models: Models, gathered: Gathered, settings: Settings) -> None:
        super().__init__(models, gathered, settings)
        self._watchers: list[Callable[[Seen], None]] = []

    def show(self, watcher: Callable[[Seen], None]) -> None:
        """Show it each image from now on."""
        self._watchers.append(watcher)

    def describe(
        self, image: LoadedImage, name: str, seen: Callable[[FeatureMap], object] | None = None
    ) -> Regions:
        """See ``Detector``."""
        maps: list[FeatureMap] = []
        regions = super().describe(image, name, maps.append)
        if seen is not None and maps:
            seen(maps[0])
        for watcher in self._watchers:
            watcher(Seen(image, name, regions.proposals, maps[0] if maps else None))
        return regions
