"""What speaks against a run as a treatment of the nuclei, before it starts."""

from __future__ import annotations

from ...runs.input.dynamics import mode_of
from ...runs.input.nuclei import SUZUKI_CHIN, AdiabaticModes, adiabatic_wavenumber, temperature_of_noise
from ...runs.input.run_input import RunInput, System

SAME_TEMPERATURE = 0.01  # relative
# of properties that weigh all beads alike: those of Suzuki-Chin path integrals in their place
OF_EVEN_BEADS = {"potential": "potential_opsc", "kinetic_cv": "kinetic_opsc"}


def adiabatic_modes(system: System) -> AdiabaticModes | None:
    """Normal modes of PA-CMD; None where their masses are not scaled so."""
    wavenumber = adiabatic_wavenumber(system.element, system.beads, system.run.path)
    return None if wavenumber is None else AdiabaticModes(wavenumber, system.beads, system.temperature)


def remarks_about_nuclei(run: RunInput) -> list[str]:
    """What is allowed, but gives wrong bands or averages, one line each."""
    found: list[str] = []
    for system in run.systems:
        modes = adiabatic_modes(system)
        if modes is not None and system.timestep is not None:
            found += [f"warning: {one}" for one in modes.warnings(system.timestep)]
            own = system.element.find("normal_modes")
            if own is not None and own.get("propagator", "exact").strip() == "cayley":
                found.append(
                    "warning: propagator='cayley' with pa-cmd: i-PI 3.3.1 moves scaled masses wrongly with it; "
                    "'exact' is needed"
                )
        found += _about_noise(system)
        if system.dynamics is not None and mode_of(system.dynamics) in SUZUKI_CHIN:
            found += _about_estimators(system)
    return list(dict.fromkeys(found))


def _about_noise(system: System) -> list[str]:
    thermostat = None if system.dynamics is None else system.dynamics.find("thermostat")
    made = temperature_of_noise(thermostat, system.beads, system.run.path)
    if made is None or abs(made / system.temperature - 1) < SAME_TEMPERATURE:
        return []
    return [
        f"warning: the thermostats of colored noise are for {made:.4g} K with {system.beads} beads, and the run is at "
        f"{system.temperature:g} K: `beadwise nuclei INPUT --by piglet` makes others"
    ]


def _about_estimators(system: System) -> list[str]:
    written = {name for output in system.properties_outputs for name in output.properties}
    wrong = [name for name in OF_EVEN_BEADS if name in written]
    if not wrong:
        return []
    right = " and ".join(OF_EVEN_BEADS[name] for name in wrong)
    verb = "weighs" if len(wrong) == 1 else "weigh"
    return [
        f"warning: {' and '.join(wrong)} {verb} all beads alike, and those of Suzuki-Chin path integrals differ: "
        f"averages are {right}"
    ]
