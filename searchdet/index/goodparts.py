"""What is normal to an index: its model in one file beside the rows, and where that came from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..bank import Read
from ..config import NormalityOptions
from ..config.address import Place
from ..errors import DAMAGE, UsageError
from ..exemplars import Exemplar
from ..normality import Normality, suited
from ..normality.types import BY_IMAGE
from ..records import NormalityInfo
from ..storage import files, tensors
from ..storage.values import Fields, JsonObject

SCHEMA = "searchdet.normality/1"
FILE = re.compile(r"normality-[0-9a-f]{16}\.safetensors")


@dataclass(frozen=True, slots=True)
class GoodParts:
    """What an index was told is normal. digest: of the model. parts: digest of the images of good
    parts; "" where a bank told it, or each image is its own measure. model: where it is at hand, else
    it lies at ``at``."""

    info: NormalityInfo
    digest: str
    parts: str = ""
    model: Normality | None = None
    at: Place | None = None

    @classmethod
    def of(cls, normality: Normality, images: Sequence[Exemplar] = ()) -> GoodParts:
        """Of a model, and the images that it was learned from where they are known."""
        return cls(normality.info, normality.digest, digest_of(images), normality)

    @property
    def file(self) -> str:
        """What its file is called."""
        return f"normality-{self.digest[:16]}.safetensors"

    @property
    def source(self) -> str:
        """Where it comes from, which is the same where it is learned again, though no model is the same
        to the last bit."""
        info = self.info
        how = f"{info.method} {info.views} {info.proposer} {info.tile}"
        return f"{self.parts or self.digest} {how}"

    def normality(self, dim: int) -> Normality:
        """The model. dim: of the vectors of the index. Raises UsageError where its file is damaged."""
        if self.model is not None:
            return self.model
        try:
            arrays, facts = tensors.read(self._place)
            if facts.text("schema") != SCHEMA:
                raise ValueError(f"its schema is {facts.text('schema')}, not {SCHEMA}")
            made = Normality.read(arrays, facts, dim)
            if made is None or made.digest != self.digest:
                raise ValueError("it is not the model that the index was made with")
        except (OSError, *DAMAGE) as error:
            raise UsageError(
                f"{self._place}: cannot be read ({error}).", "Make the index again: `searchdet index`."
            ) from error
        return made

    def at_hand(self, dim: int) -> GoodParts:
        """The same with its model. Raises UsageError."""
        return replace(self, model=self.normality(dim))

    @property
    def _place(self) -> Place:
        if self.at is None:
            raise ValueError("the model lies nowhere")
        return self.at

    def to_json(self) -> JsonObject:
        """What ``index.json`` says."""
        return {"file": self.file, "digest": self.digest, "parts": self.parts, **asdict(self.info)}


def digest_of(images: Sequence[Exemplar]) -> str:
    """Of the images of good parts, in whatever order; "" of none."""
    every = sorted(item.sha256 for item in images)
    return hashlib.sha256(" ".join(every).encode()).hexdigest() if every else ""


def save(known: GoodParts, folder: Path, dim: int) -> None:
    """Write the model beside the rows. dim: of their vectors. Raises OutputError, and UsageError where
    it lies elsewhere and is damaged."""
    if known.at == folder / known.file:
        return
    made = known.normality(dim)
    facts: JsonObject = {"schema": SCHEMA, "normality": asdict(known.info)}
    files.write_bytes(folder / known.file, tensors.pack(made.to_arrays(), facts))


def load(folder: Place, facts: Fields) -> GoodParts:
    """What ``index.json`` says of it; its file is read when the model is asked for. Raises
    ValueError."""
    made = GoodParts(NormalityInfo.from_json(facts), facts.text("digest"), facts.text("parts"))
    if facts.text("file") != made.file or not FILE.fullmatch(made.file):
        raise ValueError(f"its good parts are called {facts.text('file')!r:.60}")
    return GoodParts(made.info, made.digest, made.parts, None, folder / made.file)


def require_known(
    path: Place, held: GoodParts | None, given: Read, options: NormalityOptions | None = None
) -> None:
    """Raise UsageError where good parts are given that are not those of an index. options: how they are
    to be learned; None where that is not asked."""
    options = options or NormalityOptions()
    flag = _flag(given, options)
    if held is None:
        if flag:
            raise UsageError(
                f"{path}: holds no good parts, so it does not say how unusual its regions are.",
                f"Make it again with {flag}: `searchdet index IMAGES {flag} ... -o INDEX`, or leave "
                "that out.",
            )
        return
    if flag and not _same(held, given, options):
        raise UsageError(
            f"{path}: was made with other good parts than those of {flag}.",
            f"Leave {flag} out: the index knows its own. Or make it again: `searchdet index`.",
        )
    suited.require_learned_so(options, held.info, str(path))


def _flag(given: Read, options: NormalityOptions) -> str:
    """The option that says what is normal; "" for none."""
    if given.saved is not None and given.saved.normality is not None:
        return "--bank"
    if given.normals:
        return "--normal"
    return "--normal-self" if options.by_image else ""


def _same(held: GoodParts, given: Read, options: NormalityOptions) -> bool:
    saved = given.saved.normality if given.saved is not None else None
    if saved is not None:
        return saved.digest == held.digest
    if given.normals:
        return digest_of(given.normals) == held.parts
    return held.info.method == BY_IMAGE
