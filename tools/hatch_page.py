"""Puts the built page into the wheel and the sdist. What is installed serves it; what cannot is not built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """`web/dist` goes to `ringthrough/web` of a wheel, and to its own place of an sdist, since git ignores it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # a checkout serves web/dist as it stands
            return
        page = Path(self.root) / "web" / "dist"
        if not (page / "index.html").is_file():
            raise SystemExit("web/dist has no page: run `make web/dist/index.html`, then build again")
        build_data["force_include"][str(page)] = "ringthrough/web" if self.target_name == "wheel" else "web/dist"
