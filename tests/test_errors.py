from __future__ import annotations

import pytest

from searchdet.errors import ImageError, ResourceError, memory_as_error


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_is_the_error_of_the_image(error: Exception) -> None:
    with (
        pytest.raises(ResourceError, match=r"a\.png: out of memory") as caught,
        memory_as_error("a.png"),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), ImageError("decode", "a.png: broken.")]
)
def test_any_other_error_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, memory_as_error("a.png"):
        raise error
    assert caught.value is error


def test_what_needs_no_more_memory_goes_on() -> None:
    with memory_as_error("a.png"):
        value = 1
    assert value == 1
