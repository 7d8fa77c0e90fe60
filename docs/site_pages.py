"""A hook of mkdocs: documents outside docs/ become pages of the site, and all links between them fit.

The files stay as they are read on GitHub. A link to a file that is no page, such as a script, becomes
plain text, as the site holds documents only.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "README.ru.md": "ru.md",
    "docs/README.md": "guides.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "models/README.md": "weight-files.md",
    "benchmarks/README.md": "measured.md",
}
"""Source below the root of the repository -> page of the site; all else in docs/ keeps its name."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_BLOCK = re.compile(r"(^ *```.*?^ *```)", re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    from mkdocs.structure.files import File

    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    own = {target: source for source, target in PAGES.items()}
    source = own.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return relinked(markdown, source, page.file.src_uri, {file.src_uri for file in files})


def relinked(text: str, source: str, page: str, known: set[str]) -> str:
    """Markdown of a repository file as the page of the site that it becomes; blocks of code stay."""

    def link(found: re.Match[str]) -> str:
        mark, words, path, anchor = found[1], found[2], found[3], found[4] or ""
        if not path or re.match(r"[a-z]+:", path):
            return found[0]
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        target = PAGES.get(meant, meant.removeprefix("docs/"))
        if target not in known:
            return words
        return f"{mark}[{words}]({posixpath.relpath(target, posixpath.dirname(page) or '.')}{anchor})"

    parts = _BLOCK.split(text)
    return "".join(part if i % 2 else _LINK.sub(link, part) for i, part in enumerate(parts))
