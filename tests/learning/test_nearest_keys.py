"""Of sections, keys and choices of TOML files that do not exist, the nearest are told."""

import pytest
from beadwise.learning.fitting.configuration import ConfigurationError, read_configuration
from beadwise.learning.labels.settings import LabelError, label_settings
from beadwise.learning.loop.configuration import read_learn_configuration

DATA = "[data]\ntrain = ['a.xyz']\n[output]\nmodel = 'm.safetensors'\n"
START = "[start]\nframes = ['a.xyz']\n"
LOOP = f"{START}[fit]\n[explore]\n[label]\n[output]\n"


@pytest.mark.parametrize(
    ("read", "text", "nearest"),
    [
        (read_configuration, f"{DATA}[denstiy]\n", "did you mean 'density'?"),
        (read_configuration, f"{DATA}[energy]\n[density]\ncutof = 5.0\n", "did you mean 'cutoff'?"),
        (read_configuration, f"{DATA}[energy]\n[committee]\nkind = 'subsamplng'\n", "did you mean 'subsampling'?"),
        (read_learn_configuration, f"{START}[explor]\n", "did you mean 'explore'?"),
        (read_learn_configuration, LOOP.replace("frames", "framse"), "did you mean 'frames'?"),
    ],
)
def test_of_configurations(tmp_path, read, text, nearest):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read(path)
    assert str(raised.value).endswith(nearest)


def test_of_labels():
    with pytest.raises(LabelError, match=r"did you mean 'reference'\?$"):
        label_settings({"refrence": "water"})
