"""Attention between the few prompt tokens and the many image tokens, which stay in factors.

See decoder.py for the algebra. Shapes: B prompts, T prompt tokens, N image tokens of C channels, H
heads of dimension d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Cross:
    """One attention between prompt tokens and image tokens. H heads of dimension d.

    image_weight, image_bias: projection of the image side for scores, (H, d, C) and (H, d). value: the
    image's value projection (H, d, C), where the image is read; write: output projection (H, d, C),
    where the image is written.
    """

    module: Any
    image_weight: Tensor
    image_bias: Tensor
    other: Tensor

    @property
    def scale(self) -> float:
        return float(self.image_weight.shape[1] ** -0.5)


@dataclass(slots=True)
class Keys:
    """Image tokens of a batch of prompts in factors; see the module's docstring. Before the first layer
    has written, rho and rows are None and rank is 0.

    room: (B, most rows, N), of which the first ``rank`` rows are the weights, so that they stay where
    they are when more are written. written: per attention so far, how the values of the prompt tokens
    differ from the last one's (B, H, T - 1, d), and that one's (B, H * d).
    """

    room: Tensor
    rank: int
    rho: Tensor | None
    rows: Tensor | None
    beta: Tensor
    written: list[tuple[Tensor, Tensor]]

    @property
    def weights(self) -> Tensor:
        return self.room[:, : self.rank]


def _split(weight: Tensor, heads: int) -> Tensor:
    """(H * d, C) -> (H, d, C)."""
    return weight.detach().reshape(heads, -1, weight.shape[1]).contiguous()


def reading(attention: Any) -> Cross:
    """Prompt tokens attend to the image. The key bias is the same for all cells: softmax drops it."""
    heads = attention.num_heads
    keys, values = _split(attention.k_proj.weight, heads), _split(attention.v_proj.weight, heads)
    return Cross(attention, keys, torch.zeros_like(keys[:, :, 0]), values)


def writing(attention: Any) -> Cross:
    """The image attends to prompt tokens: its queries, and what the output projection writes."""
    heads = attention.num_heads
    queries = _split(attention.q_proj.weight, heads)
    bias = attention.q_proj.bias.detach().reshape(heads, -1)
    return Cross(attention, queries, bias, _split(attention.out_proj.weight.T, heads))


def written_rows(
    layers: tuple[Any, ...], writes: list[Cross]
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Per layer, as that layer's norm sees them (centred): output projections of all attentions so
    far, each (H, d, C), and their constant rows (layers so far, C)."""
    chains: list[list[Tensor]] = []
    rows: list[Tensor] = []
    chain: list[Tensor] = []
    constants: list[Tensor] = []
    beta: Tensor | float = 0.0
    for layer, write in zip(layers, writes, strict=True):
        chain = [*chain, write.other]
        constants = [*constants, write.module.out_proj.bias.detach() + beta]
        chain = [part - part.mean(-1, keepdim=True) for part in chain]
        constants = [part - part.mean() for part in constants]
        chains.append(chain)
        rows.append(torch.stack(constants))
        chain = [part * layer.norm4.weight.detach() for part in chain]
        constants = [part * layer.norm4.weight.detach() for part in constants]
        beta = layer.norm4.bias.detach()
    return chains, rows


def heads_of(projected: Tensor, cross: Cross) -> Tensor:
    """(B, T, H * d) -> (B, H, T, d)."""
    count, tokens, _ = projected.shape
    heads = cross.image_weight.shape[0]
    return projected.view(count, tokens, heads, -1).transpose(1, 2).contiguous()


def by_shared(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """(B, H, T, x) with (H, x, y) -> (B, H, T, y), without a copy of ``right`` for every prompt; into
    ``out`` where it is given."""
    if out is None:
        out = left.new_empty(*left.shape[:3], right.shape[2])
    if left.is_cuda:
        for head, shared in enumerate(right):
            torch.bmm(left[:, head], shared.expand(len(left), -1, -1), out=out[:, head])
        return out
    for one, into in zip(left, out, strict=True):
        torch.bmm(one, right, out=into)
    return out


def add_factors(scores: Tensor, q: Tensor, place: Tensor | None, cross: Cross, keys: Keys) -> None:
    """Turn scores against S_l into scores against the keys, in place. scores (B, H, T, N)."""
    if keys.rho is None or keys.rows is None or place is None:
        return
    scores *= keys.rho[:, None, None]
    if scores.is_cuda:
        for head, shared in enumerate(place):
            scores[:, head].baddbmm_(q[:, head], shared.expand(len(q), -1, -1))
    else:
        for one, into in zip(q, scores, strict=True):
            into.baddbmm_(one, place)
    folded = torch.einsum("bhtd,hdc->bhtc", q, cross.image_weight).flatten(1, 2)
    scores.flatten(1, 2).baddbmm_(folded @ keys.rows.transpose(1, 2), keys.weights)


def read_image(
    read: Cross, at: Tensor, shared: tuple[Tensor, Tensor | None, Tensor], keys: Keys
) -> Tensor:
    """Prompt tokens (B, T, C) attend to the image; its output projection included."""
    image, place, values = shared
    q = heads_of(read.module.q_proj(at), read) * read.scale
    scores = by_shared(q, image)
    add_factors(scores, q, place, read, keys)
    chance = scores.softmax(-1)
    if keys.rho is None or keys.rows is None:
        mixed = by_shared(chance, values)
    else:
        flat = chance.flatten(1, 2)
        sums = flat @ keys.weights.transpose(1, 2)  # (B, H * T, R)
        mixed = by_shared(chance.mul_(keys.rho[:, None, None]), values)
        told = (sums @ keys.rows + keys.beta).view(*mixed.shape[:3], -1)
        mixed += torch.einsum("bhtc,hdc->bhtd", told, read.other)
    mixed = mixed.transpose(1, 2).flatten(2) + read.module.v_proj.bias
    out: Tensor = read.module.out_proj(mixed)
    return out
