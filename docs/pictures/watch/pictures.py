"""Pictures of a run that goes on, in a browser and in a terminal: `python docs/pictures/watch/pictures.py FOLDER`.

It needs Chromium with its driver, and selenium.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from beadwise.driver.watch.page import LivePage
from beadwise.driver.watch.server import LoopbackServer
from beadwise.driver.watch.terminal import Dashboard
from beadwise.driver.watch.watched_run import WatchedRun
from beadwise.runs.source import find_run
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "analysis"))
from browser import browser

HERE = Path(__file__).parent
COLUMNS, ROWS = 104, 36
TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>{stylesheet}
body {{ margin: 0; padding: 12px; background: #0c0f12; color: #d8dee4; width: max-content; }}
pre {{ font: 15px/1.25 'DejaVu Sans Mono', monospace; margin: 0; }}
i {{ font-style: normal; display: inline-block; width: 1ch; }}</style><pre>{code}</pre>"""


def picture_of_terminal(watched: WatchedRun) -> None:
    console = Console(record=True, width=COLUMNS, height=ROWS, file=io.StringIO(), force_terminal=True)
    console.print(Dashboard(watched.content, watched.pulse))
    with tempfile.TemporaryDirectory() as folder, browser(1010, 900) as page:
        path = Path(folder) / "terminal.html"
        # fonts of the same width for all letters often lack those of Braille
        text = re.sub("[\u2800-\u28ff]", r"<i>\g<0></i>", console.export_html(code_format=TERMINAL))
        path.write_text(text, encoding="utf-8")
        page.get(path.as_uri())
        page.find_element("css selector", "body").screenshot(str(HERE / "terminal.png"))


def picture_of_page(watched: WatchedRun) -> None:
    live = LivePage(watched)
    live.show()
    server = LoopbackServer(live.pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with browser(1100, 1750) as page:
        page.get(server.url)
        time.sleep(5)
        page.save_screenshot(str(HERE / "page.png"))
    server.shutdown()


if __name__ == "__main__":
    run = WatchedRun(find_run(Path(sys.argv[1])))
    for _ in range(3):  # for a rate
        time.sleep(run.look())
    picture_of_terminal(run)
    run.look()
    picture_of_page(run)
