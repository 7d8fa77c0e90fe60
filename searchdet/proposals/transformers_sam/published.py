"""Published files of SAM 2, EdgeTAM and SAM 3.

The hashes of SAM 2's and EdgeTAM's own files are confirmed by independent sources; other files are
fetched by hand.
"""

from __future__ import annotations

from ...weights import Published
from ...weights.published import HOST

_FILES = "https://dl.fbaipublicfiles.com/segment_anything_2"
_SIZES = ("tiny", "small", "base_plus", "large")
# bytes and SHA-256 of sam2.1_hiera_SIZE.pt, then of sam2_hiera_SIZE.pt
_SAM21 = (
    (156008466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    (184416285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    (323606802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    (898083611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
)
_SAM20 = (
    (155906050, "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"),
    (184309650, "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"),
    (323493298, "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071"),
    (897952466, "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"),
)


def _sam2(version: str, day: str, size: str, length: int, sha256: str) -> Published:
    """One of SAM 2's own files, which lie in repositories of its authors too."""
    name = f"{version}_hiera_{size}.pt"
    return Published(
        name,
        sha256,
        model="sam2",
        licence="Apache-2.0",
        source="https://github.com/facebookresearch/sam2",
        url=f"{_FILES}/{day}/{name}",
        repo=f"facebook/{version}-hiera-{size.replace('_', '-')}",
        path=name,
        revision="main",
        size=length,
    )


SAM2 = (
    *(_sam2("sam2.1", "092824", size, *file) for size, file in zip(_SIZES, _SAM21, strict=True)),
    *(_sam2("sam2", "072824", size, *file) for size, file in zip(_SIZES, _SAM20, strict=True)),
)
EDGETAM = (
    Published(
        "edgetam.pt",
        "ed2d4850b8792c239689b043c47046ec239b6e808a3d9b6ae676c803fd8780df",
        model="edgetam",
        licence="Apache-2.0",
        source="https://github.com/facebookresearch/EdgeTAM",
        url="https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt",
        repo="facebook/EdgeTAM",
        path="edgetam.pt",
        revision="main",
        size=56116523,
    ),
    Published(
        "EdgeTAM-hf.safetensors",
        model="edgetam",
        licence="Apache-2.0",
        source=f"{HOST}/yonigozlan/EdgeTAM-hf",
        url=f"{HOST}/yonigozlan/EdgeTAM-hf/resolve/main/model.safetensors",
    ),
)
SAM3 = (
    Published(
        "sam3.safetensors",
        model="sam3",
        licence="SAM License",
        source=f"{HOST}/facebook/sam3",
        url=f"{HOST}/facebook/sam3/resolve/main/model.safetensors (log in; access is asked for there)",
        gated=True,
    ),
)
