from __future__ import annotations

import pytest

from searchdet.errors import ImageError, ResourceError, counted, memory_as_error


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


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 images are"), (1, "1 image is"), (2, "2 images are")]
)
def test_one_is_said_as_one(count: int, said: str) -> None:
    assert counted(count, "image is", "images are") == said
    assert counted(count, "region") == f"{count} region" + "s" * (count != 1)
