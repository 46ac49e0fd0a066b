"""What i-PI says when it fails, in words: with i-PI's own readers, so that another wording of i-PI is noticed."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from beadwise.driver.launch.errors_in_words import in_words
from ipi.inputs.simulation import InputSimulation
from ipi.utils.io.inputs.io_xml import xml_parse_string

INPUT = """<simulation>
  <total_steps> 10 </total_steps>
  <output> <properties filename='out'> [ step, potential ] </properties> </output>
  <ffsocket mode='unix' name='a'> <address> a </address> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='xyz'> water.xyz </file> </initialize>
    <forces> <force forcefield='a'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep> 20 </timestep> </dynamics> </motion>
  </system>
</simulation>"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "total_steps>",
            "totl_steps>",
            "<totl_steps> is no tag of <simulation>; allowed are .*; did you mean 'total_st",
        ),
        ("nbeads=", "nbeds=", "nbeds='…' is no attribute of <initialize>; allowed are nbeads; did you mean 'nbeads'?"),
        (
            "'nve'",
            "'nvx'",
            "mode='nvx' of <dynamics> is not allowed; allowed are nve, nvt.*; did you mean 'nvt' or 'nve'?",
        ),
        ("> 20 <", "> fast <", "'fast' in <timestep> is no number"),
        ("> 10 <", "> ten <", "'ten' in <total_steps> is no whole number"),
        ("kelvin", "kelvn", "'kelvn' is no unit of temperature; allowed are .*kelvin.*; did you mean 'kelvin'?"),
        (
            "<timestep>",
            "<timestep units='femtoseconds'>",
            "'femtoseconds' is no unit of time; allowed are .*; did you mean 'femtosecond'?",
        ),
    ],
)
def test_errors_of_ipi(old, new, words, capsys):
    text = INPUT.replace(old, new)
    with pytest.raises((NameError, ValueError, TypeError)) as raised:
        simulation = InputSimulation()
        simulation.parse(xml_parse_string(text).fields[0][1])
        simulation.fetch()
    error = f"{raised.type.__name__}: {raised.value}"
    assert re.fullmatch(words.replace("?", r"\?") if words.endswith("?") else words + ".*", in_words(error, root(text)))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'water.xyz'",
            "the file 'water.xyz', which <file> names, does not exist",
        ),
        ("KeyError: 'friction'", "it found no 'friction'; if that is one of the extras, servers have to send it"),
        (
            "KeyError: 'potentiall is not a recognized property'",
            "'potentiall' in <properties> is nothing that i-PI writes there; did you mean 'potential'",
        ),
        (
            "KeyError: 'extrs is not a recognized output trajectory'",
            "'extrs' in <trajectory> is nothing that i-PI writes there; did you mean 'extras'",
        ),
        (
            "KeyError: \"Extra type 'dipoles' is not among the quantities returned by the forcefield.\"",
            "'dipoles' is not among the extras that were sent; servers know dipole, polarizability, shielding, ",
        ),
        (
            "KeyError: 'interpolate_extras required committee_dipole to promote, but was not found among extras []'",
            "nothing is sent as 'committee_dipole': committee_dipole goes out as 'member_dipoles', which extra_type",
        ),
        ("ValueError: Initializer could not initialize the cell", "i-PI found no cell in 'water.xyz': with mode='xyz'"),
        ("KeyError: 'something else'", "something else"),
        ("ipi.some.OtherError: it is so", "it is so"),
    ],
)
def test_other_errors(error, words):
    assert in_words(error, root(INPUT)).startswith(words)


def root(text):
    return ElementTree.fromstring(text)
