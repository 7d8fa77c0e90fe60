"""The one weight loader. A file is used completely or refused; nothing is loaded in part.

Matching: names and shapes, both ways. What may be left out is a prefix that all names of the network
share, the other half of a pair of student and teacher, and on request a head that was trained on top:
each is said in the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import CheckpointError
from .reading import StateDict
from .wrapped import unwrapped

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")
_STUDENT, _TEACHER = "student", "teacher"
_TRAINED = re.compile(
    r"head|classif|decode|project|predict|prototype|loss|criterion|logit|linear|\bfc\b|neck|pool", re.I
)
"""Names of parts that are trained on top of a backbone and may be of any shape."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One naming scheme of a family.

    matches(names) says whether a file follows it. convert(state) returns the tensors by the network's
    names; what it leaves out must be on a short list of names that are known not to be used.
    """

    name: str
    matches: Callable[[frozenset[str]], bool]
    convert: Callable[[StateDict], StateDict]


@dataclass(frozen=True, slots=True)
class Named:
    """Tensors of a file by a network's names. prefix: what was taken off them, as a record says it.
    outside: names of the file that have another prefix. pair: the student whose teacher this is, ""
    without one. names: those in the file, behind what was taken off."""

    state: StateDict
    layout: str
    prefix: str = ""
    outside: tuple[str, ...] = ()
    pair: str = ""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file filled a network. unused: parts of it that are not of the network. content: the data
    that its tensors say it was trained on, "" where they do not say."""

    layout: str
    prefix: str = ""
    unused: tuple[str, ...] = ()
    content: str = ""


def rename(state: StateDict, rules: tuple[tuple[str, str], ...], unused: str = r"(?!)") -> StateDict:
    """Rename every tensor by regular expressions, in order; drop only names that match ``unused``.

    A name that no rule touches is kept, so that an unknown tensor shows up as unexpected in ``fill``.
    """
    renamed: StateDict = {}
    for name, tensor in state.items():
        if re.fullmatch(unused, name):
            continue
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise CheckpointError(f"two tensors of the file stand for {name}.")
        renamed[name] = tensor
    return renamed


def by_prefix(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """The names behind each dotted prefix, the shortest prefixes first; all of them behind ``""``."""
    found: dict[str, set[str]] = {"": set()}
    for name in names:
        found[""].add(name)
        for dot in re.finditer(r"\.", name):
            found.setdefault(name[: dot.end()], set()).add(name[dot.end() :])
    ordered = sorted(found, key=lambda prefix: (prefix.count("."), prefix))
    return {prefix: frozenset(found[prefix]) for prefix in ordered}


def convert(path: Path, state: StateDict, layouts: tuple[Layout, ...]) -> Named:
    """The tensors by the network's names. Raises CheckpointError where no layout fits, or where a file
    holds two networks that are no student and teacher."""
    state, wraps = unwrapped(path, state)
    prefix, layout, pair = _place(path, state, layouts)
    inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    outside = tuple(k for k in state if not k.startswith(prefix) and not (pair and k.startswith(pair)))
    names, said = frozenset(inner), prefix + "".join(f"*.{wrap}." for wrap in wraps)
    try:
        return Named(layout.convert(inner), layout.name, said, outside, pair, names)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise CheckpointError(f"{path}: {unfit(error)}") from error


def _place(path: Path, state: StateDict, layouts: tuple[Layout, ...]) -> tuple[str, Layout, str]:
    """(prefix, layout, prefix of the student) of the one network in a file."""
    found = {
        prefix: layout
        for prefix, names in by_prefix(state).items()
        for layout in layouts[::-1]
        if layout.matches(names)
    }
    if "" in found:
        return "", found[""], ""
    pair = ""
    teachers = [prefix for prefix in found if _TEACHER in prefix]
    if len(found) == 2 and len(teachers) == 1:
        student = next(prefix for prefix in found if prefix not in teachers)
        if student.replace(_STUDENT, _TEACHER) == teachers[0]:
            pair = student[: student.index(_STUDENT) + len(_STUDENT)] + "."
            found = {teachers[0]: found[teachers[0]]}
    if len(found) > 1:
        places = " and ".join(repr(prefix) for prefix in list(found)[:3])
        raise CheckpointError(
            f"{path}: holds {len(found)} networks, under {places}.", "Save one of them alone."
        )
    if not found:
        known = ", ".join(layout.name for layout in layouts)
        first = ", ".join(repr(name) for name in sorted(state)[:3])
        raise CheckpointError(
            f"{path}: of {len(state)} tensors (first: {first}) none follows a known layout ({known})."
        )
    prefix, layout = next(iter(found.items()))
    return prefix, layout, pair


def unfit(error: Exception) -> str:
    """What to say of tensors that cannot be put together."""
    reason = (str(error) or type(error).__name__).splitlines()[0][:160]
    return f"its tensors do not fit together ({reason})."


def without_head(path: Path, network: nn.Module, named: Named, drop_head: bool) -> tuple[Named, Fit]:
    """The tensors without what was trained on top of the network, and what is said of the file.

    Only where the rest is complete; then it raises CheckpointError unless ``drop_head``.
    """
    wanted = network.state_dict()
    head = _head(named, frozenset(wanted))
    names = tuple(dict.fromkeys(_part(name) for name in head))
    unused = ((named.pair.rstrip("."),) if named.pair else ()) + names
    fit = Fit(named.layout, named.prefix, unused)
    if not head:
        return named, fit
    rest = {name: tensor for name, tensor in named.state.items() if name not in head}
    if any(_differences(network, rest)):
        return replace(named, outside=()), fit  # ``fill`` says what does not fit
    if not drop_head:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise CheckpointError(
            f"{path}: holds a head of {len(head)} tensors on top of the network ({shown}).",
            "Pass --drop-head to use the network without it.",
        )
    return replace(named, state=rest, outside=()), fit


def _head(named: Named, wanted: frozenset[str]) -> dict[str, None]:
    """Names of what was trained on top: everything outside of the network's prefix, and modules beside
    its own that hold a matrix or are called as heads are."""
    modules: dict[str, list[str]] = {}
    own = {part for name in wanted for part in _ancestors(name)}
    for name in named.state.keys() - wanted:
        module = name.rpartition(".")[0]
        if module in own and module != "head":
            continue  # in the network itself
        part = next((a for a in _ancestors(name) if a not in own), name)
        modules.setdefault(part, []).append(name)
    head = dict.fromkeys(named.outside)
    for part, names in sorted(modules.items()):
        top = "." not in part or part.startswith("head.")
        matrix = any("." in name and named.state[name].ndim > 1 for name in names)
        if top and (matrix or _TRAINED.search(part)):
            head |= dict.fromkeys(sorted(names))
    return head


def _ancestors(name: str) -> list[str]:
    """``a.b.c`` -> a, a.b"""
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _part(name: str) -> str:
    """The module at the top that a tensor is of."""
    return name.split(".")[0] if "." in name else name


def fill(path: Path, network: nn.Module, named: Named) -> None:
    """Put tensors into ``network`` (made on the meta device). Names and shapes must match completely.

    Batch-norm counters (``num_batches_tracked``) may be absent: they are not used for inference.
    """
    import torch

    wanted = network.state_dict()
    state = dict(named.state)
    if named.outside:
        raise CheckpointError(
            f"{path}: {len(named.outside)} tensors do not begin with {named.prefix!r} as the network's "
            f"do (first: {named.outside[0]}). Nothing was loaded."
        )
    differences = _differences(network, state)
    if any(differences):
        raise CheckpointError(_describe(path, network, state, differences))
    for name, tensor in wanted.items():
        if name not in state:
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)  # a counter
        state[name] = state[name].to(tensor.dtype).contiguous()
    network.load_state_dict(state, strict=True, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)


def _differences(network: nn.Module, state: StateDict) -> tuple[list[str], list[str], list[str]]:
    """Names that are missing, unexpected and of another shape."""
    wanted = network.state_dict()
    missing = (k for k in wanted.keys() - state.keys() if not k.endswith("num_batches_tracked"))
    reshaped = (k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape)
    return sorted(missing), sorted(state.keys() - wanted.keys()), sorted(reshaped)


def _describe(
    path: Path, network: nn.Module, state: StateDict, differences: tuple[list[str], ...]
) -> str:
    wanted = network.state_dict()
    parts = []
    for word, names in zip(("missing", "unexpected", "of another shape"), differences, strict=True):
        if not names:
            continue
        shown = []
        for name in names[:3]:
            shape = f" {tuple(state[name].shape)}" if name in state else ""
            needed = f" needs {tuple(wanted[name].shape)}" if word == "of another shape" else ""
            shown.append(f"{name}{shape}{needed}")
        parts.append(f"{len(names)} {word} (first: {', '.join(shown)})")
    return f"{path}: of {len(wanted)} tensors needed, {'; '.join(parts)}. Nothing was loaded."
