"""Which limits of classes are said to act no more."""

from __future__ import annotations

import pytest

from searchdet.config import Limits
from searchdet.live import limits


def test_only_a_limit_that_no_class_has_is_said_to_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    """One class has another name, two others became one."""
    before = Limits(class_min_score=(("a", 0.3), ("c", 0.5), ("d", 0.5)))
    after = limits.renamed(limits.renamed(before, "a", "b"), "c", "b")
    assert dict(after.class_min_score) == {"b": 0.3, "d": 0.5}
    limits.tell_lost(before, after)
    (said,) = caplog.messages
    assert said.startswith("--class-min-score c=0.5 acts no more")
