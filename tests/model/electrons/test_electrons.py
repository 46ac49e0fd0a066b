"""What a model says of electrons: consistent with its curve, with derivatives, the same from a file."""

from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.doors.guards import check_finite
from beadwise.errors import BeadwiseError, StructureWarning
from beadwise.model import Batch, ModelFileError, Response, StructureError, load, save
from beadwise.model.answers import values_of_atoms
from beadwise.model.committee import Committee
from beadwise.model.electrons.answers import ElectronsOfModel
from beadwise.model.evaluators import load_evaluator
from beadwise.model.members import single_member
from beadwise.model.mixtures.mixture import Mixture, Part
from beadwise.properties.curves import EnergyCurves
from beadwise.properties.density_of_states import DERIVED_NAMES, OF_CURVES, QUANTITY
from beadwise.properties.mermin import BOLTZMANN, electrons_of_levels
from models import random_curves, random_model, random_structure, with_members
from scipy.interpolate import CubicSpline

HEADS = ["energy", *(head.name for head in QUANTITY.heads)]
ATOMS = [random_structure(0), random_structure(1)]
THERMAL = "thermal_electronic_free_energy"


def model_of(temperature: float = 5000.0):
    model = random_model(heads=HEADS)
    return replace(model, electronic_temperature=temperature)


def answer(model, atoms, *want):
    return model.evaluate(Batch.from_ase(atoms), want)


@pytest.mark.parametrize("temperature", [1000.0, 5000.0])
def test_answers_are_those_of_the_curve(temperature):
    model = model_of(temperature)
    response = answer(model, ATOMS, "density_of_states", *DERIVED_NAMES)
    fine = np.arange(-8, 7.8, 0.005)
    for bead, curve in enumerate(response.density_of_states):
        weights = CubicSpline(model.curves.energies, curve)(fine) * 0.005
        expected = electrons_of_levels(fine, weights, len(ATOMS[0]), temperature)
        bias = -0.5 * 0.1**2 * expected.density
        assert response["fermi_level"][bead] == pytest.approx(expected.chemical_potential, abs=1e-5)
        assert response["density_at_fermi_level"][bead] == pytest.approx(expected.density, rel=1e-4)
        assert response["electronic_free_energy"][bead] == pytest.approx(expected.free_energy - bias, abs=1e-4)
        assert response["electronic_entropy"][bead] == pytest.approx(expected.entropy, rel=2e-4)
        assert response["electronic_heat_capacity"][bead] == pytest.approx(expected.heat_capacity, rel=2e-4)
        free = response["band_energy"][bead] - BOLTZMANN * temperature * response["electronic_entropy"][bead]
        assert response["electronic_free_energy"][bead] == pytest.approx(free, rel=1e-12)
        assert response[THERMAL][bead] < 0


def test_forces_and_virial_by_finite_differences():
    model, step = model_of(), 1e-4
    response = answer(model, ATOMS[:1], "energy", "forces", "thermal_electronic_forces", "thermal_electronic_virial")
    np.testing.assert_allclose(response.forces, answer(model, ATOMS[:1], "forces").forces, rtol=1e-12, atol=1e-14)
    scale = np.abs(response["thermal_electronic_forces"]).max()
    assert scale > 1e-4
    for atom, axis in [(0, 0), (4, 2), (7, 1)]:
        sides = []
        for sign in (1, -1):
            moved = ATOMS[0].copy()
            moved.positions[atom, axis] += sign * step
            sides.append(answer(model, [moved], THERMAL)[THERMAL][0])
        received = response["thermal_electronic_forces"][0, atom, axis]
        assert received == pytest.approx((sides[1] - sides[0]) / (2 * step), abs=1e-6 * scale + 1e-10)
    for i, j in [(0, 0), (1, 2)]:
        sides = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            moved = ATOMS[0].copy()
            moved.set_cell(moved.cell.array @ strain, scale_atoms=True)
            sides.append(answer(model, [moved], THERMAL)[THERMAL][0])
        received = response["thermal_electronic_virial"][0, i, j]
        assert received == pytest.approx((sides[1] - sides[0]) / (2 * step), abs=1e-6 * scale + 1e-8)


def test_beads_answer_for_themselves():
    model = model_of()
    want = ["density_of_states", *DERIVED_NAMES]
    together, alone = answer(model, ATOMS, *want), [answer(model, [one], *want) for one in ATOMS]
    for name in want:
        own = np.concatenate([one[name] for one in alone])
        np.testing.assert_allclose(together[name], own, rtol=1e-11, atol=1e-12 * np.abs(own).max())


def model_with_members():
    return with_members(model_of(), HEADS[1:], {"density_of_states": 1.3})


def test_members_have_electrons_of_their_own():
    model = model_with_members()
    want = [f"committee_{name}" for name in OF_CURVES]
    response = answer(model, ATOMS, *want, *(f"{name}_uncertainty" for name in OF_CURVES))
    alone = [answer(single_member(model, member), ATOMS, *OF_CURVES) for member in range(3)]
    for name in OF_CURVES:
        own = np.stack([one[name] for one in alone], axis=1)
        assert response[f"committee_{name}"].shape == (2, 3)
        np.testing.assert_allclose(response[f"committee_{name}"], own, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(response[f"{name}_uncertainty"], own.std(axis=1, ddof=1), rtol=1e-8)
        assert (response[f"{name}_uncertainty"] > 0).all()
    assert "committee_thermal_electronic_forces" not in model.properties


def test_members_of_a_committee_and_of_a_part_have_electrons():
    model = model_with_members()
    each = Committee([single_member(model, member) for member in range(3)])
    whole = answer(model, ATOMS, "committee_fermi_level", "committee_density_of_states")
    np.testing.assert_allclose(
        answer(each, ATOMS, "committee_fermi_level")["committee_fermi_level"],
        whole["committee_fermi_level"],
        rtol=1e-10,
    )
    part = Mixture({"density_of_states": [Part(model)]})
    np.testing.assert_array_equal(
        answer(part, ATOMS, "committee_fermi_level")["committee_fermi_level"], whole["committee_fermi_level"]
    )
    assert "committee_fermi_level" not in Mixture({"density_of_states": [Part(model, 2.0)]}).properties


def test_members_without_electrons_have_curves_alone():
    model = model_with_members()
    bare = replace(model, curves=replace(model.curves, electrons=()))
    assert "committee_density_of_states" in bare.properties
    assert not [name for name in bare.properties if "fermi" in name]


def test_the_mean_curve_has_a_lower_free_energy():
    model = model_of()
    response = answer(model, ATOMS, "density_of_states", THERMAL, "electronic_free_energy")
    mean = model.curves.form.components(response.density_of_states.mean(axis=0))
    own = model.electrons.at_temperature.fill(mean[None], float(len(ATOMS[0])))
    each = model.electrons.at_temperature.fill(model.curves.form.components(response.density_of_states), 9.0)
    assert own.free_energy[0] < each.free_energy.mean()


def test_a_file_keeps_the_axis(tmp_path):
    model = model_of(300.0)
    save(model, tmp_path / "own.safetensors")
    again = load(tmp_path / "own.safetensors")
    want = ["density_of_states", *DERIVED_NAMES]
    for name in want:
        np.testing.assert_array_equal(answer(again, ATOMS, *want)[name], answer(model, ATOMS, *want)[name])
    np.testing.assert_array_equal(again.curves.energies, model.curves.energies)


def test_without_electrons_there_is_the_curve_alone():
    model = random_model(heads=HEADS)
    model = replace(model, curves=replace(model.curves, electrons=()))
    assert "density_of_states" in model.properties and not set(DERIVED_NAMES) & set(model.properties)


def test_what_is_refused():
    model = random_model(heads=HEADS)
    for change, said in [
        ({"curves": None}, "without an axis of energies"),
        ({"heads": {"energy": model.heads["energy"]}}, "no heads for it"),
        ({"curves": replace(model.curves, electrons=(1.0,))}, "1 numbers of electrons for 2 species"),
        ({"curves": replace(model.curves, basis=random_curves(2).basis[:5])}, "5 coefficients; allowed are 24"),
    ]:
        with pytest.raises(ModelFileError, match=said):
            replace(model, **change)
    full = replace(model, curves=replace(model.curves, electrons=(40.0, 40.0)))
    with pytest.raises(StructureError, match="360 electrons in a density of states"):
        answer(full, ATOMS, "fermi_level")


def saved(folder, name="own.safetensors", heads=HEADS):
    save(random_model(heads=heads), folder / name)
    return folder / name


def test_a_heat_capacity_below_zero_is_no_number():
    """A fitted curve that is a little below zero in a gap: what it says of electrons there is nothing."""
    step = 0.05
    energies = -8 + step * np.arange(321)

    def bump(place, height, width):
        return height * np.exp(-(((energies - place) / width) ** 2))

    bands = bump(-3.5, 6.65, 0.85) + bump(3.5, 6.65, 0.85)
    curve = (bands + bump(0.0, 0.2, 0.2) + bump(-0.4, -0.1, 0.2) + bump(0.4, -0.1, 0.2))[None]
    coefficients, species = np.array([[np.linalg.norm(curve)]]), np.array([0])
    half = step * curve.sum() / 2
    electrons = ElectronsOfModel(EnergyCurves(-8.0, step, curve / coefficients, 0.1, (half,)), 2000.0)
    found = electrons.filled(coefficients, species)
    assert found.heat_capacity[0] < 0, found
    with pytest.warns(StructureWarning, match="ripples below zero") as told:
        for _ in range(2):
            answers = electrons.properties(("electronic_heat_capacity",), coefficients, species)
    assert np.isnan(answers["electronic_heat_capacity"]).all() and len(told) == 1
    check_finite(Response(**answers))  # a run goes on
    check_finite(Response(committee_electronic_heat_capacity=np.full((1, 3), np.nan)))
    with pytest.raises(StructureError, match="fermi_level of bead 0 is not finite"):
        check_finite(Response(fermi_level=np.array([np.nan])))


def test_the_name_that_says_a_temperature(tmp_path):
    path = saved(tmp_path)
    warm = load_evaluator(f"electrons:temperature=5000,{path}")
    expected = answer(model_of(), ATOMS, "energy", *DERIVED_NAMES)
    received = answer(warm, ATOMS, "energy", *DERIVED_NAMES)
    for name in ("energy", *DERIVED_NAMES):
        np.testing.assert_array_equal(received[name], expected[name])


def test_dynamics_with_electrons(tmp_path):
    """Energy, forces and virial have A(T) − A(0) in them, of one model and of one made of parts."""
    path, step = saved(tmp_path), 1e-4
    saved(tmp_path, "curve.safetensors", HEADS[1:])
    (tmp_path / "parts.toml").write_text(
        "[energy]\nmodel = 'own.safetensors'\n[density_of_states]\nmodel = 'curve.safetensors'\n", encoding="utf-8"
    )
    plain = answer(load_evaluator(str(path)), ATOMS, "energy", "forces", "virial")
    for name in (path, tmp_path / "parts.toml"):
        hot = load_evaluator(f"electrons:temperature=5000,forces=yes,{name}")
        warm = answer(hot, ATOMS, "energy", "forces", "virial", THERMAL)
        np.testing.assert_allclose(warm.energy, plain.energy + warm[THERMAL], rtol=1e-13)
        assert np.abs(warm.virial - plain.virial).max() > 1e-5
        sides = []
        for sign in (1, -1):
            moved = ATOMS[0].copy()
            moved.positions[4, 1] += sign * step
            sides.append(answer(hot, [moved], "energy").energy[0])
        scale = np.abs(warm.forces).max()
        assert warm.forces[0, 4, 1] == pytest.approx((sides[1] - sides[0]) / (2 * step), abs=1e-6 * scale)
    assert "committee_energy" not in hot.properties


def test_names_that_are_refused(tmp_path):
    path, plain = saved(tmp_path), saved(tmp_path, "energy.safetensors", ["energy"])
    only = saved(tmp_path, "curve.safetensors", HEADS[1:])
    for name, said in [
        (f"electrons:{path}", "says no electronic temperature"),
        (f"electrons:temperature=warm,{path}", "says no electronic temperature"),
        (f"electrons:temperature=300,forces=maybe,{path}", "forces other than yes and no"),
        (f"electrons:temperature=20,{path}", "20 K; allowed are 0, and 50"),
        (f"electrons:temperature=-5,{path}", "-5 K"),
        (f"electrons:temperature=300,electrons:temperature=900,{path}", "says two electronic temperatures"),
        (f"electrons:temperature=300,{plain}", "has no density_of_states with numbers of electrons"),
        (f"electrons:temperature=300,forces=yes,{only}", "has no energy that the free energy of electrons"),
    ]:
        with pytest.raises(BeadwiseError, match=said):
            load_evaluator(name)


def test_what_is_no_multiple_or_mean_of_curves(tmp_path):
    """A unit of the curve is none of the Fermi level; curves on two axes have no mean."""
    path = saved(tmp_path)
    (tmp_path / "unit.toml").write_text(f"[density_of_states]\nmodel = '{path}'\nunit = '1/Ha'\n", encoding="utf-8")
    found = load_evaluator(str(tmp_path / "unit.toml"))
    assert "density_of_states" in found.properties and not set(DERIVED_NAMES) & set(found.properties)
    model = random_model(heads=HEADS)
    other = replace(model, curves=replace(model.curves, first=-7.0))
    with pytest.raises(BeadwiseError, match=r"from -8 eV .* from -7 eV .* one axis"):
        Committee([model, other])


def test_curves_are_sums_of_those_of_atoms():
    model, batch = model_of(), Batch.from_ase(ATOMS)
    whole = model.evaluate(batch, ("energy", "forces", "density_of_states")).density_of_states
    of_atoms = values_of_atoms(model, batch, "density_of_states")
    np.testing.assert_allclose(whole, of_atoms.sum(axis=1), rtol=1e-11, atol=1e-13)
