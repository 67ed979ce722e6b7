"""Files that stand beside modules, read by their paths: importlib.resources takes readers longer to load than these."""

from __future__ import annotations

import os


def path_beside(module: str, name: str) -> str:
    """The path of a file beside a module, which is told by its `__file__`."""
    return os.path.join(os.path.dirname(module), name)


def read_beside(module: str, name: str) -> str:
    """The text of such a file."""
    with open(path_beside(module, name), encoding="utf-8") as file:
        return file.read()
