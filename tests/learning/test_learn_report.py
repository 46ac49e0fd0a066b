"""The report of active learning: complete, self-contained, and indifferent to what is missing."""

import base64
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from beadwise.learning.data import DataError
from beadwise.learning.fitting.reliability import fractions_within, gaussian_fraction, reliability_bins
from beadwise.learning.loop.state import ExplorationRecord, RoundRecord
from beadwise.learning.pictures import loop_plots as learn_plots
from beadwise.learning.pictures.loop_report import (
    MISSING,
    LearningReport,
    duration,
    error_ratio,
    html_of,
    number,
    rounds_table,
    write_learning_report,
)
from beadwise.learning.pictures.reliability_plot import plot_reliability
from beadwise.pictures import log_limits
from rich.console import Console

VOID = {"meta", "img", "br", "link"}
NASTY = "<script>alert('&')</script>"


class Reader(HTMLParser):
    """Checks that tags are closed in their order, and keeps what a page refers to and says."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


def some_record(place: int = 1, frames: int = 6) -> RoundRecord:
    rng = np.random.default_rng(place)
    predicted = rng.uniform(0.05, 0.1, frames)
    return RoundRecord(
        place,
        f"model_{place}.safetensors",
        training=10 * place,
        validation=3 * place,
        independent=40,
        new=frames,
        calibration={"forces": 1.234},
        errors={"validation": {"forces": 100.0 / place}, "independent": {"forces": 123.0 / place, "energy": 4.56}},
        explorations=[
            ExplorationRecord("classical", 100, 100, 50, 7, "finished", "", 0.3 / place, 0.2, 12.0),
            ExplorationRecord(NASTY, 31, 100, 15, 9, "stopped", f"{NASTY} at step 31", 1.1 / place, 1.5, 7.0),
        ],
        candidate_uncertainties=rng.uniform(0.1, 0.9, 40).tolist(),
        selected_uncertainties=rng.uniform(0.4, 0.9, frames).tolist(),
        predicted_errors=predicted.tolist(),
        true_errors=(predicted * rng.normal(1, 0.3, frames)).tolist(),
        seconds={"fit": 30.0, "explore": 100.0 * place, "label": 10.0},
    )


def lines_of(table) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.fixture(scope="module")
def page() -> str:
    records = [some_record(place) for place in (1, 2, 17)]
    report = LearningReport(
        records,
        title=f"Water {NASTY}",
        state="stopped: <too uncertain>",
        thresholds={"flag": 0.2, "stop": 1.0},
        envelope_thresholds={"flag": 0.5},
        others={"random": records[:2]},
    )
    return html_of(report)


def test_the_page_is_whole_and_refers_to_nothing_outside(page):
    reader = read(page)
    assert page.startswith("<!DOCTYPE html>") and "viewport" in page
    pictures = [one for one in reader.references if one != "data:,"]  # of the icon
    assert reader.tags.count("img") == 8 and len(pictures) == 8
    for reference in pictures:
        head, content = reference.split(",", 1)
        assert head == "data:image/svg+xml;base64"
        picture = base64.b64decode(content).decode()
        ElementTree.fromstring(picture)
        assert not re.findall(r'(?:href|src)="(?!#)', picture) and "@import" not in picture
    without_pictures = re.sub(r'src="data:[^"]*"', "", page)
    assert "://" not in without_pictures and "url(" not in without_pictures


def test_text_is_escaped(page):
    reader = read(page)
    assert "script" not in reader.tags
    assert f"Water {NASTY}" in reader.text and f"{NASTY} at step 31" in reader.text
    assert "<too uncertain>" in reader.text


def test_every_round_and_its_numbers_are_there(page):
    body = page.split("<h2>Rounds</h2>")[1].split("</table>")[0]
    rows = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", body)[1:]]
    assert [row[0] for row in rows] == ["1", "2", "17"]
    assert [row[1] for row in rows] == ["13", "26", "221"]
    for row, force in zip(rows, ("123", "61.5", "7.24"), strict=True):
        assert force in row and "4.56" in row and "1.23" in row
    assert rows[2][-1] == "29 min"
    assert page.count("31 of 100") == 3


def test_the_same_records_give_the_same_page():
    report = LearningReport([some_record()])
    assert html_of(report) == html_of(report)


def test_what_is_missing_is_a_dash():
    empty = RoundRecord(1)
    holes = replace(
        some_record(2),
        errors={"validation": {"forces": None}, "independent": {}},
        calibration={"forces": None},
        true_errors=[None, math.nan, 0.1, 0.2, 0.1, 0.1],
        explorations=[ExplorationRecord("run", highest_uncertainty=None, highest_envelope_distance=math.nan)],
        candidate_uncertainties=[],
        seconds={"fit": None},
        new=None,
    )
    for records in ([], [empty], [holes], [empty, holes, some_record(3)]):
        reader = read(html_of(LearningReport(records)))
        assert "None" not in reader.text and "nan" not in reader.text
        text = lines_of(rounds_table(records))
        assert "None" not in text and "nan" not in text
        assert (MISSING in text) == bool(records)
    assert "No round" in html_of(LearningReport([]))


def test_the_table_fits_a_terminal():
    text = lines_of(rounds_table([some_record(place) for place in (1, 2, 3)]))
    rows = text.splitlines()
    assert len(rows) == 6 and "…" not in text
    assert [row.split()[0] for row in rows[3:]] == ["1", "2", "3"]
    assert "41.0" in rows[5] and "failed" not in text
    assert "failed" in lines_of(rounds_table([replace(some_record(1), failed=2)]))


def test_fractions_and_ratio_of_a_round():
    record = replace(some_record(), predicted_errors=[0.1, 0.1, 0.1, 0.2], true_errors=[0.1, 0.15, 0.3, 0.1])
    assert learn_plots.fraction_below(record, 1) == 0.5
    assert learn_plots.fraction_below(record, 2) == 0.75
    assert error_ratio(record) == pytest.approx(math.sqrt((0.01 + 0.0225 + 0.09 + 0.01) / (0.03 + 0.04)))
    assert learn_plots.fraction_below(RoundRecord(1), 1) is None


@pytest.mark.parametrize(
    "value, text",
    [
        (None, MISSING),
        (math.inf, MISSING),
        (0.0, "0"),
        (0.001234, "0.00123"),
        (12.345, "12.3"),
        (9.999, "10.0"),
        (-4321.5, "-4322"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (None, MISSING),
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (99.0, "99 s"),
        (100.0, "2 min"),
        (3599.0, "1 h 00 min"),
        (3900.0, "1 h 05 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.filterwarnings("error")
def test_thresholds_beyond_the_axis_leave_the_picture_alone(tmp_path):
    record = RoundRecord(1, candidate_uncertainties=[0.02, 0.03, 0.05], selected_uncertainties=[0.05])
    figure = learn_plots.selection_figure([record], {"flag": 0.03, "stop": 500.0})
    figure.savefig(tmp_path / "selection.png")
    assert [text.get_text() for text in figure.axes[0].texts] == ["flag"]


def test_files_are_written_whole_or_refused(tmp_path):
    records = [some_record(1), some_record(2)]
    write_learning_report(LearningReport(records), tmp_path / "report.html")
    learn_plots.comparison_plot({"active": records, "random": records[:1]}, tmp_path / "errors.png", note="a note")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.png", "report.html"]
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match="cannot write the report"):
        write_learning_report(LearningReport(records), tmp_path / "nowhere" / "report.html")
    with pytest.raises(DataError, match="nothing to plot"):
        learn_plots.comparison_plot({"active": [RoundRecord(1)]}, tmp_path / "none.png")


def test_the_curve_of_errors_is_that_of_the_records():
    records = [some_record(place) for place in (1, 2, 4)]
    axes = learn_plots.error_figure({"active": records}, "forces").axes[0]
    independent, validation = axes.lines
    assert list(independent.get_xdata()) == [13, 26, 52] == list(validation.get_xdata())
    np.testing.assert_allclose(independent.get_ydata(), [123, 61.5, 30.75])
    np.testing.assert_allclose(validation.get_ydata(), [100, 50, 25])


def test_logarithmic_limits_hold_all_values():
    lowest, highest = log_limits(np.array([0.2, 0.2]))
    assert lowest < 0.2 < highest and highest / lowest == pytest.approx(3)
    assert log_limits(np.zeros(0)) == (0.1, 1.0)


def test_gaussian_errors_are_within_sigma_as_often_as_they_should():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2.0, 40_000)
    errors = sigma * rng.normal(size=sigma.shape)
    for multiple, expected, found in zip((1, 2), (0.6827, 0.9545), fractions_within(sigma, errors), strict=True):
        assert gaussian_fraction(multiple) == pytest.approx(expected, abs=5e-5)
        counting_error = math.sqrt(expected * (1 - expected) / len(sigma))
        assert abs(found - expected) < 3 * counting_error
    once, twice = fractions_within(sigma, 2 * errors)
    assert once < 0.45 and twice == pytest.approx(gaussian_fraction(1), abs=0.01)


def test_bins_of_calibrated_errors_lie_on_the_diagonal():
    rng = np.random.default_rng(1)
    sigma = np.exp(rng.normal(-2, 0.5, 12_000))
    errors = sigma * rng.normal(size=sigma.shape)
    predicted, found, interval = reliability_bins(sigma, errors)
    in_bin = len(sigma) / len(predicted)
    # the standard error of a root mean square of n normal numbers is 1/√2n of it
    expected = found / math.sqrt(2 * in_bin)
    assert np.all(np.abs(found - predicted) < 3.5 * expected)
    np.testing.assert_allclose((interval[1] - interval[0]) / 2, expected, rtol=0.35)
    total = math.sqrt(np.mean(found**2))
    assert total == pytest.approx(math.sqrt(np.mean(errors**2)), rel=1e-12)
    assert len(reliability_bins(sigma[:50], errors[:50])[0]) == 2
    assert len(reliability_bins(sigma[:3], errors[:3])[0]) == 1


def test_reliability_is_drawn(tmp_path):
    rng = np.random.default_rng(2)
    sigma = rng.uniform(0.1, 1.0, (30, 3))
    properties = {
        "forces": (sigma, sigma * rng.normal(size=sigma.shape), "eV/Å"),
        "energy": (np.full(5, 1e-3), np.zeros(5), "eV"),
        "dipole": (np.zeros(4), np.ones(4), "e·Å"),
    }
    plot_reliability(properties, tmp_path / "reliability.png")
    assert [path.name for path in tmp_path.iterdir()] == ["reliability.png"]


@pytest.mark.parametrize(
    "sigma, errors, message",
    [
        ([], [], "not empty"),
        ([1.0], [1.0, 2.0], r"\(1,\) and errors \(2,\)"),
        ([-1.0, 1.0], [0.0, 1.0], "between -1.0 and 1.0"),
        ([1.0, math.nan], [0.0, 1.0], "finite"),
    ],
)
def test_what_is_no_reliability_is_refused(sigma, errors, message, tmp_path):
    with pytest.raises(DataError, match=message):
        fractions_within(sigma, errors)
    with pytest.raises(DataError, match="nothing to plot"):
        plot_reliability({}, tmp_path / "none.png")
