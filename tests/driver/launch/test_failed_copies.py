"""A shipped input that cannot be run leaves no folder; one in which i-PI has begun stays."""

import pytest
from beadwise.driver.commands.group import main
from beadwise.driver.launch.shipped_inputs import shipped_copy
from beadwise.model import BeadwiseError
from click.testing import CliRunner


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "water", "--model", "watr"], "did you mean 'water'"),
        (["run", "water", "--model", "other=water"], "'other' is no <ffsocket>"),
        (["run", "water", "--spectrum", "sfg"], "which the input does not write"),
        (["run", "in_process", "--field", "0,0,0.1"], "--field is for servers"),
        (["run", "water", "--profile", "phi"], "phi"),
    ],
)
def test_a_run_that_is_refused_leaves_nothing(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_ipi_has_begun_stays(tmp_path):
    with pytest.raises(BeadwiseError), shipped_copy("water", tmp_path) as copied:
        copied.with_name("water.log").write_text("i-PI was here")
        raise BeadwiseError("it ends")
    assert {path.name for path in copied.parent.iterdir()} == {"water.xml", "water_64.xyz", "water.log"}
    with shipped_copy("water", tmp_path) as second:
        pass
    assert second.exists()
