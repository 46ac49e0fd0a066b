"""Spectra, bands and checks from the trajectories that `trajectories.py` made.

    python results.py [FOLDER]

FOLDER holds `classical_*`, `trpmd_*`, `te_pigs_*`, `slab_*`, `slab_te_pigs_*` and `fixed_charges_*`; kinds that are
absent are left out.  Figures are written beside this script, and what is printed is Markdown.  Without FOLDER the
figures are drawn once more from the tables beside this script.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.recording import record
from beadwise.analysis.spectrum.series_conditions import common_conditions
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.series_files import find_sources
from beadwise.spectra import Column, Spectrum, Window, estimate, jackknife
from beadwise.spectra.experiment import SOURCES, WATER, WATER_ABSORPTION, marks
from beadwise.spectra.flux import transfer_of_difference
from beadwise.spectra.infrared import absorption, sum_rule
from beadwise.spectra.peaks import peak_positions
from beadwise.spectra.plot import plot_spectra
from beadwise.spectra.recording import spectrum_of
from beadwise.spectra.sum_frequency import FACES, susceptibility
from beadwise.spectra.transform import even_transform
from beadwise.spectra.units import angular_frequency
from scipy.integrate import trapezoid

HERE = Path(__file__).resolve().parent
TRAJECTORIES = re.compile(r"over (\d+) trajectories")
GRID = np.arange(0.0, 4501.0, 5.0)
WINDOW = Window("hann", 400.0)
SLAB_WINDOW = Window("hann", 300.0)
BANDS = {"libration": (350, 1000), "bend": (1450, 1850), "O–H stretch": (3000, 3900)}
WHOLE_STRETCH = (2700, 4100)
# what is told of an infrared spectrum: its format, and what experiment has
ROWS = {
    **{f"{band} / cm⁻¹": (".0f", WATER["ir"][k]) for band, k in zip(BANDS, (1, 2, 4), strict=True)},
    **{
        f"{band}, height of nα / 10³ cm⁻¹": (".1f", WATER_ABSORPTION[k] / 1e3)
        for band, k in zip(BANDS, (1, 2, 4), strict=True)
    },
    **{f"∫ nα dν̃ from {low} to {high} cm⁻¹ / 10⁶ cm⁻²": (".2f", None) for low, high in BANDS.values()},
    "O–H stretch, centre from 2700 to 4100 cm⁻¹": (".0f", None),
    "O–H stretch, root-mean-square width / cm⁻¹": (".0f", None),
}
CHARGES, MASSES = np.array([-0.81915, 0.40958, 0.40958]), np.array([15.9994, 1.00794, 1.00794])
NAMES = {"classical": "classical", "trpmd": "TRPMD, 32 beads", "te_pigs": "Te PIGS, fitted at 600 K"}
SLABS = {"slab": ("classical", "sfg"), "slab_te_pigs": (NAMES["te_pigs"], "sfg_te_pigs")}  # names and tables
FUNCTIONALS = "potential fitted to revPBE0-D3, dipole and polarizability to data of another density functional"


def recorded(folder, name, spectrum_kind, window):
    """Recorders of all trajectories of a kind that are finished, and their conditions."""
    recorders, all_conditions = [], []
    for run in sorted(folder.glob(f"{name}_[0-9]*/run")):
        paths = sorted(run.glob("liquid.moments_*")) + sorted(run.glob("water.moments_*"))
        if not paths or not (run / "RESTART").exists():
            continue
        (source,) = find_sources(paths)
        told = read_run_conditions(RunInput.read(run / "input.xml"))
        recorder, conditions = record(spectrum_kind, source, window, told)
        recorders.append(recorder)
        all_conditions.append(conditions)
    return recorders, common_conditions(all_conditions) if recorders else None


def bands_of(recorders, conditions):
    """What `ROWS` name, of the infrared spectrum of trajectories, with standard errors."""
    flux = estimate([recorder.correlations["dipole"] for recorder in recorders])

    def measures(values):
        spectrum = absorption(values, conditions, WINDOW, GRID)
        bands = [(spectrum[..., (low <= GRID) & (high >= GRID)], low, high) for low, high in BANDS.values()]
        places = [peak_positions(GRID, spectrum, low, high) for _, low, high in bands]
        heights = [band.max(axis=-1) / 1e3 for band, _, _ in bands]
        integrals = [trapezoid(band, dx=GRID[1], axis=-1) / 1e6 for band, _, _ in bands]
        return np.stack([*places, *heights, *integrals, *centre_and_width(spectrum)], axis=-1)

    values, errors = jackknife(measures, flux)
    return values, errors


def centre_and_width(spectrum):
    """First moment and root-mean-square width of the O–H stretch."""
    inside = (WHOLE_STRETCH[0] <= GRID) & (WHOLE_STRETCH[1] >= GRID)
    weights = spectrum[..., inside] / spectrum[..., inside].sum(axis=-1, keepdims=True)
    centre = (weights * GRID[inside]).sum(axis=-1)
    return centre, np.sqrt((weights * (GRID[inside] - centre[..., None]) ** 2).sum(axis=-1))


def raman_stretch(recorders, conditions):
    """Position of the O–H stretch in the parallel reduced Raman spectrum."""
    parts = [estimate([recorder.correlations[name] for recorder in recorders]) for name in ("isotropic", "anisotropic")]

    def position(isotropic, anisotropic):
        shapes = even_transform(isotropic + 2 / 15 * anisotropic, conditions.timestep, WINDOW, GRID)
        reduced = shapes[..., 1:] / transfer_of_difference(GRID[1:], conditions.timestep) ** 2
        return peak_positions(GRID[1:], reduced / angular_frequency(GRID[1:]), 3000, 3900)[..., None]

    value, error = jackknife(position, *parts)
    return value[0], error[0]


def kept(name, kind):
    """A spectrum as its table tells it."""
    lines = (HERE / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    title, *said = (line[2:] for line in lines if line.startswith("# "))
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    values = dict(zip(header, np.array(rows, dtype=np.float64).T, strict=True))
    wavenumber = values.pop("wavenumber (cm^-1)")
    columns = {
        key.partition(" ")[0]: Column(own, values[f"{key.partition(' ')[0]} standard error"], "")
        for key, own in values.items()
        if not key.endswith("standard error")
    }
    return Spectrum(kind, title, wavenumber, columns, dict(line.split(": ", 1) for line in said))


def draw():
    """All figures, from the tables."""
    water = {"H", "O"}
    for kind in ("ir", "raman"):
        found = {label: kept(f"{kind}_{name}", kind) for name, label in NAMES.items()}
        counts = dict.fromkeys(TRAJECTORIES.search(own.notes["standard errors"])[1] for own in found.values())
        note = f"{WINDOW}; 32 molecules, 300 K; {' and '.join(counts)} trajectories of 5 ps\n{FUNCTIONALS}"
        note += f"\nexperiment: {SOURCES[kind]}" if kind in SOURCES else ""
        plot_spectra(found, HERE / f"{kind}.png", marks(kind, water), note=note)
    found = {label: kept(table, "sfg") for label, table in SLABS.values()}
    lengths = " and ".join(own.notes["data"].partition(",")[0] for own in found.values())
    note = f"{SLAB_WINDOW}; 128 molecules, 300 K, {lengths}; standard errors by a jackknife over blocks\n"
    limits = {"lowest": 2800.0, "highest": 4100.0}
    plot_spectra(found, HERE / "sfg.png", marks("sfg", water), note=note + FUNCTIONALS, **limits)


def infrared_and_raman(folder):
    rows, raman = {}, {}
    for name, label in NAMES.items():
        for kind in ("ir", "raman"):
            recorders, conditions = recorded(folder, name, kind, WINDOW)
            if not recorders:
                continue
            spectrum_of(recorders, conditions, WINDOW, GRID).write(HERE / f"{kind}_{name}.csv")
            if kind == "ir":
                rows[label] = (*bands_of(recorders, conditions), len(recorders))
            else:
                raman[label] = raman_stretch(recorders, conditions)
    print("| band | " + " | ".join(rows) + " | experiment |\n|---|" + "---|" * (len(rows) + 1))
    for k, (row, (digits, experiment)) in enumerate(ROWS.items()):
        cells = [f"{values[k]:{digits}} ± {errors[k]:{digits}}" for values, errors, _ in rows.values()]
        print(f"| {row} | " + " | ".join(cells) + f" | {'' if experiment is None else f'{experiment:{digits}}'} |")
    cells = [f"{value:.0f} ± {error:.0f}" for value, error in raman.values()]
    print("| Raman stretch, parallel / cm⁻¹ | " + " | ".join(cells) + " | 3232 and 3441 |")
    print("trajectories: " + ", ".join(f"{label} {count}" for label, (_, _, count) in rows.items()))


def fixed_charges(folder):
    for name in ("fixed_charges_classical", "fixed_charges_trpmd"):
        recorders, conditions = recorded(folder, name, "ir", WINDOW)
        if not recorders:
            continue
        flux = estimate([recorder.correlations["dipole"] for recorder in recorders])

        def integral(values, conditions=conditions):
            return trapezoid(absorption(values, conditions, WINDOW, GRID), GRID, axis=-1)[..., None]

        value, error = jackknife(integral, flux)
        exact = sum_rule(np.tile(CHARGES, 32), np.tile(MASSES, 32), conditions.volume)
        print(
            f"{name}: ∫ nα dν̃ = {value[0]:.4g} ± {error[0]:.2g} cm⁻², exact {exact:.4g}, ratio {value[0] / exact:.4f} "
            f"± {error[0] / exact:.4f} ({len(recorders)} trajectories, {conditions.label})"
        )


def slab(folder):
    print("| slab | free O–H / cm⁻¹ | hydrogen-bonded O–H / cm⁻¹ | trajectories |\n|---|---|---|---|")
    for name, (label, table) in SLABS.items():
        recorders, conditions = recorded(folder, name, "sfg", SLAB_WINDOW)
        if not recorders:
            continue
        spectrum_of(recorders, conditions, SLAB_WINDOW, GRID).write(HERE / f"{table}.csv")
        faces = [estimate([recorder.correlations[f"{face} self"] for recorder in recorders]) for face in FACES]
        area = recorders[0].slab.area

        def places(upper, lower, conditions=conditions, area=area):
            mean = (upper + lower) / 2
            imaginary = susceptibility(mean, conditions, SLAB_WINDOW, GRID, area).imag
            return np.stack(
                [peak_positions(GRID, imaginary, 3600, 4000), peak_positions(GRID, -imaginary, 3000, 3750)], axis=-1
            )

        values, errors = jackknife(places, *faces)
        cells = [f"{value:.0f} ± {error:.0f}" for value, error in zip(values, errors, strict=True)]
        print(f"| {label} | {' | '.join(cells)} | {len(recorders)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    if folder is not None:
        infrared_and_raman(folder)
        fixed_charges(folder)
        slab(folder)
    draw()


if __name__ == "__main__":
    main()
