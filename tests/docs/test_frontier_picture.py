"""The picture of error against time is drawn from tables in the repository, with peers on the same frames."""

import json
import runpy

import pytest
from places import REPOSITORY

PICTURES = REPOSITORY / "docs" / "pictures"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(PICTURES / "frontier.py"))


@pytest.fixture(scope="module")
def tables(script):
    return [
        json.loads(path.read_text(encoding="utf-8")) for path in (PICTURES / "frontier.json", script["PEERS_TABLE"])
    ]


def test_peers_and_ours_have_errors_inside_the_frame(script, tables):
    drawn = script["points"](*tables)
    assert sum(kind != "ours" for *_, kind in drawn) >= 2
    assert {"water", "water_accurate"} <= {label for label, *_ in drawn}
    assert all(1 < time < 60000 and script["BOTTOM"] < error < script["TOP"] for _, time, error, _ in drawn)


def test_each_peer_says_what_was_fitted_to_what(tables):
    rows = [row for row in tables[1]["models"].values() if "errors" in row and row["program"] != "beadwise"]
    files = {json.dumps(row["record"]["data"], sort_keys=True) for row in rows}
    assert len(files) == 1 and "bulk_train.xyz" in files.pop()
    assert all(row["record"]["curve"] and row["record"]["settings"] and row["record"]["versions"] for row in rows)


def test_the_picture_is_drawn(script, tables, tmp_path):
    script["plot"](*tables, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
