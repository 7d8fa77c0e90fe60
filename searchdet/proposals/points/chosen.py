"""The logits of those masks of an answer that passed: one prompt at a time, or several."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .network import Answer

Masks = dict[int, list[int]]
"""Which masks of which prompts of an answer."""
AT_ONCE = 32
"""Prompts that are upscaled at once on a card: some 40 MB each where SAM has its official size, twice
that in SAM-HQ. Where memory runs out, fewer points are decoded at once, so fewer prompts are here."""


class Decoder(Protocol):
    """What turns the answers of one network into logits. Both ways give the same."""

    def logits(self, state: Any, answer: Any, prompt: int, masks: list[int]) -> Tensor:
        """(len(masks), h, w) of one prompt, in pieces that stay in the cache of a CPU."""
        ...

    def several(self, state: Any, answer: Any, prompts: Tensor) -> Tensor:
        """(P, M, h, w): all masks of several prompts (P,), in few calls, which a card waits for."""
        ...


def logits_of(decoder: Decoder, state: Any, answer: Answer, masks: Masks) -> Tensor:
    """(N, h, w): logits of the masks, in their order."""
    if answer.quality.is_cuda:
        return by_several(decoder, state, answer, masks, AT_ONCE)
    return torch.cat([decoder.logits(state, answer, i, some) for i, some in masks.items()])


def by_several(decoder: Decoder, state: Any, answer: Answer, masks: Masks, at_once: int) -> Tensor:
    """``logits_of`` with ``at_once`` prompts in a call."""
    prompts, starts = list(masks), range(0, len(masks), at_once)
    counts = [sum(len(masks[i]) for i in prompts[start : start + at_once]) for start in starts]
    pairs = [
        number for i, prompt in enumerate(prompts) for m in masks[prompt] for number in (i % at_once, m)
    ]
    # all numbers in one copy, since each is waited for
    told = torch.tensor(prompts + pairs, device=answer.quality.device)
    some = torch.split(told[: len(prompts)], at_once)
    pair = torch.split(told[len(prompts) :].view(-1, 2), counts)
    found = [
        decoder.several(state, answer, rows)[which[:, 0], which[:, 1]]
        for rows, which in zip(some, pair, strict=True)
    ]
    return torch.cat(found)
