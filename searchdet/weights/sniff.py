"""What a file is that holds no weights, judged by its bytes, so that the refusal can say so."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ..errors import CheckpointError

_FIRST = 1024
_LFS = "version https://git-lfs"
_SHOWN = 80
_MAGIC = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"\x89HDF\r\n", "an HDF5 file of Keras", "Get the PyTorch or safetensors file."),
    (b"GGUF", "a GGUF file", "Get the PyTorch or safetensors file."),
    (b"\x93NUMPY", "a NumPy array", "Get the PyTorch or safetensors file."),
    (b"\x89PNG", "a PNG picture", "Give the weight file."),
    (b"\xff\xd8\xff", "a JPEG picture", "Give the weight file."),
    (b"%PDF", "a PDF document", "Give the weight file."),
)
_ARCHIVE_PARTS = ("data.pkl", "constants.pkl")


def require_weights(path: Path) -> None:
    """Raise CheckpointError for a file whose bytes say that it is no weight file of its suffix. A file
    that this lets through need not be one."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_FIRST)
    if not head:
        raise CheckpointError(f"{path}: is empty (0 bytes).", "Its download failed; download it again.")
    if not any(head):
        raise CheckpointError(
            f"{path}: begins with {len(head)} zero bytes.", "Its download failed; download it again."
        )
    text = _text(head)
    if text is not None:
        raise _of_text(path, text, size)
    for magic, what, remedy in _MAGIC:
        if head.startswith(magic):
            raise CheckpointError(f"{path}: is {what}, not a weight file.", remedy)
    if head.startswith(b"PK\x03\x04"):
        if not zipfile.is_zipfile(path):
            raise CheckpointError(
                f"{path}: is cut short; {size:,} bytes of it are here.", "Download it again."
            )
        _require_torch(path)
    _require_suffix(path, head, size)


def _text(head: bytes) -> str | None:
    """The beginning as text; None for bytes."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head.decode(encoding, "ignore")
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return None
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return head.decode("utf-8-sig", "ignore") if error.start > len(head) - 4 else None


def _of_text(path: Path, text: str, size: int) -> CheckpointError:
    """What to say of a text in place of weights."""
    begun = text.lstrip()
    low = begun.lower()
    if begun.startswith(_LFS):
        found = re.search(r"^size (\d+)", text, re.MULTILINE)
        whole = f" of a file of {int(found[1]):,} bytes" if found else ""
        return CheckpointError(
            f"{path}: is a Git LFS pointer{whole}, not the file itself.",
            "Run `git lfs pull` in its repository, or download the file from its page.",
        )
    if low.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in low:
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" ({_short(title[1])!r})" if title else ""
        return CheckpointError(
            f"{path}: is a web page{named}, not a weight file.",
            "The address asked for a log-in or is no longer there: open it in a browser, and download "
            "the file itself.",
        )
    if begun.startswith("<"):
        return CheckpointError(
            f"{path}: is an XML answer ({_short(begun)!r}), not a weight file.",
            "The server refused the download; addresses that are mailed expire: ask for a new one.",
        )
    if begun.startswith(("{", "[")):
        return _of_json(path, begun)
    return CheckpointError(
        f"{path}: is a text of {size:,} bytes that begins {_short(begun)!r}, not a weight file.",
        "Look at what it says, and download the file itself.",
    )


def _of_json(path: Path, text: str) -> CheckpointError:
    said = re.search(r'"(?:error|message|detail|error_description)"\s*:\s*"([^"]*)"', text)
    if said:
        return CheckpointError(
            f"{path}: is the error of a server ({_short(said[1])!r}), not a weight file.",
            "Log in or accept the licence where it comes from, and download it again.",
        )
    return CheckpointError(
        f"{path}: is a JSON text ({_short(text)!r}), not a weight file.",
        "Give the weight file that belongs to it.",
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size


def _require_suffix(path: Path, head: bytes, size: int) -> None:
    """A right file under a wrong suffix is called what it is."""
    if path.suffix == ".safetensors" and head.startswith(b"PK\x03\x04"):
        raise CheckpointError(
            f"{path}: is a PyTorch file under the name of a safetensors file.", "Rename it to .pth."
        )
    if path.suffix != ".safetensors" and _is_safetensors(head, size):
        raise CheckpointError(
            f"{path}: is a safetensors file under another name.", "Rename it to .safetensors."
        )


def _require_torch(path: Path) -> None:
    """A zip that is no archive of torch.save."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # torch says what is wrong with it
    ends = {name.rsplit("/", 1)[-1] for name in names}
    if any("/code/" in name for name in names) and "constants.pkl" in ends:
        raise CheckpointError(
            f"{path}: is a TorchScript program, not a plain weight file; reading it would have to run "
            "code from it.",
            "Save the state_dict of torch.jit.load(...) alone.",
        )
    if not ends & set(_ARCHIVE_PARTS):
        first = ", ".join(repr(name) for name in names[:2])
        raise CheckpointError(
            f"{path}: is a zip archive of {len(names)} other files (first: {first}).",
            "Unpack it, and give the weight file that is in it.",
        )
