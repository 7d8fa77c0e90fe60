"""Train the small SAM that the tests use, from segment-anything's own modules.

    python tests/assets/train_tiny_sam.py --steps 1400 --rate 1e-3 --out first.pth
    python tests/assets/train_tiny_sam.py --steps 700 --rate 7e-4 --start first.pth --first-scene 20000

About 1 M parameters, image 256, patch 8. Every output token learns the same target (the shape under
the point, or the ground), because the scenes are not ambiguous; the IoU head learns the true IoU.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scenes import Scene, make_scene

IMAGE, PATCH, DIM = 256, 8, 128
POINTS = 10


def build_tiny_sam() -> Sam:
    """A SAM of the official family, small enough for a test."""
    grid = IMAGE // PATCH
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=IMAGE,
            patch_size=PATCH,
            embed_dim=96,
            depth=4,
            num_heads=3,
            mlp_ratio=3.0,
            out_chans=DIM,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=8,
            global_attn_indexes=(1, 3),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=DIM,
            image_embedding_size=(grid, grid),
            input_image_size=(IMAGE, IMAGE),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=DIM, mlp_dim=256, num_heads=8),
            transformer_dim=DIM,
            iou_head_depth=3,
            iou_head_hidden_dim=64,
        ),
    )


def match_positions(sam: Sam, gain: float = 2.0) -> None:
    """Start every cross attention as a look-up by position: same projection for query and key.

    Without it a decoder this narrow spends its first thousands of steps on finding the point.
    """
    transformer = sam.mask_decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        nn.init.orthogonal_(attention.q_proj.weight, gain)
        attention.k_proj.weight.data.copy_(attention.q_proj.weight.data)


def sample_points(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """POINTS points (x, y) with the mask each one asks for; one point in six asks for the ground."""
    ground = ~scene.masks.any(axis=0)
    points, targets = [], []
    for _ in range(POINTS):
        on_ground = rng.random() < 1 / 6
        mask = ground if on_ground else scene.masks[int(rng.integers(len(scene.masks)))]
        rows, columns = np.nonzero(mask)
        k = int(rng.integers(len(rows)))
        points.append((columns[k] + 0.5, rows[k] + 0.5))
        targets.append(mask)
    return np.array(points, np.float32), np.array(targets)


def predict(sam: Sam, images: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, POINTS, 4, 4h, 4w) and predicted IoU (B, POINTS, 4) of every point of every image."""
    embeddings = sam.image_encoder(sam.preprocess(images)).float()
    logits, quality = [], []
    for embedding, coords in zip(embeddings, points, strict=True):
        labels = torch.ones(len(coords), 1, dtype=torch.int)
        sparse, dense = sam.prompt_encoder(points=(coords[:, None], labels), boxes=None, masks=None)
        masks, iou = sam.mask_decoder.predict_masks(
            image_embeddings=embedding[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        logits.append(masks)
        quality.append(iou)
    return torch.stack(logits), torch.stack(quality)


def batch(seeds: range) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, 3, 256, 256) 0..255, points (B, P, 2), targets (B, P, 128, 128) in 0..1."""
    images, points, targets = [], [], []
    for seed in seeds:
        scene = make_scene(seed)
        coords, wanted = sample_points(scene, np.random.default_rng(seed + 10**9))
        images.append(torch.from_numpy(scene.image).permute(2, 0, 1).float())
        points.append(torch.from_numpy(coords))
        small = F.avg_pool2d(torch.from_numpy(wanted).float()[:, None], IMAGE // (4 * IMAGE // PATCH))
        targets.append(small[:, 0])
    return torch.stack(images), torch.stack(points), torch.stack(targets)


def loss_of(logits: Tensor, quality: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, mean IoU): cross-entropy, inside and outside weighing the same (else an empty answer is
    the first valley), and Dice on every token; squared error on the IoU head.
    """
    wanted = targets[:, :, None].expand_as(logits)
    per_cell = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    inside = (per_cell * wanted).sum((-1, -2)) / wanted.sum((-1, -2)).clamp(min=1)
    outside = (per_cell * (1 - wanted)).sum((-1, -2)) / (1 - wanted).sum((-1, -2)).clamp(min=1)
    cross_entropy = (inside + outside).mean()
    chance = logits.sigmoid()
    overlap = (chance * wanted).sum((-1, -2))
    dice = 1 - (2 * overlap + 1) / (chance.sum((-1, -2)) + wanted.sum((-1, -2)) + 1)
    with torch.no_grad():
        hard, truth = logits > 0, wanted > 0.5
        iou = (hard & truth).sum((-1, -2)) / (hard | truth).sum((-1, -2)).clamp(min=1)
    return cross_entropy + dice.mean() + F.mse_loss(quality, iou), iou.mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--start", type=Path, help="go on from this file")
    parser.add_argument("--first-scene", type=int, default=0, help="seed of the first scene")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("tiny_sam.pth"))
    args = parser.parse_args()
    torch.manual_seed(0)
    sam = build_tiny_sam()
    nn.init.trunc_normal_(sam.image_encoder.pos_embed, std=0.02)
    match_positions(sam)
    if args.start:
        saved = torch.load(args.start, weights_only=True)
        sam.load_state_dict({name: tensor.float() for name, tensor in saved.items()})
    optimiser = torch.optim.AdamW(sam.parameters(), lr=args.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=args.rate, total_steps=args.steps, pct_start=0.1
    )
    started = time.monotonic()
    for step in range(args.steps):
        first = args.first_scene + step * args.batch
        images, points, targets = batch(range(first, first + args.batch))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, quality = predict(sam, images, points)
        loss, iou = loss_of(logits.float(), quality.float(), targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 25 == 0 or step == args.steps - 1:
            spent = time.monotonic() - started
            print(f"{step:5d} loss {loss:.4f} IoU {iou:.3f} {spent:.0f} s", flush=True)
        if step % 200 == 199 or step == args.steps - 1:
            torch.save({k: v.half() for k, v in sam.state_dict().items()}, args.out)


if __name__ == "__main__":
    main()
