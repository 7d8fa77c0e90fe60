"""Public benchmarks, read in the layout in which they are downloaded; a line a set."""

from __future__ import annotations

from ..errors import UsageError, meant
from .types import ANOMALY, ORACLE, PARTS, Request, SetSpec, Task

__all__ = ["ORACLE", "PARTS", "SETS", "Request", "SetSpec", "Task", "spec_of"]

_TFA = "https://github.com/ucbdrive/few-shot-object-detection"
_CDFSOD = "https://github.com/lovelyqian/CDFSOD-benchmark"
_LVIS = "https://www.lvisdataset.org and https://huggingface.co/GLIPModel/GLIP"
_PERSEG = "https://github.com/ZrrSkywalker/Personalize-SAM"
_MVTEC = "https://www.mvtec.com/company/research/datasets/mvtec-ad"
_VISA = "https://github.com/amazon-science/spot-diff"
_PUBLISHED, _OURS = (1, 5, 10), (0, 1, 2)
_FEW = (1, 2, 4)


def _cross_domain(name: str, title: str, part: str) -> SetSpec:
    return SetSpec(
        f"cdfsod-{name}", ".cdfsod", f"CD-FSOD {title}", _CDFSOD, "coco", _PUBLISHED, (0,), part=part
    )


SETS: dict[str, SetSpec] = {
    spec.name: spec
    for spec in (
        SetSpec("coco-fsod", ".fsod", "COCO-FSOD", _TFA, "coco", (10, 30), tuple(range(10))),
        SetSpec("lvis-minival", ".lvis", "LVIS minival", _LVIS, "lvis", (10,), _OURS, most=300),
        _cross_domain("artaxor", "ArTaxOr", "ArTaxOr"),
        _cross_domain("clipart1k", "Clipart1k", "clipart1k"),
        _cross_domain("dior", "DIOR", "DIOR"),
        _cross_domain("deepfish", "DeepFish", "FISH"),
        _cross_domain("neu-det", "NEU-DET", "NEU-DET"),
        _cross_domain("uodd", "UODD", "UODD"),
        SetSpec("perseg", ".perseg", "PerSeg", _PERSEG, "mask", (1,), (0,)),
        SetSpec("mvtec-ad", ".mvtec", "MVTec AD", _MVTEC, ANOMALY, _FEW, _OURS),
        SetSpec("visa", ".visa", "VisA", _VISA, ANOMALY, _FEW, _OURS),
    )
}


def spec_of(name: str) -> SetSpec:
    """The set of that name. Raises UsageError for another."""
    if name not in SETS:
        raise UsageError(
            f"no set is called {name!r}.", meant(name, SETS) or f"Choose {', '.join(SETS)}."
        )
    return SETS[name]
