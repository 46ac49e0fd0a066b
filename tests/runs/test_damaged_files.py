"""Files that hold anything: numbers without end, elements without end, sizes that are not there."""

import pytest
from beadwise.errors import BeadwiseError
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.loop.configuration import read_learn_configuration
from beadwise.model.molecules import atoms_of_formula
from beadwise.runs.input.elements import parse, systems_of
from beadwise.runs.input.labels import read_labels, species_from_parameters
from beadwise.runs.output.extended_xyz import complete_frames
from beadwise.runs.output.properties import read_property_table
from beadwise.runs.output.records import BeadFile
from beadwise.runs.plumed.input import plumed_number, read_plumed_input
from beadwise.runs.plumed.tables import read_plumed_table

LONG = "1" * 400
ENDLESS = "9" * 5000
ENTITY = "<!DOCTYPE simulation [<!ENTITY a 'b'>]><simulation>&a;</simulation>"
OF_A_FILE = "<!DOCTYPE simulation [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><simulation>&a;</simulation>"
CASES = {
    "toml of a fit, digits": (read_configuration, f"[data]\ntrain = {ENDLESS}"),
    "toml of a fit, a long number": (read_configuration, f"[data]\ntrain = ['a']\n[density]\nradial = {LONG}"),
    "toml of a fit, depth": (read_configuration, f"[data]\ntrain = {'[' * 3000}"),
    "toml of a fit, arrays in arrays": (read_configuration, f"a = {'[' * 50}{']' * 50}"),
    "toml of learning": (read_learn_configuration, f"[start]\ncount = {ENDLESS}"),
    "an entity": (parse, ENTITY),
    "an entity of a file": (parse, OF_A_FILE),
    "a thousand elements deep": (parse, f"<simulation>{'<a>' * 1000}{'</a>' * 1000}</simulation>"),
    "xml of another encoding": (parse, "<?xml version='1.0' encoding='none'?><simulation/>"),
    "a structure that announces more": (read_labels, "2147483648\n\nO 0 0 0\n"),
    "a structure that announces too many digits": (read_labels, f"{ENDLESS}\n\nO 0 0 0\n"),
    "frames that announce too many digits": (lambda path: list(complete_frames(path)), f"{ENDLESS}\n\nO 0 0 0\n"),
    "extras of a long step": (lambda path: BeadFile(path).read(), f"#EXTRAS(dipole)# Step: {LONG} Bead: 0\n1 2 3\n"),
    "a table of long steps": (lambda path: read_property_table(path).steps, f"# column 1 --> step\n{LONG}\n"),
    "a table of no steps": (lambda path: read_property_table(path).steps, "# column 1 --> step\nnan\n"),
    "a table of PLUMED": (read_plumed_table, f"#! FIELDS time x\n1 {LONG}\n"),
    "dots around nothing": (read_plumed_input, "...\n...\n"),
    "an input of PLUMED": (
        lambda path: read_plumed_input(path).actions[0].numbers("TEMP"),
        f"METAD TEMP={LONG}\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line(case, tmp_path):
    read, content = CASES[case]
    path = tmp_path / "given.xyz"
    path.write_text(content)
    with pytest.raises(BeadwiseError) as found:
        read(path)
    assert (len(str(found.value)) < 600 and "given.xyz" in str(found.value)) or "TEMP" in str(found.value)


@pytest.mark.parametrize("column", ["0", ENDLESS, "-1", "1000000"])
def test_columns_that_no_table_has(column, tmp_path):
    path = tmp_path / "run.out"
    path.write_text(f"# column {column} --> potential\n# column 1 --> step\n1\n2\n")
    table = read_property_table(path)
    assert [one.name for one in table.properties] == ["step"] and table.steps.tolist() == [1, 2]


@pytest.mark.parametrize("read", [read_configuration, parse, read_labels, read_plumed_input])
@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_names_that_no_file_has(read, name, tmp_path):
    with pytest.raises(BeadwiseError):
        read(tmp_path / name)


def test_words_of_templates_are_no_markup(tmp_path):
    template = "<labels>[a]</labels><instance>[&lt;b&gt;]</instance><template><system>a</system></template>"
    path = tmp_path / "input.xml"
    path.write_text(f"<simulation><system_template>{template}</system_template></simulation>")
    with pytest.raises(BeadwiseError, match="no XML"):
        list(systems_of(parse(path)))


@pytest.mark.parametrize(
    "formula", ["(OH2)100000000", f"(OH2){ENDLESS}", "((H)0)1000000000OHH", "OX2", "", "(" * 5000, "O" * 10_000_000]
)
def test_formulas_are_counted_before_they_are_written_out(formula):
    with pytest.raises(BeadwiseError, match="chemical formula"):
        species_from_parameters({"species": formula})
    with pytest.raises(ValueError):
        atoms_of_formula(formula, 1000)
    assert atoms_of_formula("(OH2)3", 9).tolist() == 3 * [8, 1, 1]


@pytest.mark.parametrize("text", ["(" * 5000, LONG, "1e400*0", f"1/{LONG}", "9" * 5000, "a", "1\0"])
def test_numbers_of_plumed(text):
    with pytest.raises(ValueError):
        plumed_number(text)
    assert plumed_number("-5*pi/6") == pytest.approx(-2.617993878)
