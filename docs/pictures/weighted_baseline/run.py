"""Water from a structure that no model was fitted to: corrections of q-TIP4P/F bare, and with the weighted baseline.

python docs/pictures/weighted_baseline/run.py [--folder FOLDER] [--seeds N] [--steps N] [--figure FILE.png]

Five corrections to q-TIP4P/F are fitted to 8 frames of liquid water each, with the shipped model `water` as reference.
Then i-PI starts from a frame in which both O-H bonds of every third molecule are stretched to 1.5 Å, with one
of the corrections, their mean, their weighted baseline, and the baseline alone.  What is finished is not run again; the
results go into FOLDER/results.json, and with --figure a summary into bounded.json beside this script, from which
--plot-only draws.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, read, write
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import thermalize_momenta
from ase.stress import full_3x3_to_voigt_6_stress
from beadwise.driver.launch.stages import Stages
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.model import Batch, load, save
from beadwise.model.calculator import Calculator
from beadwise.model.evaluators import load_evaluator
from beadwise.pictures import BAND_ALPHA, COLOURS, REFERENCE, WIDTH, PlainNumbers, foot, head, panels, write_png
from matplotlib.lines import Line2D

EDGE = 9.86  # Å, of inputs/water_32.xyz
TEMPERATURE = 300.0  # K
FRAMES, OF_MEMBER, MEMBERS = 20, 8, 5
BETWEEN_FRAMES = 20.0  # fs
STRETCHED, EVERY = 1.5, 3  # Å; molecules
BOUND = 2.0  # Å: a hydrogen atom farther than this from its oxygen atom has left it
BASELINE = "qtip4pf"
CONFIGURATION = f"""
[data]
train = ["member_{{index}}.xyz"]
[density]
cutoff = 4.0
radial = 5
l_max = 2
[energy]
baseline = "{BASELINE}"
[output]
model = "member_{{index}}.safetensors"
"""
INPUT = """<simulation verbosity='low'>
  <output prefix='run'>
    <properties filename='out' stride='4'> [ time{{picosecond}}, temperature{{kelvin}} ] </properties>
    <trajectory filename='positions' stride='20' format='xyz'> positions{{angstrom}} </trajectory>
    {weight}
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffsocket mode='unix' name='water'> <address> distorted-{mark} </address> <latency> 1e-3 </latency> </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces> <force forcefield='water'/> </forces>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.25 </timestep>
        <thermostat mode='langevin'> <tau units='femtosecond'> 200 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
WEIGHT = "<trajectory filename='weight' stride='4' extra_type='correction_weight'> extras </trajectory>"
STYLES = {
    "one correction": (COLOURS[1], "-"),
    "mean of five": (COLOURS[3], "-"),
    "weighted baseline": (COLOURS[0], "-"),
    "baseline": (REFERENCE, (0, (4, 2))),
}
HERE = Path(__file__).resolve().parent
INTERVAL, SHARE = 0.01, 0.1  # that is averaged over: ps, and of the time that has passed if that is more
EARLIEST = 0.005  # ps, on the logarithmic axis


def water_box() -> Atoms:
    """The shipped box of 32 molecules."""
    return read(str(files("beadwise.inputs") / "water_32.xyz"))


def make_members(folder: Path) -> list[Path]:
    """Fit the corrections, unless they are there."""
    paths = [folder / f"member_{index}.safetensors" for index in range(MEMBERS)]
    if all(path.exists() for path in paths):
        return paths
    rng, reference, atoms = np.random.default_rng(0), load("water"), water_box()
    atoms.calc = Calculator(reference)
    thermalize_momenta(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Bussi(atoms, 0.5 * units.fs, TEMPERATURE, taut=50 * units.fs, rng=rng)
    frames = []
    with Stages() as stages:
        for _ in stages.counted(range(FRAMES), "frames"):
            dynamics.run(round(BETWEEN_FRAMES / 0.5))
            frames.append(labelled(atoms, reference))
        for index, path in enumerate(stages.counted(paths, "fits")):
            chosen = rng.choice(FRAMES, OF_MEMBER, replace=False)
            write(folder / f"member_{index}.xyz", [frames[place] for place in chosen])
            (folder / f"member_{index}.toml").write_text(CONFIGURATION.format(index=index))
            save(fit(read_configuration(folder / f"member_{index}.toml")), path)
    write(folder / "frames.xyz", frames)
    return paths


def labelled(atoms: Atoms, reference) -> Atoms:
    """A copy with the reference's energy, forces and stress."""
    copy = atoms.copy()
    response = reference.evaluate(Batch.from_ase(copy), ("energy", "forces", "virial"))
    stress = full_3x3_to_voigt_6_stress(-response.virial[0] / copy.get_volume())
    copy.calc = SinglePointCalculator(copy, energy=response.energy[0], forces=response.forces[0], stress=stress)
    return copy


def uncertainty_of_baseline(folder: Path) -> float:
    """Standard deviation of reference minus baseline over the frames in eV."""
    baseline = load_evaluator(BASELINE)
    differences = [
        frame.get_potential_energy() - baseline.evaluate(Batch.from_ase(frame), ("energy",)).energy[0]
        for frame in iread(folder / "frames.xyz")
    ]
    return float(np.std(differences, ddof=1))


def distorted(atoms: Atoms, seed: int) -> Atoms:
    """Stretch both bonds of some molecules, others for every seed."""
    atoms = atoms.copy()
    molecules = len(atoms) // 3
    for molecule in np.random.default_rng(seed).choice(molecules, molecules // EVERY, replace=False):
        for hydrogen in (3 * molecule + 1, 3 * molecule + 2):
            bond = atoms.get_distance(3 * molecule, hydrogen, mic=True, vector=True)
            atoms.positions[hydrogen] = atoms.positions[3 * molecule] + STRETCHED * bond / np.linalg.norm(bond)
    return atoms


def run(folder: Path, start: Atoms, model: str, seed: int, steps: int) -> dict:
    """Run i-PI, unless that was done, and read what came out."""
    result = folder / "result.json"
    if not result.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        write(folder / "start.extxyz", start)
        weight = WEIGHT if model.startswith("weighted") else ""
        mark = f"{abs(hash(str(folder))):x}"
        text = INPUT.format(weight=weight, steps=steps, seed=seed, mark=mark, temperature=TEMPERATURE)
        (folder / "input.xml").write_text(text)
        command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", model]
        finished = subprocess.run([*command, "--spectrum", "none"], cwd=folder, capture_output=True, text=True)
        result.write_text(json.dumps(read_run(folder, finished) | {"steps": steps}))
    return json.loads(result.read_text())


def read_run(folder: Path, finished: subprocess.CompletedProcess[str]) -> dict:
    """Temperature, longest O-H distance and weight against time in ps, and how the run ended."""
    time, temperature = np.loadtxt(folder / "run.out", ndmin=2).T
    longest = [
        max(atoms.get_distance(o, h, mic=True) for o in range(0, len(atoms), 3) for h in (o + 1, o + 2))
        for atoms in map(in_box, iread(folder / "run.positions_0.xyz"))
    ]
    weights = np.loadtxt(folder / "run.weight_0", ndmin=1) if (folder / "run.weight_0").exists() else []
    return {
        "status": finished.returncode,
        "said": "" if finished.returncode == 0 else " ".join(finished.stderr.split())[-300:],
        "time": time.tolist(),
        "temperature": temperature.tolist(),
        "longest": longest,
        "weight": np.asarray(weights).tolist(),
        "bounded": bool(finished.returncode == 0 and temperature[-1] < 5 * TEMPERATURE and max(longest) < BOUND),
    }


def in_box(atoms: Atoms) -> Atoms:
    """With the cell that i-PI's plain xyz leaves to its header."""
    atoms.set_cell([EDGE] * 3)
    atoms.pbc = True
    return atoms


def summary(own: dict) -> dict:
    """Of one run what is drawn: means over intervals, the longest distance in each, and where it ended."""
    edges = [0.0]
    while edges[-1] < own["time"][-1]:
        edges.append(edges[-1] + max(INTERVAL, SHARE * edges[-1]))
    found = {"time": [round((low + high) / 2, 4) for low, high in pairwise(edges)], "bounded": own["bounded"]}
    found["end"] = [own["time"][-1], own["temperature"][-1], round(own["longest"][-1], 4)]
    for name in ("temperature", "longest", "weight"):
        values = np.array(own[name])
        times = np.linspace(0.0, own["time"][-1], len(values))
        parts = [values[(times >= low) & (times <= high)] for low, high in pairwise(edges)]
        shown = [part.max() if name == "longest" else part.mean() for part in parts if len(part)]
        found[name] = [float(f"{one:.4g}") for one in shown]
    return found


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Temperature, longest O-H distance and weight against time; what fails as lines, the rest as mean and range."""
    figure, (temperature, longest, weight) = panels((WIDTH, 6.6), 3, sharex=True)
    handles = []
    for name, runs in results.items():
        colour, dashes = STYLES[name]
        bounded = [own for own in runs if own["bounded"]]
        for own in runs:
            if not own["bounded"]:
                for axes, key, place in ((temperature, "temperature", 1), (longest, "longest", 2)):
                    x, y = own["time"][: len(own[key]) - 1], own[key][:-1]
                    axes.plot([*x, own["end"][0]], [*y, own["end"][place]], color=colour, linewidth=0.8, zorder=3)
                    axes.plot(own["end"][0], own["end"][place], "x", color=colour, markersize=6, zorder=4)
            weight.plot(own["time"][: len(own["weight"])], own["weight"], color=colour, linewidth=1.0)
        for axes, key in ((temperature, "temperature"), (longest, "longest")):
            if bounded:
                values = np.array([own[key] for own in bounded])
                axes.plot(
                    bounded[0]["time"], values.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.4, zorder=3
                )
                area = {"color": colour, "alpha": BAND_ALPHA, "linewidth": 0, "zorder": 2}
                axes.fill_between(bounded[0]["time"], values.min(axis=0), values.max(axis=0), **area)
        failed = len(runs) - len(bounded)
        ended = ", ".join(
            [f"mean and range of {len(bounded)}"] * bool(bounded) + [f"{failed} of {len(runs)} fail (×)"] * bool(failed)
        )
        handles.append(Line2D([], [], color=colour, linestyle=dashes, label=f"{name}, {ended}"))
    temperature.set(yscale="log", ylabel="temperature / K")
    temperature.yaxis.set_major_formatter(PlainNumbers())
    longest.set_ylabel("longest O–H / Å")
    weight.set(xlabel="time / ps", ylabel="weight of the\ncorrection", ylim=(0, 1.02))
    weight.set(xscale="log", xlim=(EARLIEST, max(own["time"][-1] for runs in results.values() for own in runs)))
    weight.xaxis.set_major_formatter(PlainNumbers())
    head(temperature, "Water, both bonds of every third molecule stretched to 1.5 Å", handles)
    foot(figure, "means over 10 fs or a tenth of the time that has passed, and the longest distance in that time")
    figure.align_ylabels()
    write_png(figure, path)


def main() -> None:
    """Fit, run, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/weighted_baseline"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--without-baseline", action="store_true", help="leave out the runs of the baseline alone")
    parser.add_argument("--plot-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.plot_only:
        draw(json.loads((HERE / "bounded.json").read_text()), arguments.figure or HERE / "bounded.png")
        return
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    members = make_members(folder)
    uncertainty = uncertainty_of_baseline(folder)
    print(f"uncertainty of the baseline {uncertainty:.3f} eV, from {FRAMES} frames")
    together = ",".join(map(str, members))
    models = {
        "one correction": str(members[0]),
        "mean of five": f"committee:{together}",
        "weighted baseline": f"weighted-baseline:uncertainty={uncertainty:.4f},{together}",
        "baseline": BASELINE,
    }
    if arguments.without_baseline:
        del models["baseline"]
    last = read(folder / "frames.xyz", index=-1)
    results: dict[str, list[dict]] = {}
    for name, model in models.items():
        for seed in range(arguments.seeds):
            place = folder / f"{name.replace(' ', '_')}_{seed}"
            own = run(place, distorted(last, seed), model, seed, arguments.steps)
            results.setdefault(name, []).append(own)
            end = "bounded" if own["bounded"] else f"NOT bounded, status {own['status']}: {own['said'][:120]}"
            print(
                f"{name}, seed {seed}: {own['time'][-1]:.2f} ps, at most {max(own['temperature']):.0f} K and "
                f"{max(own['longest']):.2f} Å, at the end {own['temperature'][-1]:.0f} K; {end}",
                flush=True,
            )
    (folder / "results.json").write_text(json.dumps(results))
    if arguments.figure:
        kept = {name: [summary(own) for own in runs] for name, runs in results.items()}
        (HERE / "bounded.json").write_text(json.dumps(kept) + "\n")
        draw(kept, arguments.figure)


if __name__ == "__main__":
    main()
