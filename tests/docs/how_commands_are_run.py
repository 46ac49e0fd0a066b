"""How the tests run each command that README and the pages show: a new one needs its line here.

`RUN` has one entry for each set of small files, with the commands that are run there, in their order.  ``Step("…")`` is
run as it stands, ``Step("…", {"--samples 200": "--samples 8"})`` with other words in place of some.  What cannot be run
by a test of minutes stands in `PARSED` with the reason: of it, options and files are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import files_of_pages as files
from commands_of_the_shell_model import SHELL_MODEL

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

INSTALLS = "it installs; .ci/run does so in an environment of its own"
CP2K = "it needs CP2K and labelled frames that are not part of the repository"
MACE = "it needs a model of MACE; tests/model/external/test_mace_in_ipi.py makes one"
IN_FIELDS = "a run in a field is tried above; tests/driver/test_live_dielectric.py takes two"
FIELD_INSIDE = "it needs a model of local polarizabilities; tests/model/fields/test_field_inside_served.py makes one"
CHARGES = "it needs a model with charges; tests/learning/charges/test_charge_fit.py fits such"
PUBLIC_ETHANOL = "it needs public data and minutes; tests/equivariant/test_starting.py fits such networks"
WATCH = "it goes on until it is interrupted; tests/driver/watch/test_watch.py runs it"
AVERAGES = "it needs a run with shieldings; tests/analysis/test_averages.py makes such"
ELECTRONS = "it needs a density of states; tests/learning/electrons fits some, tests/driver/electrons runs i-PI"
ETHENE = "it needs both runs; tests/orbitals/test_gap_averages.py makes one and its mean"
PIGS = "it needs a run of path integrals; tests/driver/nuclei/test_pigs.py goes all the way with a small one"
PARSED: dict[str, str] = {
    **SHELL_MODEL,
    "python -m pip install . && beadwise run": f"{INSTALLS}, and runs it there",
    'python -m pip install ".[test]" && python -m pytest': f"{INSTALLS}, and runs all tests",
    "python -m pip install .": INSTALLS,
    "python -m venv ~/beadwise && . ~/beadwise/bin/activate": INSTALLS,
    'python -m pip install ".[mpi]"': INSTALLS,
    "python -m pip install --no-deps hillclimber==0.1.8": INSTALLS,
    "python docs/ethene/labels.py 100": "it needs minutes and PySCF",
    "python docs/long_range/pairs.py dimers.xyz pairs": "it needs public data; tests/lode/test_long_range_fit.py",
    "python docs/ethanol/labels.py sample": "it needs hours and PySCF",
    "python docs/ethanol/labels.py label": "it needs hours and PySCF",
    "python docs/ethanol/labels.py bend": "what it writes is for the one before",
    "python docs/water_density/labels.py water --frames 100": "it needs minutes and PySCF",
    "beadwise density water.safetensors molecule.xyz --spacing 0.1": "a fit; tests/electron_density/test_cube.py",
    "beadwise fit docs/equivariant/ethanol.toml": (
        "it needs public data and half an hour; tests/equivariant/test_training.py fits such a network"
    ),
    "beadwise fetch ethanol_md": "it needs the network; tests/learning/test_public_sets.py fetches from this machine",
    "beadwise fit docs/equivariant/ethanol_guide.toml": PUBLIC_ETHANOL,
    "beadwise fit docs/equivariant/ethanol_teacher.toml": PUBLIC_ETHANOL,
    "python docs/equivariant/more_frames.py ethanol_md/train.xyz@:950 build/ethanol_guide.safetensors "
    "build/ethanol_teacher.safetensors build/ethanol_taught.xyz": (
        "it needs models of the fits before it; tests/equivariant/test_more_frames.py runs it with others"
    ),
    "beadwise fit docs/equivariant/ethanol_taught.toml": PUBLIC_ETHANOL,
    "beadwise run ethanol_pimd --steps 6000": "tests/driver/test_inputs.py runs it",
    "beadwise export beadwise-ethanol-pimd --output build/beads.extxyz --skip 0.3 --every 2": (
        "it needs half a minute of a run; tests/analysis/test_export.py exports others"
    ),
    "python docs/equivariant/more_frames.py build/beads.extxyz build/ethanol_guide.safetensors "
    "build/ethanol_teacher.safetensors build/ethanol_beads.xyz --time 0 --isolated": (
        "it needs models of the fits before it; tests/equivariant/test_more_frames.py runs it with others"
    ),
    "beadwise fit docs/equivariant/ethanol_accurate_start.toml": PUBLIC_ETHANOL,
    "beadwise fit docs/equivariant/ethanol_accurate.toml": PUBLIC_ETHANOL,
    "beadwise learn water_learn.toml": CP2K,
    "python docs/pictures/active_learning/compare.py water_data compare": CP2K,
    "beadwise fetch water": "it needs the network; tests/learning/test_public_sets.py fetches from this machine",
    "python REPOSITORY/docs/water_labels/prepare.py convert water_public water_data": (
        "it needs what `fetch` brings; tests/learning/test_water_preparation.py"
    ),
    "python REPOSITORY/docs/water_labels/prepare.py label water_data": CP2K,
    "python REPOSITORY/docs/water_labels/prepare.py hot water_data": CP2K,
    "python REPOSITORY/docs/water_labels/sample.py water water_data/bulk_train.xyz": CP2K,
    "python REPOSITORY/docs/water_labels/label.py check water_data/bulk_train.xyz": CP2K,
    "python REPOSITORY/docs/water_labels/label.py run water_data/pimd_train.xyz run_*": CP2K,
    "beadwise fit water_fit.toml": CP2K,
    "beadwise fit water_accurate_fit.toml": CP2K,
    "python REPOSITORY/docs/water_labels/label.py run water_data/pimd_valid.xyz run_d1.02-300K": CP2K,
    "python REPOSITORY/docs/water_labels/sample.py qtip4pf ../water_data/bulk_train.xyz": CP2K,
    "python REPOSITORY/docs/water_labels/label.py run --beads 8 water_data/qtip4pf_valid.xyz tip/run_d1.02-300K": CP2K,
    "python REPOSITORY/docs/water_labels/label.py run --beads 8 water_data/qtip4pf_train.xyz tip/run_*": CP2K,
    'beadwise run input.xml --model "client:processes=2 other/bin/python driver.py {address} {structure}"': (
        "it needs another program; tests/model/external/test_client_potential.py starts one"
    ),
    'python -m pip install "beadwise[mace]"': INSTALLS,
    "beadwise serve field-inside:MODEL --unix driver --structure init.xyz --want polarizability": FIELD_INSIDE,
    "beadwise evaluate field-inside:damping=1.0,MODEL valid.xyz": FIELD_INSIDE,
    "beadwise inspect ions.safetensors": CHARGES,
    "beadwise serve charges:charge=1,ions.safetensors --unix driver --structure cation.xyz --want dipole": CHARGES,
    "beadwise run plus.xml --field 0,0,0.02": IN_FIELDS,
    "beadwise run minus.xml --field 0,0,-0.02": IN_FIELDS,
    "beadwise spectrum dielectric run_1 run_2 --output water": "its runs have fewer samples than an error needs",
    "beadwise run input.xml --model mace:my.model": MACE,
    "beadwise run input.xml --model mixed.toml --spectrum ir,raman": MACE,
    "beadwise run input.xml --model metatomic:model.pt": (
        "it needs a model of metatomic; tests/model/external/test_metatomic.py makes some"
    ),
    "beadwise run input.xml --model reference=metatomic:model.pt --model learned=metatomic:model.pt,forces=direct": (
        "it needs a model of metatomic; tests/model/external/test_metatomic_in_ipi.py does that"
    ),
    "beadwise fit fit.toml --track tensorboard:board": "it needs TensorBoard; tests/learning/logs/test_logs.py",
    "beadwise fit silicon.toml": ELECTRONS,
    "beadwise serve electrons:temperature=5000,silicon.safetensors --unix silicon --structure input.xml --want "
    "energy,forces,virial,density_of_states,fermi_level,electronic_entropy": ELECTRONS,
    "beadwise run input.xml --model electrons:temperature=5000,silicon.safetensors --average fermi_level": ELECTRONS,
    "beadwise run input.xml --model electrons:temperature=5000,forces=yes,silicon.toml": ELECTRONS,
    "beadwise evaluate nmr.safetensors test.xyz": "tests/quantities/test_shielding.py fits and evaluates shieldings",
    "beadwise run INPUT.xml --model nmr.safetensors --average shielding": AVERAGES,
    "beadwise average QUANTUM --of shielding --minus CLASSICAL": AVERAGES,
    "beadwise average FOLDER --of shielding --frame crystal --reference H=31.8 --group methyl=3,4,5": AVERAGES,
    "beadwise pigs --prepare water.xml --temperature 500": PIGS,
    "beadwise run water_pigs.xml --model water": PIGS,
    "beadwise pigs water_pigs.xml --model water": PIGS,
    "beadwise run classical.xml --model water_pigs.toml --spectrum ir,raman": PIGS,
    "beadwise nuclei water --by pa-cmd": "tests/driver/nuclei/test_nuclei.py runs it",
    "beadwise watch FOLDER": WATCH,
    "beadwise watch FOLDER --terminal": WATCH,
    "beadwise watch FOLDER --port 8899": WATCH,
    "beadwise run": "tests/driver/test_inputs.py runs it, and .ci/run with all its steps",
    "beadwise run static_field": "tests/driver/test_inputs.py runs it",
    "beadwise run ethanol_pimd": "tests/driver/test_inputs.py runs it",
    "beadwise run ethene_pimd": "tests/driver/test_inputs.py runs it",
    "beadwise run ethene_pimd --average orbital_gap": "tests/orbitals/test_gap_averages.py runs such",
    "beadwise run ethene_classical": "tests/driver/test_inputs.py runs it",
    "beadwise run ethene_classical --average orbital_gap": "tests/orbitals/test_gap_averages.py runs such",
    "beadwise average beadwise-ethene-pimd --of orbital_gap --minus beadwise-ethene-classical": ETHENE,
    "beadwise average beadwise-ethene-pimd --of orbital_energies --minus beadwise-ethene-classical": ETHENE,
    "beadwise run proton_sharing": "tests/driver/test_biased_inputs.py runs it",
    "beadwise profile beadwise-proton-sharing classical --range 0,0.66 --bins 22 --centroid": (
        "it needs two runs of hours; tests/analysis/test_profile_command.py makes such profiles"
    ),
    "beadwise reweight FOLDER --profile --from 0.2,0.4 --to 0.6,0.8": (
        "it needs a biased run of hours; tests/analysis/test_reweight_command.py does it"
    ),
    "python benchmarks/multiple_time_steps.py --outer water_gfn1 --inner water --structure inputs/water_32.xyz "
    "--multiples 1 2 4 8 --picoseconds 1 --starts 4 --folder ladder": "it takes hours",
    "beadwise run mts_nvt": "tests/driver/test_multiple_time_steps.py runs it; GFN1-xTB takes seconds for a step",
    'i-pi-driver-py -u -a ADDRESS -m custom -P $(beadwise shim) -o "model=water,structure=init.xyz,'
    'want=dipole+polarizability"': "tests/driver/test_in_process.py runs that program",
    "mpiexec -n 1 beadwise ipi input.xml : -n 4 beadwise serve water --mpi --structure init.xyz": (
        "it needs MPI; tests/driver/test_mpi.py runs it"
    ),
    "python docs/make_ipi_inputs.py FOLDER_OF_IPI --table docs/reference/ipi_inputs.md": (
        "it needs the repository of i-PI; tests/driver/test_ipi_examples.py runs parts of it"
    ),
}
