"""The error tree. The CLI prints ``message`` and ``hint`` on one line and exits with ``exit_code``.

SearchdetError
├── UsageError        2  the command line or an argument does not make sense
├── ImageError        3  one image cannot be used; ``code`` says why
├── EmbeddingError    3  the features of one image cannot be used
├── ResourceError     3  memory ran out for one image
├── CheckpointError   4  weights refused
├── ExemplarError     4  exemplar folders refused
├── RemoteError       5  a store cannot be read
└── OutputError       5  a result cannot be written
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class SearchdetError(Exception):
    """Root of every expected failure. ``hint`` is the next step for the user, one sentence."""

    exit_code = 1
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def one_line(self) -> str:
        """Message and hint without line breaks."""
        text = f"{self.message} {self.hint}" if self.hint else self.message
        return " ".join(text.split())


class UsageError(SearchdetError):
    exit_code = 2
    code = "usage"


class ImageError(SearchdetError):
    """code: missing, unreachable, not_an_image, decode, too_large, mode or bomb; masks: those given of
    it."""

    exit_code = 3

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.hint)  # to another process and back


class EmbeddingError(SearchdetError):
    exit_code = 3
    code = "non_finite"


class ResourceError(SearchdetError):
    exit_code = 3
    code = "oom"


class CheckpointError(SearchdetError):
    exit_code = 4
    code = "checkpoint"


class ExemplarError(SearchdetError):
    exit_code = 4
    code = "exemplars"


class RemoteError(SearchdetError):
    exit_code = 5
    code = "remote"


class OutputError(SearchdetError):
    exit_code = 5
    code = "output"


def meant(name: str, known: Iterable[str]) -> str:
    """The question whether the likest of ``known`` was meant, or nothing."""
    near = difflib.get_close_matches(name, sorted(set(known)), 1)
    return f"Did you mean {near[0]!r}?" if near else ""


def counted(count: int, one: str, many: str = "") -> str:
    """A number with what it counts: ``1 image``, ``2 images``. many: the plural, where an s is not
    enough."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def no_memory(path: object) -> ResourceError:
    """The error for an image that memory is too small for."""
    return ResourceError(f"{path}: out of memory.", "Scale the image down, or run where there is more.")


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: Python's, or what torch and OpenCV raise."""
    if isinstance(error, MemoryError):
        return True
    kind, text = type(error), str(error)
    if kind.__name__ == "OutOfMemoryError":
        return True
    torch_says = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text
    return torch_says or (kind.__module__.startswith("cv2") and "Insufficient memory" in text)


@contextlib.contextmanager
def memory_as_error(path: object) -> Iterator[None]:
    """Raise ResourceError where memory runs out for an image."""
    try:
        yield
    except SearchdetError:
        raise
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise no_memory(path) from error


DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What work on values raises that have another form than is expected."""
