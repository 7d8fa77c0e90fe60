"""Where weight files are to be had: repositories of the Hugging Face Hub, and addresses of the rest.

A file stands here only where its repository and its SHA-256 are confirmed by independent sources; the
others are fetched by hand. Nothing here reaches the network.
"""

from __future__ import annotations

from dataclasses import dataclass

from .loader import Published

HOST = "https://huggingface.co"
META_FORM = "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/"
LICENCES = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "BSD-3-Clause": "https://github.com/pytorch/vision/blob/main/LICENSE",
    "DINOv3 License": "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
}
"""Where the text of a licence is."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file on the hub. path: its name there. revision: a commit, or ``main`` where none is known; the
    hash of the content decides either way. size: bytes. gated: only for accounts with access."""

    repo: str
    path: str
    revision: str
    size: int
    gated: bool = False

    @property
    def page(self) -> str:
        """The repository's page."""
        return f"{HOST}/{self.repo}"


# backbone: revision, bytes, SHA-256 of model.safetensors (transformers' names)
_DINOV3 = {
    "dinov3_convnext_tiny": (
        "10d30274b4d445111e2d5bf75ac93bbd94db274b",
        111299216,
        "bd30a9459d6149564ef53af6e8a1999980953b009b94cde836ac1bac4d339cb2",
    ),
    "dinov3_convnext_base": (
        "main",
        350302312,
        "ec90bd798b5fc5b8e30443796a6c24a7a73e28ad85c6c0ceda78b1d249a694cc",
    ),
    "dinov3_vits16": (
        "114c1379950215c8b35dfcd4e90a5c251dde0d32",
        86406384,
        "4610ad75edef83e75afdebf162d148dc628045ea6cbb83d67d4708c709c4f91d",
    ),
    "dinov3_vits16plus": (
        "c93d816fc9e567563bc068f01475bec89cc634a6",
        114794096,
        "208146e499dace99e4c9376ddb8a26f77d64c31c46c4dc4b86ff8bc63b0235e2",
    ),
    "dinov3_vitb16": (
        "5931719e67bbdb9737e363e781fb0c67687896bc",
        342662192,
        "9a21ac3df0c63839d62612dda6f454d816c25611cc7a52966ed5a5a94921dc8b",
    ),
    "dinov3_vitl16": (
        "ea8dc2863c51be0a264bab82070e3e8836b02d51",
        1212559808,
        "dcb2e45127cccbf1601e5f42fef165eea275c8e5213197e8dcf3f48822718179",
    ),
    "dinov3_vith16plus": (
        "c807c9eeea853df70aec4069e6f56b28ddc82acc",
        3362432800,
        "3e1d4d18b9bfa9f28fad8e9de6a783f1313532d3460efa4cd0b12521d81d1a4d",
    ),
}
# backbone: timm's size, then the same three (timm's names)
_DINOV2 = {
    "dinov2_s": (
        "small",
        "4610ca143709d58a633b6397a74412c2c3842454",
        88240510,
        "04d27f3400d059fc0cfd7d17dd1909a75bf3ea8fb3eeb48b97cb99e57ee20081",
    ),
    "dinov2_b": (
        "base",
        "4685c99dabffe5affac90bd99dbffd25801ae58d",
        346334872,
        "55cbb5d887b336d430e649c277b85a1429e724871f9d02ac16203235886d8c7b",
    ),
    "dinov2_l": (
        "large",
        "4741e1cafbf45415e77074bb0cb42dba76c8684a",
        1217502758,
        "0424a5d1b515278cba3c6640ccbeaacc41de59d3a93df0dd5e494285eea2b355",
    ),
}
# Meta's own files, byte for byte, in a repository of a transformers maintainer
_SAM_SIZES = {
    "sam_vit_b_01ec64.pth": 375042383,
    "sam_vit_l_0b3195.pth": 1249524607,
    "sam_vit_h_4b8939.pth": 2564550879,
}
_SAM_REVISION = "7790786db131bcdc639f24a915d9f2c331d843ee"


def _listed() -> tuple[dict[str, HubFile], dict[str, Published]]:
    """(files by their name in the models folder, the hub's file of a backbone)."""
    files: dict[str, HubFile] = {}
    twins: dict[str, Published] = {}
    for name, size in _SAM_SIZES.items():
        files[name] = HubFile("ybelkada/segment-anything", f"checkpoints/{name}", _SAM_REVISION, size)
    for backbone, (revision, size, sha256) in _DINOV3.items():
        repo = f"{backbone.replace('_', '-')}-pretrain-lvd1689m"
        file = HubFile(f"facebook/{repo}", "model.safetensors", revision, size, gated=True)
        files[f"{repo}.safetensors"] = file
        twins[backbone] = Published(f"{repo}.safetensors", sha256)
    for backbone, (letter, revision, size, sha256) in _DINOV2.items():
        repo = f"vit_{letter}_patch14_dinov2.lvd142m"
        files[f"{repo}.safetensors"] = HubFile(f"timm/{repo}", "model.safetensors", revision, size)
        twins[backbone] = Published(f"{repo}.safetensors", sha256)
    return files, twins


FILES, _TWINS = _listed()


def published_for(backbone: str) -> tuple[Published, ...]:
    """What the hub holds of a backbone in other names than its authors' own file; at most one."""
    return (_TWINS[backbone],) if backbone in _TWINS else ()


def by_hand(filename: str) -> str:
    """Where to get a file without this program, one sentence."""
    file = FILES.get(filename)
    if filename.startswith("sam_vit_"):
        return f"Download https://dl.fbaipublicfiles.com/segment_anything/{filename}."
    if file is not None:
        return f"Download {file.page}/resolve/{file.revision}/{file.path}."
    if filename.startswith("dinov2_vit"):
        folder = filename.removesuffix("_pretrain.pth")
        return f"Download https://dl.fbaipublicfiles.com/dinov2/{folder}/{filename}."
    if filename.startswith("resnet"):
        return f"Download https://download.pytorch.org/models/{filename}."
    return f"Ask Meta for it at {META_FORM} and download it from the address that Meta mails."
