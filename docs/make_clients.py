"""Writes the table of clients in import.md: what each read of our exports, and what agreed.

    make test-clients

runs it with the clients installed; one that is not there stays out of the table, and is named.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = Path(__file__).with_name("import.md")
BEGIN, END = "<!-- clients: written by make test-clients -->\n", "<!-- /clients -->\n"
COLUMNS = ("client", "version", "files", "objects", "boxes off by", "mask IoU")
COLUMNS += ("its own filling: thin, others", "scores")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def main() -> int:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/clients")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "YOLO_CONFIG_DIR": folder, "QT_QPA_PLATFORM": "offscreen"}
        rows = list(_rows(Path(folder)))
    text = TARGET.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        print(f"{TARGET}: has no {BEGIN.strip()} ... {END.strip()}", file=sys.stderr)
        return 1
    TARGET.write_text(f"{before}{BEGIN}\n{HEAD}{''.join(rows)}\n{END}{after}", encoding="utf-8")
    return 0


def _rows(folder: Path) -> Iterator[str]:
    from clientcases import make
    from clientcheck import compared
    from clientreaders import READERS

    case = make(folder)
    for reader in READERS:
        if importlib.util.find_spec(reader.package) is None:
            print(f"{reader.tool} is not installed: not in the table", file=sys.stderr)
            continue
        found = compared(case, reader.read(case), reader.near)
        for problem in found.wrong:
            print(f"{reader.tool}, {reader.files}: {problem}", file=sys.stderr)
        total = sum(map(len, case.items.values()))
        cells = (
            reader.tool,
            version(reader.tool),
            reader.files,
            f"{found.objects} of {total}" + (f", {len(found.wrong)} differ" if found.wrong else ""),
            "-" if found.box is None else f"{found.box:.2f} px",
            "-" if found.mask is None else f"{found.mask:.3f}",
            "-" if found.painted is None else f"{found.thin:.2f}, {found.painted:.2f}",
            f"{found.scores} of {total}" if found.scores else "not held",
        )
        yield f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main())
