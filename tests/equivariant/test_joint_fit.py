"""One equivariant network for several quantities: its loss, what it says of itself, and what a configuration does."""

from dataclasses import replace

import numpy as np
import pytest
from ase.io import write
from beadwise.errors import BeadwiseError
from beadwise.learning.data import Frame
from beadwise.learning.data.branches import lattice_quantum
from beadwise.learning.fitting.configuration import ConfigurationError, EquivariantSettings, read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.fit_data import FitData
from beadwise.learning.fitting.network_steps import gain_text
from beadwise.model import Batch
from beadwise.properties.quantities import quantities
from equivariant_models import random_equivariant_model
from models import random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.equivariant.objective import Objective, examples_of  # noqa: E402
from beadwise.learning.fitting.equivariant.quantity_labels import FittedQuantity, QuantityLabels  # noqa: E402
from beadwise.learning.fitting.equivariant.quantity_loss import random_directions  # noqa: E402
from beadwise.learning.fitting.equivariant.sources import answer_from_kernel, answer_from_pairs  # noqa: E402
from beadwise.learning.fitting.equivariant.surroundings import gather  # noqa: E402
from beadwise.learning.fitting.equivariant.torch_network import TorchEquivariant  # noqa: E402
from beadwise.learning.fitting.equivariant.training import fit_equivariant, units_of_heads  # noqa: E402
from beadwise.learning.fitting.target_fit import Target  # noqa: E402
from beadwise.model.outputs import empty_head  # noqa: E402

BORN_CHARGES = "born_effective_charges"
OF_MODEL = {"dipole": "dipole", BORN_CHARGES: "born_charges", "polarizability": "polarizability"}
ALL = ("energy", "dipole", "polarizability_isotropic", "polarizability_anisotropic")
SETTINGS = EquivariantSettings(channels=8, l_max=2, hidden=[8], epochs=30, batch=2, learning_rate=0.01)
ROLES = {"training": ["train"], "validation": ["valid"], "independent": []}


def truth(seed=5, **sizes):
    return random_equivariant_model(seed, heads=ALL, **sizes)


def frames(model, count, first=0, names=tuple(OF_MODEL), quantum=False):
    """Structures with what a model says of them; dipoles then on some branch or other."""
    found = []
    for seed in range(first, first + count):
        atoms = random_structure(seed, molecules=2)
        answer = model.evaluate(Batch.from_ase(atoms), [OF_MODEL[name] for name in names])
        labels = {name: np.array(answer[OF_MODEL[name]][0]) for name in names}
        found.append(Frame(atoms, labels, quantum=lattice_quantum(atoms) if quantum else None))
    return found


def fitted(*names, length=0.5):
    return tuple(FittedQuantity(quantities()[name], length if name == "dipole" else 0.0, 1.0, {}) for name in names)


def empty(model):
    """A model without anything but heads that give zero."""
    return replace(
        model,
        equivariant=None,
        heads={name: empty_head(head.order, model.shape) for name, head in model.heads.items()},
    )


def objective_of(model, data, own, sent=0):
    """The loss of a network with random readouts in double precision."""
    torch.manual_seed(0)
    heads = {head.name: head.order for one in own for head in one.heads}
    examples = examples_of(model, data, None, own)
    network = TorchEquivariant(model, 8, 2, (5, 6), heads, sent)
    for layer in network.layers:
        for readout in (layer.linear, layer.nonlinear):
            for weights in readout.values():
                torch.nn.init.normal_(weights)
    network.double()
    like = torch.zeros(1, dtype=torch.float64)
    network.measure(gather(model, [one.structure for one in examples], 2, like), units_of_heads(examples, own))
    nothing = np.zeros(len(model.numbers), dtype=bool)
    return Objective(model, network, nothing, examples, own), examples


def test_labels_keep_their_weights():
    """What a label counts besides others is that of linear fits, when a model's own part is taken off."""
    model, (dipole,) = empty(truth()), fitted("dipole")
    (frame,) = frames(truth(), 1, names=("dipole",))
    plain = dipole.labels_of(model, frame)
    heavy = dipole.labels_of(model, replace(frame, label_weights={"dipole": 9.0}))
    assert (plain.targets[0].weight, heavy.targets[0].weight) == (1.0, 9.0)
    assert dipole.loss_of_nothing([heavy], 1) == pytest.approx(9 * dipole.loss_of_nothing([plain], 1))


@pytest.mark.parametrize("sent", [0, 8])
def test_the_loss_is_that_of_what_the_network_becomes(sent):
    model, own = empty(truth()), fitted("dipole", "polarizability")
    data = frames(truth(), 2) + frames(truth(), 1, first=7, names=("polarizability",))
    data[0].labels[BORN_CHARGES][2] = np.nan  # an atom without a label
    objective, examples = objective_of(model, data, own, sent)
    loss, _, errors = objective(examples, False)
    network, constants = objective.network.fitted()
    heads = {name: replace(head, offset=head.offset + constants.get(name, 0.0)) for name, head in model.heads.items()}
    whole = replace(model, equivariant=network, heads=heads)
    expected = {"dipole": 0.0, "polarizability": 0.0}
    nothing = dict(expected)
    for frame in data:
        batch, count = Batch.from_ase(frame.atoms), len(frame.atoms)
        answer = whole.additive.evaluate(batch, list(OF_MODEL.values()))
        for name, value in frame.labels.items():
            if name == "polarizability" and model.local_field:
                volume = np.array([frame.atoms.get_volume()])
                value = quantities()[name].cell_map.invert(value[None], volume)[0]
            own_weight = 0.5**2 if name == BORN_CHARGES else 1 / count
            key = "dipole" if name == BORN_CHARGES else name
            expected[key] += own_weight * np.nansum((answer[OF_MODEL[name]][0] - value) ** 2) / (3 * count)
            nothing[key] += own_weight * np.nansum(value**2) / (3 * count)
    ratio = np.mean([expected[key] / nothing[key] for key in expected])
    assert float(loss.detach()) == pytest.approx(ratio, rel=1e-8)
    said = {
        name: own for one, found in zip(own, errors, strict=True) for name, own in one.errors_in_units(found).items()
    }
    answers = [whole.evaluate(Batch.from_ase(frame.atoms), list(OF_MODEL.values())) for frame in data]
    for name, value in said.items():
        pairs = [
            (answer[OF_MODEL[name]][0], f.labels[name])
            for answer, f in zip(answers, data, strict=True)
            if name in f.labels
        ]
        differences = np.concatenate([(one - other).ravel() for one, other in pairs])
        assert value == pytest.approx(np.sqrt(np.nanmean(differences**2)), rel=1e-7)


def test_random_directions_have_the_mean_of_all():
    random = np.random.default_rng(1)
    drawn = np.concatenate([random_directions(random, 4, 3)[0] for _ in range(5000)])
    np.testing.assert_allclose(drawn.T @ drawn / len(drawn), np.eye(3), atol=0.02)


def test_what_is_no_number_is_no_missing_label():
    objective, examples = objective_of(empty(truth()), frames(truth(), 2), fitted("dipole"))
    with torch.no_grad():
        objective.network.layers[0].contraction.fill_(np.nan)
    assert not torch.isfinite(objective(examples, True)[0]) and not torch.isfinite(objective(examples, False)[0])


def test_errors_have_the_pseudotensors_that_no_network_gives():
    (shielding,), components = fitted("shielding"), np.zeros((2, 9))
    components[:, 6:] = 1.0  # what the linear head of the antisymmetric part leaves over
    labels = QuantityLabels((Target(components, np.arange(2)),), (np.full((2, 9), 3.0),), None, 0.0, 1.0)
    expected = np.sqrt(np.mean(shielding.quantity.form.cartesian(components) ** 2))
    found = shielding.errors_in_units([(labels, [np.zeros((2, 6))], None)])
    assert found == {"shielding": pytest.approx(expected)} and expected > 0.1


def test_a_fit_that_diverges_is_refused():
    data, wild = frames(truth(), 2), replace(SETTINGS, learning_rate=1e6, epochs=5)
    with pytest.raises(ConfigurationError, match=r"diverged at step . of 5 with learning_rate = 1000000"):
        fit_equivariant(empty(truth()), data, None, wild, validation=data, quantities=fitted("dipole"))


def test_a_state_of_other_labels_or_lengths_is_not_gone_on_with(tmp_path):
    data, short = frames(truth(), 2), replace(SETTINGS, epochs=1, batch=1)

    def steps(own, quantities):
        told = []
        fit_equivariant(empty(truth()), own, None, short, lambda *one: told.append(one[1]), kept=tmp_path / "state.pt",
                        quantities=quantities)  # fmt: skip
        return told

    assert steps(data, fitted("dipole")) == [0, 1, 2] and steps(data, fitted("dipole")) == [2]
    assert steps(data, fitted("dipole", length=0.4)) == [0, 1, 2]
    assert steps([replace(own, weight=0.5) for own in data], fitted("dipole", length=0.4)) == [0, 1, 2]
    assert steps(data, fitted("dipole", "polarizability", length=0.4)) == [0, 1, 2]


def test_the_gradient_of_the_loss_is_its_derivative():
    """Born charges are trained through second derivatives."""
    model, own = empty(truth()), fitted("dipole")
    objective, examples = objective_of(model, frames(truth(), 2), own)

    def loss():
        objective.random = np.random.default_rng(3)
        return objective(examples, True)[0]

    weights = objective.network.layers[0].contraction
    loss().backward()
    place, step, values = (1, 1, 2, 3), 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            weights[place] += sign * step
        values.append(float(loss().detach()))
        with torch.no_grad():
            weights[place] -= sign * step
    assert float(weights.grad[place]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_the_kernel_says_what_pairs_say():
    """Networks without messages are trained on the kernel's densities, others on pairs."""
    model, own = empty(truth()), fitted("dipole", "polarizability")
    objective, examples = objective_of(model, frames(truth(), 2), own)
    answers = [
        answer_from_kernel(objective.network, [one.structure for one in examples]),
        answer_from_pairs(model, objective.network, [one.structure for one in examples]),
    ]
    gradients = [own.gradients(own.outputs["dipole"][:, 1].sum(), False) for own in answers]
    for one, other in zip(answers[0].outputs.values(), answers[1].outputs.values(), strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=1e-9, atol=1e-10)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=1e-8, atol=1e-9)
    assert (answers[0].order == answers[1].order).all()


def test_it_learns_several_quantities_and_says_how_well():
    data, others = frames(truth(), 5), frames(truth(), 2, first=10)
    model = fit_equivariant(
        empty(truth()), data, None, SETTINGS, validation=others, quantities=fitted("dipole", "polarizability")
    )
    said = model.metadata["network"]["quantities"]
    assert set(said) == set(OF_MODEL)
    for name, found in said.items():
        answers = [model.evaluate(Batch.from_ase(one.atoms), (OF_MODEL[name],))[OF_MODEL[name]][0] for one in others]
        differences = [answer - one.labels[name] for answer, one in zip(answers, others, strict=True)]
        spread = np.sqrt(np.mean(np.concatenate([one.labels[name].ravel() for one in others]) ** 2))
        assert found == pytest.approx(np.sqrt(np.mean(np.concatenate(differences) ** 2)), rel=1e-3)
        assert found < 0.9 * spread


CONFIGURATION = """
[data]
train = ["train.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[dipole]
l_max = 2
{sections}
[equivariant]
channels = 8
l_max = 2
hidden = [8]
epochs = {epochs}
{lines}
[output]
model = "model.safetensors"
"""


def configured(folder, lines="", sections="", epochs=2):
    (folder / "fit.toml").write_text(CONFIGURATION.format(lines=lines, sections=sections, epochs=epochs))
    return read_configuration(folder / "fit.toml")


def data_of(names=("dipole", BORN_CHARGES), quantum=False, shift=0):
    sets = {
        "train": frames(truth(), 4, names=names, quantum=quantum),
        "valid": frames(truth(), 2, first=7, names=names, quantum=quantum),
    }
    for own in sets.values():
        for place, frame in enumerate(own):
            if shift:
                frame.labels["dipole"] = frame.labels["dipole"] + (np.array([1, -2, 3]) * shift * place) @ frame.quantum
    return FitData(sets, ROLES)


def test_dipoles_alone_are_fitted(tmp_path):
    """Without an energy; what came out is told, label by label."""
    model = fit(configured(tmp_path), data=data_of())
    assert model.equivariant.heads == ("dipole",) and "energy" not in model.quantities
    assert not model.heads["dipole"].weights.any()
    text = gain_text(model)
    assert len(text) == 1 and "root mean square errors on validation frames" in text[0]
    assert "born_effective_charges" in text[0] and "dipole" in text[0]


def test_a_model_to_start_from_is_looked_for_before_heads_are_fitted(tmp_path):
    told = []
    with pytest.raises(BeadwiseError, match=r"no model '.*none.safetensors'"):
        fit(configured(tmp_path, 'start = "none.safetensors"'), lambda *own: told.append(own), data_of())
    assert not told


def test_lattice_vectors_in_labels_change_nothing(tmp_path):
    models = [fit(configured(tmp_path), data=data_of(quantum=True, shift=shift)) for shift in (0, 2)]
    atoms = random_structure(20, molecules=2)
    one, other = (model.evaluate(Batch.from_ase(atoms), ("dipole", "born_charges")) for model in models)
    np.testing.assert_allclose(one.dipole, other.dipole, atol=1e-10)
    np.testing.assert_allclose(one.born_charges, other.born_charges, atol=1e-10)
    said = [model.metadata["equivariant"] for model in models]
    for kind in ("linear", "network"):
        assert said[0][kind]["quantities"] == pytest.approx(said[1][kind]["quantities"], rel=1e-9)


def test_linear_heads_stay_where_they_are_named(tmp_path):
    lines = 'linear = ["dipole"]'
    own = data_of(tuple(OF_MODEL))
    model = fit(configured(tmp_path, lines, "[polarizability]\nl_max = 2"), data=own)
    assert model.heads["dipole"].weights.any()
    assert not model.heads["polarizability_anisotropic"].weights.any()
    assert model.heads["polarizability_isotropic"].offset.any()
    assert set(model.equivariant.heads) == {"dipole", "polarizability_isotropic", "polarizability_anisotropic"}
    linear = fit(configured(tmp_path, "weights = {polarizability = 0}", "[polarizability]\nl_max = 2"), data=own)
    assert linear.equivariant.heads == ("dipole",) and linear.heads["polarizability_isotropic"].weights.any()


def test_answers_turn_with_the_structure(tmp_path):
    model = fit(configured(tmp_path, sections="[polarizability]\nl_max = 2"), data=data_of(tuple(OF_MODEL)))
    atoms = random_structure(21, molecules=2)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    matrix = np.linalg.lstsq(atoms.cell.array, turned.cell.array, rcond=None)[0].T
    one, other = (model.evaluate(Batch.from_ase(own), ("dipole", "polarizability")) for own in (atoms, turned))
    np.testing.assert_allclose(other.dipole[0], matrix @ one.dipole[0], atol=1e-10 * np.abs(one.dipole).max())
    expected = matrix @ one.polarizability[0] @ matrix.T
    np.testing.assert_allclose(other.polarizability[0], expected, atol=1e-10 * np.abs(expected).max())


REFUSED = {
    r"weights has 'energy' in .equivariant.; allowed are the sections .*, ..dipole..": "weights = {energy = 1}",
    r"linear has 'dipoles' in .equivariant.; .* did you mean 'dipole'": 'linear = ["dipoles"]',
    r"weights = \{'dipole': 0\} gives no quantity": "weights = {dipole = 0}",
    r"weights has dipole = -1 in .equivariant.; it must be": "weights = {dipole = -1}",
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_is_refused(said, tmp_path):
    with pytest.raises(ConfigurationError, match=said):
        configured(tmp_path, REFUSED[said])


def test_a_network_of_low_order_is_no_tensor(tmp_path):
    path = tmp_path / "fit.toml"
    write(tmp_path / "train.xyz", random_structure(0))
    text = CONFIGURATION.format(lines="", sections="[polarizability]\nl_max = 2", epochs=1)
    path.write_text(text.replace("channels = 8\nl_max = 2", "channels = 8\nl_max = 1"))
    with pytest.raises(ConfigurationError, match=r"l_max = 1 in .equivariant.; the polarizability_anisotropic head"):
        read_configuration(path)
