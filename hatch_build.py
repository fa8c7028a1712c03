"""Puts the manual pages into the wheel, where pipx and uv install them from."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Makes them when a wheel is built; a tree that is worked in needs none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add each as share/man/manN/NAME.N."""
        if version == "editable":
            return
        folder = Path(self.root) / "build" / "man"
        write = runpy.run_path(str(Path(self.root) / "tools" / "man.py"))["write"]
        for path in write(folder):
            build_data["shared_data"][str(path)] = f"share/man/{path.relative_to(folder)}"
