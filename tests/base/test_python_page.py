"""The page about Python: its blocks are one script, which runs."""

import re
import warnings

from places import REPOSITORY


def test_the_script_of_the_page(tmp_path, monkeypatch, capsys):
    page = (REPOSITORY / "docs" / "how_to" / "python.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with warnings.catch_warnings():
        exec(compile(script, "docs/how_to/python.md", "exec"), names)
    assert (tmp_path / "run.traj").is_file()
    said = capsys.readouterr().out
    assert said.startswith("Model 'water' for H, O\n") and "forces: (4, 96, 3) eV/Å" in said
    assert "stress of a structure that is periodic in [False, False, False]" in said
