"""Pictures of the report of a run: `python docs/pictures/report/pictures.py RUN`.

It needs Chromium with its driver, selenium, and chemiscope.  The run of the pictures is `water_committee` with steps of
0.25 fs, 5000 of them, that writes the extras forces_uncertainty and envelope_distance as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from beadwise.analysis.report.make import content_of, write_report

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "analysis"))
from browser import browser

HERE = Path(__file__).parent

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, browser(1180, 1420) as page:
        path = Path(folder) / "report.html"
        write_report(content_of(Path(sys.argv[1])).read(), path)
        page.get(path.as_uri())
        time.sleep(20)  # a viewer without a graphics card takes its time
        page.execute_script("document.documentElement.style.overflow = 'hidden'")
        page.save_screenshot(str(HERE / "page.png"))
        page.find_element("id", "structure").screenshot(str(HERE / "structure.png"))
