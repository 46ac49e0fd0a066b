"""Reports of runs whose files are damaged: what is read there becomes a page or a line of it, and never a failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

LOG = """ !W! the seed was not given
 # Average timings at MD step       9. t/step: 1.0e-02
Traceback (most recent call last):
  File "x.py", line 3, in y
ValueError: it failed
"""
ALARMS = """ #EXTRAS(forces_uncertainty, envelope_distance)# Step:           0 Bead:       0
 0.1 0.2 0.3 0.0
 #EXTRAS(forces_uncertainty, envelope_distance)# Step:           2 Bead:       0
 0.1 0.2 0.4 0.5
 #EXTRAS(forces_uncertainty, envelope_distance)# Step:           4 Bead:       0
 0.1 0.2 0.4 0.0
"""
FRAMES = """3
# CELL(abcABC):    9.0     9.0     9.0    90.0    90.0    90.0  Step:           0  Bead:       0 x_centroid{angstrom}
O 0.0 0.0 0.0
H 0.96 0.0 0.0
H -0.24 0.93 0.0
"""
INPUT = """<simulation><output prefix='p'>
<properties stride='2' filename='out'> [ step, time{picosecond}, conserved{electronvolt}, temperature{kelvin},
potential{electronvolt} ] </properties>
<trajectory filename='c' stride='2' format='xyz' cell_units='angstrom'> x_centroid{angstrom} </trajectory>
<trajectory filename='alarms' stride='2' extra_type='forces_uncertainty, envelope_distance'> extras </trajectory>
</output><total_steps>10</total_steps>
<ffsocket name='model' mode='unix'><address>here</address></ffsocket>
<system><initialize nbeads='1'><labels mode='manual'> [ O, H, H ] </labels>
<cell mode='abc' units='angstrom'> [ 9, 9, 9 ] </cell></initialize>
<forces><force forcefield='model'/></forces><ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
<motion mode='dynamics'><dynamics mode='nvt'><timestep units='femtosecond'> 0.5 </timestep></dynamics></motion>
</system></simulation>
"""
FILES = {"log": "p.log", "alarms": "p.alarms_0", "frames": "p.c.xyz", "events": "p.events.jsonl", "rows": "p.out"}


def samples(rows: Path) -> list[bytes]:
    """Contents of all files of a run beside its input, each of which is damaged in its turn."""
    events = [
        {"event": "start", "time": "now", "step": 0, "models": {"model": "water"}, "versions": {"beadwise": "0.1.0"}},
        {"event": "message", "text": "warning: odd"},
        {"event": "end", "time": "then", "text": "interrupted"},
    ]
    lines = "".join(f"{json.dumps(event)}\n" for event in events)
    return [text.encode() for text in (LOG, ALARMS, FRAMES, lines, rows.read_text())]


def read_report(path: Path) -> None:
    """The page of a run, of which the damaged content is each file in turn; then all that a user sees is made of it."""
    from beadwise.analysis.report.make import content_of
    from beadwise.analysis.report.page import run_page

    folder = path.parent / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "input.xml").write_text(INPUT)
    for name in FILES.values():
        (folder / name).write_bytes(path.read_bytes())
    run_page(content_of(folder).read())
