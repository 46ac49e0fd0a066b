"""What packages of beadwise are made by agrees with pyproject.toml: the recipe of conda, and the wheels."""

import re

import pytest
from places import REPOSITORY

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

CALLED = {"matplotlib": "matplotlib-base", "msgspec": "msgspec-python"}  # on conda-forge
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def bound(requirement: str) -> tuple[str, frozenset[str]]:
    """Name on conda-forge and bounds of a requirement."""
    name, _, rest = re.fullmatch(r"([\w.-]+)()\s*(.*)", requirement.partition(";")[0].strip()).groups()
    return CALLED.get(name, name), frozenset(rest.split(","))


def test_the_recipe_of_conda_requires_the_same():
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((REPOSITORY / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["project"]["version"]
    lines = [one if isinstance(one, str) else one["then"] for one in recipe["requirements"]["run"]]
    assert {bound(one) for one in lines if one != "python"} == set(map(bound, PROJECT["project"]["dependencies"]))
    host = [one for one in recipe["requirements"]["host"] if isinstance(one, str) and ">=" in one]
    assert set(map(bound, host)) == {bound(one) for one in PROJECT["build-system"]["requires"] if ">=" in one}
    assert recipe["about"]["summary"] == PROJECT["project"]["description"]


def test_wheels_are_built_for_all_pythons_that_are_told():
    told = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    built = PROJECT["tool"]["cibuildwheel"]["build"].split()
    assert built == [f"cp{version.replace('.', '')}-*" for version in told]
