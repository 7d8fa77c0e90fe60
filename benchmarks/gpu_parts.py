"""What ``gpu.py`` measures: one function a part, which yields rows as they are found."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_embeddings import embed, masks_of, random_backbone
from bench_index import search_bank, vectors
from bench_masks import encoder_gflop, options, ours, stock
from bench_sam2 import both, small
from common import ROOT, TINY_SAM, alternate, peak_above, real_sized_sam, scene, thresholds

from searchdet.config import ScoringOptions
from searchdet.index.bounds import plain_scores
from searchdet.proposals import load_proposer
from searchdet.proposals.sam.encoder import ImageEncoder
from searchdet.proposals.sam.weights import load_sam
from searchdet.weights import Compute, resolve

TESTS = (
    "tests/proposals/test_cuda.py",
    "tests/test_golden.py",
    "tests/test_detector.py",
    "tests/commands/test_proposal_options.py",
    "tests/commands/test_masks_command.py",
)
"""What asks for a card, or takes the device that is there (``--device auto``); no browser."""
TOGETHER = ("-n", "12")
FEW_TESTS = ("tests/proposals/test_choice.py", "-k", "several")
FAST_BATCH = 256
"""Points at once of the segment-anything-fast settings."""
REASONS = 6
"""Why tests failed: how many reasons are told."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. rate: per second, of ``unit``. gigabytes: peak of the device's memory (of resident
    memory above the start, on the CPU). gflop: operations of one call, where they are known, and
    precision: that of the matrix rate they are compared with."""

    what: str
    seconds: float | None = None
    rate: float | None = None
    unit: str = "images/s"
    gigabytes: float | None = None
    gflop: float | None = None
    precision: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and how large. small: networks of the tests, small pictures."""

    device: str
    small: bool

    @property
    def cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def rounds(self) -> int:
        return 1 if self.small else 3

    @property
    def points(self) -> int:
        """A side of the grid."""
        return 8 if self.small else 32

    def picture(self) -> np.ndarray:
        return scene(120, 160) if self.small else scene(1200, 1800)

    def done(self, call: Callable[[], Any]) -> None:
        """A call with all that it has put to the device."""
        call()
        if self.cuda:
            torch.cuda.synchronize()

    def peak(self, call: Callable[[], Any]) -> float:
        """GB at the worst of a call: all that torch holds on the device, weights included."""
        if not self.cuda:
            return peak_above(call)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self.done(call)
        return float(torch.cuda.max_memory_allocated()) / 1e9

    def busy(self, call: Callable[[], Any]) -> str:
        """How long the card itself works for a call, in words; nothing without a card."""
        if not self.cuda:
            return ""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
            self.done(call)
        spent = sum(event.self_device_time_total for event in seen.key_averages())
        return f"the card works {spent / 1e6:.3f} s of it"

    def once(self, name: str, call: Callable[[], Any], warm: Callable[[], Any]) -> Row:
        """A slow call, time and memory of one and the same, after ``warm``, which is less work."""
        spent: list[float] = []

        def timed() -> None:
            started = time.perf_counter()
            self.done(call)
            spent.append(time.perf_counter() - started)

        self.done(warm)
        peak = self.peak(timed)
        return Row(name, spent[0], 1 / spent[0], gigabytes=peak)

    def timed(self, calls: dict[str, Callable[[], Any]]) -> Iterator[Row]:
        """Each once for its memory, which also warms it up; then all in turn, the fastest of each."""
        peaks = {name: self.peak(call) for name, call in calls.items()}
        spent = alternate({n: partial(self.done, call) for n, call in calls.items()}, self.rounds)
        for name, seconds in spent.items():
            yield Row(name, seconds, 1 / seconds, gigabytes=peaks[name])


def tests(plan: Plan) -> Iterator[Row]:
    """The tests that work on the device that is there."""
    # some machines have pytest-benchmark, which warns beside xdist, and warnings are errors
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
    words += FEW_TESTS if plan.small else (*TOGETHER, *TESTS)
    if not plan.cuda:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    started = time.perf_counter()
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    state = "passed" if run.returncode == 0 else f"FAILED ({run.returncode})"
    yield Row(f"tests {state}", time.perf_counter() - started, note=said(run.stdout + run.stderr))


def said(out: str) -> str:
    """The last line of pytest, and why tests failed, the most frequent reasons first."""
    lines = out.strip().splitlines() or ["pytest said nothing"]
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    reasons = Counter(line.partition(" - ")[2] or line for line in failed)
    return "; ".join([lines[-1], *(f"{count} x {why}" for why, count in reasons.most_common(REASONS))])


def tiny(image: np.ndarray) -> np.ndarray:
    """A corner of the same form: the network sees what it sees of the whole, masks are small."""
    return image[: len(image) // 20, : image.shape[1] // 20]


def matrix(plan: Plan) -> Iterator[Row]:
    """GFLOP/s of a square product in each precision: what shares are of."""
    side = 512 if plan.small else (8192 if plan.cuda else 4096)
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if plan.cuda:
        kinds["fp16"] = torch.float16
    for name, kind in kinds.items():
        one = torch.randn(side, side, device=plan.device).to(kind)

        def call(one: torch.Tensor = one) -> None:
            plan.done(lambda: one @ one)

        call()
        seconds = alternate({name: call}, 5)[name]
        yield Row(f"matrix {name}", seconds, 2 * side**3 / seconds / 1e9, "GFLOP/s", precision=name)


def sam(plan: Plan) -> Iterator[Row]:
    """SAM ViT-B, everything and guided, against segment-anything's generator; the encoder alone."""
    network, image = _sam(plan), plan.picture()
    chosen = _thresholds(plan, network, image)
    precision = resolve(plan.device, "auto").precision
    own = ours(network, chosen, precision, plan.device)
    promise = np.random.default_rng(0).random((24, 36)).astype(np.float32)
    theirs = stock(network, chosen)
    calls = {
        f"SAM, everything, searchdet {precision}": lambda: own.propose(image),
        f"SAM, guided, searchdet {precision}": lambda: own.propose(image, promise),
    }
    for row in plan.timed(calls):
        yield _with(row, note=plan.busy(calls[row.what]))
    name = "SAM, everything, segment-anything fp32"
    yield plan.once(name, lambda: theirs.generate(image), lambda: theirs.generate(tiny(image)))
    side = network.image_encoder.img_size
    batch = torch.randn(1, 3, side, side, device=plan.device)
    encoder = ImageEncoder(network.image_encoder, Compute(plan.device, precision))
    for row in plan.timed({f"SAM, encoder alone, searchdet {precision}": lambda: encoder(batch)}):
        work = None if plan.small else encoder_gflop()
        yield _with(row, gflop=work, precision=precision)


def fast(plan: Plan) -> Iterator[Row]:
    """segment-anything's generator with the settings of segment-anything-fast."""
    network, image = _sam(plan), plan.picture()
    chosen = _thresholds(plan, network, image)
    for compiled in (False, True):
        changed = copy.deepcopy(network)
        changed.image_encoder = _Half(changed.image_encoder, plan, compiled)
        changed.mask_decoder = _Half(changed.mask_decoder, plan, False)
        theirs = stock(changed, chosen)
        theirs.points_per_batch = 64 if plan.small else FAST_BATCH
        name = f"SAM, everything, segment-anything bf16{', torch.compile' if compiled else ''}"
        calls = (partial(theirs.generate, image), partial(theirs.generate, tiny(image)))
        try:
            yield plan.once(name, *calls)
        except Exception as error:  # what torch.compile raises is of many kinds; the row says it
            if not compiled:
                raise
            yield Row(name, note=f"does not work here: {type(error).__name__}: {error}"[:300])


class _Half(torch.nn.Module):
    """A module in bf16 whose results are float32 again."""

    def __init__(self, module: torch.nn.Module, plan: Plan, compiled: bool) -> None:
        super().__init__()
        self.img_size = getattr(module, "img_size", None)
        self.kind = torch.device(plan.device).type
        self.run = torch.compile(module) if compiled else module

    def forward(self, *given: Any, **named: Any) -> Any:
        with torch.autocast(self.kind, torch.bfloat16):
            found = self.run(*given, **named)
        return tuple(x.float() for x in found) if isinstance(found, tuple) else found.float()


def sam2(plan: Plan) -> Iterator[Row]:
    """SAM 2.1 tiny: against sam2's own generator where that is installed, else transformers'."""
    image = plan.picture()
    if not plan.small:
        if find_spec("sam2") is not None:
            yield from _authors(plan, image)
            return
        yield Row("SAM 2.1 tiny, sam2's own generator", note="skipped: `sam2` is not installed")
    from bench_sam2 import real_sized

    model = small() if plan.small else real_sized()
    own, theirs = both(model.to(plan.device), image, plan.points, plan.device)
    yield from plan.timed(
        {
            "SAM 2.1 tiny, everything, searchdet fp32": lambda: own(image),
            "SAM 2.1 tiny, everything, transformers fp32": lambda: theirs(image),
        }
    )


def _authors(plan: Plan, image: np.ndarray) -> Iterator[Row]:
    """The same random weights in sam2's own generator and in ours, in the precision of ``auto``."""
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2

    torch.manual_seed(0)
    model = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device=plan.device)
    precision = resolve(plan.device, "auto").precision
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "random.pt"
        torch.save({"model": model.state_dict()}, file)
        probe = load_proposer("sam2", file, plan.device, precision)
        levels: dict[str, Any] = thresholds(probe, image) | {"points_per_side": plan.points}
        own = load_proposer("sam2", file, plan.device, precision, **levels)
        own.propose(image[:64, :64])  # the weights are mapped: read them while they are there
    theirs = SAM2AutomaticMaskGenerator(model, output_mode="coco_rle", **levels)

    def generate(picture: np.ndarray) -> None:
        with torch.inference_mode(), torch.autocast(torch.device(plan.device).type, torch.bfloat16):
            theirs.generate(picture)

    yield from plan.timed(
        {f"SAM 2.1 tiny, everything, searchdet {precision}": lambda: own.propose(image)}
    )
    calls = (partial(generate, image), partial(generate, tiny(image)))
    yield plan.once("SAM 2.1 tiny, everything, sam2 bf16", *calls)


def embeddings(plan: Plan) -> Iterator[Row]:
    """A map and the vectors of 300 masks."""
    from torch.utils.flop_counter import FlopCounterMode

    image = plan.picture()
    found = masks_of(image, 20 if plan.small else 300)
    names = ("dinov3_convnext_base", "dinov3_vitb16")
    if plan.small:
        names = ("dinov3_convnext_tiny", "dinov3_vits16")
    for name in names:
        precision = resolve(plan.device, "auto").precision
        by = random_backbone(name, precision, plan.device, 64 if plan.small else None)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            by.feature_map(image)
        work = counter.get_total_flops() / 1e9
        what = f"embeddings, {name} {precision}, {len(found)} masks"
        for row in plan.timed({what: partial(embed, by, image, found)}):
            yield _with(row, gflop=work, precision=precision)


def search(plan: Plan) -> Iterator[Row]:
    """A million regions of dimension 1024, five classes and 50 negatives: ours, which works on the
    CPU, and the bare product on the device, which is what a pass there could reach."""
    rows, dim = (10_000, 64) if plan.small else (1_000_000, 1024)
    bank = search_bank(dim)
    with tempfile.TemporaryDirectory() as folder:
        whole = vectors(Path(folder) / "vectors", rows, dim)
        chosen = ScoringOptions(shape_weight=0.0, context_weight=0.0)
        own = alternate({"": lambda: plain_scores(whole, bank, chosen)}, 2)[""]
        yield Row(f"search of {rows} x {dim}, searchdet (CPU)", own, rows / own, "regions/s")
        kind = torch.float16 if plan.cuda else torch.float32
        held = torch.from_numpy(np.asarray(whole)).to(plan.device, kind)
    every = np.concatenate([bank.prototypes(), bank.negatives.vectors])
    columns = torch.from_numpy(every).T.contiguous().to(plan.device, kind)
    name = f"search of {rows} x {dim}, product alone, {str(kind).removeprefix('torch.')}"
    work = 2 * rows * dim * columns.shape[1] / 1e9
    for row in plan.timed({name: lambda: held @ columns}):
        assert row.seconds is not None
        kept = _with(row, rate=rows / row.seconds, unit="regions/s", gflop=work)
        yield _with(kept, precision="fp16" if plan.cuda else "fp32")


def _sam(plan: Plan) -> Any:
    """ViT-B of the real size with random weights, or the small one of the tests, on the device."""
    if plan.small:
        return load_sam(TINY_SAM, Compute(plan.device, "fp32")).get()
    return real_sized_sam().to(plan.device)


def _thresholds(plan: Plan, network: Any, image: np.ndarray) -> Any:
    probe = ours(network, options(), "fp32", plan.device)
    levels = thresholds(probe, image)
    return options(**levels, scored_masks=300, points_per_side=plan.points)


def _with(row: Row, **changes: Any) -> Row:
    return Row(**(row.to_json() | changes))


PARTS: dict[str, tuple[Callable[[Plan], Iterator[Row]], int]] = {
    "matrix": (matrix, 25),
    "sam": (sam, 45),
    "embeddings": (embeddings, 25),
    "sam2": (sam2, 60),
    "fast": (fast, 90),
    "tests": (tests, 75),
    "search": (search, 45),
}
"""What there is, in the order it runs in, and the seconds that each may take."""
