"""Training an equivariant network: what it learns, that it goes on where it was stopped, and what is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import (
    ConfigurationError,
    EnergySettings,
    EquivariantSettings,
    read_configuration,
)
from beadwise.learning.fitting.fit import fit
from beadwise.learning.fitting.fit_data import FitData
from beadwise.learning.fitting.head_fit import frames_of_head
from beadwise.learning.fitting.network_steps import gain_text
from beadwise.model import Batch, load, save
from beadwise.model.outputs import empty_head
from click.testing import CliRunner
from equivariant_models import random_equivariant_model
from models import labelled, random_model, random_structure

torch = pytest.importorskip("torch", reason="torch is not installed; only fits of networks need it")

from beadwise.learning.fitting.equivariant import training  # noqa: E402
from beadwise.learning.fitting.equivariant.objective import errors_of_energy  # noqa: E402
from beadwise.learning.fitting.equivariant.training import fit_equivariant  # noqa: E402

EXPECTED = EnergySettings(energy_error=0.02, force_error=0.1, stress_error=0.01)
SETTINGS = EquivariantSettings(channels=8, l_max=2, hidden=[8], epochs=12, batch=1, learning_rate=0.01)
LABELS = ("energy", "forces", "virial")


def frames(model, count, first=0):
    out = []
    for seed in range(first, first + count):
        atoms = random_structure(seed, molecules=2)
        answer = model.evaluate(Batch.from_ase(atoms), LABELS)
        stress = -answer.virial[0] / atoms.get_volume()
        out.append(Frame(atoms, {"energy": answer.energy[0], "forces": answer.forces[0], "stress": stress}))
    return out


def truth():
    return random_equivariant_model(5, heads=("energy",))


def start():
    model = random_model(5, heads=("energy",))
    return replace(model, heads={"energy": empty_head(0, model.shape)})


def test_it_learns_and_says_how_well():
    data, others, told = frames(truth(), 4), frames(truth(), 2, first=10), []
    settings = replace(SETTINGS, epochs=40)
    fitted = fit_equivariant(start(), data, EXPECTED, settings, lambda *own: told.append(own), validation=others)
    before, after = (errors_of_energy(model, others, EXPECTED) for model in (start(), fitted))
    assert after.force < 0.6 * before.force and after.energy < before.energy
    # what the training said of itself is what the kernel gives
    said = fitted.metadata["network"]
    assert said["force"] == pytest.approx(after.force, rel=1e-4) and said["energy"] == pytest.approx(
        after.energy, rel=1e-3
    )
    assert told[0] == ("equivariant network", 0, 160) and "validation forces" in told[-1][3]


def test_what_is_said_of_messages_is_what_the_kernel_gives():
    data, settings = frames(truth(), 2), replace(SETTINGS, sent=8, epochs=3)
    fitted = fit_equivariant(start(), data, EXPECTED, settings)
    said, found = fitted.metadata["network"], errors_of_energy(fitted, data, EXPECTED)
    assert fitted.equivariant.message is not None
    assert said["force"] == pytest.approx(found.force, rel=1e-4)
    assert said["energy"] == pytest.approx(found.energy, rel=1e-3)


def test_isolated_atoms_keep_their_energy():
    model = start()
    model = replace(model, heads={"energy": replace(model.heads["energy"], offset=np.array([-3.0, -5.0]))})
    fitted = fit_equivariant(model, frames(truth(), 2), EXPECTED, SETTINGS, isolated={1})
    alone = random_structure(0)[1:2]
    alone.set_cell(20 * np.eye(3))
    assert fitted.evaluate(Batch.from_ase(alone), ("energy",)).energy[0] == pytest.approx(-3.0, abs=1e-10)


def test_a_training_that_was_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("beadwise.learning.fitting.checkpoint.SECONDS", 0.0)
    data, others, path = frames(truth(), 2), frames(truth(), 1, first=10), tmp_path / "training.pt"

    def trained(tell=None, kept=None):
        return fit_equivariant(start(), data, EXPECTED, SETTINGS, tell, validation=others, kept=kept)

    def stop(label, done, total, detail=""):
        if done == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(stop, path)
    steps = []
    again = trained(lambda label, done, total, detail="": steps.append(done), path)
    assert steps[0] == 14
    for one, other in zip(again.equivariant.arrays(), trained().equivariant.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)
    path.write_bytes(b"nothing of the kind")
    trained(kept=path)  # is trained anew


def test_it_ends_when_validation_gains_nothing(monkeypatch):
    monkeypatch.setattr(training.Training, "averaged_errors", lambda self: setattr(self, "unimproved", 3) or NOTHING)
    steps = []
    settings = replace(SETTINGS, patience=3)
    fit_equivariant(
        start(),
        frames(truth(), 2),
        EXPECTED,
        settings,
        lambda *own: steps.append(own[1]),
        validation=frames(truth(), 1),
    )
    assert max(steps) == 2


@pytest.mark.parametrize(("epochs", "looks"), [(1, 1), (50, 50), (99, 50), (101, 34), (300, 50)])
def test_it_looks_at_the_validation_frames_so_often(epochs, looks):
    assert (
        len([k for k in range(1, epochs + 1) if k % training.passes_between_looks(epochs) == 0 or k == epochs]) == looks
    )


NOTHING = training.Errors(0.0, 0.0, 0.0, 0.0)


def test_a_fit_that_diverges_is_refused():
    with pytest.raises(ConfigurationError, match=r"diverged .* in \[equivariant\]; lower it"):
        fit_equivariant(start(), frames(truth(), 2), EXPECTED, replace(SETTINGS, learning_rate=1e30))


CONFIGURATION = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
{sections}
[equivariant]
{lines}
[output]
model = "model.safetensors"
"""


ROLES = {"training": ["train"], "validation": ["valid"], "independent": []}


def written(folder, lines="", sections="[energy]"):
    path = folder / "fit.toml"
    path.write_text(CONFIGURATION.format(lines=lines, sections=sections))
    return path


def test_a_configuration_is_fitted(tmp_path):
    for name, seeds in (("train", range(3)), ("valid", range(5, 7))):
        write(tmp_path / f"{name}.xyz", [labelled(truth(), random_structure(seed, molecules=2)) for seed in seeds])
    path = written(tmp_path, "channels = 8\nl_max = 2\nhidden = [8]\nepochs = 3\nlinear = true")
    model = fit(read_configuration(path))
    told = model.metadata["equivariant"]
    assert told["frames"] == "validation" and set(told) == {"frames", "linear", "network"}
    assert "linear → equivariant network: forces" in gain_text(model)[0]
    assert model.equivariant.heads == ("energy",) and model.heads["energy"].weights.any()


def test_many_species_share_weights_unless_a_fit_says_otherwise():
    assert [EquivariantSettings(species=own).shares_weights(7) for own in ("", "own", "shared")] == [False, False, True]
    assert [EquivariantSettings(species=own).shares_weights(8) for own in ("", "own", "shared")] == [True, False, True]


def test_a_linear_energy_that_is_only_compared_with_needs_few_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("beadwise.learning.fitting.head_fit.FRAMES_COMPARED", 2)
    data = frames(truth(), 7)
    for place in (1, 6):
        data[place] = Frame(data[place].atoms, {"dipole": np.zeros(3)})
    data[4].atoms.numbers[0] = 2
    own = written(tmp_path, "channels = 8\nl_max = 2")
    chosen = frames_of_head("energy", data, read_configuration(own))
    assert [id(frame) for frame in chosen] == [id(data[place]) for place in (0, 3, 4, 5)]  # 4 for its species
    assert frames_of_head("dipole", data, read_configuration(own)) is data
    whole = read_configuration(written(tmp_path, "channels = 8\nl_max = 2\nlinear = true"))
    assert frames_of_head("energy", data, whole) is data


def test_a_linear_dipole_that_is_only_compared_with_needs_few_born_charges(tmp_path, monkeypatch):
    data = [Frame(random_structure(seed, molecules=2), {"dipole": np.zeros(3)}) for seed in range(6)]
    own = read_configuration(written(tmp_path, "channels = 8\nl_max = 2", "[dipole]"))
    assert len(frames_of_head("dipole", data, own)) == 6
    for frame in data:
        frame.labels["born_effective_charges"] = np.zeros((len(frame.atoms), 3, 3))
    assert len(frames_of_head("dipole", data, own)) == 6
    monkeypatch.setattr("beadwise.learning.fitting.head_fit.ATOMS_COMPARED", 2 * len(data[0].atoms))
    chosen = frames_of_head("dipole", data, own)
    assert [id(frame) for frame in chosen] == [id(data[place]) for place in (0, 3)]
    folded = [*data[1:], replace(data[0], quantum=np.eye(3))]
    assert frames_of_head("dipole", folded, own) is folded
    whole = read_configuration(written(tmp_path, "channels = 8\nl_max = 2\nlinear = true", "[dipole]"))
    assert frames_of_head("dipole", data, whole) is data


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (["energy"], r"on validation frames, linear → equivariant network: energies [^,]* meV$"),
        (["stress"], None),
        ([], r"on training frames, linear → equivariant network: forces .* meV/Å, energies .* meV$"),
    ],
)
def test_what_has_no_labels_has_no_errors(kept, said, tmp_path):
    data = FitData({"train": frames(truth(), 2), "valid": frames(truth(), 1, first=5)}, ROLES)
    for frame in data.sets["valid"]:
        for name in set(frame.labels) - set(kept):
            del frame.labels[name]
    path = written(tmp_path, "channels = 8\nl_max = 2\nhidden = [8]\nepochs = 1")
    text = gain_text(fit(read_configuration(path), data=data))
    assert re.search(said, text[0]) if said else not text


def test_isolated_atoms_do_not_choose_the_weights(tmp_path):
    alone = random_structure(0)[1:2]
    alone.set_cell(20 * np.eye(3))
    atom, models = Frame(alone, {"energy": np.array(1000.0)}), []
    path = written(tmp_path, "channels = 8\nl_max = 2\nhidden = [8]\nepochs = 2")
    for more in ([], [atom]):
        data = FitData({"train": frames(truth(), 2), "valid": [*frames(truth(), 1, first=5), *more]}, ROLES)
        models.append(fit(read_configuration(path), data=data))
    assert models[0].metadata["equivariant"] == models[1].metadata["equivariant"]
    only = FitData({"train": frames(truth(), 2), "valid": [atom]}, ROLES)
    assert fit(read_configuration(path), data=only).metadata["equivariant"]["frames"] == "training"


def test_the_command_forgets_its_own_state_alone(tmp_path):
    write(tmp_path / "train.xyz", [labelled(truth(), random_structure(seed, molecules=2)) for seed in range(2)])
    write(tmp_path / "valid.xyz", [labelled(truth(), random_structure(5, molecules=2))])
    path = written(tmp_path, "channels = 8\nl_max = 2\nhidden = [8]\nepochs = 1\nsent = 8\nl_sent = 0")
    states = [tmp_path / "report" / f"{name}.training.pt" for name in ("model", "other")]
    states[0].parent.mkdir()
    for state in states:
        state.write_bytes(b"")
    done = CliRunner().invoke(main, ["fit", str(path)], catch_exceptions=False)
    assert done.exit_code == 0 and "linear → equivariant network: forces" in done.output
    assert [state.exists() for state in states] == [False, True]
    assert load(tmp_path / "model.safetensors").equivariant.message.l_sent == 0
    path.write_text(path.read_text().partition("[equivariant]")[0] + '[output]\nmodel = "other.safetensors"\n')
    assert CliRunner().invoke(main, ["fit", str(path)], catch_exceptions=False).exit_code == 0
    assert states[1].exists()  # a linear fit has none


def test_members_do_not_share_a_network(tmp_path):
    save(random_equivariant_model(heads=("energy",)), tmp_path / "fitted.safetensors")
    path = written(tmp_path, sections='[energy]\n[committee]\nmodel = "fitted.safetensors"')
    path.write_text(path.read_text().replace("[equivariant]\n", ""))
    with pytest.raises(ConfigurationError, match=r"'subsampling' in .committee. for 'fitted.safetensors', whose"):
        fit(read_configuration(path))


REFUSED = {
    "channels = 12 in .equivariant.; it must be a multiple of 8": {"lines": "channels = 12"},
    "l_max = 3 and l_sent = 1 in .equivariant.; allowed are at most 2": {"lines": "l_max = 3"},
    "allowed is one of them": {"sections": "[energy]\n[network]\nhidden = [3]", "lines": "l_max = 2"},
    "averaging = 1.0": {"lines": "averaging = 1.0"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_is_refused(said, tmp_path):
    with pytest.raises(ConfigurationError, match=said):
        read_configuration(written(tmp_path, **REFUSED[said]))
