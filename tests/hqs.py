"""Small SAM-HQs: the authors' own modules, with the trained small SAM's weights or with random ones."""

from __future__ import annotations

import importlib
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import mobiles
import torch
from places import TINY_SAM
from torch import Tensor, nn

State = dict[str, Tensor]
_LOUD = (
    (FutureWarning, r"Importing from timm\.models\."),
    (UserWarning, r"Overwriting tiny_vit_\d+m_\d+ in registry"),
)


def hq_package(part: str = "") -> Any:
    """The authors' package, or a module of it; what it warns of while it is imported is left out."""
    with warnings.catch_warnings():
        for category, message in _LOUD:
            warnings.filterwarnings("ignore", message, category)
        return importlib.import_module(f"segment_anything_hq{part}")


def reference_hq(
    side: int,
    patch: int,
    dim: int,
    *,
    width: int,
    depth: int,
    heads: int,
    window: int,
    global_blocks: tuple[int, ...],
    mlp: tuple[float, int, int] = (2.0, 48, 32),
    inputs: int = 4,
) -> Any:
    """A SAM-HQ of the authors' modules. mlp: ratio of the encoder's, width of the decoder's and of the
    head of the predicted IoU."""
    made = hq_package(".modeling")
    cells = side // patch
    return made.Sam(
        image_encoder=made.ImageEncoderViT(
            img_size=side,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=mlp[0],
            out_chans=dim,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=window,
            global_attn_indexes=global_blocks,
        ),
        prompt_encoder=made.PromptEncoder(dim, (cells, cells), (side, side), mask_in_chans=inputs),
        mask_decoder=made.MaskDecoderHQ(
            transformer_dim=dim,
            transformer=made.TwoWayTransformer(2, dim, num_heads=8, mlp_dim=mlp[1]),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=mlp[2],
            vit_dim=width,
        ),
    ).eval()


def random_hq(strength: float = 2.0) -> Any:
    """64 x 64 pixels, 8 x 8 cells, windows of 3 that reach beyond them; values in the parameters that
    start at zero or one, and attention of the decoder that is sharp."""
    sam = reference_hq(64, 8, 64, width=24, depth=3, heads=2, window=3, global_blocks=(1, 2))
    for name, value in sam.named_parameters():
        if value.ndim == 1 or "rel_pos" in name or "pos_embed" in name:
            value.data.add_(torch.randn_like(value) * 0.2)
        if name.startswith("mask_decoder") and name.endswith("proj.weight"):
            value.data.mul_(strength)
    return sam


def trained_hq(gain: float = 5.0) -> Any:
    """The small trained SAM, whose masks further weights, random ones, change by a part of them."""
    torch.manual_seed(3)
    sam = reference_hq(
        *(256, 8, 128),
        width=96,
        depth=4,
        heads=3,
        window=8,
        global_blocks=(1, 3),
        mlp=(3.0, 256, 64),
        inputs=16,
    )
    sam.mask_decoder.hf_mlp.layers[-1].weight.data.mul_(gain)
    state = torch.load(TINY_SAM, weights_only=True)
    further = {k: v for k, v in sam.state_dict().items() if k not in state}
    sam.load_state_dict(state | further, strict=True)
    return sam


def tiny_hq(side: int = 128) -> Any:
    """A SAM-HQ of the authors' modules with a narrow TinyViT of any side, where theirs takes 1024: the
    weights of a small MobileSAM whose points give sharp masks, and of what SAM-HQ adds."""
    made = hq_package(".modeling")

    class AnySide(made.TinyViT):  # type: ignore[misc, name-defined]
        def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            x = self.patch_embed(x)
            between = []
            for number, layer in enumerate(self.layers):
                x = layer(x)
                cells = round(x.shape[1] ** 0.5)
                if number == 1:
                    between.append(x.view(1, cells, cells, -1))
            return self.neck(x.view(1, cells, cells, -1).permute(0, 3, 1, 2)), between

    cells = side // 16
    sam = made.Sam(
        image_encoder=AnySide(img_size=side, drop_path_rate=0.0, **mobiles.SMALL),
        prompt_encoder=made.PromptEncoder(256, (cells, cells), (side, side), mask_in_chans=4),
        mask_decoder=made.MaskDecoderHQ(
            transformer_dim=256,
            transformer=made.TwoWayTransformer(2, 256, num_heads=8, mlp_dim=64),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=32,
            vit_dim=mobiles.SMALL["embed_dims"][2],
        ),
    )
    sam.mask_decoder.hf_mlp.layers[-1].weight.data.mul_(5)
    state = mobiles.pointed(mobiles.small_mobile_sam(side)).state_dict()
    further = {k: v for k, v in sam.state_dict().items() if k not in state}
    sam.load_state_dict(state | further, strict=True)
    return sam.train().eval()  # eval of its attention gathers biases, so it comes after the weights


def ours_tiny(sam: Any) -> Any:
    """The program's modules with the weights of a ``tiny_hq``."""
    from searchdet.proposals.sam_hq import weights

    named = weights.FAMILY.layouts[2].convert(dict(sam.state_dict()))
    made = weights.build_hq(named, sam.image_encoder.img_size)
    made.load_state_dict(named)
    return made.eval()


def save(sam: Any, path: Path) -> Path:
    """Its tensors under the authors' names."""
    torch.save(sam.state_dict(), path)
    return path
