"""Exemplars in memory beside good parts: the class that these tell of is no exemplar."""

from __future__ import annotations

import numpy as np
from boards import SPACE, exemplars, kinds

from searchdet.bank.types import of_normality
from searchdet.exemplars import Exemplar
from searchdet.integrations.exemplars import Growing
from searchdet.normality import of_images


def lesson(name: str, label: str | None) -> Exemplar:
    return Exemplar(name, label, np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool), "box", "0" * 64)


def test_what_good_parts_tell_of_goes_with_the_first_exemplar_and_comes_back() -> None:
    rng = np.random.default_rng(0)
    rows = exemplars(rng, np.zeros(1, np.int64), kinds(rng), "a#")
    start = of_normality(of_images("spots", 0), SPACE)
    growing = Growing(start, None)
    growing.put("a", [lesson("a#0", "pit")], rows)
    bank = growing.bank
    assert bank is not None
    assert (bank.classes, len(bank.positives), bank.by_normality) == (("pit",), 1, False)
    assert bank.normality is start.normality
    growing.put("a", [lesson("a#0", None)], rows)
    bank = growing.bank
    assert bank is not None
    assert (bank.classes, len(bank.negatives), bank.by_normality) == (("defect",), 1, True)
    assert growing.drop("a") == 1
    bank = growing.bank
    assert bank is not None
    assert (len(bank.negatives), bank.by_normality) == (0, True)
