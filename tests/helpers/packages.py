"""Small packages that tests put where Python finds them, with entry points as an installed one has."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, name: str, source: str, **groups: dict[str, str]) -> None:
    """Write a module and what tells of its entry points; `folder` has to be on the path of Python.

    Entry points are given by group, with an underscore for its dot: ``beadwise_commands={"hello": "module:hello"}``.
    """
    (folder / f"{name}.py").write_text(source)
    told = folder / f"{name}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group.replace('_', '.')}]", *(f"{point} = {value}" for point, value in points.items())]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n")
