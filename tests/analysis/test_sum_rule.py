"""The sum rule of the infrared through real dynamics: q-TIP4P/F water, i-PI, files, spectrum."""

import re
import subprocess
import sys

import numpy as np
import pytest
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.recording import record
from beadwise.driver.launch.shipped_inputs import copy_shipped_input
from beadwise.potentials.qtip4pf import ATOMIC_CHARGES
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.series_files import find_sources
from beadwise.spectra import Window, estimate, jackknife
from beadwise.spectra.infrared import absorption, sum_rule
from scipy.integrate import trapezoid

MASSES = np.array([15.9994, 1.00794, 1.00794])  # Da
GRID = np.arange(0.0, 4501.0, 2.0)
EQUILIBRATION = 0.5  # ps
CHANGES = {
    "stride='4' extra_type='dipole,polarizability'": "stride='2' extra_type='dipole'",
    "<thermostat.*</thermostat>": "<thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> </thermostat>",
    "<total_steps>[^<]*": "<total_steps> 10000 ",
}


@pytest.fixture(scope="module")
def liquid(tmp_path_factory):
    """Classical dynamics, 5 ps, a thermostat on every atom so that all modes share the energy."""
    path = copy_shipped_input("classical_nvt", tmp_path_factory.mktemp("sum-rule"))
    text = path.read_text()
    for found, wanted in CHANGES.items():
        text, count = re.subn(found, wanted, text, flags=re.DOTALL)
        assert count == 1
    path.write_text(text)
    command = [sys.executable, "-m", "beadwise.driver", "run", path.name, "--model", "qtip4pf", "--spectrum", "none"]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    return path.parent


def test_sum_rule_of_fixed_charges(liquid):
    """physics.md 2.2: ∫ nα dν̃ = Σ q²/m/(4 ε0 c² V), within the standard error of a short run."""
    (source,) = find_sources(sorted(liquid.glob("*.moments_0")))
    window = Window("hann", 300.0)
    run = read_run_conditions(RunInput.read(liquid / "RESTART"))
    recorder, conditions = record("ir", source, window, run, skip=EQUILIBRATION)
    flux = estimate([recorder.correlations["dipole"]])

    def integral(values):
        return trapezoid(absorption(values, conditions, window, GRID), GRID, axis=-1)[..., None]

    value, error = jackknife(integral, flux)
    exact = sum_rule(np.tile(ATOMIC_CHARGES, 64), np.tile(MASSES, 64), conditions.volume)
    assert exact == pytest.approx(6.08e6, rel=0.01)  # 0.999 g/cm³
    assert error[0] < 0.1 * exact
    assert abs(value[0] - exact) < 4 * error[0]
