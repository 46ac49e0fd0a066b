"""Structures in Å whose unit was forgotten are told; those that are in bohr, or name their unit, are not."""

import pytest
from ase.build import molecule
from beadwise.driver.launch.forgotten_units import remarks_about_units
from beadwise.runs.input.run_input import RunInput

INPUT = """<simulation>
  <output prefix='out'/> <total_steps> 10 </total_steps>
  <ffsocket mode='unix' name='a'> <address> a </address> </ffsocket>
  <system>
    <initialize nbeads='2'> <file mode='xyz'> start.xyz </file> </initialize>
    <forces> <force forcefield='a'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep> 20 </timestep> </dynamics> </motion>
  </system>
</simulation>"""
CELL = "# CELL(abcABC): 20 20 20 90 90 90 "


@pytest.mark.parametrize(
    ("comment", "scale", "words"),
    [
        (CELL, 1.0, "names no unit, so i-PI takes its positions as bohr, and O and H are 0.51 Å apart"),
        (CELL + "cell{angstrom}", 1.0, "names no unit"),
        (CELL + "cell{angstrom} positions{angstrom}", 1.0, ""),
        (CELL, 1 / 0.529177, ""),
    ],
)
def test_positions_that_are_squeezed(tmp_path, comment, scale, words):
    atoms = molecule("CH3CH2OH")
    rows = [
        f"{label} {' '.join(map(str, place))}"
        for label, place in zip(atoms.symbols, atoms.positions * scale, strict=True)
    ]
    (tmp_path / "start.xyz").write_text("\n".join([str(len(rows)), comment, *rows, ""]))
    (tmp_path / "in.xml").write_text(INPUT)
    found = remarks_about_units(RunInput.read(tmp_path / "in.xml", tmp_path))
    assert len(found) == bool(words) and all(words in one for one in found)
