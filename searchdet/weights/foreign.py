"""Files of other networks, by the names of their tensors, so that a refusal can call them by name.

Each row: what it is, then regular expressions, each of which must match a name from its beginning. The
first row that fits decides, so the particular stand before the general. None of these networks loads,
but those in ``POINTED`` and ``TAKEN``, which proposers do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .published import MOBILE_SAM, SAM

Row = tuple[str, tuple[str, ...]]
_ANY = r"(.*\.)?"
"""Of names that stand behind prefixes of any kind."""
_HQ = r"mask_decoder\.(hf_token|compress_vit_feat|embedding_maskfeature)\b"
SAM_HUB = "SAM in the Hugging Face layout"
SAM_HQ, SAM_HQ_HUB = "SAM-HQ", "SAM-HQ in the Hugging Face layout"
SAM_HQ_TINY = "SAM-HQ with a TinyViT encoder (Light HQ-SAM, vit_tiny)"
TINY_VIT_SAM = "MobileSAM (a TinyViT encoder)"
TAKEN: Mapping[str, str] = {
    SAM_HUB: "sam",
    SAM_HQ: "sam_hq",
    SAM_HQ_HUB: "sam_hq",
    SAM_HQ_TINY: "sam_hq",
    TINY_VIT_SAM: MOBILE_SAM,
}
"""Of families below, the proposer that takes them."""
ADAPTERS: tuple[Row, ...] = (
    (
        "LoRA or adapter weights, alone or in a network; merge them into the network and save that",
        (_ANY + r"(lora_[AB]|lora_down|lora_up|base_layer|adapter_(down|up))\b",),
    ),
)
POINTED: tuple[tuple[str, Row], ...] = (
    (
        "sam3",
        (
            "SAM 3 in the Hugging Face layout",
            (
                _ANY + r"tracker_model\.mask_decoder\.",
                _ANY + r"detector_model\.vision_encoder\.backbone\.layers\.",
            ),
        ),
    ),
    (
        "sam3",
        (
            "the tracker of SAM 3 in the Hugging Face layout",
            (
                _ANY + r"vision_encoder\.backbone\.embeddings\.patch_embeddings\.",
                _ANY + r"mask_decoder\.iou_token\.",
            ),
        ),
    ),
    (
        "edgetam",
        ("EdgeTAM", (_ANY + r"image_encoder\.trunk\.body\.", _ANY + r"sam_mask_decoder\.")),
    ),
    (
        "edgetam",
        (
            "EdgeTAM in the Hugging Face layout",
            (_ANY + r"vision_encoder\.backbone\.timm_model\.", _ANY + r"mask_decoder\."),
        ),
    ),
    (
        "sam2",
        ("SAM 2", (_ANY + r"image_encoder\.trunk\.pos_embed_window$", _ANY + r"sam_mask_decoder\.")),
    ),
    (
        "sam2",
        (
            "SAM 2 in the Hugging Face layout",
            (_ANY + r"vision_encoder\.backbone\.pos_embed_window$", _ANY + r"mask_decoder\."),
        ),
    ),
)
"""The proposer that loads a network, and the row of its files."""
BY_POINTS = frozenset({SAM, *TAKEN.values(), *(name for name, _ in POINTED)})
"""Proposers that a file can be for."""
CHANGED: tuple[Row, ...] = (
    (
        "SAM-HQ on SAM 2",
        (_ANY + r"sam_mask_decoder\.(hf_token|compress_vit_feat|embedding_maskfeature)\b",),
    ),
)
"""Networks on one of those, with more in them."""
SAM_LIKE: tuple[Row, ...] = (
    *CHANGED,
    (
        "SAM 3 in Meta's layout; use the folder of the Hugging Face Hub",
        (_ANY + r"backbone\.vision_backbone\.",),
    ),
    (
        "SAM 3's detector of named concepts, without the tracker that points ask",
        (_ANY + r"(geometry_encoder|detr_decoder)\.", _ANY + r"(vision_encoder|backbone)\."),
    ),
    (
        "SAM 3, but not whole",
        (_ANY + r"(detector|detector_model|sam3_model)\..*(vision_backbone|vision_encoder)\.",),
    ),
    (
        "SAM 2 without its decoder, or another network on its code (EfficientTAM or the like)",
        (_ANY + r"image_encoder\.trunk\.",),
    ),
    ("SAM 2 without its encoder", (_ANY + r"sam_mask_decoder\.",)),
    (
        "a network like SAM 2 in the Hugging Face layout",
        (_ANY + r"vision_encoder\.backbone\.", _ANY + r"mask_decoder\."),
    ),
    (SAM_HQ_TINY, (_ANY + r"image_encoder\.patch_embed\.seq\.", _ANY + _HQ)),
    (SAM_HQ, (_ANY + _HQ,)),
    (
        SAM_HQ_HUB,
        (_ANY + r"vision_encoder\.", _ANY + r"mask_decoder\.(hq_token|compress_vit|hq_mask)"),
    ),
    (
        SAM_HUB,
        (_ANY + r"vision_encoder\.", _ANY + r"(mask_decoder|prompt_encoder)\."),
    ),
    (TINY_VIT_SAM, (_ANY + r"image_encoder\.patch_embed\.seq\.", _ANY + r"mask_decoder\.")),
    (
        "a SAM with another image encoder (EfficientViT-SAM, RepViT-SAM or the like)",
        (
            _ANY + r"image_encoder\.(backbone|model|features|stages|layers)\.",
            _ANY + r"mask_decoder\.",
        ),
    ),
    ("FastSAM or another YOLO", (_ANY + r"model\.\d+\.(conv|cv\d|m\.\d+)\.",)),
)
OTHERS: tuple[Row, ...] = (
    ("a Stable Diffusion checkpoint", (_ANY + r"(diffusion_model|first_stage_model)\.",)),
    ("Grounding DINO", (_ANY + r"(bert|text_backbone)\.", _ANY + r"(transformer|decoder)\.")),
    ("MAE", (_ANY + r"decoder_(embed|pred|pos_embed|blocks|norm)\b",)),
    ("SigLIP in the Hugging Face layout", (_ANY + r"vision_model\.", _ANY + r"logit_bias")),
    (
        "SigLIP in the Hugging Face layout",
        (_ANY + r"head\.probe", _ANY + r"embeddings\.patch_embedding\."),
    ),
    ("CLIP in the Hugging Face layout", (_ANY + r"(pre_layrnorm|visual_projection)\b",)),
    ("CLIP in the Hugging Face layout", (_ANY + r"vision_model\.", _ANY + r"text_model\.")),
    ("CLIP (OpenAI's or OpenCLIP's layout)", (_ANY + r"visual\.(conv1|transformer|trunk|class_emb)",)),
    (
        "CLIP (OpenAI's or OpenCLIP's layout)",
        (_ANY + r"transformer\.resblocks\.", _ANY + r"(conv1|token_embedding|class_embedding)\b"),
    ),
    (
        "CLIP in timm's layout",
        (_ANY + r"norm_pre\.weight", _ANY + r"blocks\.\d+\."),
    ),
    ("SigLIP in timm's layout", (_ANY + r"attn_pool\.", _ANY + r"blocks\.\d+\.")),
    ("Swin", (_ANY + r"layers\.\d+\.blocks\.\d+\.att.*\.(relative_position|logit_scale)",)),
    ("EVA", (_ANY + r"blocks\.\d+\.mlp\.(fc1_g|w1)\.", _ANY + r"blocks\.\d+\.attn\.(q_|rope)")),
    ("an image encoder of SAM or ViTDet alone", (_ANY + r"blocks\.\d+\.attn\.rel_pos_h",)),
    ("BEiT", (_ANY + r"blocks\.\d+\.attn\.relative_position_bias_table",)),
    ("Hiera", (_ANY + r"pos_embed_window", _ANY + r"blocks\.\d+\.")),
    ("ConvNeXt V2", (_ANY + r"stages\.\d+\..*\.grn\.",)),
    ("I-JEPA or V-JEPA", (_ANY + r"predictor\.(predictor_blocks|predictor_embed|backbone)\b",)),
    (
        "a DETR or another detector",
        (_ANY + r"(class_embed|class_labels_classifier)\.", _ANY + r"bbox_(embed|predictor)\."),
    ),
    ("a detector of Detectron2 or torchvision", (_ANY + r"(rpn|roi_heads|proposal_generator)\.",)),
    ("a torchvision vision transformer", (_ANY + r"encoder\.layers\.encoder_layer_\d+\.",)),
    (
        "a vision transformer (ViT, DeiT, DINO or BEiT) in the Hugging Face layout",
        (
            _ANY + r"embeddings\.patch_embeddings\.projection\.",
            _ANY + r"layers?\.\d+\.layernorm_before\.",
        ),
    ),
    ("a ResNet in the Hugging Face layout", (_ANY + r"embedder\.embedder\.convolution\.",)),
    (
        "a torchvision ConvNeXt",
        (_ANY + r"features\.\d+\.\d+\.layer_scale", _ANY + r"features\.0\.0\."),
    ),
    (
        "a ConvNeXt of ImageNet in the Hugging Face layout",
        (_ANY + r"encoder\.stages\.\d+\.layers\.\d+\.dwconv\.",),
    ),
    (
        "a torchvision network of `features` (EfficientNet, MobileNet, VGG, DenseNet or the like)",
        (_ANY + r"features\.", _ANY + r"classifier\."),
    ),
    ("a BERT or another language model", (_ANY + r"embeddings\.word_embeddings\.",)),
    ("a language model", (_ANY + r"(embed_tokens|token_embedding|wte)\.weight",)),
)


def name_of(names: Collection[str], rows: tuple[Row, ...]) -> str:
    """What the first row that fits calls these names; "" where none does."""
    text = "\n".join(names)
    for what, patterns in rows:
        if all(re.search(rf"^{pattern}", text, re.MULTILINE) for pattern in patterns):
            return what
    return ""


def pointed(names: Collection[str]) -> tuple[str, str]:
    """The proposer that loads a network with these names, and what the network is; two "" where none of
    ``POINTED`` does, or where there is something on top of it."""
    if name_of(names, ADAPTERS + CHANGED):
        return "", ""
    for proposer, row in POINTED:
        what = name_of(names, (row,))
        if what:
            return proposer, what
    return "", ""
