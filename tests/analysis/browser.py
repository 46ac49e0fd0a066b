"""A real browser without a window, for pages that are made here."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromedriver")


@contextmanager
def browser(width: int = 1200, height: int = 1600) -> Iterator[Any]:
    """Chromium through Selenium; a test is skipped where it is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    paths = [shutil.which(name) for name in PROGRAMS]
    if not all(paths):
        pytest.skip("Chromium with its driver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(paths[1]))
    try:
        yield driver
    finally:
        driver.quit()


def console_of(driver: Any) -> list[str]:
    """Errors and warnings in the console since the last time; there must be none."""
    return [one["message"] for one in driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]


def text_of(driver: Any, selector: str) -> str:
    """Text of the first element, in one step: a page that follows a run may replace it at any moment."""
    return str(driver.execute_script("return document.querySelector(arguments[0]).textContent;", selector))


def drag_across(driver: Any, element: Any) -> None:
    """Draw from the first quarter of an element to its middle with the mouse, which zooms a plot."""
    from selenium.webdriver import ActionChains

    driver.execute_script("arguments[0].scrollIntoView({block: 'center'});", element)
    width = element.rect["width"]
    begin = ActionChains(driver).move_to_element_with_offset(element, -int(width / 4), 0).click_and_hold()
    begin.move_by_offset(int(width / 8), 0).move_by_offset(int(width / 8), 0).release().perform()


def wait_until(what: Callable[[], Any], seconds: float = 180.0) -> Any:
    """Wait for something that is true, also on a machine that does other things; what it was."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come true within {seconds:g} s")
