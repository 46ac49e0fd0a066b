"""The permittivity against closed forms: its value, its tensor, its errors, ε(ω), and what is refused."""

import numpy as np
import pytest
from beadwise.spectra import Conditions, NotComputedError, SeriesError, Window
from beadwise.spectra.dielectric import Fluctuations, dielectric_tensor
from beadwise.spectra.dielectric.fluctuations import MOST_BLOCKS
from beadwise.spectra.dielectric.relaxation import integrated_time
from beadwise.spectra.dielectric.spectrum import dielectric_spectrum, relaxation
from beadwise.spectra.recording import make_recorder, spectrum_of
from beadwise.spectra.units import angular_frequency
from scipy.signal import lfilter
from wells import COULOMB, moments_of_wells, sample_wells

KT = 8.617333262e-5 * 300
TIMESTEP, VOLUME = 10.0, 1000.0
UNIT = 4 * np.pi * COULOMB / (VOLUME * KT)  # ε of a variance of one (e·Å)² along each axis


def ornstein_uhlenbeck(samples, tau, random, components=3):
    """A normal series of variance 1 whose correlation function is exp(−t/tau), tau in samples."""
    kept = np.exp(-1 / tau)
    noise = random.normal(size=(samples + int(20 * tau), components))
    return lfilter([np.sqrt(1 - kept**2)], [1, -kept], noise, axis=0)[int(20 * tau) :]


def recorded(dipole, lags=1, volume=VOLUME, pieces=1, **others):
    one = Fluctuations(TIMESTEP, lags, volume)
    parts = {name: np.array_split(values, pieces) for name, values in {"dipole": dipole, **others}.items()}
    for number in range(pieces):
        one.add({name: part[number] for name, part in parts.items()})
    return one


def test_errors_are_those_of_repeats():
    """Within one standard error of what is exact lie 60 to 76 % of the repeats."""
    random = np.random.default_rng(2)
    found = [dielectric_tensor([recorded(ornstein_uhlenbeck(20000, 50, random))], 300.0, 1.0) for _ in range(50)]
    values = np.array([float(one.isotropic.value) for one in found])
    errors = np.array([float(one.isotropic.error) for one in found])
    assert 0.60 <= np.mean(np.abs(values - 1 - UNIT) < errors) <= 0.76
    # √(2τ/3t) of Δε, the series being 400 τ long; the error of an error from some 30 blocks is a tenth
    np.testing.assert_allclose(errors.mean(), UNIT * np.sqrt(2 / 1200), rtol=0.1)
    np.testing.assert_allclose(values.std(), errors.mean(), rtol=0.2)
    times = [one.units.relaxation_time for one in found]
    assert np.median(times) == pytest.approx(500.0, rel=0.2)
    assert all(one.units.is_long_enough for one in found)


def test_tensor_and_optical_part():
    random = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [0.0, -0.3, 1.2]])
    dipole = random.normal(size=(40000, 3)) @ mixing.T + [5.0, -3.0, 0.0]
    tensor = 30 * np.eye(3) + random.normal(size=(40000, 3, 3))
    tensor += np.swapaxes(tensor, 1, 2)
    found = dielectric_tensor([recorded(dipole, polarizability=tensor)], 300.0)
    optical = np.eye(3) + 4 * np.pi * tensor.mean(axis=0) / VOLUME
    np.testing.assert_allclose(found.optical.value, optical, rtol=1e-12)
    np.testing.assert_allclose(found.tensor.value, optical + UNIT * np.cov(dipole.T, bias=True), rtol=1e-9)
    exact = np.eye(3) * (1 + 240 * np.pi / VOLUME) + UNIT * mixing @ mixing.T
    assert (np.abs(found.tensor.value - exact) < 4 * found.tensor.error).all()
    assert float(found.isotropic.value) == pytest.approx(np.trace(found.tensor.value) / 3)
    given = dielectric_tensor([recorded(dipole, polarizability=tensor)], 300.0, 2.5)
    np.testing.assert_allclose(given.tensor.value - found.tensor.value, 2.5 * np.eye(3) - optical, atol=1e-9)


def test_constant_pressure_is_the_response_of_the_polarization():
    """Weights exp(E·M/kT) on the same samples: the change of ⟨M/V⟩ is the estimator, not that of ⟨M²⟩/⟨V⟩."""
    random = np.random.default_rng(4)
    volume = 1000 + 100 * random.normal(size=20000)
    dipole = random.normal(size=(20000, 3)) * np.sqrt(volume / 1000)[:, None] + 0.5
    found = dielectric_tensor([_at_pressure(dipole, volume)], 300.0, 1.0)
    field = 1e-5
    for axis in range(3):
        shifted = []
        for sign in (1, -1):
            weights = np.exp(sign * field * dipole[:, axis] / KT)
            shifted.append(((dipole[:, axis] / volume) * weights).sum() / weights.sum())
        expected = 1 + 4 * np.pi * COULOMB * (shifted[0] - shifted[1]) / (2 * field)
        assert found.tensor.value[axis, axis] == pytest.approx(expected, rel=1e-6)
    assert found.volume == pytest.approx(volume.mean())


def _at_pressure(dipole, volume):
    one = Fluctuations(TIMESTEP, 1)
    one.add({"dipole": dipole, "volume": volume})
    return one


def test_debye():
    """e^{−t/τ} is ε∞ + Δε/(1 − iωτ)."""
    tau, grid = 200.0, np.geomspace(1.0, 300.0, 50)
    times = np.arange(40001) * 0.5
    window = Window("none", times[-1])
    found = relaxation(np.exp(-times / tau), 0.5, window, grid)
    np.testing.assert_allclose(found, 1 / (1 - 1j * angular_frequency(grid) * tau), atol=2e-4)


def test_spectrum_of_a_debye_liquid():
    random = np.random.default_rng(1)
    dipole = ornstein_uhlenbeck(60000, 20, random)
    tensor = np.broadcast_to(30 * np.eye(3), (60000, 3, 3))
    spectrum, constant = dielectric_spectrum(
        [recorded(dipole, 1000, polarizability=tensor)], Conditions(TIMESTEP, 300.0, VOLUME)
    )
    assert spectrum["real"].values[0] == pytest.approx(float(constant.isotropic.value), rel=1e-9)
    exact = 1 + 120 * np.pi / VOLUME + UNIT / (1 - 1j * angular_frequency(spectrum.wavenumber) * 20 * TIMESTEP)
    low = spectrum.wavenumber < 60
    for column, values in (("real", exact.real), ("imaginary", exact.imag)):
        off = (spectrum[column].values - values)[low] / np.maximum(spectrum[column].standard_error[low], 1e-3)
        assert np.sqrt(np.mean(off**2)) < 2.0
    assert "tin foil" in spectrum.notes["boundary"] and "from polarizabilities" in spectrum.notes["optical"]


@pytest.mark.parametrize("part", [0.8, 1.0, 1.05, 1.5])
def test_64_coupled_wells(part):
    """T_c = 863.19 K; reference/physics-dielectrics, section 6: √⟨(M/N)²⟩ of N = 64."""
    kt = part * 863.19 * 8.617333262e-5
    known = {0.8: 0.30328, 1.0: 0.16889, 1.05: 0.15146, 1.5: 0.09670}[part]
    square, fourth = moments_of_wells(64, kt)
    assert np.sqrt(square) == pytest.approx(known, abs=2e-5 if part != 0.8 else 2e-4)
    copies = sample_wells(64, kt, 3000, np.random.default_rng(round(100 * part)), copies=16)[:, 500:]
    trajectories = []
    for copy in copies:
        dipole = np.zeros((len(copy), 3))
        dipole[:, 0] = 64 * copy
        trajectories.append(recorded(dipole))
    temperature = kt / 8.617333262e-5
    found = dielectric_tensor(trajectories, temperature, 1.0)
    unit = 4 * np.pi * COULOMB / (VOLUME * kt)
    assert abs(found.tensor.value[0, 0] - 1 - unit * 64**2 * square) < 2 * found.tensor.error[0, 0]
    polarization = 64 * np.sqrt(square) / VOLUME * 16.02176634
    assert abs(found.polarization.value - polarization) < 2 * found.polarization.error
    assert abs(found.binder.value - fourth / square**2) < 2 * found.binder.error


def test_mean_of_beads_and_not_single_beads():
    """A ring in a well: the variance of its mean is kT/k, a bead's is larger (3.81 times at 1600 cm⁻¹, 32 beads)."""
    beads, x = 32, 1600 * 1.4387769 / 300
    modes = np.square(2 * beads * np.sin(np.pi * np.arange(beads) / beads))
    inverse = (modes / x**2 + 1) / beads
    noise = np.fft.fft(np.random.default_rng(5).normal(size=(20000, beads, 3)), axis=1)
    rings = np.fft.ifft(noise / np.sqrt(inverse)[:, None], axis=1).real
    assert np.square(rings).mean() == pytest.approx(3.8133, rel=0.02)
    found = dielectric_tensor([recorded(rings.mean(axis=1))], 300.0, 1.0)
    assert abs(found.isotropic.value - 1 - UNIT) < 3 * found.isotropic.error


def test_pieces_do_not_matter_to_the_last_bit():
    random = np.random.default_rng(6)
    dipole, tensor = random.normal(size=(9001, 3)), random.normal(size=(9001, 3, 3))
    assert len(dipole) > 2 * MOST_BLOCKS
    whole = recorded(dipole, 30, polarizability=tensor)
    parts = recorded(dipole, 30, pieces=37, polarizability=tensor)
    np.testing.assert_array_equal(whole.blocks, parts.blocks)
    np.testing.assert_array_equal(whole.polarizations, parts.polarizations)
    assert whole.block_length == parts.block_length == 4 and whole.samples == parts.samples == 9001
    np.testing.assert_allclose(whole.polarizations[1], dipole[2] / VOLUME * 16.02176634)


def test_short_blocks_are_said():
    found = dielectric_tensor([recorded(ornstein_uhlenbeck(2000, 100, np.random.default_rng(7)))], 300.0, 1.0)
    assert not found.units.is_long_enough and "so that the errors are too small" in found.units.note
    assert integrated_time(np.random.default_rng(8).normal(size=(5000, 3))) == pytest.approx(0.5, abs=0.1)
    assert integrated_time(np.ones((50, 1))) == 0.5


def test_what_is_refused():
    dipole = np.random.default_rng(9).normal(size=(100, 3))
    with pytest.raises(SeriesError, match="give --optical-permittivity, 1 for fixed charges"):
        dielectric_tensor([recorded(dipole)], 300.0)
    with pytest.raises(NotComputedError, match="at least 8 are needed"):
        dielectric_tensor([recorded(dipole[:5])], 300.0, 1.0)
    with pytest.raises(NotComputedError, match="0 samples of the dipole are too few"):
        dielectric_tensor([recorded(dipole[:0])], 300.0)
    with pytest.raises(SeriesError, match="volume of each sample is not known"):
        Fluctuations(1.0, 1).add({"dipole": dipole})
    with pytest.raises(SeriesError, match="it must be positive"):
        Fluctuations(1.0, 1).add({"dipole": dipole, "volume": np.zeros(100)})
    one = recorded(dipole)
    with pytest.raises(SeriesError, match="only some samples have a polarizability"):
        one.add({"dipole": dipole, "polarizability": np.zeros((100, 3, 3))})


def test_infrared_spectra_assume_no_substance():
    """The absorption coefficient alone needs ε∞: from polarizabilities, as given, or it is left out."""
    dipole = np.random.default_rng(10).normal(size=(600, 3)).cumsum(axis=0)
    tensor = np.broadcast_to(30 * np.eye(3), (600, 3, 3))
    conditions, window = Conditions(1.0, 300.0, VOLUME), Window("hann", 50.0)

    def spectrum(samples, **given):
        recorder = make_recorder("ir", 1.0, window)
        for part in np.array_split(np.arange(600), 5):
            recorder.add({name: values[part] for name, values in samples.items()})
        return spectrum_of([recorder], conditions, window, **given)

    bare = spectrum({"dipole": dipole})
    assert list(bare.columns) == ["n_alpha"] and "not known" in bare.notes["optical permittivity"]
    told = spectrum({"dipole": dipole, "polarizability": tensor})
    given = spectrum({"dipole": dipole}, optical_permittivity=1 + 120 * np.pi / VOLUME)
    assert list(told.columns) == ["n_alpha", "alpha", "refractive_index"]
    for name, column in given.columns.items():
        np.testing.assert_allclose(told[name].values, column.values, rtol=1e-9)
    np.testing.assert_array_equal(told["n_alpha"].values, bare["n_alpha"].values)
    for unusable in (tensor.reshape(600, 9), np.where(np.arange(600)[:, None, None] == 7, np.nan, tensor)):
        found = spectrum({"dipole": dipole, "polarizability": unusable})
        assert list(found.columns) == ["n_alpha"] and "not known" in found.notes["optical permittivity"]


def test_optical_permittivity_is_that_of_all_trajectories():
    """Whatever their order, and weighted with their lengths; where one does not tell it, none is told."""
    random, window, conditions = np.random.default_rng(12), Window("hann", 50.0), Conditions(1.0, 300.0, VOLUME)
    recorders = []
    for count, size in ((600, 20.0), (200, 60.0), (300, None)):
        samples = {"dipole": random.normal(size=(count, 3))}
        if size is not None:
            samples["polarizability"] = np.tile(size * np.eye(3), (count, 1, 1))
        recorders.append(make_recorder("ir", 1.0, window))
        recorders[-1].add(samples)
    for chosen in (recorders[:2], recorders[1::-1]):
        spectrum = spectrum_of(chosen, conditions, window)
        assert spectrum.notes["optical permittivity"].startswith(f"{1 + 4 * np.pi * 30 / VOLUME:.4g},")
    assert "not known" in spectrum_of(recorders, conditions, window).notes["optical permittivity"]
