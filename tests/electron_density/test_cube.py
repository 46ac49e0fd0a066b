"""`beadwise density`: cube files that ASE reads, with the density in them, and what is refused."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube_data
from ase.units import Bohr
from beadwise.driver.commands.group import main as cli
from beadwise.model.electron_density.file import save_density
from beadwise.model.electron_density.grids import density_on
from click.testing import CliRunner
from density_models import AT_MINIMUM, WATER, isolated, random_model, small_basis


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube")
    save_density(random_model(small_basis()), folder / "water.safetensors")
    Atoms("OHH", AT_MINIMUM).write(folder / "water.xyz")
    Atoms("CHH", AT_MINIMUM).write(folder / "other.xyz")
    return folder


def run(*words):
    return CliRunner().invoke(cli, ["density", *map(str, words)])


def test_the_cube_file_has_the_density(folder):
    result = run(
        folder / "water.safetensors", folder / "water.xyz", "--spacing", 0.2, "--json", folder / "numbers.json"
    )
    assert result.exit_code == 0, result.output
    numbers = json.loads((folder / "numbers.json").read_text())
    values, atoms = read_cube_data(str(folder / "water.cube"))
    assert list(values.shape) == numbers["points"] and abs(numbers["charge"]) < 1e-10
    np.testing.assert_allclose(atoms.positions, AT_MINIMUM, atol=1e-5)
    assert numbers["electrons_on_grid"] == pytest.approx(values.sum() * (0.2 / Bohr) ** 3, rel=1e-5)
    assert numbers["electrons_on_grid"] == pytest.approx(10, abs=0.1)  # no sharp cores in this basis
    model, place = random_model(small_basis()), np.array([9, 14, 11])
    point = AT_MINIMUM.min(axis=0) - 3.0 + 0.2 * place
    own = model.constrained(isolated(WATER, AT_MINIMUM))
    expected = density_on(model.basis, WATER, AT_MINIMUM / Bohr, own.coefficients[0], point[None] / Bohr)[0]
    assert values[tuple(place)] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(numbers["dipole"], own.dipoles[0], atol=1e-8)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("water.safetensors", "other.xyz"), "species C has no functions in this density"),
        (("nothing.safetensors", "water.xyz"), "no file"),
        (("water.xyz", "water.xyz"), "is not a readable file of an electron density"),
        (("water.safetensors", "water.xyz", "--spacing", "0.001"), "points; allowed are 2e+07 of them"),
        (("water.safetensors", "water.xyz", "--spacing", "1e-25"), "points; allowed are 2e+07 of them"),
        (("water.safetensors", "water.xyz", "--output", "water.xyz"), "would replace the structure 'water.xyz'"),
        (("water.safetensors", "water.xyz", "--output", "water.safetensors"), "would replace the model"),
    ],
)
def test_refusals(folder, monkeypatch, words, text):
    monkeypatch.chdir(folder)
    result = run(*words)
    assert result.exit_code == 2 and text in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output
