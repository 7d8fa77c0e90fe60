"""The page: one HTML file that holds all it needs, and may do nothing but show it. Pure.

No text of the records stands in the HTML itself: it lies in JSON blocks, and the script puts it into
the page as text. The policy lets only this style and this script run, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib import resources

from ..storage.values import JsonObject, JsonValue
from .script import joined

STYLES = ("page.css", "controls.css", "viewer.css", "review.css")
SCRIPT = "start.js"
_POLICY = (
    "default-src 'none'; img-src {images}; style-src {style}; script-src {script}; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

_BESIDE = "data: 'self' file:"
"""Of a page from a file, ``self`` is nothing to some browsers."""


def page(head: JsonObject, blocks: Iterable[tuple[str, str]], beside: bool = False) -> str:
    """The HTML text. blocks: ids and texts that the script reads one by one when it needs them: JSON
    from ``json_text``, or base64. beside: whether pictures beside the page may be shown."""
    style, script = "\n".join(map(_read, STYLES)), _wrapped(joined(SCRIPT, _read))
    policy = _POLICY.format(
        images=_BESIDE if beside else "data:", style=_hash(style), script=_hash(script)
    )
    parts = {
        "policy": policy,
        "style": f"<style>{style}</style>",
        "data": "\n".join([_block("head", json_text(head)), *(_block(*item) for item in blocks)]),
        "script": f"<script>{script}</script>",
    }
    return "".join(_filled(_read("page.html"), parts))


def json_text(value: JsonValue) -> str:
    """JSON that can stand within a script element: ASCII, without <, > and &."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _block(name: str, text: str) -> str:
    return f'<script type="application/json" id="{name}">{text}</script>'


def _filled(template: str, parts: dict[str, str]) -> Iterator[str]:
    """The template with ``{{name}}`` filled in; what is filled in is not searched again."""
    first, *rest = template.split("{{")
    yield first
    for piece in rest:
        name, _, after = piece.partition("}}")
        yield parts[name]
        yield after


def _wrapped(script: str) -> str:
    return f'"use strict";\n(() => {{\n{script}\n}})();\n'


def _read(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
