"""Extended xyz as people write it: read as it is meant, or refused in one line that names frame and line."""

import io

import ase.io
import numpy as np
import pytest
from beadwise.extended_xyz import FormatError, frames_of_text
from places import INPUTS

WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


def frames(text, **options):
    return list(frames_of_text(io.StringIO(text), "a.xyz", **options))


def one(comment, atoms=WATER):
    (frame,) = frames(f"{len(atoms.splitlines())}\n{comment}\n{atoms}")
    return frame


def test_empty_lines_between_frames_are_no_end():
    frame = f"3\nenergy=1\n{WATER}"
    assert len(frames(frame + "\n" + frame + "\n\n  \n" + frame + "\n")) == 3
    assert [len(found) for found in frames("1\n\nH 0 0 0\n2\n\nH 0 0 0\nH 1 0 0\n")] == [1, 2]


@pytest.mark.parametrize("symbols", ["O D H", "8 1 1", "o h H", "O T D"])
def test_symbols_of_elements_isotopes_and_numbers(symbols):
    lines = [
        f"{symbol} {line.split(maxsplit=1)[1]}"
        for symbol, line in zip(symbols.split(), WATER.splitlines(), strict=True)
    ]
    frame = one("", "\n".join(lines) + "\n")
    assert frame.numbers.tolist() == [8, 1, 1]
    expected = {"D": 2.014, "T": 3.016}.get(symbols.split()[1], 1.008)
    assert frame.get_masses()[1] == pytest.approx(expected, abs=1e-3)


def test_numbers_of_elements_in_a_column():
    frame = one("Properties=Z:I:1:pos:R:3", "8 0 0 0\n1 1 0 0\n")
    assert frame.numbers.tolist() == [8, 1]


def test_a_lattice_of_zeros_is_no_cell():
    assert not one('Lattice="0 0 0 0 0 0 0 0 0"').pbc.any()
    assert one('Lattice="9 0 0 0 9 0 0 0 0"').pbc.tolist() == [True, True, False]
    assert one('lattice="9 0 0 0 8 0 0 0 7" PBC="T F T"').cell.lengths().tolist() == [9, 8, 7]
    assert one('lattice="9 0 0 0 8 0 0 0 7" PBC="T F T"').pbc.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "written",
    [
        'stress="1 2 3 4 5 6"',
        "stress=[1, 2, 3, 4, 5, 6]",
        "stress={1 2 3 4 5 6}",
        'virial="1 2 3 4 5 6 7 8 9"',
        "virial=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]",
        'stress = "[[1, 2, 3], [4, 5, 6], [7, 8, 9]]"',
    ],
)
def test_tensors_of_six_and_nine_numbers_and_in_brackets(written):
    found = one(written + ' Lattice="9 0 0 0 9 0 0 0 9"').info
    values = found.get("stress", found.get("virial"))
    assert np.ravel(values).tolist() == list(range(1, len(np.ravel(values)) + 1))


def test_json_of_ase_is_kept():
    assert one('parts="_JSON [[1.0, 2.0], [3.0, 4.0]]"').info["parts"].tolist() == [[1, 2], [3, 4]]


def test_columns_with_colons_in_their_names():
    frame = one("Properties=species:S:1:pos:R:3:mtt::aux:R:2:fixed:L:1", "O 0 0 0 1 2 T\nH 1 0 0 3 4 F\n")
    assert frame.arrays["mtt::aux"].tolist() == [[1, 2], [3, 4]] and frame.arrays["fixed"].tolist() == [True, False]


def test_a_file_that_grows():
    whole = f"3\nenergy=1\n{WATER}"
    for end in ("3\nenergy=2\nO 0 0 0\n", "3", "3\n", whole[:-1], whole[:-4]):
        assert len(frames(whole + end, is_growing=True)) == 1
    for end in ("3\nenergy=2\nO 0 0 0\n", "3", "3\n"):
        with pytest.raises(FormatError, match=r"frame 1 of 'a.xyz', line 6: 3 atoms are announced"):
            frames(whole + end)


@pytest.mark.parametrize(
    ("comment", "atoms", "said"),
    [
        ("", "O 0 0 0\nH1 0 0 1\n", "atom 1 is 'H1'"),
        ("", "X 0 0 0\n", "atom 0 is 'X'"),
        ("", "O 0 0\n", "atom 0 in line 3 has 3 columns; 4 are needed"),
        ("", "O 0 0 zero\n", "pos of atom 0 in line 3 is 'zero'"),
        ("Properties=species:S:1:pos:R:3:forces:R:3", "O 0 0 0 1 2\n", "has 6 columns; 7 are needed"),
        ("Properties=species:S:1:pos:R:3", "O 0 0 0 1 2 3\n", "has 7 columns; 4 are needed"),
        ("Properties=species:S:1:pos", "O 0 0 0\n", "not understood at 'pos'"),
        ("Properties=species:S:1:pos:R:3:pos:R:3", "O 0 0 0 0 0 0\n", "names a column twice"),
        (f"Properties=species:S:1:pos:R:{'3' * 5000}", "O 0 0 0\n", "is not understood"),
        ("Properties=species:S:1:xyz:R:3", "O 0 0 0\n", "no three columns of positions"),
        ("Properties=pos:R:3", "0 0 0\n", "no column of chemical symbols"),
        ('Lattice="1 2 3"', "O 0 0 0\n", "nine finite numbers"),
        ('Lattice="9 0 0 0 9 0 0 0 nan"', "O 0 0 0\n", "nine finite numbers"),
        ('Lattice="0 0 0 0 0 0 0 0 0" pbc="T T T"', "O 0 0 0\n", "with pbc T T T"),
        ('pbc="T T T"', "O 0 0 0\n", "a periodic direction needs a lattice vector"),
        ('pbc="yes"', "O 0 0 0\n", "three of T and F are needed"),
        ("# CELL(abcABC): 9 9 9 90 90 90 positions{angstrom}", "O 0 0 0\n", "that of a file of i-PI"),
        ("energy=1 energy=2", "O 0 0 0\n", "'energy' stands twice"),
        ('note="a = b, a = c" energy="1', "O 0 0 0\n", "a quotation mark has no other"),
        ('energy=1 lattice="9 0 0 0 9 0 0 0 9" Lattice="8 0 0 0 8 0 0 0 8"', "O 0 0 0\n", "stands twice"),
    ],
)
def test_what_is_not_understood_names_the_frame(comment, atoms, said):
    text = f"3\n\n{WATER}"
    with pytest.raises(FormatError) as caught:
        frames(f"{len(atoms.splitlines())}\n{comment}\n{atoms}")
    assert "frame 0 of 'a.xyz'" in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(FormatError, match=r"frame 1 of 'a.xyz', line 6"):
        frames(text + f"{len(atoms.splitlines())}\n{comment}\n{atoms}")


def test_what_ase_writes_of_a_file_that_i_pi_reads_too(tmp_path):
    box = ase.io.read(INPUTS / "water_32.xyz")  # i-PI's words of the cell are among its info then
    ase.io.write(tmp_path / "again.xyz", box, format="extxyz")
    with open(tmp_path / "again.xyz", encoding="utf-8") as file:
        (again,) = frames_of_text(file, "again.xyz")
    np.testing.assert_allclose(again.cell.array, box.cell.array)
    np.testing.assert_allclose(again.positions, box.positions, atol=1e-7)
