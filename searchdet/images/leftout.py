"""What a folder holds beside pictures that are read: counted by suffix, and said once."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from ..config.address import Place
from ..storage import files
from .sniff import HEAD, kind_of

log = logging.getLogger(__name__)
_BESIDE = """
.txt .json .jsonl .ndjson .geojson .xml .csv .tsv .yaml .yml .toml .ini .cfg .conf .md .rst .log .html
.htm .css .js .lst .names .pbtxt .xlsx .xls .ods .doc .docx .odt .rtf .pdf .tex .bib .url .lnk .eml
.xmp .aae .thm .pp3 .exif .wld .tfw .jgw .pgw .bpw .prj .cpg .shp .shx .dbf .kml .gpx .db .ds_store
.npy .npz .mat .h5 .hdf5 .pkl .pickle .parquet .arrow .tfrecord .rle .safetensors .pt .pth .ckpt .onnx
.py .pyc .ipynb .sh .bat .ps1 .c .h .cpp .zip .tar .gz .tgz .bz2 .xz .7z .rar .zst .md5 .sha1 .sha256
.bak .tmp .part .lock .swp .sqlite .wav .mp3
"""
BESIDE = frozenset(_BESIDE.split())
"""Suffixes of files that lie beside pictures and are none: not a word of them."""
MOST_NAMED = 5


class LeftOut:
    """Counts the files that a run does not look at, without those that lie beside pictures."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, path: Path) -> None:
        """Another file that is no image by its name."""
        suffix = path.suffix.lower()
        if suffix in BESIDE or (not suffix and not kind_at(path)):
            return
        self.counts[suffix or "without suffix"] += 1

    def add_named(self, suffix: str) -> None:
        """Another object of a store, by its suffix in small letters; nobody looks into one without."""
        if suffix not in BESIDE:
            self.counts[suffix or "without suffix"] += 1

    def words(self) -> str:
        """Counts by suffix, the most first: ``3 .jxl, 1 .psd``."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        said = [f"{count} {suffix[:20]}" for suffix, count in ranked[:MOST_NAMED]]
        more = sum(count for _, count in ranked[MOST_NAMED:])
        return ", ".join([*said, f"{more} others"] if more else said)

    def warn(self, folder: Place) -> None:
        """Say in one WARNING what is left out, if anything is."""
        total = self.counts.total()
        lists = f"`searchdet doctor --images {folder}` lists them; " if isinstance(folder, Path) else ""
        if total:
            log.warning(
                "%s: %d of its files %s left out, as no picture that is read has such a name: %s. %s"
                "onvert them to PNG or JPEG.",
                folder,
                total,
                "is" if total == 1 else "are",
                self.words(),
                f"{lists}c" if lists else "C",
            )


def kind_at(path: Path) -> str:
    """The format of a file by its first bytes; ``""`` for another, and where it cannot be read."""
    if not files.is_file(path):
        return ""
    try:
        with path.open("rb") as stream:
            return kind_of(stream.read(HEAD))
    except OSError:
        return ""
