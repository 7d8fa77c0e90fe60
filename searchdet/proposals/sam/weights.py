"""Weights of segment-anything (Kirillov et al. 2023, arXiv 2304.02643).

The variant is read off the tensor shapes of the checkpoint, so vit_b, vit_l, vit_h and any smaller
model of the same family load, by the names of their authors and by those of transformers. As
everywhere, a file fits completely or is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CheckpointError
from ...weights import (
    SAM,
    Compute,
    Fit,
    Lazy,
    LoadedBefore,
    StateDict,
    load_or_wait,
    published,
)
from .family import DecoderShape, Family, count, decoder_shape, fill_family, join
from .layouts import hub, meta

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

PUBLISHED = (
    published.sam(
        "b",
        "01ec64",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375042383,
    ),
    published.sam(
        "l",
        "0b3195",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1249524607,
    ),
    published.sam(
        "h",
        "4b8939",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2564550879,
    ),
    *(published.sam_hub(size) for size in ("base", "large", "huge")),
)
SOURCE = PUBLISHED[0].source


@dataclass(frozen=True, slots=True)
class SamShape:
    """Everything the constructors need, read off a checkpoint."""

    image: int
    patch: int
    embed_dim: int
    depth: int
    heads: int
    mlp_ratio: float
    window: int
    global_blocks: tuple[int, ...]
    prompt_dim: int
    mask_channels: int
    decoder_depth: int
    decoder_mlp: int
    outputs: int
    iou_depth: int
    iou_hidden: int

    @property
    def decoder(self) -> DecoderShape:
        """The part that is not of the image encoder."""
        return DecoderShape(**{item.name: getattr(self, item.name) for item in fields(DecoderShape)})


def shape_of(state: StateDict) -> SamShape:
    """Variant of a SAM checkpoint. Raises CheckpointError where the names are not SAM's."""
    encoder = "image_encoder."
    try:
        embed_dim, _, patch, _ = state[f"{encoder}patch_embed.proj.weight"].shape
        side = state[f"{encoder}pos_embed"].shape[1]
        depth = count(state, f"{encoder}blocks.")
        spans = [state[f"{encoder}blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
        windowed = [(rows + 1) // 2 for rows, _ in spans if (rows + 1) // 2 != side]
        hidden = state[f"{encoder}blocks.0.mlp.lin1.weight"].shape[0]
        if not side or embed_dim % spans[0][1]:
            raise ValueError(f"{side} and {spans[0][1]} positions for {embed_dim} channels")
        return SamShape(
            **asdict(decoder_shape(state)),
            image=side * patch,
            patch=patch,
            embed_dim=embed_dim,
            depth=depth,
            heads=embed_dim // spans[0][1],
            mlp_ratio=hidden / embed_dim,
            window=windowed[0] if windowed else 0,
            global_blocks=tuple(i for i, (rows, _) in enumerate(spans) if (rows + 1) // 2 == side),
        )
    except KeyError as error:
        raise CheckpointError(f"of a SAM's tensors {error.args[0]} is missing.") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(f"not a SAM ViT checkpoint ({error}).") from error


def build(shape: SamShape) -> Sam:
    """segment-anything's modules for a shape, with no weights of their own."""
    import torch
    from segment_anything.modeling import ImageEncoderViT

    grid = shape.image // shape.patch
    encoder = ImageEncoderViT(
        depth=shape.depth,
        embed_dim=shape.embed_dim,
        img_size=shape.image,
        mlp_ratio=shape.mlp_ratio,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=shape.heads,
        patch_size=shape.patch,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=shape.global_blocks,
        window_size=shape.window,
        out_chans=shape.prompt_dim,
    )
    return join(encoder, shape.decoder, shape.image, grid)


FAMILY = Family(
    SAM,
    (meta(), hub()),
    lambda state: build(shape_of(state)),
    f"Use sam_vit_b, sam_vit_l or sam_vit_h from {SOURCE}.",
)


def load_sam(
    path: Path,
    compute: Compute,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
) -> Lazy[Sam]:
    """A SAM on its device, completely filled from ``path``: now, or if that file has filled it before,
    when it is first asked for. Raises CheckpointError."""
    return load_or_wait(SAM, path, PUBLISHED, allow_unverified, lambda: fill_sam(path, compute), before)


def fill_sam(path: Path, compute: Compute, state: StateDict | None = None) -> tuple[Sam, Fit]:
    """``load_sam`` for a file whose identity is known. state: what ``read_state_dict`` gave of it,
    where that is there already."""
    return fill_family(FAMILY, path, compute, state)
