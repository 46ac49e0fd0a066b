"""The shipped model `water_accurate`: the mean of `water` and of the fit of `water_accurate_fit.toml`, with its errors.

beadwise fit inputs/water_accurate_fit.toml
python inputs/water_accurate.py
"""

from dataclasses import replace
from pathlib import Path

from ..learning.fitting.averaging import mean_model
from ..learning.fitting.configuration import read_configuration
from ..learning.fitting.fit import error_reports, model_path, with_errors
from ..model.files import load_model, save

HERE = Path(__file__).parent


def main() -> None:
    """Average, evaluate the errors, and write the model beside this file."""
    configuration = read_configuration(HERE / "water_accurate_fit.toml")
    larger = load_model(model_path(configuration))
    mean = mean_model([load_model(HERE / "water.safetensors"), larger])
    mean = replace(mean, metadata={**configuration.metadata, "envelope": larger.metadata["envelope"]})
    save(with_errors(mean, configuration, error_reports(mean, configuration)), HERE / "water_accurate.safetensors")


if __name__ == "__main__":
    main()
