"""Commands of README and the pages that no test of minutes can run, with the reason: what they name is looked up."""

from __future__ import annotations

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
SHELL_MODEL = "it takes minutes; tests/docs/test_shell_model.py takes its parts"
PARSED: dict[str, str] = {
    "python REPOSITORY/docs/batio3/shell_frames.py start start.xyz": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/against_shell_model.py visit": SHELL_MODEL,
    "for run in visit_*; do (cd $run && i-pi input.xml); done": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/shell_frames.py visited visited.xyz visit_*/npt.pos_0.extxyz": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/shell_frames.py distorted distorted.xyz 120": SHELL_MODEL,
    "beadwise fit batio3_shell_fit.toml": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/against_shell_model.py prepare": SHELL_MODEL,
    "for run in shell_*_? fitted_*_?; do (cd $run && i-pi input.xml); done": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/against_shell_model.py measure": SHELL_MODEL,
    "python REPOSITORY/docs/batio3/against_shell_model.py draw": SHELL_MODEL,
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
    "beadwise density water.safetensors molecule.xyz --spacing 0.1": (
        "it needs a fit; tests/electron_density/test_cube.py writes such files"
    ),
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
