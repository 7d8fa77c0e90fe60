"""The page's one script, joined from ES modules in the order in which a browser would run them. Pure.

A page from a file cannot load modules, and its policy lets one script run. So the modules share a scope
here, which is right only for plain ones: whole-line imports of names as they are, exports in front of a
declaration, no name twice. Anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_IMPORT = re.compile(r'import \{ ([$\w]+(?:, [$\w]+)*) \} from "\./([\w-]+\.js)";')
_DECLARED = re.compile(
    r"(export )?(?:(?:async )?function|const|let|class) ([$\w]+)(?: (?:=|\{|extends )|\()"
)
_REFUSED = re.compile(r"\s*(?:import|export)\b|(?:async|function|const|let|var|class)\b")
"""Other imports and exports, and other declarations at the start of a line."""
_DYNAMIC = re.compile(r"\bimport\s*[(.]")


def joined(entry: str, read: Callable[[str], str]) -> str:
    """The text of all modules that ``entry`` needs, each after those it imports. read: text of a module
    by its name. Raises ValueError that names module and line for what it cannot join."""
    joiner = _Joiner(read)
    joiner.add(entry, ())
    return "\n\n".join(joiner.parts) + "\n"


class _Joiner:
    def __init__(self, read: Callable[[str], str]) -> None:
        self.read = read
        self.parts: list[str] = []
        self.exported: dict[str, set[str]] = {}
        self.owners: dict[str, str] = {}

    def add(self, module: str, above: tuple[str, ...]) -> None:
        """A module, which the modules ``above`` are waiting for, after those it imports."""
        if module in above:
            raise ValueError(f"modules import each other: {' -> '.join((*above, module))}")
        if module in self.exported:
            return
        lines, exported = [], set()
        for number, line in enumerate(self.read(module).splitlines(), start=1):
            place = f"{module}:{number}"
            if found := _IMPORT.fullmatch(line):
                self.add(found[2], (*above, module))
                if missing := set(found[1].split(", ")) - self.exported[found[2]]:
                    raise ValueError(
                        f"{place}: {found[2]} does not export {', '.join(sorted(missing))}"
                    )
                continue
            found = _DECLARED.match(line)
            if _DYNAMIC.search(line) or (not found and _REFUSED.match(line)):
                raise ValueError(f"{place}: cannot be joined: {line.strip()}")
            if found:
                self._own(found[2], module, place)
                exported |= {found[2]} if found[1] else set()
            lines.append(line.removeprefix("export "))
        self.exported[module] = exported
        self.parts.append("\n".join(lines).strip("\n"))

    def _own(self, name: str, module: str, place: str) -> None:
        if name in self.owners:
            raise ValueError(f"{place}: {name} is declared in {self.owners[name]} too")
        self.owners[name] = module
