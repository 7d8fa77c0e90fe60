"""The object of an unannotated photo is the region that the photos of its class share."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from fakes import GivenProposer, GridBackbone

from searchdet.config import EmbeddingOptions, ProposalOptions
from searchdet.exemplars import Exemplar, automask
from searchdet.exemplars.automask import Photo, choose
from searchdet.regions.describe import Describer, Regions
from searchdet.storage import kinds
from searchdet.storage.cache import Store

SPACE = {"space": "grid"}
RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 30), (40, 60, 220), (220, 210, 40)


def photo(name: str, other: tuple[int, int, int], shift: int = 0) -> tuple[Exemplar, np.ndarray]:
    """A red square near the middle, another colour beside it; its masks: other first."""
    pixels = np.full((64, 96, 3), 128, np.uint8)
    masks = np.zeros((3, 64, 96), bool)
    masks[0, 20:44, 60 - shift : 84 - shift] = True
    masks[1, 20:44, 24 + shift : 48 + shift] = True
    masks[2] = True  # the whole photo
    pixels[masks[0]] = other
    pixels[masks[1]] = RED
    whole = np.ones((64, 96), bool)
    return Exemplar(name, "thing", pixels, whole, "whole", f"{hash(name) % 10**6:064}"), masks


class Looker:
    """Regions of photos, counted."""

    def __init__(self, masks: dict[str, np.ndarray]) -> None:
        self.masks, self.calls = masks, 0

    def __call__(self, item: Exemplar) -> Regions:
        self.calls += 1
        proposer = GivenProposer(self.masks[item.name], [0.5] * len(self.masks[item.name]))
        options = ProposalOptions("regions")
        describer = Describer(GridBackbone(16, 24), proposer, options, EmbeddingOptions())
        return describer.regions(item.pixels)


def world() -> tuple[list[Exemplar], Looker]:
    pairs = [photo("a", GREEN, 4), photo("b", BLUE, 2), photo("c", YELLOW)]
    return [item for item, _ in pairs], Looker({item.name: masks for item, masks in pairs})


def test_the_shared_region_is_the_object_in_every_photo() -> None:
    items, look = world()
    found = automask.apply(items, look, SPACE, Store(None, kinds.AUTOMASKS))
    assert len(found) == 3
    for item in found:
        assert item.mask_source == "auto"
        assert (item.pixels[item.mask] == RED).all()
        assert int(item.mask.sum()) == 24 * 24


def test_masks_that_were_drawn_and_negatives_stay_as_they_are() -> None:
    items, look = world()
    drawn = Exemplar("d", "thing", items[0].pixels, look.masks["a"][0], "file", "1" * 64)
    negative = Exemplar("n", None, items[0].pixels, np.ones((64, 96), bool), "whole", "2" * 64)
    found = automask.apply([drawn, negative, *items], look, SPACE, Store(None, kinds.AUTOMASKS))
    assert found[0] is drawn
    assert found[1] is negative
    assert look.calls == 3


def test_a_photo_without_a_region_stays_whole_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    items, look = world()
    look.masks["b"] = np.zeros((0, 64, 96), bool)
    look.masks["c"] = look.masks["c"][2:]
    with caplog.at_level(logging.WARNING):
        found = automask.apply(items, look, SPACE, Store(None, kinds.AUTOMASKS))
    assert [item.mask_source for item in found] == ["auto", "whole", "whole"]
    assert "thing: in 2 of 3 photos" in caplog.text
    assert "(b, c)" in caplog.text


def test_the_choice_is_remembered_by_content(tmp_path: Path) -> None:
    items, look = world()
    store = Store(tmp_path, kinds.AUTOMASKS)
    first = automask.apply(items, look, SPACE, store)
    again = automask.apply(items, look, SPACE, store)
    assert look.calls == 3
    for one, two in zip(first, again, strict=True):
        assert (one.mask == two.mask).all()
    automask.apply(items[:2], look, SPACE, store)
    assert look.calls == 5, "other photos, another choice"


def test_objects_that_are_known_stand_for_the_other_photos(tmp_path: Path) -> None:
    items, look = world()
    together = automask.apply(items, look, SPACE, Store(None, kinds.AUTOMASKS))
    store = Store(tmp_path, kinds.AUTOMASKS)
    for i, item in enumerate(items):
        others = [look(one) for j, one in enumerate(items) if j != i]
        red = np.stack([found.described.embedded.vectors[1] for found in others])
        (alone,) = automask.apply([item], look, SPACE, store, {"thing": red, "another": -red})
        assert (alone.mask == together[i].mask).all()
        assert alone.mask_source == "auto"
    green = look(items[0]).described.embedded.vectors[:1]
    (other,) = automask.apply(items[:1], look, SPACE, store, {"thing": green})
    assert (other.mask == look.masks["a"][0]).all(), "what is known decides"
    calls = look.calls
    for known in ({"thing": red}, {"thing": red[:1]}, None):
        automask.apply([items[2]], look, SPACE, store, known)
    assert look.calls == calls + 2, "what is known belongs to what is remembered"


def test_choosing_is_the_mean_nearest_cosine_plus_place() -> None:
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(3):
        vectors = rng.normal(size=(5, 4)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        photos.append(Photo(np.arange(5) * 2, vectors, rng.uniform(0, 1, 5).astype(np.float32)))
    got = choose(photos)
    for i, one in enumerate(photos):
        values = []
        for r in range(5):
            nearest = [max(o.vectors @ one.vectors[r]) for j, o in enumerate(photos) if j != i]
            values.append(float(np.mean(nearest)) + float(one.place[r]))
        assert got[i] == 2 * int(np.argmax(values))
    empty = Photo(np.zeros(0, int), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert choose([empty, photos[0]])[0] is None
    assert choose([photos[0]]) == [2 * int(photos[0].place.argmax())]
