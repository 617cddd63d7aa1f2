"""How a bug is planted: a function of ours is replaced wherever it is known by name, and comes back afterwards."""

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

Patch = pytest.MonkeyPatch
OURS = ("syncd", "connectors")


@dataclass(frozen=True)
class Bug:
    """One planted bug. ``plant`` puts it there; ``speaks`` are the invariants of which one must be found broken.

    ``world`` names the world that it is hunted in (``tests.simulation.worlds``), with the conditions that take the
    safety nets away.
    """

    name: str
    breaks: str
    speaks: tuple[str, ...]
    plant: Callable[[Patch], None]
    world: tuple[str, ...]


def standing() -> dict[tuple[str, str, str], int]:
    """What stands behind each name of our modules and of their classes, by identity."""
    found = {}
    for where, module in sorted(sys.modules.items()):
        for name, known in vars(module).items() if where.partition(".")[0] in OURS else ():
            found[where, name, ""] = id(known)
            if isinstance(known, type) and known.__module__ == where:
                found |= {(where, name, own): id(value) for own, value in vars(known).items()}
    return found


def everywhere(patch: Patch, original: Any, new: Any) -> None:
    """Put a function in another's place in each of our modules that know it."""
    places = [
        (module, name)
        for where, module in sorted(sys.modules.items())
        if where.partition(".")[0] in OURS
        for name, known in list(vars(module).items())
        if known is original
    ]
    assert places, f"nobody knows {original}"
    for module, name in places:
        patch.setattr(module, name, new)


def edited(function: Any, *changes: tuple[str, str]) -> Any:
    """The function with some of its text replaced; each old text must stand there exactly once."""
    text = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert text.count(old) == 1, f"{function.__qualname__} has {old!r} {text.count(old)} times, not once"
        text = text.replace(old, new)
    made: dict[str, Any] = {}
    exec(compile(text, f"<{function.__qualname__}, with a bug>", "exec"), function.__globals__, made)
    return made[function.__name__]


def rewritten(function: Any, *changes: tuple[str, str]) -> Callable[[Patch], None]:
    """Plants a bug in a function of a module by its text."""
    return lambda patch: everywhere(patch, function, edited(function, *changes))


def remade(owner: type, name: str, *changes: tuple[str, str]) -> Callable[[Patch], None]:
    """Plants a bug in a method by its text."""
    return lambda patch: patch.setattr(owner, name, edited(getattr(owner, name), *changes))


def instead(function: Any, new: Any) -> Callable[[Patch], None]:
    """Plants another function in the place of one."""
    return lambda patch: everywhere(patch, function, new)
