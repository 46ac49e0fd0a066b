"""Members of a committee that share one density: the same as models of their own, in one pass."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from beadwise.driver.doors.extras import encode_extras
from beadwise.model import Batch, Committee, Corrected, Model, ModelFileError, load, save
from beadwise.model.baselines import Harmonic
from beadwise.model.files import read as read_file
from beadwise.model.members import Members
from beadwise.model.training.envelope import Envelope
from beadwise.properties.quantities import BUILT_IN, COMMITTEE_PROPERTIES, properties
from beadwise.properties.quantities import UNCERTAINTIES as OF_ALL_QUANTITIES
from beadwise.pyx.tensor_head import TensorHead, feature_sizes, head_from_features
from equivariant_models import random_equivariant_model
from models import ORDERS, random_model, random_structure
from safetensors.numpy import save as serialise
from scipy.spatial.transform import Rotation

# those of what every model has
UNCERTAINTIES = (*(own for own in OF_ALL_QUANTITIES if properties()[own].quantity in BUILT_IN), "envelope_distance")
OF_MEMBERS = tuple(own for own in COMMITTEE_PROPERTIES if properties()[own].quantity in BUILT_IN)
COUNT = 5
FACTORS = {"energy": 1.7, "forces": 2.3, "dipole": 0.6, "polarizability": 1.2}
ENVELOPE = {"two_body_low": [[0.0] * 6] * 2, "two_body_high": [[1e-3] * 6] * 2}


def with_members(model: Model, factors: dict[str, float] = FACTORS, seed: int = 7) -> Model:
    """The model with deviations of random weights that add up to zero."""
    rng = np.random.default_rng(seed)
    deviations = {}
    for name, head in model.heads.items():
        weights = rng.normal(0, 0.01, (COUNT, model.shape.species * sum(feature_sizes(ORDERS[name], head.shape))))
        weights -= weights.mean(axis=0)
        deviations[name] = tuple(head_from_features(ORDERS[name], head.shape, own) for own in weights)
    return replace(model, members=Members(deviations, factors))


def apart(model: Model) -> Committee:
    """A committee of models, each with the weights of one member."""
    assert model.members is not None
    members = []
    for index in range(COUNT):
        heads = {}
        for name, head in model.heads.items():
            own, factor = model.members.deviations[name][index], FACTORS[name.split("_")[0]]
            heads[name] = TensorHead(
                head.order,
                head.shape,
                head.offset + factor * own.offset,
                head.linear + factor * own.linear,
                head.weights + factor * own.weights,
            )
        members.append(replace(model, heads=heads, members=None))
    return Committee(members)


def batch_of(*seeds: int) -> Batch:
    frames = [random_structure(seed) for seed in seeds]
    return Batch(
        frames[0].numbers,
        np.array([frame.positions for frame in frames]),
        np.array([frame.cell.array for frame in frames]),
        np.ones(3, dtype=bool),
    )


KINDS = {
    "linear": random_model,
    "network": lambda **own: random_model(hidden=(6,), **own),
    "products": lambda **own: random_equivariant_model(2, heads=tuple(ORDERS), **own),
    "messages": lambda **own: random_equivariant_model(2, heads=tuple(ORDERS), message=True, **own),
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Model:
    return with_members(KINDS[request.param](metadata={"envelope": ENVELOPE, "repeating_unit": "OHH"}))


def test_one_pass_is_a_committee_of_models(model: Model):
    batch, committee = batch_of(0, 1), apart(model)
    want = [name for name in committee.properties if name not in UNCERTAINTIES]
    assert set(OF_MEMBERS) <= set(want)
    together, one_by_one = model.evaluate(batch, want), committee.evaluate(batch, want)
    for name in want:
        if name.startswith("polarizability"):  # the local field of a mean is not the mean of local fields
            continue
        np.testing.assert_allclose(together[name], one_by_one[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_uncertainties_are_spreads(model: Model):
    batch = batch_of(0, 1)
    answer = model.evaluate(batch, ("committee_energy", "committee_forces", "energy_uncertainty", "forces_uncertainty"))
    np.testing.assert_allclose(answer.energy_uncertainty, answer.committee_energy.std(axis=1, ddof=1), rtol=1e-12)
    deviation = answer.committee_forces - answer.committee_forces.mean(axis=1, keepdims=True)
    expected = np.sqrt((deviation**2).sum(axis=1).mean(axis=-1) / (COUNT - 1)) * FACTORS["forces"] / FACTORS["energy"]
    np.testing.assert_allclose(answer.forces_uncertainty, expected, rtol=1e-10)


def test_the_model_itself_does_not_change(model: Model):
    batch, plain = batch_of(2), replace(model, members=None)
    for want in (plain.properties, ("energy", "committee_dipole"), ("forces", "committee_forces", "born_charges")):
        ordinary = [name for name in want if name in plain.properties]
        mixed, alone = model.evaluate(batch, want), plain.evaluate(batch, ordinary)
        for name in ordinary:
            np.testing.assert_allclose(mixed[name], alone[name], rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3)])
def test_forces_and_virials_of_members_are_derivatives(model: Model, field: tuple[float, float, float]):
    model, batch, step = model.in_field(field), batch_of(3), 1e-4
    answer = model.evaluate(batch, ("committee_forces", "committee_virial"))

    def energies(positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return model.evaluate(replace(batch, positions=positions, cells=cells), ("committee_energy",)).committee_energy

    for atom, axis in ((0, 1), (4, 2)):
        moved = np.zeros_like(batch.positions)
        moved[0, atom, axis] = step
        slope = energies(batch.positions + moved, batch.cells) - energies(batch.positions - moved, batch.cells)
        np.testing.assert_allclose(answer.committee_forces[:, :, atom, axis], -slope / (2 * step), atol=1e-7)
    if any(field):  # the strain of a dipole in a field has parts that a rotation of the cell changes
        return
    for row, column in ((0, 0), (1, 2)):
        strain = np.zeros((3, 3))
        strain[row, column] += step / 2
        strain[column, row] += step / 2
        pairs = [(batch.positions @ (np.eye(3) + s * strain), batch.cells @ (np.eye(3) + s * strain)) for s in (1, -1)]
        slope = energies(*pairs[0]) - energies(*pairs[1])
        np.testing.assert_allclose(answer.committee_virial[:, :, row, column], -slope / (2 * step), atol=1e-6)


def test_members_turn_with_the_structure(model: Model):
    want = ("committee_energy", "committee_forces", "committee_dipole", "committee_polarizability", *UNCERTAINTIES)
    atoms, rotation = random_structure(4), -Rotation.random(random_state=1).as_matrix()
    order = np.random.default_rng(0).permutation(len(atoms))
    turned = Atoms(
        atoms.numbers[order], atoms.positions[order] @ rotation.T + 0.7, cell=atoms.cell.array @ rotation.T, pbc=True
    )
    turned.positions[2] += turned.cell[1]
    before, after = (model.evaluate(Batch.from_ase(one), want) for one in (atoms, turned))
    close = {"rtol": 1e-10, "atol": 1e-10}
    for name in ("committee_energy", "energy_uncertainty", "envelope_distance"):
        np.testing.assert_allclose(after[name], before[name], **close)
    np.testing.assert_allclose(after.committee_forces, before.committee_forces[:, :, order] @ rotation.T, **close)
    np.testing.assert_allclose(after.committee_dipole, before.committee_dipole @ rotation.T, **close)
    expected = rotation @ before.committee_polarizability @ rotation.T
    np.testing.assert_allclose(after.committee_polarizability, expected, **close)
    # a root mean square over Cartesian components is one over any axes
    np.testing.assert_allclose(after.forces_uncertainty, before.forces_uncertainty[:, order], **close)


def test_parts_add_up(model: Model):
    batch = batch_of(0, 5)
    want = ("energy", "committee_forces", "committee_polarizability", "molecular_dipole", *UNCERTAINTIES)
    parts = [model.evaluate_part(batch, want, part, 3) for part in range(3)]
    joined = model.assemble(batch, want, [sum(arrays) for arrays in zip(*parts, strict=True)])
    whole = model.evaluate(batch, want)
    for name in want:
        np.testing.assert_allclose(joined[name], whole[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_file_holds_the_members(model: Model, tmp_path):
    save(model, tmp_path / "model.safetensors")
    read, batch = load(tmp_path / "model.safetensors"), batch_of(1)
    assert read.properties == model.properties and read.members.count == COUNT and read.members.factors == FACTORS
    for name in model.properties:
        np.testing.assert_array_equal(read.evaluate(batch, (name,))[name], model.evaluate(batch, (name,))[name])


def without_description(description: dict, arrays: dict) -> None:
    del description["members"]


def of_another_count(description: dict, arrays: dict) -> None:
    description["members"]["count"] = COUNT + 1


def without_an_array(description: dict, arrays: dict) -> None:
    del arrays["members.dipole.linear"]


def of_another_head(description: dict, arrays: dict) -> None:
    arrays["members.charge.linear"] = arrays["members.dipole.linear"]


def of_another_shape(description: dict, arrays: dict) -> None:
    arrays["members.dipole.linear"] = arrays["members.dipole.linear"][:, :, 1:].copy()


def not_finite(description: dict, arrays: dict) -> None:
    arrays["members.energy.weights"][0, 0, 0] = np.nan


def not_a_factor(description: dict, arrays: dict) -> None:
    description["members"]["calibration"]["energy"] = float("nan")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_description, "of members that the description does not have"),
        (of_another_count, "6 members have arrays of .5, 5, 5. for the energy head"),
        (without_an_array, "5 members have arrays of .5, 5. for the dipole head"),
        (of_another_head, "arrays .'members.charge.linear'. of members"),
        (of_another_shape, "linear of the λ = 1 head has shape"),
        (not_finite, "weights that are not finite"),
        (not_a_factor, "calibration energy = nan"),
    ],
)
def test_damaged_files_are_refused(damage, message: str, tmp_path):
    path = tmp_path / "model.safetensors"
    save(with_members(random_model()), path)
    description, arrays = read_file(path)
    damage(description, arrays)
    path.write_bytes(serialise(arrays, metadata={"beadwise": json.dumps(description)}))
    with pytest.raises(ModelFileError, match=message):
        load(path)


def test_files_without_members_stay_what_they_were(model: Model, tmp_path):
    save(replace(model, members=None), tmp_path / "model.safetensors")
    version = 6 if model.equivariant else 3
    assert read_file(tmp_path / "model.safetensors")[0]["format_version"] == version


def test_energies_of_a_correction_get_the_baseline(model: Model):
    batch, baseline = batch_of(1), Harmonic(k=0.3)
    whole = Corrected(baseline, model).evaluate(batch, ("committee_energy", "energy_uncertainty", "forces_uncertainty"))
    alone = model.evaluate(batch, ("committee_energy", "energy_uncertainty", "forces_uncertainty"))
    added = baseline.evaluate(batch, ("energy",)).energy
    np.testing.assert_allclose(whole.committee_energy, alone.committee_energy + added[:, None], rtol=1e-12)
    np.testing.assert_allclose(whole.energy_uncertainty, alone.energy_uncertainty, rtol=1e-12)
    np.testing.assert_allclose(whole.forces_uncertainty, alone.forces_uncertainty, rtol=1e-12)


def test_a_committee_of_models_tells_its_uncertainty(model: Model):
    committee, batch, want = apart(model), batch_of(0, 1), ("energy_uncertainty", "forces_uncertainty")
    apart_, together = committee.evaluate(batch, want), model.evaluate(batch, want)
    np.testing.assert_allclose(apart_.energy_uncertainty, together.energy_uncertainty, rtol=1e-9)
    ratio = FACTORS["forces"] / FACTORS["energy"]
    np.testing.assert_allclose(apart_.forces_uncertainty * ratio, together.forces_uncertainty, rtol=1e-9)


def test_extras_tell_the_uncertainties(model: Model):
    response = model.evaluate(batch_of(0, 1), UNCERTAINTIES)
    for bead, text in enumerate(encode_extras(response, UNCERTAINTIES)):
        told = json.loads(text)
        assert {name: len(told[name]) for name in told} == {
            "energy_uncertainty": 1, "forces_uncertainty": 9, "dipole_uncertainty": 1,
            "polarizability_uncertainty": 1, "envelope_distance": 1,
        }  # fmt: skip
        assert told["envelope_distance"][0] == response.envelope_distance[bead]


def test_envelope_counts_ranges():
    envelope = Envelope(np.array([[0.0, 1.0]]), np.array([[2.0, 1.5]]))
    density = np.array([[[1.0, 1.2], [2.5, 1.2], [-1.0, 1.75], [2.0, 1.0]]])
    np.testing.assert_allclose(envelope.distances(density, np.zeros(4, dtype=int)), [[0.0, 0.25, 0.5, 0.0]])
    # a channel without a range has a small one
    constant = Envelope(np.array([[0.0, 1.0]]), np.array([[2.0, 1.0]]))
    assert constant.distances(np.array([[[1.0, 1.1]]]), np.zeros(1, dtype=int))[0, 0] == pytest.approx(0.1 / 2e-6)


def test_a_species_that_never_varied_has_a_range_as_well():
    single, isolated = Envelope(np.ones((1, 2)), np.ones((1, 2))), Envelope(np.zeros((1, 2)), np.zeros((1, 2)))
    for envelope, inside in ((single, 1.0), (isolated, 0.0)):
        density = np.array([[[inside, inside], [inside, 1.5]]])
        distances = envelope.distances(density, np.zeros(2, dtype=int))[0]
        assert distances[0] == 0 and 1e5 < distances[1] < np.inf


@pytest.mark.parametrize("low", [-0.1, 0.02])
def test_an_isolated_atom_is_outside_where_training_had_none(low: float):
    envelope = {"two_body_low": [[low] * 6] * 2, "two_body_high": [[0.1] * 6] * 2}
    model = random_model(metadata={"envelope": envelope})
    atoms = Atoms("OOH", positions=[[0, 0, 0], [20, 0, 0], [40, 0, 0]])
    batch, want = Batch.from_ase(atoms), ("envelope_distance",)
    expected = max(0.0, low / (0.1 - low))
    assert model.evaluate(batch, want).envelope_distance[0] == pytest.approx(expected, rel=1e-12)
    parts = [model.evaluate_part(batch, want, part, 3) for part in range(3)]
    joined = model.assemble(batch, want, [sum(arrays) for arrays in zip(*parts, strict=True)])
    assert joined.envelope_distance[0] == pytest.approx(expected, rel=1e-12)


def test_without_an_envelope_there_is_no_distance():
    unseen = {"two_body_low": [[0.0] * 6, [np.inf] * 6], "two_body_high": [[1.0] * 6, [-np.inf] * 6]}
    assert "envelope_distance" not in random_model(metadata={"envelope": unseen}).properties
    assert "envelope_distance" not in random_model().properties
    assert "envelope_distance" not in random_model(metadata={"envelope": {"two_body_low": [1.0]}}).properties


def test_refusals(model: Model):
    assert model.members is not None
    deviations = model.members.deviations
    with pytest.raises(ModelFileError, match="at least 2"):
        Members({"energy": deviations["energy"][:1]})
    with pytest.raises(ModelFileError, match="same number"):
        Members({"energy": deviations["energy"], "dipole": deviations["dipole"][:3]})
    with pytest.raises(ModelFileError, match="calibration energy = 0"):
        Members(deviations, {"energy": 0.0})
    with pytest.raises(ModelFileError, match="calibration virial"):
        Members(deviations, {"virial": 1.0})
    with pytest.raises(ModelFileError, match="head 'dipole'"):
        random_model(heads=("energy",)).__class__(
            **{**vars_of(random_model(heads=("energy",))), "members": Members({"dipole": deviations["dipole"]})}
        )


def vars_of(model: Model) -> dict:
    names = ("numbers", "l_max", "radial", "heads", "repulsion")
    return {name: getattr(model, name) for name in names}
