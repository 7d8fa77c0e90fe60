"""README.ru.md says in Russian what README.md says: the same commands, pictures and files, no other."""

from __future__ import annotations

import re
from pathlib import Path

from places import ROOT
from test_docs import GUIDES, commands, fences, links, prose, spans

ENGLISH, RUSSIAN = ROOT / "README.md", ROOT / "README.ru.md"


def lines(page: Path) -> set[str]:
    """Lines of blocks of commands, without comments and room."""
    bare = (
        re.sub(r"\s+#\s.*", "", line).strip()
        for block in fences(page, "", "sh")
        for line in block.code.splitlines()
    )
    return {line for line in bare if line and not line.startswith("#")}


def called(page: Path) -> set[tuple[str, ...]]:
    """Command lines of searchdet, in blocks and in sentences."""
    code = [block.code for block in fences(page, "", "sh")]
    said = [span for span in spans(page) if span.startswith("searchdet ")]
    return {tuple(words) for text in (*code, *said) for words in commands(text)}


def test_every_command_of_the_first_page_is_there_in_russian() -> None:
    assert len(lines(ENGLISH)) > 10
    assert lines(ENGLISH) <= lines(RUSSIAN)
    assert called(ENGLISH) <= called(RUSSIAN)


def test_every_command_in_russian_is_of_the_first_page_or_of_a_guide() -> None:
    known = lines(ENGLISH).union(*(lines(page) for page in GUIDES))
    assert lines(RUSSIAN) - known <= {"searchdet quick parts"}
    own = called(RUSSIAN) - called(ENGLISH).union(*(called(page) for page in GUIDES))
    assert own <= {("detect", "--help")}


def test_both_have_the_same_pictures_and_files_and_lead_to_each_other() -> None:
    shown = [re.findall(r"!\[[^\]]*\]\(([^)]+)\)", prose(page)) for page in (ENGLISH, RUSSIAN)]
    assert shown[0] == shown[1]
    tables = [set(re.findall(r"^\| `([^|]+)` \|", prose(page), re.M)) for page in (ENGLISH, RUSSIAN)]
    assert tables[0] == tables[1]
    for page, other in ((ENGLISH, RUSSIAN), (RUSSIAN, ENGLISH)):
        head = page.read_text("utf-8").splitlines()[:4]
        assert f"]({other.name})" in "".join(head)
    assert set(links(RUSSIAN)) - {"README.md"} <= set(links(ENGLISH)) | {
        "docs/troubleshooting.md#every-score-looks-the-same"
    }


def test_what_the_user_types_and_the_story_of_the_scores_are_there() -> None:
    own = "--positive dir --negative dir --backbone dinov3_convnext_base --dinov3-ckpt file.pth"
    assert f"searchdet detect img.jpg {own}" in lines(RUSSIAN)
    text = RUSSIAN.read_text("utf-8")
    assert all(word in text for word in ("0.983", "0.014", "for f in *.jpg; do", "make demo"))
    letters = re.findall(r"[^\W\d_]", re.sub(r"`[^`]+`|\([^)]*\)", "", prose(RUSSIAN)))
    cyrillic = sum("\u0430" <= letter.lower() <= "\u0451" for letter in letters)
    assert cyrillic > 0.85 * len(letters)
