"""The shipped model `water_accurate`: the mean of `water` and of the fit of `water_accurate_fit.toml`, with its errors.

beadwise fit water_accurate_fit.toml
python -m beadwise.inputs.water_accurate

in the folder that holds the recipe and the models `water.safetensors` and `water_larger.safetensors`.
"""

from dataclasses import replace
from pathlib import Path

from ..learning.fitting.averaging import mean_model
from ..learning.fitting.configuration import read_configuration
from ..learning.fitting.fit import error_reports, model_path, with_errors
from ..model.files import load_model, save


def main() -> None:
    """Average, evaluate the errors, and write the model into the current folder."""
    configuration = read_configuration("water_accurate_fit.toml")
    larger = load_model(model_path(configuration))
    mean = mean_model([load_model("water.safetensors"), larger])
    mean = replace(mean, metadata={**configuration.metadata, "envelope": larger.metadata["envelope"]})
    save(with_errors(mean, configuration, error_reports(mean, configuration)), Path("water_accurate.safetensors"))


if __name__ == "__main__":
    main()
