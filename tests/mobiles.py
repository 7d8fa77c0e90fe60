"""Small random MobileSAMs of the package ``mobile_sam``, which its authors' code is mirrored in."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

SMALL: dict[str, Any] = {
    "embed_dims": [8, 16, 24, 320],
    "depths": [1, 2, 2, 1],
    "num_heads": [1, 2, 3, 5],
    "window_sizes": [7, 5, 7, 4],
    "num_classes": 7,
}
"""320 channels at the end: at that width the package's last layer keeps the cells of the one before."""


@functools.cache
def package() -> ModuleType:
    """``mobile_sam``. Importing it warns of timm's moved modules and of models it registers anew."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Importing from timm\.models\.", FutureWarning)
        warnings.filterwarnings("ignore", r"Overwriting tiny_vit_\w+ in registry", UserWarning)
        import mobile_sam
    return mobile_sam


def small_encoder(side: int = 128, **changes: Any) -> nn.Module:
    """The package's TinyViT, narrow; it takes pictures of any side, where the package's takes 1024."""
    modeling = package().modeling

    class AnySide(modeling.TinyViT):  # type: ignore[misc, name-defined]
        def forward_features(self, x: Tensor) -> Tensor:
            x = self.patch_embed(x)
            for layer in self.layers:
                x = layer(x)
            cells = round(x.shape[1] ** 0.5)
            return self.neck(x.view(1, cells, cells, -1).permute(0, 3, 1, 2))

    return AnySide(img_size=side, drop_path_rate=0.0, **(SMALL | changes))


def small_mobile_sam(side: int = 128, mlp: int = 64, **changes: Any) -> Any:
    """The package's Sam with a narrow encoder, ``shaken``."""
    modeling = package().modeling
    cells = side // 16
    sam = modeling.Sam(
        image_encoder=small_encoder(side, **changes),
        prompt_encoder=modeling.PromptEncoder(256, (cells, cells), (side, side), mask_in_chans=4),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=256,
            transformer=modeling.TwoWayTransformer(2, 256, num_heads=8, mlp_dim=mlp),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=32,
        ),
    )
    return shaken(sam)


def shaken(network: nn.Module) -> Any:
    """With values where the package starts at zero or one, blocks that matter, and sharp attention in
    the decoder, so that points give different masks."""
    for name, value in network.named_parameters():
        if value.ndim == 1 or "attention_biases" in name:
            value.data.add_(torch.randn_like(value) * 0.2)
        elif ".attn." in name or ".mlp." in name:
            value.data.mul_(5)
        elif "mask_decoder.transformer" in name and name.endswith("proj.weight"):
            value.data.mul_(3)
        elif "hypernetworks" in name:
            value.data.mul_(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    # eval of the package's attention gathers its biases, so it comes after the changes
    return network.train().eval()


def saved(network: nn.Module, path: Path) -> Path:
    """Its state dict in a file, as its authors publish theirs."""
    torch.save(dict(network.state_dict()), path)
    return path


def ours(sam: Any) -> Any:
    """The program's modules with the weights of one of the package's."""
    from searchdet.proposals.mobile_sam import weights

    named = weights.LAYOUTS[0].convert(dict(sam.state_dict()))
    made = weights.build(named, sam.image_encoder.img_size)
    made.load_state_dict(named)
    return made.eval()


def pointed(sam: Any, share: float = 0.1, sharp: float = 25.0) -> Any:
    """The same network, changed so that points give different, sharp masks that are parts of the image.

    Attention looks up positions, sub-cells of a cell are alike, logits of ``share`` of the image are
    above 0, predicted IoU lies around 0.6.
    """
    decoder = sam.mask_decoder
    with torch.no_grad():
        _look_up_positions(decoder)
        for part in (0, 3):
            weight = decoder.output_upscaling[part].weight
            weight.copy_(4 * weight.mean((2, 3), keepdim=True).expand_as(weight))
        fine, hyper, quality = _outputs(sam)
        mean = fine.mean((0, 2, 3))
        along = torch.outer(mean, mean) / mean.dot(mean)
        for mlp, told in zip(decoder.output_hypernetworks_mlps, hyper, strict=True):
            logits = torch.einsum("bc,bchw->bhw", told - told @ along, fine)
            scale = sharp / logits.std()
            level = torch.quantile(scale * logits.flatten(), 1 - share)
            last, across = mlp.layers[-1], torch.eye(len(mean)) - along
            last.weight.copy_(scale * across @ last.weight)
            last.bias.copy_(scale * across @ last.bias - level * mean / mean.dot(mean))
        last = decoder.iou_prediction_head.layers[-1]
        scale = 0.15 / quality.std(0).mean()
        last.weight.mul_(scale)
        last.bias.mul_(scale)
        last.bias[1:] += 0.6 - scale * quality.mean(0)
    return sam


def _look_up_positions(decoder: Any, gain: float = 2.0) -> None:
    """Queries and keys of the attentions between points and image are projected alike."""
    transformer = decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        nn.init.orthogonal_(attention.q_proj.weight, gain)
        attention.k_proj.weight.copy_(attention.q_proj.weight)


def _outputs(sam: Any) -> tuple[Tensor, list[Tensor], Tensor]:
    """Of random points of a random picture: upscaled features, their factors, predicted IoU."""
    decoder, side = sam.mask_decoder, sam.image_encoder.img_size
    fine: list[Tensor] = []
    hyper: list[Tensor] = []
    hooks = [decoder.output_upscaling.register_forward_hook(lambda *call: fine.append(call[2]))]
    for mlp in decoder.output_hypernetworks_mlps:
        hooks.append(mlp.register_forward_hook(lambda *call: hyper.append(call[2])))
    embedding = sam.image_encoder(torch.randn(1, 3, side, side))
    points = torch.rand(16, 1, 2) * side, torch.ones(16, 1, dtype=torch.int)
    sparse, dense = sam.prompt_encoder(points, None, None)
    _, quality = decoder(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, True)
    for hook in hooks:
        hook.remove()
    return fine[0], hyper, quality
