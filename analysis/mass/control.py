"""Mean quantum kinetic energies of runs of a crystal, with its harmonic crystal as control variate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...model import Batch, StructureError
from ...model.crystals.reference import HarmonicReference
from ...model.crystals.sites import Sites
from ...runs.input.dynamics import first_step
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.output.alignment import in_common
from ...runs.output.bead_forces import FORCES, BeadForces
from ...runs.output.positions import find_bead_trajectory
from ...runs.units import PERIODIC
from ...sampling import centroid_virial_kinetic_energy, harmonic_free_energy
from ...sampling.harmonic_control import HarmonicControl
from ..crystals.switch_inputs import check_masses, refuse_fixed_atoms
from .kinetic_energies import KineticEnergy, check_path_integral, mean_of
from .masses import DALTON

TOO_FAR = 4.0  # errors that the mean of what should be zero may be away from it


@dataclass(frozen=True)
class ControlledKineticEnergy:
    """The mean kinetic energy of one run, in eV of all atoms.

    Parameters
    ----------
    harmonic : float
        Of the harmonic crystal with the beads and masses of the run, exact.
    anharmonic : KineticEnergy
        What is left to be added.
    plain : KineticEnergy
        The centroid-virial kinetic energy of the same samples.
    removed : KineticEnergy
        What the control variate took off the plain one; exact samples have the mean zero.
    """

    harmonic: float
    anharmonic: KineticEnergy
    plain: KineticEnergy
    removed: KineticEnergy

    @property
    def mean(self) -> float:
        """With the harmonic part."""
        return self.harmonic + self.anharmonic.mean

    def warning(self, source: Path) -> str:
        """What speaks against the samples; empty where nothing does."""
        own = self.removed
        if abs(own.mean) <= TOO_FAR * own.standard_error:
            return ""
        return (
            f"'{source}': control variates, whose mean is zero, have {own.mean:.4g} ± {own.standard_error:.2g} eV: the "
            "run has not forgotten its beginning, or its time step is too long"
        )


@dataclass(frozen=True)
class Control:
    """A harmonic crystal as control variate.

    Parameters
    ----------
    file : Path
    reference : HarmonicReference
        Of the masses of y = 1.
    """

    file: Path
    reference: HarmonicReference

    @classmethod
    def read(cls, file: Path) -> Control:
        """Read a harmonic crystal.

        Raises
        ------
        InputError
            If there is no such file.
        CrystalError
            If it is no harmonic crystal, or no minimum.
        """
        if not os.path.isfile(file):
            raise InputError(f"no file '{file}', of the harmonic crystal; `beadwise harmonic` writes one")
        reference = HarmonicReference.load(file)
        _ = reference.quanta  # refuses what is no minimum
        return cls(file, reference)

    @cached_property
    def _sites(self) -> Sites:
        return Sites(self.reference)

    def difference(self, temperature: float) -> float:
        """A_q − A_cl of the harmonic crystal with infinitely many beads, in eV of all atoms, at a temperature in K."""
        quanta = self.reference.quanta
        return harmonic_free_energy(quanta, temperature) - harmonic_free_energy(quanta, temperature, 1)

    def check(self, run: RunInput, ratio: float = 1.0) -> None:
        """Refuse a run of another crystal, or one whose cell changes.

        Parameters
        ----------
        run : RunInput
            Of one system.
        ratio : float
            y of its masses.

        Raises
        ------
        InputError
            In one line, what is not that of the harmonic crystal.
        """
        system = run.only_system()
        if not system.has_constant_volume:
            raise InputError(f"'{run.path}' is not at constant volume; a harmonic crystal belongs to one cell")
        refuse_fixed_atoms(system)
        try:
            self._sites.check_atoms(run.numbers)
            self._sites.check_cells(system.cell[None])
        except StructureError as error:
            raise InputError(f"{self._unlike(run)}: {error}") from error
        check_masses(system.atoms.masses / DALTON * ratio**2, run.path, self.reference, self.file)

    def _unlike(self, run: RunInput) -> str:
        return f"'{run.path}' and '{self.file}' do not belong together"

    def kinetic_energy_of(self, run: RunInput, ratio: float, skip: float | None) -> ControlledKineticEnergy:
        """Read positions and forces of a run, and take the harmonic fluctuations off.

        Parameters
        ----------
        run : RunInput
            Of one system, with positions and forces of all beads.
        ratio : float
            y of its masses.
        skip : float or None
            Time to leave out, in ps; None for a tenth of the run.

        Raises
        ------
        BeadwiseError
            If the run cannot be used, is of another crystal, or an atom left its site.
        SamplingError
            If it is too short.
        """
        system = check_path_integral(run, FORCES)
        trajectory, forces = find_bead_trajectory(run), BeadForces(run)
        if trajectory.is_biased:
            raise InputError(f"'{run.path}' is biased; the kinetic energy of a run without a bias is needed")
        masses = system.atoms.masses / DALTON
        self.check(run, ratio)
        control = HarmonicControl(self.reference.hessian, masses, trajectory.temperature, trajectory.beads)
        steps, _ = in_common([np.array(trajectory.steps, dtype=np.int64), forces.steps])
        if not len(steps):
            raise InputError(f"'{run.path}' has no step with positions and forces of all beads; one stride is needed")
        kept = steps[steps >= first_step(steps, skip, trajectory.timestep, run.path)].tolist()
        rest, plain = np.empty(len(kept)), np.empty(len(kept))
        mean = np.zeros((1, len(masses), 3))
        try:
            for number, step in enumerate(kept):
                positions, cell = trajectory.frame(step)
                batch = Batch(run.numbers, positions, np.repeat(cell[None], len(positions), axis=0), PERIODIC)
                moved, own = self._sites.displacements(batch)[None], forces.frame(step)[None]
                mean += moved.mean(axis=1) / len(kept)
                rest[number] = control.anharmonic_kinetic_energy(moved, own)[0]
                plain[number] = centroid_virial_kinetic_energy(moved, own, trajectory.temperature)[0]
            # single beads of light atoms may be far away; what is no longer this crystal is so on average
            self._sites.check_places(mean, "on average over beads and samples,")
        except StructureError as error:
            raise InputError(f"{self._unlike(run)}: {error}") from error
        return ControlledKineticEnergy(
            control.kinetic_energy,
            mean_of(rest, run.path),
            mean_of(plain, run.path),
            mean_of(plain - rest - control.kinetic_energy, run.path),
        )
