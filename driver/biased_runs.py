"""What a run under a bias of PLUMED wrote: the variable of centroid and beads, and the bias, step by step."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import units
from ipi.utils.units import unit_to_internal

from .extras_files import BeadFile
from .force_components import reading_of, words
from .input_quantities import quantity
from .ipi_input import ExtrasOutput, InputError, beads_of, integer_attribute, output_name, parse
from .plumed_force_fields import PlumedForceField, plumed_force_fields
from .plumed_input import DEPOSITING, OTHER_BIASES, RESTRAINTS, Action
from .system_templates import systems_of

OF_BEADS = "bead_"  # what stands before the name of a variable where it is that of each bead


@dataclass(frozen=True)
class Bias:
    """One bias of a run, and how its energy stands in the extras.

    Parameters
    ----------
    action : Action
        Of PLUMED.
    extra : str
        Name of its energy in the extras; for metadynamics that without the constant c(t), where it is written.
    energy_unit : float
        Of that energy, in eV.
    """

    action: Action
    extra: str
    energy_unit: float

    @property
    def is_deposited(self) -> bool:
        """Whether it grows along the run, as that of metadynamics."""
        return self.action.name in DEPOSITING


@dataclass(frozen=True)
class BiasedRun:
    """One system of a run, under the biases of its own.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.
    output : ExtrasOutput
        What it writes of the bias.
    beads : int
    temperature : float
        In K.
    timestep : float
        In fs.
    step : int
        Where `source` goes on.
    definitions : dict of str to Action
        Of PLUMED, by their label.
    biases : tuple of Bias
    """

    source: Path
    output: ExtrasOutput
    beads: int
    temperature: float
    timestep: float
    step: int
    definitions: dict[str, Action]
    biases: tuple[Bias, ...]

    @property
    def thermal_energy(self) -> float:
        """Boltzmann's constant times the temperature, in eV."""
        return units.kB * self.temperature

    @property
    def files(self) -> list[Path]:
        """Files of the extras, one for each bead that is written."""
        return [self.source.parent / name for name in self.output.files(self.beads)]

    @property
    def is_deposited(self) -> bool:
        """Whether a bias grows along the run."""
        return any(bias.is_deposited for bias in self.biases)

    @property
    def restraints(self) -> list[Bias]:
        """Harmonic restraints, which differ from one umbrella window to the next."""
        return [bias for bias in self.biases if bias.action.name in RESTRAINTS]

    def period_of(self, variable: str) -> tuple[float, float] | None:
        """Limits of a variable that is periodic; None for one that is not.

        Raises
        ------
        InputError
            If its limits are no numbers.
        """
        action = self.definitions.get(variable.split(".")[0])
        if action is None:
            return None
        if action.name == "TORSION" and "COSINE" not in action.flags:
            return -np.pi, np.pi
        limits = [] if action.keywords.get("PERIODIC", "NO") == "NO" else action.numbers("PERIODIC")
        return (limits[0], limits[1]) if len(limits) == 2 else None

    def variable(self, wanted: str | None = None) -> str:
        """The collective variable of a profile: the one that is biased, unless another one is wanted.

        Raises
        ------
        InputError
            If it is not in the extras, or there are several.
        """
        written = ", ".join(self.output.extras)
        if wanted is not None:
            if wanted not in self.output.extras:
                raise InputError(
                    f"'{self.source}' writes no '{wanted}' of the bias; it writes {written}. Add {wanted} to "
                    "<plumed_extras>, to <interpolate_extras> and to the extra_type of its <trajectory>"
                )
            return wanted
        own = [bias for bias in self.biases if bias.is_deposited or bias in self.restraints] or self.biases
        biased = list(dict.fromkeys(name for bias in own for name in bias.action.arguments))
        found = [name for name in biased if name in self.output.extras]
        if len(found) != 1:
            raise InputError(
                f"the bias of '{self.source}' acts on {', '.join(biased) or 'no variable'}, of which "
                f"{', '.join(found) or 'none'} is written; name one of {written} as --variable"
            )
        return found[0]

    def bead_variable(self, variable: str) -> str | None:
        """The same variable of every bead; None if it is not written."""
        if self.beads == 1:
            return variable
        name = OF_BEADS + variable
        return name if name in self.output.extras and self.output.holds_all(self.beads) else None


class BiasSeries:
    """The extras of all beads of a biased run, read as i-PI writes them.

    Parameters
    ----------
    run : BiasedRun
    last_step : int, optional
        What the files hold already beyond this step does not count.
    """

    def __init__(self, run: BiasedRun, last_step: int | None = None):
        self._files = [BeadFile(path, last_step) for path in run.files]
        self._waiting = [(np.zeros(0, dtype=np.int64), np.zeros((0, len(run.output.extras)))) for _ in run.files]
        self._names = run.output.extras
        self._rows: list[np.ndarray] = []
        self._steps: list[np.ndarray] = []

    def read(self) -> None:
        """Take in what has been written since the last time.

        Raises
        ------
        InputError
            If the files of the beads do not belong together.
        SeriesError
            If a file cannot be read, or holds something else than numbers.
        """
        for bead, file in enumerate(self._files):
            while True:
                steps, rows = file.read()
                if not len(steps):
                    break
                if file.names != self._names:
                    raise InputError(
                        f"'{file.path}' holds {', '.join(file.names)}; its input writes {', '.join(self._names)}"
                    )
                old_steps, old_rows = self._waiting[bead]
                self._waiting[bead] = np.concatenate([old_steps, steps]), np.concatenate([old_rows, rows])
        common = min(len(steps) for steps, _ in self._waiting)
        first = self._waiting[0][0][:common]
        for file, (steps, _) in zip(self._files, self._waiting, strict=True):
            if not np.array_equal(steps[:common], first):
                raise InputError(
                    f"'{file.path}' and '{self._files[0].path}' do not hold the same steps; the files of all beads of "
                    "one run are needed"
                )
        if common:
            self._steps.append(first)
            self._rows.append(np.stack([rows[:common] for _, rows in self._waiting], axis=1))
        self._waiting = [(steps[common:], rows[common:]) for steps, rows in self._waiting]

    @property
    def steps(self) -> np.ndarray:
        """Step of each sample, shape (samples,), int64."""
        return np.concatenate(self._steps) if self._steps else np.zeros(0, dtype=np.int64)

    def column(self, name: str) -> np.ndarray:
        """One of the extras, shape (samples, beads that are written), in PLUMED's units."""
        place = self._names.index(name)
        if not self._rows:
            return np.zeros((0, len(self._files)))
        return np.concatenate([rows[:, :, place] for rows in self._rows])


def read_biased_runs(source: Path) -> list[BiasedRun]:
    """Read which systems of an i-PI input or RESTART are biased by PLUMED and write what a profile is made of.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART; its outputs, and the PLUMED inputs, are in its folder.

    Raises
    ------
    InputError
        If it is no i-PI input, no system is biased by PLUMED, or a bias is not written.
    """
    root = parse(source)
    force_fields = plumed_force_fields(root, source.parent)
    runs = []
    for number, system in enumerate(systems_of(root)):
        own = [one for one in force_fields if any(use.system == number for use in one.uses)]
        if own:
            runs.append(_read_system(root, system, own, source))
    if not runs:
        raise InputError(f"'{source}' has no <bias> with an <ffplumed>; a free-energy profile is made of a biased run")
    return runs


def _read_system(
    root: ElementTree.Element, system: ElementTree.Element, force_fields: Sequence[PlumedForceField], source: Path
) -> BiasedRun:
    beads = beads_of(system)
    output = _output_of(root, system, source)
    definitions: dict[str, Action] = {}
    biases: list[Bias] = []
    for force_field in force_fields:
        plumed = force_field.read()
        definitions.update({action.label: action for action in plumed.actions if action.label})
        if plumed.biases and beads > 1 and any(use.beads != 1 for use in force_field.uses):
            raise InputError(
                f"the bias '{force_field.name}' of '{source}' acts on every bead; a profile needs one on the centroid, "
                f"<force forcefield='{force_field.name}' nbeads='1'>"
            )
        biases += [_bias_of(action, output, plumed.energy_unit, source) for action in plumed.biases]
    _check_weights(system, source)
    dynamics = next(system.iter("dynamics"), None)
    if dynamics is None:
        raise InputError(f"'{source}' holds no <dynamics>; a profile is made of a trajectory")
    return BiasedRun(
        source=source,
        output=output,
        beads=beads,
        temperature=quantity(system, "ensemble/temperature", "temperature", source)
        / float(unit_to_internal("temperature", "kelvin", 1.0)),
        timestep=quantity(dynamics, "timestep", "time", source) / float(unit_to_internal("time", "femtosecond", 1.0)),
        step=int(root.findtext("step") or 0),
        definitions=definitions,
        biases=tuple(biases),
    )


def _output_of(root: ElementTree.Element, system: ElementTree.Element, source: Path) -> ExtrasOutput:
    """The output of the bias's extras: the one that is written most often."""
    outputs = [
        ExtrasOutput(
            name=output_name(root, element.get("filename", "traj"), system),
            extras=reading.names,
            stride=integer_attribute(element, "stride", 1, least=1),
            bead=integer_attribute(element, "bead", -1),
        )
        for element in root.iterfind("output/trajectory")
        if (reading := reading_of(element)) is not None and reading.keyword == "extras_bias"
    ]
    if not outputs:
        raise InputError(
            f"'{source}' writes nothing of its bias; add <trajectory filename='variables' stride='10' "
            "extra_type='VARIABLE,LABEL.bias'> extras_bias </trajectory> with what <plumed_extras> names"
        )
    return min(outputs, key=lambda output: output.stride)


def _bias_of(action: Action, output: ExtrasOutput, energy_unit: float, source: Path) -> Bias:
    if action.name in OTHER_BIASES:
        raise InputError(f"'{source}' has the bias {action.name}, which no profile is made of")
    # without c(t), weights of samples from different times are comparable (Tiwary and Parrinello 2015)
    names = [f"{action.label}.rbias", f"{action.label}.bias"] if action.name == "METAD" else [f"{action.label}.bias"]
    written = [name for name in names if name in output.extras]
    if not written:
        raise InputError(
            f"'{source}' does not write the bias of {action.name}: add {names[0]} to <plumed_extras>, to "
            f"<interpolate_extras> and to the extra_type of '{output.name}'"
            + (", and CALC_RCT to METAD" if action.name == "METAD" else "")
        )
    return Bias(action, written[0], energy_unit)


def _check_weights(system: ElementTree.Element, source: Path) -> None:
    weights = words(system.findtext("ensemble/bias_weights"))
    if any(float(weight) != 1 for weight in weights):
        raise InputError(f"<bias_weights> of '{source}' are {', '.join(weights)}; a profile needs 1 for each bias")
