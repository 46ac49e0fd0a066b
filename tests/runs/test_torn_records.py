"""Half records at the ends of outputs, cut at every place where a kill may have left them."""

from __future__ import annotations

import pytest
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output import torn_records
from beadwise.runs.output.torn_records import cut_torn_records

TABLE = ["# column 1 --> step\n", *(f"  {step}.0e+00   {0.25 * step:.8e}   \n" for step in range(4))]
EXTRAS = [f" #EXTRAS(BEC)# Step:  {step}\n  1.0 2.0 {step}\n  3.0 4.0 {step}\n" for step in range(4)]
XYZ = [f"2\n# CELL(abcABC): 9 9 9 Step:  {step}\n  O 0.1 0.2 {step}\n  H 1.1 0.2 {step}\n" for step in range(4)]
INPUT = """<simulation>
  <output prefix='out'>
    <properties filename='md'> [ step ] </properties>
    <trajectory filename='bec' extra_type='BEC'> extras </trajectory>
    <trajectory filename='pos'> positions </trajectory>
    <trajectory filename='ase' format='ase'> positions </trajectory>
  </output>
  <system> <initialize nbeads='2'/> <forces> <force forcefield='a'/> </forces> </system>
</simulation>"""
FILES = {"out.md": TABLE, "out.bec_1": EXTRAS, "out.pos_0.xyz": XYZ, "out.ase_1.extxyz": XYZ}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "input.xml").write_text(INPUT)
    return RunInput.read(tmp_path / "input.xml")


@pytest.mark.parametrize("look", [torn_records.FIRST_LOOK, 16])
@pytest.mark.parametrize("name", FILES)
def test_every_place(name, look, run, monkeypatch):
    monkeypatch.setattr(torn_records, "FIRST_LOOK", look)
    records = FILES[name]
    ends = [sum(map(len, records[:number])) for number in range(len(records) + 1)]
    path = run.folder / name
    for length in range(ends[2], ends[-1] + 1):
        path.write_text("".join(records)[:length])
        cut = cut_torn_records(run)
        assert len(path.read_text()) == max(end for end in ends if end <= length)
        assert cut == ([] if length in ends else [path])


def test_what_is_whole_or_not_there(run):
    assert cut_torn_records(run) == []
    for name in FILES:
        (run.folder / name).write_text("")
    others = ["out.other", "out.bec.ir.png", "out.bec.csv", "out.bec_1.npz", "out.pos_mine.xyz", "out.pos_0.xyz.old"]
    for name in others:  # also what `beadwise spectrum` makes of an output, beside it
        (run.folder / name).write_text(" #EXTRAS\n 1\n #EXTRAS\n 1\n half")
    assert cut_torn_records(run) == []


def test_outputs_in_another_folder(tmp_path):
    (tmp_path / "input.xml").write_text(INPUT.replace("prefix='out'", "prefix='a.b/out'"))
    (tmp_path / "a.b").mkdir()
    path = tmp_path / "a.b" / "out.md"
    path.write_text("".join(TABLE)[:-3])
    assert cut_torn_records(RunInput.read(tmp_path / "input.xml")) == [path]
