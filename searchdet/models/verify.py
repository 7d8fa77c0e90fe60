"""What a weight file is, whether its content is the published one, and whether it loads completely."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..backbones import SPECS
from ..backbones.identify import identify
from ..errors import CheckpointError
from ..proposals import PROPOSERS, weights_of
from ..storage.hashes import FileHashes, fresh_sha256
from ..weights import Compute, StateDict, read_state_dict
from .catalogue import published

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
SHORT_SIDE = 224
"""What a network sees when it is only tried out; divides by every stride."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one file.

    model: the backbone or proposer that takes it, or "". identity: ``official`` (the published
    content), ``other`` (an official name, another content), ``doubtful`` (the same, where the published
    digits are not confirmed to be the hash) or ``unknown`` (nothing is published under that name).
    problem: why it does not load; "" where it does, or where nobody tried.
    """

    file: str
    model: str
    what: str
    sha256: str
    identity: str
    loads: bool | None
    problem: str

    @property
    def bad(self) -> bool:
        """Whether it must not be used."""
        return self.identity == "other" or self.loads is False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"bad": self.bad}


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and the model itself where it was loaded."""

    verdict: Verdict
    network: Any = None


def weight_files(folder: Path) -> list[Path]:
    """All weight files of a folder by name, known or not; hidden ones are partial downloads."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def identity_of(path: Path, digest: str) -> str:
    """``Verdict.identity`` of a file by its name and its SHA-256."""
    known = published().get(path.name)
    verdict = None if known is None else known[1].agrees(digest)
    if known is None or verdict is None:
        return "unknown"
    if verdict:
        return "official"
    return "other" if known[1].sure else "doubtful"


def look(path: Path) -> Verdict:
    """The verdict by name and remembered hash alone; nothing is loaded."""
    model = published().get(path.name, ("",))[0]
    try:
        digest = FileHashes().sha256(path)
    except OSError as error:
        return Verdict(str(path), model, "", "", "unknown", False, f"cannot be read ({error.strerror})")
    return Verdict(str(path), model, "", digest, identity_of(path, digest), None, "")


def judge(path: Path, compute: Compute, remembered: bool = False) -> Judged:
    """Hash a file and load it as what its name says, else as what its tensors look like.

    remembered: a hash noted before will do. Never raises CheckpointError: the verdict says it.
    """
    digest, model, what = "", "", ""
    try:
        if path.is_file():
            digest = FileHashes().sha256(path) if remembered else fresh_sha256(path)
        # hashed, then mapped once: what was just hashed is still in memory, and no copy is made of it
        state = read_state_dict(path)
        model, what = _recognised(path, state)
        if not model:
            raise CheckpointError("no network of searchdet takes it.")
        network = _load(path, model, compute, digest, state)
        identity = identity_of(path, digest)
        return Judged(Verdict(str(path), model, what, digest, identity, True, ""), network)
    except CheckpointError as error:
        problem = error.one_line().removeprefix(f"{path}: ")
    except OSError as error:
        problem = f"cannot be read ({error.strerror})."
    identity = identity_of(path, digest) if digest else "unknown"
    return Judged(Verdict(str(path), model, what, digest, identity, False, problem))


def _recognised(path: Path, state: StateDict) -> tuple[str, str]:
    """(model, description) of a file; the name decides the model, the tensors the description."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    named = published().get(path.name, ("",))[0]
    for name in PROPOSERS:
        weights = weights_of(name)
        if weights is not None and weights.recognises(shapes.keys()):
            return named or name, weights.what
    found = identify(shapes)
    if found is None:
        return named, f"not recognised, {len(shapes)} tensors"
    return named or found.backbone, found.description


def _load(path: Path, model: str, compute: Compute, digest: str, state: StateDict) -> Any:
    weights = weights_of(model)
    if weights is not None:
        return weights.fill(path, compute, state)
    from ..backbones.network import fill_network

    return fill_network(SPECS[model], path, compute, SHORT_SIDE, (digest, None), state)
