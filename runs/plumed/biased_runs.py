"""What a run under a bias of PLUMED wrote: the variable of centroid and beads, and the bias, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
from ase import units

from ..input.elements import InputError, words
from ..input.outputs import ExtrasOutput
from ..input.run_input import RunInput, System
from .force_fields import PlumedForceField, plumed_force_fields
from .input import DEPOSITING, OTHER_BIASES, RESTRAINTS, Action

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
    folder : Path
        Where i-PI runs.
    output : ExtrasOutput
        What it writes of the bias.
    beads : int
    temperature : float
        In K; not a number where systems exchange it.
    timestep : float
        In fs.
    step : int
        Where `source` goes on.
    definitions : dict of str to Action
        Of PLUMED, by their label.
    biases : tuple of Bias
    of_beads : frozenset of str
        Extras that are those of each bead, and not of the centroid.
    length_unit : str
        Of PLUMED.
    """

    source: Path
    folder: Path
    output: ExtrasOutput
    beads: int
    temperature: float
    timestep: float
    step: int
    definitions: dict[str, Action]
    biases: tuple[Bias, ...]
    of_beads: frozenset[str]
    length_unit: str

    @property
    def thermal_energy(self) -> float:
        """Boltzmann's constant times the temperature, in eV."""
        return units.kB * self.temperature

    @property
    def files(self) -> list[Path]:
        """Files of the extras, one for each bead that is written."""
        return [self.folder / name for name in self.output.files(self.beads)]

    @property
    def is_deposited(self) -> bool:
        """Whether a bias grows along the run."""
        return any(bias.is_deposited for bias in self.biases)

    @property
    def shares_hills(self) -> bool:
        """Whether other runs deposit into the same bias."""
        return any(keyword.startswith("WALKERS") for bias in self.biases for keyword in bias.action.keywords)

    @property
    def restraints(self) -> list[Bias]:
        """Harmonic restraints, which differ from one umbrella window to the next."""
        return [bias for bias in self.biases if bias.action.name in RESTRAINTS]

    def definition_of(self, variable: str) -> Action | None:
        """The action of PLUMED that a variable, or one of its components, is from."""
        return self.definitions.get(variable.split(".")[0])

    def period_of(self, variable: str) -> tuple[float, float] | None:
        """Limits of a variable that is periodic; None for one that is not.

        Raises
        ------
        InputError
            If its limits are no numbers.
        """
        action = self.definition_of(variable)
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
        if wanted is not None:
            if wanted not in self.output.extras:
                raise InputError(
                    f"'{self.source}' writes no '{wanted}' of the bias; it writes {', '.join(self.output.extras)}. Add "
                    f"{wanted} to <plumed_extras>, to <interpolate_extras> and to the extra_type of its <trajectory>"
                )
            return wanted
        own = [bias for bias in self.biases if bias.is_deposited or bias in self.restraints] or self.biases
        biased = list(dict.fromkeys(name for bias in own for name in bias.action.arguments))
        found = [name for name in biased if name in self.output.extras]
        if not found:
            raise InputError(
                f"the bias of '{self.source}' acts on {', '.join(biased) or 'no variable'}, of which none is written; "
                "add it to <plumed_extras>, to <interpolate_extras> and to the extra_type of its <trajectory>, or name "
                f"another one as --variable: {', '.join(self.output.extras)}"
            )
        if len(found) > 1:
            raise InputError(
                f"the bias of '{self.source}' acts on {', '.join(biased)}; name one of {', '.join(found)} as --variable"
            )
        return found[0]

    def bead_variable(self, variable: str) -> str | None:
        """The same variable of every bead; None if it is not written.

        Raises
        ------
        InputError
            If it is itself that of the beads, and not all of them are written.
        """
        if self.beads == 1:
            return variable
        name = variable if variable in self.of_beads else OF_BEADS + variable
        if name in self.of_beads and name in self.output.extras and self.output.holds_all(self.beads):
            return name
        if variable in self.of_beads:
            raise InputError(
                f"'{self.source}' writes {variable} of some of its {self.beads} beads; all are needed, without the "
                f"attribute bead='{self.output.bead}'"
            )
        return None


def read_biased_runs(run: RunInput, exchanging: bool = False) -> list[BiasedRun]:
    """Read which systems of an i-PI input or RESTART are biased by PLUMED and write what a profile is made of.

    Parameters
    ----------
    run : RunInput
    exchanging : bool
        Whether systems exchange their temperatures, so that none has one of its own.

    Raises
    ------
    InputError
        If no system is biased by PLUMED, or a bias is not written, or a system samples no ensemble.
    """
    force_fields = plumed_force_fields(run)
    runs = []
    for system in run.systems:
        own = [one for one in force_fields if any(use.system == system.number for use in one.uses)]
        if own:
            _check_biases(system, {one.name for one in own})
            runs.append(_read_system(system, own, exchanging))
    if not runs:
        raise InputError(
            f"'{run.path}' has no <bias> with an <ffplumed>; a free-energy profile is made of a biased run"
        )
    return runs


def _check_biases(system: System, plumed: set[str]) -> None:
    """Refuse biases whose energy is not known."""
    source = system.run.path
    others = [name for name in system.biases if name not in plumed]
    if others:
        raise InputError(
            f"<bias> of '{source}' has a <force> of '{others[0]}', which is no <ffplumed>; a profile needs the energy "
            "of each bias"
        )
    weights = words(system.element.findtext("ensemble/bias_weights"))
    if any(float(weight) != 1 for weight in weights):
        raise InputError(f"<bias_weights> of '{source}' are {', '.join(weights)}; a profile needs 1 for each bias")


def _read_system(system: System, force_fields: Sequence[PlumedForceField], exchanging: bool) -> BiasedRun:
    beads, source = system.beads, system.run.path
    inputs = {force_field.name: force_field.read() for force_field in force_fields}
    actions = [(action, plumed.energy_unit) for plumed in inputs.values() for action in plumed.biases]
    output = _output_of(system, {f"{action.label}.bias" for action, _ in actions})
    of_beads: set[str] = set()
    for force_field in force_fields:
        on_centroid = beads == 1 or all(use.beads == 1 for use in force_field.uses)
        if inputs[force_field.name].biases and not on_centroid:
            raise InputError(
                f"the bias '{force_field.name}' of '{source}' acts on every bead; a profile needs one on the centroid, "
                f"<force forcefield='{force_field.name}' nbeads='1'>"
            )
        of_beads.update(() if on_centroid else force_field.extras)
    return BiasedRun(
        source=source,
        folder=system.run.folder,
        output=output,
        beads=beads,
        timestep=system.timestep_for("a profile is made of a trajectory"),
        temperature=nan if exchanging else system.ensemble.temperature,
        step=system.run.step,
        definitions={action.label: action for plumed in inputs.values() for action in plumed.actions if action.label},
        biases=tuple(_bias_of(action, output, unit, source) for action, unit in actions),
        of_beads=frozenset(of_beads),
        length_unit=next((plumed.length_unit for plumed in inputs.values() if plumed.biases), ""),
    )


def _output_of(system: System, biases: set[str]) -> ExtrasOutput:
    """The output of the bias's extras: of those with most of the biases the one that is written most often."""
    if not system.bias_outputs:
        raise InputError(
            f"'{system.run.path}' writes nothing of its bias; add <trajectory filename='variables' stride='10' "
            "extra_type='VARIABLE,LABEL.bias'> extras_bias </trajectory> with what <plumed_extras> names"
        )
    found = min(system.bias_outputs, key=lambda output: (-len(biases.intersection(output.extras)), output.stride))
    beads = system.beads
    if found.bead >= beads:
        raise InputError(f"'{found.name}' of '{system.run.path}' is of bead {found.bead}; allowed are 0 to {beads - 1}")
    return found


def _bias_of(action: Action, output: ExtrasOutput, energy_unit: float, source: Path) -> Bias:
    if action.name in OTHER_BIASES:
        raise InputError(f"'{source}' has the bias {action.name}, which no profile is made of")
    if not action.label:
        raise InputError(f"{action.name} of '{source}' has no label, by which its bias would be written; add LABEL=…")
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
