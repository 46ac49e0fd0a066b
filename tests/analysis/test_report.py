"""Reports of runs: what they hold, that nothing in the files breaks them, and that they open in a browser."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from beadwise.analysis.report import page
from beadwise.analysis.report.make import content_of, make, write_report
from beadwise.analysis.report.statistics import mean_of, pieces, slope_of
from beadwise.analysis.report.verdicts import uncertain, verdicts_of
from beadwise.errors import BeadwiseError
from beadwise.json_text import json_text
from beadwise.runs.output.properties import GrowingProperties, read_property_table
from browser import browser, console_of, wait_until
from test_run import Folder

STEPS = 400
# no folder of a name may hold a slash, so that the end of a script can stand in the input only
NASTY = "x<img src=q onerror=window.caught=1>&amp;"
COMMENT = "<!-- </script><script>window.caught = 1</script> -->"
OUTPUTS = """
    <properties filename='more' stride='4'> [ step, time{picosecond}, temperature{kelvin} ] </properties>
    <trajectory filename='centroid' stride='100' format='xyz' cell_units='angstrom'> x_centroid{angstrom} </trajectory>
    <trajectory filename='frc' stride='100' format='xyz' bead='0'> forces </trajectory>
    <trajectory filename='moments' stride='2' extra_type='dipole,polarizability'> extras </trajectory>
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, drawn) -> Path:
    """Folder of a real run; its RESTART, in which i-PI does not escape the prefix, is no XML."""
    folder = Folder(tmp_path_factory.mktemp("run"))
    folder.write_input(steps=STEPS, outputs=OUTPUTS)
    path = folder.path / "input.xml"
    prefix = NASTY.replace("&", "&amp;").replace("<", "&lt;")
    text = path.read_text().replace("prefix='test'", f"prefix='{prefix}'")
    path.write_text(text.replace("<output", COMMENT + "<output"))
    status, output, errors = folder.run("input.xml", "--spectrum", "ir", "--window", "20")
    assert (status, errors) == (0, "")
    assert f"report in {NASTY}.report.html" in output
    folder.kill_all()
    return folder.path


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def verdicts(content) -> dict[str, str]:
    return {one["name"]: one["colour"] for one in content["verdicts"]}


def test_what_a_report_holds(finished):
    content = content_of(finished).read()
    json.loads(json_text(content))
    assert content["title"] == NASTY and content["run"]["state"] == "finished"
    facts = content["run"]
    assert (facts["step"], facts["atoms"], facts["beads"], facts["temperature"]) == (STEPS, 6, 4, pytest.approx(300))
    assert facts["models"] == {"springs": "springs:springs"} and content["versions_of"] == "run"
    series = {one["name"]: one for one in content["series"]}
    assert {"conserved", "potential", "temperature"} <= set(series)
    assert series["conserved"]["unit"] == "meV per atom" and series["conserved"]["x_label"] == "time / ps"
    assert series["temperature"]["x"][-1] == pytest.approx(STEPS * 0.5e-3, rel=0.05)
    table = read_property_table(finished / f"{NASTY}.more")
    half = table.values(table.first("temperature"))[len(table.rows) // 2 :]
    assert series["temperature"]["mean"]["value"] == pytest.approx(half.mean())
    (infrared,) = [one for one in content["spectra"] if one["kind"] == "ir"]
    (curve,) = infrared["panels"][0]["curves"]
    assert len(curve["y"]) == len(infrared["x"]) and max(infrared["x"]) <= 4500
    structure = content["structure"]
    assert [frame["step"] for frame in structure["frames"]] == [0, 100, 200, 300, 400]
    assert structure["what"] == "centroid" and len(structure["colours"][0]["values"][0]) == 6
    assert verdicts(content)["end"] == "good" and verdicts(content)["model"] == "unknown"
    assert [one["text"] for one in content["messages"] if "RESTART" not in one["text"]] == []


def test_a_run_that_grows_is_read_as_one_that_has_ended(run):
    names = [f"{NASTY}.out", *(f"{NASTY}.moments_{bead}" for bead in range(4))]
    whole = {name: (run / name).read_bytes() for name in names}
    for name, text in whole.items():
        (run / name).write_bytes(text[: len(text) // 3])
    content = content_of(run)
    part = content.read()
    for name, text in whole.items():
        (run / name).write_bytes(text)
    grown, fresh = content.read(), content_of(run).read()
    assert len(part["series"][0]["x"]) < len(grown["series"][0]["x"])
    for name in ("series", "spectra", "structure"):
        assert grown[name] == fresh[name]


def test_plain_ipi_leaves_no_word_of_its_own(run):
    """What was not written down is grey, not green, and no reason to fail."""
    (run / f"{NASTY}.log").unlink()
    (run / f"{NASTY}.events.jsonl").unlink()
    content = content_of(run).read()
    assert verdicts(content)["warnings"] == verdicts(content)["training"] == "unknown"
    assert content["run"]["models"] == {} and content["versions_of"] == "report"


def test_broken_files_are_lines_of_the_report(run):
    (run / f"{NASTY}.out").write_bytes(b"# column   1     --> step : x\n one\n")
    (run / f"{NASTY}.moments_2").write_bytes(b"#EXTRAS(dipole)# Step:  0  Bead: 2\n a b c\n#EXTRAS(dipole)# Step: 2 \n")
    (run / f"{NASTY}.centroid.xyz").write_bytes(b"6\n# CELL(abcABC): no Step: 0\n" + b"H a b c\n" * 6)
    (run / f"{NASTY}.events.jsonl").write_bytes(b'{"event": 3}\n[]\nnull\n{"event": "start", "models": 1')
    (run / f"{NASTY}.log").write_bytes(b" !W! something is odd\n\xff\xfe")
    content = content_of(run).read()
    told = " ".join(one["text"] for one in content["messages"])
    assert "word that is no number" in told and "something is odd" in told and "centroid.xyz" in told
    assert verdicts(content)["warnings"] == "fair"
    assert "word that is no number" in page.run_page(content)


@pytest.mark.parametrize(
    ("value", "error", "colour"),
    [(0.02, 0.01, "good"), (-0.2, 0.01, "fair"), (2.1, 0.2, "bad"), (0.05, 0.4, "unknown"), (0.02, 0.05, "fair")],
)
def test_the_drift_is_judged_by_what_is_known_of_it(finished, value, error, colour):
    content = content_of(finished).read()
    conserved = next(one for one in content["series"] if one["name"] == "conserved")
    conserved["drift"] = {"value": value, "error": error}
    content["verdicts"] = verdicts_of(content)
    assert verdicts(content)["conserved"] == colour
    assert {one["name"]: one["colour"] for one in verdicts_of(content, growing_bias=True)}["conserved"] == "unknown"


@pytest.mark.parametrize(
    ("value", "error", "independent", "colour"),
    [(300.5, 0.5, 50, "good"), (301.2, 0.5, 50, "fair"), (310.0, 0.5, 50, "bad"), (310.0, 6.0, 4, "unknown")],
)
def test_the_temperature_is_judged_by_its_error(finished, value, error, independent, colour):
    content = content_of(finished).read()
    temperature = next(one for one in content["series"] if one["name"] == "temperature")
    temperature["mean"] = {"value": value, "error": error, "independent": independent, "begins": 0.1}
    assert {one["name"]: one["colour"] for one in verdicts_of(content)}["temperature"] == colour


def test_means_and_slopes_of_correlated_numbers():
    """An autoregressive series whose statistical inefficiency is (1 + a)/(1 − a)."""
    rng, memory, count = np.random.default_rng(3), 0.8, 40_000
    values = np.zeros(count)
    for place, kick in enumerate(rng.normal(size=count - 1), 1):
        values[place] = memory * values[place - 1] + kick
    mean = mean_of(np.arange(count, dtype=float), values)
    expected = np.sqrt((1 + memory) / (1 - memory) / (1 - memory**2) / (count / 2))
    assert mean.error == pytest.approx(expected, rel=0.15) and mean.begins == count // 2
    assert mean.independent == pytest.approx(count / 2 * (1 - memory) / (1 + memory), rel=0.2)
    slope = slope_of(np.arange(count, dtype=float), values + 1e-3 * np.arange(count))
    assert abs(slope.value - 1e-3) < 4 * slope.error and slope.error < 1e-5
    assert mean_of(np.arange(5.0), np.arange(5.0)) is None and slope_of(np.zeros(50), np.arange(50.0)) is None


def test_what_is_drawn_keeps_mean_and_extremes():
    values = np.random.default_rng(0).normal(size=1003)
    x, mean, low, high = pieces(np.arange(1003.0), values, 100)
    assert len(x) <= 100 and low.min() == values.min() and high.max() == values.max()
    assert mean[0] == pytest.approx(values[:11].mean())
    assert pieces(np.arange(5.0), np.arange(5.0), 10)[2:] == (None, None)


def test_numbers_are_written_to_the_second_digit_of_their_error():
    assert uncertain(-3.14159, 0.0123) == "−3.142 ± 0.012"
    assert uncertain(298.4, 12.0) == "298 ± 12" and uncertain(1.5, float("nan")) == "1.5"


def test_properties_that_grow_are_those_of_the_whole_file(finished, tmp_path):
    text = (finished / f"{NASTY}.out").read_bytes()
    path = tmp_path / "out"
    growing = GrowingProperties(path, 0.5)
    assert growing.read() is None
    for end in (0, 100, 700, 1500, len(text) // 2, len(text)):
        path.write_bytes(text[:end])
        table, whole = growing.read(), read_property_table(path, 0.5)
        assert (table is None) == (whole is None)
        if table is not None:
            np.testing.assert_array_equal(table.rows, whole.rows)
    path.unlink()
    path.write_bytes(text[: len(text) // 2])
    np.testing.assert_array_equal(growing.read().rows, read_property_table(path, 0.5).rows)


def test_a_page_takes_the_place_of_a_report_only(run, tmp_path):
    report = make(run)
    assert "written to" in report.lines[-1] and report.numbers["title"] == NASTY
    other = tmp_path / "notes.html"
    other.write_text("<html>mine</html>")
    with pytest.raises(BeadwiseError, match=r"notes.html' is there and no report"):
        make(run, other)
    assert other.read_text() == "<html>mine</html>"
    with pytest.raises(BeadwiseError, match="cannot write"):
        write_report(report.numbers, tmp_path / "nowhere" / "a.html")


class Tags(HTMLParser):
    """Counts tags, and keeps what refers to something else."""

    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]


def test_names_and_inputs_are_text(finished):
    text = (finished / f"{NASTY}.report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.tags.count("script") == 2 and "img" not in tags.tags and tags.references == ["data:,"]
    assert text.count("</script>") == 2 and len(text) < 10e6
    data = text.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data)["content"]["title"] == NASTY


def test_it_opens_in_a_browser_without_a_network(finished):
    with browser() as driver:
        driver.get((finished / f"{NASTY}.report.html").as_uri().replace("?", "%3F"))
        curves = wait_until(lambda: driver.find_elements("css selector", ".plot .scatterlayer .trace path.js-line"))
        assert len(curves) >= 4 and driver.title.startswith(NASTY)
        assert driver.execute_script("return window.caught") is None
        # the viewer of chemiscope where it is installed, as in CI, and where there is WebGL
        wait_until(lambda: driver.find_elements("css selector", "#chemiscope-structure, .viewer > canvas"))
        assert driver.find_element("css selector", ".viewer").rect["height"] > 300
        box = driver.find_element("css selector", "#spectra input[type=checkbox]")
        box.click()  # the logarithmic scale
        scale = "return document.querySelector('#spectra .plot').layout.yaxis.type"
        wait_until(lambda: driver.execute_script(scale) == "log")
        fetched = "fetch('https://example.org').then(() => 'loaded', () => 'blocked').then(arguments[0])"
        assert driver.execute_async_script(fetched) == "blocked"
        messages = [one for one in console_of(driver) if "example.org" not in one and "WebGL" not in one]
        assert messages == []


def test_newer_content_is_drawn_into_the_same_page(finished, tmp_path, monkeypatch):
    """And without chemiscope there is a drawing of its own."""
    monkeypatch.setattr(page, "chemiscope", lambda: None)
    content = content_of(finished).read()
    update = page.update_of({**content, "run": {**content["run"], "state_text": "Told anew <b>."}})
    path = tmp_path / "page.html"
    path.write_text(page.run_page(content), encoding="utf-8")
    with browser() as driver:
        driver.get(path.as_uri())
        wait_until(lambda: driver.find_elements("css selector", ".plot .main-svg"))
        assert "eV/Å" in driver.find_element("css selector", "#structure .remark").text
        count = len(driver.find_elements("css selector", ".plot"))
        driver.execute_script("window.beadwise.update(arguments[0])", json.loads(json_text(update)))
        assert "Told anew <b>." in driver.find_element("id", "part-head").text
        assert len(driver.find_elements("css selector", ".plot")) == count
        assert console_of(driver) == []
