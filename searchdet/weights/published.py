"""Published weight files: what is known of their content, and where they are to be had.

A repository of the Hugging Face Hub stands here only where it and the SHA-256 are confirmed by
independent sources; the other files are fetched by hand. Nothing here reaches the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SAM, SAM_HQ, MOBILE_SAM = "sam", "sam_hq", "mobile_sam"
HOST = "https://huggingface.co"
META_FORM = "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/"
LICENCES = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "BSD-3-Clause": "https://github.com/pytorch/vision/blob/main/LICENSE",
    "DINOv3 License": "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
    "SAM License": "https://github.com/facebookresearch/sam3/blob/main/LICENSE",
}
"""Where the text of a licence is."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published file.

    model: the backbone or proposer that takes it. source: the page it is described on. sha256: the full
    digest, or "" where it is not known. prefix: hex digits in the name. confirmed: the prefix is known
    to be the SHA-256's; otherwise a mismatch only warns. url: its address, "" where it is mailed.

    On the hub, or "" and 0: repo, path (its name there), revision (a commit, or ``main`` where none is
    known; the hash of the content decides either way), size (bytes), gated (only for accounts with
    access).

    package: a Python package that carries it under ``models/``, or "".
    """

    filename: str
    sha256: str = ""
    prefix: str = ""
    confirmed: bool = False
    model: str = ""
    licence: str = ""
    source: str = ""
    url: str = ""
    repo: str = ""
    path: str = ""
    revision: str = ""
    size: int = 0
    gated: bool = False
    package: str = ""

    def agrees(self, digest: str) -> bool | None:
        """Whether a SHA-256 is the published one; None where nothing is published."""
        if self.sha256:
            return digest == self.sha256
        return digest.startswith(self.prefix) if self.prefix else None

    @property
    def sure(self) -> bool:
        """Whether another content is refused, not only warned about."""
        return bool(self.sha256) or self.confirmed

    @property
    def page(self) -> str:
        """Its repository's page on the hub."""
        return f"{HOST}/{self.repo}"

    @property
    def distribution(self) -> str:
        """What pip calls the package that carries it."""
        return self.package.replace("_", "-")

    @property
    def reinstall(self) -> str:
        """How to get it back into its package, one sentence."""
        return f"Run `pip install --force-reinstall --no-deps {self.distribution}`."

    def by_hand(self) -> str:
        """Where to get it without this program, one sentence."""
        if self.package:
            return f"Run `pip install {self.distribution}`, which carries it ({self.source})."
        if self.url:
            named = "" if self.url.endswith(f"/{self.filename}") else f" and save it as {self.filename}"
            return f"Download {self.url}{named}."
        return f"Ask Meta for it at {META_FORM} and download it from the address that Meta mails."


# backbone: revision, bytes and SHA-256 of model.safetensors (transformers' names; DINOv2: timm's)
_ON_HUB = {
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
    "dinov2_s": (
        "4610ca143709d58a633b6397a74412c2c3842454",
        88240510,
        "04d27f3400d059fc0cfd7d17dd1909a75bf3ea8fb3eeb48b97cb99e57ee20081",
    ),
    "dinov2_b": (
        "4685c99dabffe5affac90bd99dbffd25801ae58d",
        346334872,
        "55cbb5d887b336d430e649c277b85a1429e724871f9d02ac16203235886d8c7b",
    ),
    "dinov2_l": (
        "4741e1cafbf45415e77074bb0cb42dba76c8684a",
        1217502758,
        "0424a5d1b515278cba3c6640ccbeaacc41de59d3a93df0dd5e494285eea2b355",
    ),
}


def sam(size: str, digits: str, sha256: str, length: int) -> Published:
    """One of segment-anything's own files, which lie byte for byte in a repository of a transformers
    maintainer too. digits: in its name."""
    name = f"sam_vit_{size}_{digits}.pth"
    return Published(
        name,
        sha256,
        model=SAM,
        licence="Apache-2.0",
        source="https://github.com/facebookresearch/segment-anything",
        url=f"https://dl.fbaipublicfiles.com/segment_anything/{name}",
        repo="ybelkada/segment-anything",
        path=f"checkpoints/{name}",
        revision="7790786db131bcdc639f24a915d9f2c331d843ee",
        size=length,
    )


def mobile_sam() -> Published:
    """MobileSAM's own file, which lies byte for byte on the hub too."""
    own, name = "ChaoningZhang/MobileSAM", "mobile_sam.pt"
    return Published(
        name,
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        model=MOBILE_SAM,
        licence="Apache-2.0",
        source=f"https://github.com/{own}",
        url=f"https://github.com/{own}/raw/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/{name}",
        repo="dhkim2810/MobileSAM",
        path=name,
        revision="main",
        size=40728226,
    )


def sam_hub(size: str) -> Published:
    """A SAM by the names of transformers, in Meta's repository. size: its word."""
    return _by_hand(SAM, f"facebook/sam-vit-{size}")


def sam_hq(size: str) -> Published:
    """One of SAM-HQ's own files."""
    name = f"sam_hq_vit_{size}.pth"
    return Published(
        name,
        model=SAM_HQ,
        licence="Apache-2.0",
        source="https://github.com/SysCV/sam-hq",
        url=f"{HOST}/lkeab/hq-sam/resolve/main/{name}",
    )


def sam_hq_hub(size: str) -> Published:
    """A SAM-HQ by the names of transformers. size: its word."""
    return _by_hand(SAM_HQ, f"syscv-community/sam-hq-vit-{size}")


def _by_hand(model: str, repo: str) -> Published:
    """A ``model.safetensors`` whose hash two sources do not confirm: it is named, not pulled."""
    return Published(
        f"{repo.partition('/')[2]}.safetensors",
        model=model,
        licence="Apache-2.0",
        source=f"{HOST}/{repo}",
        url=f"{HOST}/{repo}/resolve/main/model.safetensors",
    )


def dinov3(model: str, prefix: str, satellite: str = "") -> tuple[Published, ...]:
    """The files of a DINOv3: Meta's own, then the hub's in other names, if there is one, then the one
    trained on satellite photographs. satellite: the digits in its name, "" where there is none."""
    own = Published(
        f"{model}_pretrain_lvd1689m-{prefix}.pth",
        prefix=prefix,
        model=model,
        licence="DINOv3 License",
        source="https://github.com/facebookresearch/dinov3",
    )
    twin = _twin(own, f"facebook/{model.replace('_', '-')}-pretrain-lvd1689m", gated=True)
    if not satellite:
        return own, *twin
    name = f"{model}_pretrain_sat493m-{satellite}.pth"
    return own, *twin, replace(own, filename=name, prefix=satellite)


def dinov2(model: str, size: str, sha256: str) -> tuple[Published, ...]:
    """The files of a DINOv2: Meta's own, then timm's, if it is confirmed. size: timm's word. sha256: ""
    where it is not known."""
    letter, _, registers = model.removeprefix("dinov2_").partition("_")
    folder = f"dinov2_vit{letter}14"
    name = f"{folder}_reg4_pretrain.pth" if registers else f"{folder}_pretrain.pth"
    own = Published(
        name,
        sha256,
        model=model,
        licence="Apache-2.0",
        source="https://github.com/facebookresearch/dinov2",
        url=f"https://dl.fbaipublicfiles.com/dinov2/{folder}/{name}",
    )
    return own, *_twin(own, f"timm/vit_{size}_patch14_dinov2.lvd142m")


def _twin(own: Published, repo: str, gated: bool = False) -> tuple[Published, ...]:
    """The hub's file of a backbone in other names than its authors' own; at most one."""
    if own.model not in _ON_HUB:
        return ()
    revision, size, sha256 = _ON_HUB[own.model]
    path = "model.safetensors"
    twin = replace(
        own,
        filename=f"{repo.partition('/')[2]}.safetensors",
        sha256=sha256,
        prefix="",
        source=f"{HOST}/{repo}",
        url=f"{HOST}/{repo}/resolve/{revision}/{path}",
        repo=repo,
        path=path,
        revision=revision,
        size=size,
        gated=gated,
    )
    return (twin,)
