"""What each address of the protocols does with a predictor, without HTTP."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone

from ..errors import EmbeddingError, ImageError, ResourceError
from ..storage.values import JsonObject
from . import anylabeling, labelstudio
from .predictor import Predictor
from .sources import Sources

log = logging.getLogger(__name__)
NAME = "image"
"""What a picture is called that comes without a name."""


@dataclass(frozen=True, slots=True)
class Bridges:
    """A predictor, and where pictures of Label Studio come from. Each method takes and gives JSON
    values. Raises ValueError for a request of another form, and SearchdetError."""

    predictor: Predictor
    sources: Sources

    def health(self) -> JsonObject:
        """Both protocols ask one address: the one for UP, the other for a count and the time."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return {"status": "UP", "model_class": anylabeling.MODEL, "models_loaded": 1, "timestamp": now}

    def models(self) -> JsonObject:
        """``/v1/models``."""
        return anylabeling.models_json(self.predictor.classes, self.predictor.version)

    def info(self, model: str) -> JsonObject:
        """``/v1/models/{id}/info``. Raises LookupError for another model."""
        return anylabeling.info_json(model, self.predictor.classes, self.predictor.version)

    def shapes(self, body: object) -> JsonObject:
        """``/v1/predict``. Raises LookupError for another model."""
        request = anylabeling.asked(body)
        image = self.predictor.load(request.image, NAME)
        if request.marks.given:
            found = self.predictor.under(image, NAME, request.marks)
        else:
            found = self.predictor.predict(image, NAME, request.least)
        return anylabeling.shapes_json(found, request)

    def setup(self, body: object) -> JsonObject:
        """``/setup``: a set-up that nothing can be drawn with is refused here, where its author is."""
        labelstudio.control_asked(body)
        return {"model_version": self.predictor.version}

    def predictions(self, body: object) -> JsonObject:
        """``/predict``: a result for each task, in their order, which is how they are told apart. Of
        many a picture that cannot be used is said in a WARNING and has an empty one; raises its error
        where there is no other."""
        request = labelstudio.asked(body)
        version = self.predictor.version
        made, failed = [], 0
        for task in request.tasks:
            try:
                made.append(self._prediction(request, task, version))
            except (ImageError, EmbeddingError, ResourceError) as error:
                failed += 1
                if failed == len(request.tasks):
                    raise
                log.warning("task %s is answered with nothing: %s", task.number, error.one_line())
                made.append(labelstudio.nothing_json(version))
        return {"results": made, "model_version": version}

    def webhook(self, body: object) -> JsonObject:
        """``/webhook``: what a person drew becomes exemplars, in the place of what they drew before."""
        change = labelstudio.change_of(body)
        learned = forgotten = 0
        for taught in change.taught:
            if taught.lessons:
                image = self.predictor.load(self.sources.fetch(taught.address), taught.key)
                learned += self.predictor.learn(taught.key, image, taught.lessons)
            else:
                forgotten += self.predictor.forget(taught.key)
        forgotten += sum(self.predictor.forget(key) for key in change.gone)
        return {"learned": learned, "forgotten": forgotten, "model_version": self.predictor.version}

    def _prediction(
        self, request: labelstudio.Asked, task: labelstudio.Task, version: str
    ) -> JsonObject:
        name = f"task {task.number}"
        image = self.predictor.load(self.sources.fetch(task.address), name)
        size = (image.height, image.width)
        if request.marks.given:
            found = self.predictor.under(image, name, labelstudio.at_size(request.marks, size))
        else:
            found = self.predictor.predict(image, name)
        return labelstudio.prediction_json(found, request, task, size, version)
