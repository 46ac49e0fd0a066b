"""The style of beadwise's own pictures for those that cells of the tutorials draw, as a file of matplotlib."""

from __future__ import annotations

from pathlib import Path

from beadwise.pictures import STYLE


def write_style(path: Path) -> Path:
    """Write the file, in which the sign of a comment cannot begin a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}: {value}".replace("#", "") for name, value in STYLE.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
