"""Every kind of picture that a command draws: in the style of the house, with units, and with its bands inside."""

import math

import numpy as np
import pytest
from beadwise.colours import COLOURS, PRELIMINARY
from beadwise.driver.launch.energy_plot import plot_energies
from beadwise.learning.fitting.accuracy import ErrorReport, PropertyErrors
from beadwise.learning.loop.state import ExplorationRecord, RoundRecord
from beadwise.learning.pictures import loop_plots
from beadwise.learning.pictures.parity import plot_parity
from beadwise.learning.pictures.reliability_plot import plot_reliability
from beadwise.pictures import RESOLUTION, STYLE
from beadwise.sampling.mass_integration import MassIntegration, gauss_legendre_ratios
from beadwise.sampling.mass_plot import plot_integrand
from beadwise.sampling.plot import plot_profiles
from beadwise.sampling.profile import FreeEnergyProfile
from beadwise.sampling.uncertain_plot import plot_two_errors
from beadwise.spectra import Column, Spectrum
from beadwise.spectra.experiment import marks
from beadwise.spectra.plot import plot_spectra
from beadwise.spectra.spectrum import PANELS
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imread

GRID = np.arange(0.0, 4501.0, 10.0)
HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{picosecond} : The elapsed simulation time.
# column   3     --> conserved{electronvolt} : The conserved quantity.
# column   4     --> temperature{kelvin} : The temperature.
# column   5     --> kinetic_cv(H){electronvolt} : The kinetic energy.
# column   6     --> kinetic_cv(O){electronvolt} : The kinetic energy.
"""
NEEDS_NO_UNIT = {
    "",  # beside or above a panel that has the same axis
    "step",
    "round",
    "labelled frames (training and validation)",
    "g(r) O–O",
    "error",  # of g(r)
    "y, square root of the ratio of masses (masses m/y²)",
    "highest distance from training range, in units of that range",
}


def rng(seed=0):
    return np.random.default_rng(seed)


def spectrum(kind, error=0.1, preliminary=""):
    """Two bands on a curve, each with an error that is this part of its height."""
    curve = 1e3 * (np.exp(-(((GRID - 1600) / 90) ** 2)) + 3 * np.exp(-(((GRID - 3400) / 200) ** 2)))
    names = [name for panel in PANELS[kind] for name in panel.columns]
    columns = {name: Column(curve, error * curve + 1, "") for name in names}
    notes = {"dynamics": "TRPMD, 8 beads, 300 K", "data": "20 ps", "window": "hann", "standard errors": "jackknife"}
    return Spectrum(kind, "A spectrum", GRID, columns, notes | ({"preliminary": preliminary} if preliminary else {}))


def profile(shift=0.0, error=0.02):
    edges = np.linspace(-1, 1, 21)
    centres = (edges[1:] + edges[:-1]) / 2
    errors = np.where(np.abs(centres) > 0.85, np.nan, error)
    return FreeEnergyProfile(edges, 0.3 * (centres**2 - shift) ** 2, errors, 300.0, 100, 90.0, 16, 8, {"data": "1 run"})


def record(place):
    predicted = rng().uniform(0.05, 0.1, 6)
    return RoundRecord(
        place,
        "model.safetensors",
        training=10 * place,
        validation=3,
        new=6,
        errors={"validation": {"forces": 100.0 / place}, "independent": {"forces": 123.0 / place}},
        explorations=[
            ExplorationRecord(name, 100, 100, 50, 7, "finished", "", 0.3 / place, 0.2, 12.0)
            for name in ("classical", "path integrals")
        ],
        candidate_uncertainties=rng().uniform(0.1, 0.9, 40).tolist(),
        selected_uncertainties=rng().uniform(0.4, 0.9, 6).tolist(),
        predicted_errors=predicted.tolist(),
        true_errors=(predicted * rng().normal(1, 0.3, 6)).tolist(),
        seconds={"fit": 30.0, "evaluate": 5.0, "explore": 100.0, "select": 7.0, "label": 10.0},
    )


def draw_energies(image):
    time = np.arange(400)
    drift, noise = rng().normal(0, 1e-4, 400).cumsum(), rng().normal(0, 1, (3, 400))
    rows = np.stack([time, time * 0.001, drift, 300 + 9 * noise[0], 9 + 0.1 * noise[1], 3 + 0.1 * noise[2]], axis=1)
    source = image.with_suffix(".out")
    source.write_text(HEADER + "\n".join(" ".join(f"{value:.8g}" for value in row) for row in rows) + "\n")
    assert plot_energies(source, image)


def draw_errors_of(values, draw, image):
    reference = rng().normal(0, 5, (values, 1))
    found = reference + 0.1 * rng(1).normal(0, 1, (values, 1))
    names = {"energy": "meV/atom", "forces": "meV/Å", "dipole": "me·Å/atom"}
    draw(ErrorReport(5, {name: PropertyErrors(unit, reference, found) for name, unit in names.items()}), image)


def draw_reliability(image):
    sigma = rng().uniform(0.1, 1.0, (60, 3))
    errors = sigma * rng(1).normal(size=sigma.shape)
    plot_reliability({"forces": (sigma, errors, "eV/Å"), "dipole": (sigma, 2 * errors, "e·Å")}, image)


def draw_two_errors(image):
    r = np.linspace(2, 5, 40)
    curve = 1 - np.exp(-((r - 2) ** 2))
    plot_two_errors(r, curve, 0.1 * curve, 0.3 * curve, 0.05 * curve, image, "r / Å", "g(r) O–O", "1 run, 100 samples")


def draw_mass_integration(image):
    ratios, weights = gauss_legendre_ratios(5)
    result = MassIntegration(0.05, 0.004, ratios, 0.1 * ratios, weights, "gauss-legendre")
    plot_integrand(result, np.full(5, 0.01), 3, image)


def draw_loop(make, image):
    figure = make([record(1), record(2), record(3)])
    figure.savefig(image, dpi=RESOLUTION)


DRAWN = {
    **{
        kind: lambda image, kind=kind: plot_spectra({"": spectrum(kind)}, image, marks(kind, {"H", "O"}))
        for kind in PANELS
    },
    "spectra compared": lambda image: plot_spectra({"a": spectrum("raman"), "b": spectrum("raman")}, image),
    "profile": lambda image: plot_profiles({"quantum": profile(0.3), "classical": profile(0.5)}, image, "x / Å"),
    "two errors": draw_two_errors,
    "mass integration": draw_mass_integration,
    "energies": draw_energies,
    "parity": lambda image: draw_errors_of(40, lambda report, image: plot_parity({"a.xyz": report}, image), image),
    "parity of sets": lambda image: draw_errors_of(
        3000, lambda report, image: plot_parity({"training": report, "validation": report}, image), image
    ),
    "reliability": draw_reliability,
    "errors of rounds": lambda image: draw_loop(
        lambda records: loop_plots.error_figure({"a": records, "b": records[:2]}, "forces"), image
    ),
    "loops compared": lambda image: loop_plots.comparison_plot({"active": [record(1), record(2)]}, image),
    **{
        name: lambda image, name=name: draw_loop(getattr(loop_plots, f"{name}_figure"), image)
        for name in ("calibration", "fractions", "exploration", "envelope", "selection", "time")
    },
}


@pytest.fixture
def figures(monkeypatch):
    """What is saved."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *path, **more: (saved.append(self), save(self, *path, **more)))
    return saved


def bands_of(axes):
    """Heights of all bands that are drawn, where the panel shows them."""
    low, high = axes.get_xlim()
    corners = [path.vertices for own in axes.collections if isinstance(own, PolyCollection) for path in own.get_paths()]
    joined = np.concatenate([np.zeros((0, 2)), *corners])
    return joined[(joined[:, 0] >= low) & (joined[:, 0] <= high) & np.isfinite(joined[:, 1]), 1]


@pytest.mark.parametrize("kind", DRAWN)
def test_each_has_units_and_the_style_of_the_house(kind, figures, tmp_path):
    image = tmp_path / f"{kind.replace(' ', '_')}.png"
    DRAWN[kind](image)
    assert image.stat().st_size < 200_000
    (figure,) = figures
    height, width = imread(image).shape[:2]
    assert (width, height) == tuple(int(size * RESOLUTION + 1e-6) for size in figure.get_size_inches())
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert shown
    for axes in shown:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "/ " in label or label.replace("\n", " ") in NEEDS_NO_UNIT, label
        assert axes.xaxis.label.get_fontname() == STYLE["font.family"]
        assert all(text.get_fontsize() >= 7.5 for text in axes.texts)
    box = figure.get_tightbbox()
    assert box.x0 > -0.02 and box.y0 > -0.02
    assert box.x1 < figure.get_figwidth() + 0.02 and box.y1 < figure.get_figheight() + 0.02


def test_the_same_picture_makes_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        DRAWN["ir"](tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("error", [0.1, 3.0])
@pytest.mark.parametrize("kind", ["ir", "profile", "two errors"])
def test_bands_are_inside_the_frame(kind, error, figures, tmp_path):
    r = np.linspace(2, 5, 40)
    draw = {
        "ir": lambda image: plot_spectra({"": spectrum("ir", error)}, image),
        "profile": lambda image: plot_profiles({"a": profile(error=error)}, image, "x / Å"),
        "two errors": lambda image: plot_two_errors(r, r, 0.1 * r, error * r, 0 * r, image, "r / Å", "g(r)"),
    }
    draw[kind](tmp_path / "a.png")
    axes = figures[0].axes[0]
    bands, (low, high) = bands_of(axes), axes.get_ylim()
    assert len(bands) and low <= bands.min() and bands.max() <= high


def test_what_is_preliminary_looks_so(figures, tmp_path):
    unknown = spectrum("ir", np.nan, "no error band yet, 0.3 of 10 ps")
    plot_spectra({"": unknown}, tmp_path / "a.png")
    plot_spectra({"": spectrum("ir", preliminary="2 of 10 ps")}, tmp_path / "b.png")
    plot_spectra({"": spectrum("ir")}, tmp_path / "c.png")
    plot_spectra({"early": unknown, "late": spectrum("ir")}, tmp_path / "d.png")
    words = [" ".join(text.get_text() for text in figure.axes[0].texts) for figure in figures]
    curves = [figure.axes[0].lines[0] for figure in figures]
    assert "preliminary: no error band yet, 0.3 of 10 ps" in words[0].replace("\n", " ")
    assert [line.get_color() for line in curves] == [PRELIMINARY, COLOURS[0], COLOURS[0], PRELIMINARY]
    assert [line.is_dashed() for line in curves] == [True, True, False, True]
    assert "preliminary: 2 of 10 ps" in words[1] and "preliminary" not in words[2]
    assert "preliminary: early, no error band yet" in words[3].replace("\n", " ")
    assert figures[3].axes[0].lines[1].get_color() == COLOURS[1]


def test_heights_of_experiment_are_shown_where_they_can_be_compared(figures, tmp_path):
    bands = {1645.0: 3.0e3, 3394.0: 8.0e3, 2121.0: math.nan}
    plot_spectra({"": spectrum("ir")}, tmp_path / "a.png", bands)
    plot_spectra({"": spectrum("ir")}, tmp_path / "b.png", {place: 1e6 for place in bands})
    near, far = (figure.axes[0] for figure in figures)
    assert near.get_ylim()[1] > 8.0e3 and far.get_ylim()[1] < 8.0e3
    labels = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (near, far)]
    assert "experiment, positions and heights" in labels[0] and labels[1][-1] == "experiment, positions"


def linear(colour):
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(values):
    """CIE L*a*b* of linear sRGB with the white of D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ np.clip(values, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = (np.cbrt(own) if own > 0.008856 else 7.787 * own + 16 / 116 for own in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# What is seen without red, green or blue cones: Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and
# Computer Graphics 15, 1291 (2009), severity 1
SEEN = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", SEEN)
def test_the_first_colours_are_told_apart(sight):
    seen = [lab(np.array(SEEN[sight]) @ linear(colour)) for colour in COLOURS[:6]]
    apart = np.linalg.norm(np.array(seen)[:, None] - np.array(seen), axis=-1) + 1e3 * np.eye(6)
    assert apart.min() > 15 and apart[:3, :3].min() > 23
