"""How the tests run each command that README and the pages show: a new one needs its line here.

`RUN` has one entry for each set of small files, with the commands that are run there, in their order.  ``Step("…")`` is
run as it stands, ``Step("…", {"--samples 200": "--samples 8"})`` with other words in place of some.  What cannot be run
by a test of minutes stands in `commands_that_are_parsed.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import files_of_pages as files

BIASED = "--steps 400 --beads 2 --threads 1"  # as many samples as a profile needs


@dataclass(frozen=True)
class Step:
    """One command: as it is shown, what is replaced in it, and whether it is a server that waits for i-PI."""

    line: str
    changes: Mapping[str, str] = field(default_factory=dict)
    is_server: bool = False
    is_shown: bool = True  # otherwise it only makes what the next one needs

    @property
    def text(self) -> str:
        """What is run."""
        text = self.line
        for before, after in self.changes.items():
            assert before in text, f"'{before}' is not in '{self.line}'"
            text = text.replace(before, after)
        return text


def quick(line: str, changes: Mapping[str, str] | None = None) -> Step:
    """A run without a report at its end, which takes longer than a run of some steps."""
    return Step(line, {"beadwise run": "beadwise run --no-report", **(changes or {})})


def server(line: str) -> Step:
    """A server that is asked once."""
    return Step(line, is_server=True)


def first(line: str) -> Step:
    """A command that no page shows."""
    return Step(line, is_shown=False)


RUN: dict[str, tuple[Callable[[Path], None], list[Step]]] = {
    "runs": (
        files.inputs,
        [
            Step("beadwise run INPUT.xml --model water --threads 4"),
            quick("beadwise run $input --walltime 23h50min", {"$input": "water.xml"}),
            quick("beadwise run INPUT.xml --field 0,0,0.1"),
            quick("beadwise run water.xml"),
            quick("beadwise run INPUT.xml --spectrum ir,raman"),
            quick("beadwise run INPUT.xml --spectrum dielectric"),
        ],
    ),
    "multiple time steps": (
        files.a_folder,
        [
            quick(
                "beadwise run mts_nvt --model reference=MODEL --model learned=MODEL",
                {
                    "reference=MODEL": "reference=water_accurate",
                    "learned=MODEL": "learned=water_short --steps 2 --threads 1",
                },
            ),
            quick(
                "beadwise run INPUT.xml --model NAME=MODEL --model NAME=MODEL",
                {
                    "beadwise run": "cd beadwise-mts-nvt && beadwise run --no-report",
                    "INPUT.xml": "mts_nvt.xml",
                    "NAME=MODEL --model NAME=MODEL": "reference=water --model learned=water_short",
                },
            ),
        ],
    ),
    "averages": (
        files.inputs,
        [
            quick("beadwise run INPUT.xml --model water"),
            Step("beadwise reweight FOLDER --observable dipole --observable volume", {"FOLDER": "."}),
            Step(
                "beadwise reweight FOLDER --distance O,H --range 0.8,6 --bins 100", {"FOLDER": ".", "0.8,6": "0.8,4.9"}
            ),
            Step(
                'beadwise reweight . --observable "r_gyration(H)" --observable kinetic_td --observable committee_pot '
                "--observable polarizability"
            ),
            Step("beadwise reweight . --distance O,O --range 2.3,4.9 --bins 40 --output oo"),
            Step("beadwise export RUN --output frames.extxyz", {"RUN": "."}),
            Step("beadwise report RUN", {"RUN": "."}),
        ],
    ),
    "spectra": (
        files.to_correlate,
        [
            quick("beadwise run INPUT.xml --model MODEL --spectrum ir", {"MODEL": "water"}),
            first("mkdir run_1 run_2 && cp water* INPUT.xml run_1 && cp water_32.xyz run_2"),
            first("sed s/20250/1/ INPUT.xml > run_2/INPUT.xml && cd run_2 && beadwise run --no-report INPUT.xml"),
            first("sed -i s/\\'water\\'/\\'water_committee\\'/ INPUT.xml RESTART"),
            first("for file in water.*; do mv $file water_committee${file#water}; done"),
            Step("beadwise spectrum ir run_1 run_2 --window 500 --output water", {"500": "4"}),
            Step("beadwise spectrum ir run_*/water.moments_* --window 500 --output water", {"500": "4"}),
            Step("beadwise spectrum ir run_*/water.members_* --window 500 --output water", {"500": "4"}),
            Step(
                "beadwise spectrum ir water_committee.moments_? --skip 2 --window 400",
                {"--skip 2": "--skip 0.002", "400": "3"},
            ),
            Step("beadwise spectrum ir run.extxyz --timestep 0.5 --temperature 300"),
        ],
    ),
    "free energies": (
        files.inputs,
        [
            quick("beadwise run water.xml --model water"),
            Step("beadwise promote water.xml --model water --reference water_accurate --samples 200", {"200": "8"}),
            Step(
                "beadwise promote water.xml --model water --reference tblite:GFN1-xTB --samples 12",
                {"tblite:GFN1-xTB": "qtip4pf", "12": "8"},
            ),
            first("beadwise run --no-report short.xml --model water_short"),
            Step(
                "beadwise promote water.xml --model water --reference water_short --samples 200 "
                "--reference-run short.xml",
                {"200": "8"},
            ),
            Step("beadwise promote water.xml --samples 50 --structures samples.xyz", {"50": "8"}),
            first("python label.py"),
            Step("beadwise promote water.xml --model water --samples 50 --reference labelled.xyz", {"50": "8"}),
        ],
    ),
    "quantum nuclei": (
        files.inputs,
        [
            first("sed -i 's/kinetic_cv{electronvolt}/&, kinetic_cv(H){electronvolt}/' water.xml"),
            Step("beadwise mass-integration --prepare water.xml --element H=D --ratios 3", {"3": "1"}),
            Step("beadwise mass-integration --prepare water.xml --ratios 4", {"4": "2"}),
            quick("for input in water_y*.xml; do beadwise run $input --model water; done"),
            Step("beadwise mass-integration water_y*.xml"),
        ],
    ),
    "crystals": (
        files.a_crystal,
        [
            Step("beadwise harmonic iceIh.xyz --model qtip4pf --temperature 100,250"),
            Step(
                "beadwise lambda-integration --prepare ice.xml --harmonic iceIh.harmonic.npz",
                {"npz": "npz --nodes 1 --path plain --stride 1"},
            ),
            quick("for input in ice_l*.xml; do beadwise run $input; done"),
            Step("beadwise lambda-integration ice_l*.xml", {"xml": "xml --json Ih_lambda.json"}),
            first("cp ice.xml beads.xml"),
            Step(
                "beadwise mass-integration --prepare beads.xml --harmonic iceIh.harmonic.npz --ratios 4",
                {"--ratios 4": "--ratios 1"},
            ),
            quick("for input in beads_y*.xml; do beadwise run $input --model qtip4pf; done"),
            Step("beadwise mass-integration beads_y*.xml --harmonic iceIh.harmonic.npz"),
            first("python results.py"),
            Step("beadwise gibbs npt.xml --harmonic iceIh.harmonic.npz --json Ih_gibbs.json"),
            Step("beadwise gibbs npt.xml warm.xml --harmonic iceIh.harmonic.npz --helmholtz"),
            Step("beadwise free-energy Ih.toml Ic.toml"),
            Step("beadwise free-energy --run Ih.toml Ic.toml", {"Ih.toml Ic.toml": "cycle.toml"}),
            Step(
                "beadwise isotopes Ih.xml Ic.xml --model qtip4pf --from H --to D",
                {
                    "Ih.xml Ic.xml": "ice_l*.xml --samples 8 --atoms 1",
                    "--model qtip4pf": "--model switch:lambda=0.5,iceIh.harmonic.npz,qtip4pf",
                },
            ),
        ],
    ),
    "bias": (
        files.a_folder,
        [
            quick("beadwise run torsion_metadynamics", {"metadynamics": f"metadynamics {BIASED}"}),
            Step("beadwise profile beadwise-torsion-metadynamics"),
            Step("beadwise examples"),
            Step("beadwise examples torsion_opes my_torsion --steps 2000 --beads 8", {"2000": "4", "8": "2"}),
            quick("cd my_torsion && beadwise run torsion_opes.xml"),
        ],
    ),
    "a committee of models": (
        files.three_models,
        [
            quick("beadwise run water --model mixed.toml", {"water": "water --steps 4 --beads 2"}),
            quick("beadwise run INPUT.xml --model with_dispersion.toml"),
            quick("beadwise run INPUT.xml --model committee:a.safetensors,b.safetensors,c.safetensors"),
            quick("beadwise run INPUT.xml --model water --want energy,forces,virial,committee_energy"),
        ],
    ),
    "corrections": (
        files.corrections,
        [
            Step("beadwise evaluate delta.safetensors DATA.xyz --baselines baselines"),
            quick("beadwise run INPUT.xml --model delta.safetensors"),
            quick(
                "beadwise run INPUT.xml --model "
                "weighted-baseline:uncertainty=0.16,a.safetensors,b.safetensors,c.safetensors"
            ),
            Step("beadwise evaluate mine.safetensors valid.xyz --reliability reliability.png", {"mine": "delta"}),
        ],
    ),
    "servers": (
        files.to_serve,
        [
            Step(
                "beadwise vibrations STRUCTURE --model ethanol",
                {"STRUCTURE": "init.xyz --as-it-is", "ethanol": "harmonic:k=1.0"},
            ),
            server("beadwise serve GFN1-xTB --unix driver --structure init.xyz"),
            server("beadwise serve tblite:GFN1-xTB,accuracy=0.1,charge=1 --unix driver --structure init.xyz"),
            server("beadwise serve d3:functional=revpbe --unix driver --structure init.xyz"),
            server("beadwise serve ase:ase.calculators.emt.EMT --unix driver --structure init.xyz"),
            server(
                "beadwise serve ase:mypackage.MyCalculator:cutoff=5.0,dispersion=true --unix driver "
                "--structure init.xyz"
            ),
            server(
                "beadwise serve water --unix driver --structure init.xyz "
                "--want committee_energy,committee_dipole,energy_uncertainty,forces_uncertainty"
            ),
            server(
                "beadwise serve committee:a.safetensors,b.safetensors,c.safetensors --unix driver --structure init.xyz "
                "--want committee_energy,committee_forces,committee_virial"
            ),
            server("beadwise serve water --unix driver --structure init.xyz --field 0,0,0.1"),
            server(
                "beadwise serve water --unix driver --structure init.xyz "
                "--want energy,forces,virial,dipole,polarizability"
            ),
            server("beadwise serve water --tcp localhost:31415 --structure init.xyz"),
            Step(
                "beadwise examples slurm_tcp.sh FOLDER && cp input.xml init.xyz FOLDER && cd FOLDER",
                {"input.xml": "INPUT.xml"},
            ),
        ],
    ),
    "a fit": (
        files.a_fit,
        [
            Step("beadwise check-data fit.toml"),
            Step("beadwise fit fit.toml"),
            Step("beadwise evaluate mine.safetensors valid.xyz"),
            Step("beadwise schema fit > fit.schema.json"),
            Step("beadwise fetch"),
            Step("beadwise examples water_learn.toml ."),
        ],
    ),
    "ethanol": (
        files.ethanol,
        [Step("beadwise fit docs/ethanol/fit.toml")],
    ),
    "ethene": (
        files.ethene,
        [Step("beadwise fit docs/ethene/energy.toml"), Step("beadwise fit docs/ethene/hamiltonian.toml")],
    ),
    "active learning": (files.a_loop, [Step("beadwise learn CONFIG.toml")]),
}
