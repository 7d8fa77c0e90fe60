"""The logits of those masks of an answer that passed: one prompt at a time, or several."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from .network import Answer

Masks = dict[int, list[int]]
"""Which masks of which prompts of an answer."""
AT_ONCE = 16
"""Prompts that are upscaled at once on a card: about 40 MB each where SAM has its official size."""


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
    device, prompts, found = answer.quality.device, list(masks), []
    for start in range(0, len(prompts), at_once):
        some = prompts[start : start + at_once]
        every = decoder.several(state, answer, torch.tensor(some, device=device))
        pairs = [(i, mask) for i, prompt in enumerate(some) for mask in masks[prompt]]
        rows, columns = torch.tensor(pairs, device=device).T
        found.append(every[rows, columns])
    return torch.cat(found)
