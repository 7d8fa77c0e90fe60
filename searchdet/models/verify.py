"""What a weight file is, whether its content is the published one, and whether it loads completely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..backbones import SPECS
from ..backbones.types import Network
from ..config.pixels import AUTO
from ..errors import CheckpointError
from ..proposals import PROPOSERS, weights_of
from ..records import WeightsInfo
from ..storage.hashes import FileHashes, fresh_sha256
from ..storage.values import JsonObject
from ..weights import Compute, Lazy, StateDict, is_weights, read_state_dict, weights_in
from ..weights.identify import identify
from ..weights.shards import INDEX, WHOLE, digest_of, is_shard
from ..weights.wrapped import bare
from .catalogue import published

SHORT_SIDE = 224
"""What a network sees when it is only tried out; divides by every stride."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one file.

    model: the backbone or proposer that takes it, or "". what: a description of its tensors. identity:
    ``official`` (the published content), ``other`` (an official name, another content), ``doubtful``
    (the same, where the published digits are not confirmed to be the hash) or ``unknown`` (nothing is
    published under that name). loads: None where nobody tried. problem: why it does not. network: the
    backbone, or the module of a proposer, where it was loaded; a verdict that is kept keeps it too.
    note: what was found out about a file that loads: a prefix that was taken off, pixels that are not
    those of ImageNet.
    """

    file: str
    model: str
    what: str = ""
    sha256: str = ""
    identity: str = "unknown"
    loads: bool | None = None
    problem: str = ""
    note: str = ""
    network: Network = None

    @property
    def bad(self) -> bool:
        """Whether it must not be used."""
        return self.identity == "other" or self.loads is False

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        said = ("file", "model", "what", "sha256", "identity", "loads", "problem", "note", "bad")
        return {name: getattr(self, name) for name in said}


def weight_files(folder: Path) -> list[Path]:
    """All weight files of a folder by name, known or not; hidden ones are partial downloads. Shards are
    their index; folders in it are looked into for what the hub calls weight files."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if is_weights(path) and not is_shard(path)]
    names = [name for whole in WHOLE for name in (whole, whole + INDEX)]
    found += [path / name for path in folder.iterdir() for name in names if path.is_dir()]
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def identity_of(path: Path, digest: str) -> str:
    """``Verdict.identity`` of a file by its name and its SHA-256."""
    known = published().get(path.name)
    agrees = None if known is None else known.agrees(digest)
    if known is None or agrees is None:
        return "unknown"
    if agrees:
        return "official"
    return "other" if known.sure else "doubtful"


def look(path: Path) -> Verdict:
    """The verdict by name and remembered hash alone; nothing is loaded."""
    model = _named(path)
    try:
        digest = digest_of(path, FileHashes().sha256)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        return Verdict(str(path), model, loads=False, problem=problem)
    except CheckpointError as error:
        problem = error.one_line().removeprefix(f"{path}: ")
        return Verdict(str(path), model, loads=False, problem=problem)
    return Verdict(str(path), model, sha256=digest, identity=identity_of(path, digest))


def judge(path: Path, compute: Compute, remembered: bool = False) -> Verdict:
    """Hash a file and load it as what its name says, else as what its tensors look like.

    remembered: a hash noted before will do. Never raises CheckpointError: the verdict says it.
    """
    verdict = Verdict(str(path), "", loads=False)
    try:
        path = weights_in(path)
        if path.is_file():
            digest = digest_of(path, FileHashes().sha256 if remembered else fresh_sha256)
            verdict = replace(verdict, sha256=digest, identity=identity_of(path, digest))
        # hashed, then mapped once: what was just hashed is still in memory, and no copy is made of it
        state = read_state_dict(path)
        model, what = _recognised(path, state)
        verdict = replace(verdict, model=model, what=what)
        if not model:
            raise CheckpointError(f"it is {what}: no network of searchdet takes it.")
        network = _load(path, verdict, compute, state)
        return replace(verdict, loads=True, network=network, note=_note(network))
    except CheckpointError as error:
        return replace(verdict, problem=error.one_line().removeprefix(f"{path}: "))
    except OSError as error:
        return replace(verdict, problem=f"cannot be read ({error.strerror}).")


def _named(path: Path) -> str:
    """The model that takes a published file of that name, or ""."""
    known = published().get(path.name)
    return known.model if known is not None else ""


def _recognised(path: Path, state: StateDict) -> tuple[str, str]:
    """(model, description) of a file; the name decides the model, the tensors the description."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    named, plain = _named(path), frozenset(map(bare, shapes))
    for name in PROPOSERS:
        weights = weights_of(name)
        if weights is not None and weights.recognises(plain):
            return named or name, weights.what
    found = identify(shapes)
    if found is None:
        return named, f"not recognised, {len(shapes)} tensors"
    what, model = found
    return named or model, what


def _load(path: Path, verdict: Verdict, compute: Compute, state: StateDict) -> Network:
    own = weights_of(verdict.model)
    if own is not None:
        return own.fill(path, compute, state)
    from ..backbones.network import NetworkBackbone, fill_network, pixels_of

    spec = SPECS[verdict.model]
    network, fit = fill_network(spec, path, compute, state)
    pixels = pixels_of(spec, path, fit, AUTO)
    weights = WeightsInfo(path.name, verdict.sha256, fit.layout, None, fit.prefix, fit.unused)
    lazy = Lazy(weights, lambda: network, fit)
    return NetworkBackbone(spec, lazy, compute, SHORT_SIDE, pixels=pixels)


def _note(network: Network) -> str:
    """``Verdict.note`` of a backbone; nothing of a proposer's module."""
    weights, seen = getattr(network, "weights", None), getattr(network, "preprocessing", None)
    notes = []
    if weights is not None and weights.prefix:
        notes.append(f"without the prefix {weights.prefix!r}")
    if weights is not None and weights.unused:
        notes.append(f"without its {', '.join(weights.unused)}")
    if seen is not None and seen.pixel_stats.source != "backbone":
        mean = " ".join(f"{value:g}" for value in seen.pixel_stats.mean)
        notes.append(f"mean of pixels {mean} ({seen.pixel_stats.source})")
    return "; ".join(notes)
