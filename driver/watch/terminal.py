"""The dashboard of a run in a terminal, of what `beadwise.analysis.report` knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from ...with_errors import error_text, with_error
from .pulse import Pulse
from .small_plot import axis_line, braille_plot, sparkline

HIGHEST = 4500.0  # cm⁻¹, of a plot
SCALED_FROM = 200.0  # cm⁻¹: what diffuses dwarfs all bands below
COLOURS = {"good": "green", "fair": "yellow", "bad": "red", "unknown": "dim"}
OF_STATES = {"going on": "green", "ended": "bright_cyan", "stopped": "yellow", "stalled": "red", "not begun": "dim"}
IN_ONE_LINE = ("potential", "temperature")
NARROWEST, LOWEST_PLOT, HIGHEST_PLOT = 20, 4, 14
TICK = 500.0
Content = Mapping[str, Any]


class Dashboard:
    """All that is shown of a run, as high and wide as the terminal is at that moment.

    Parameters
    ----------
    content : mapping
        As `beadwise.analysis.report` describes it.
    pulse : Pulse
        How it goes on.
    """

    def __init__(self, content: Content, pulse: Pulse):
        self._content, self._pulse = content, pulse

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out: plots of spectra shrink to what room there is, and below that the end is left out."""
        width = max(options.max_width - 4, NARROWEST)
        parts: list[RenderableType] = [self._head(width), *self._energies(width), *self._checks()]
        spectra = list(self._content.get("spectra", ()))
        if spectra:
            fixed = _lines(console, Group(*parts), options, width)
            rows = console.size.height - 4 - fixed
            each = min(max(rows // len(spectra) - 3, LOWEST_PLOT), HIGHEST_PLOT)
            parts += [part for one in spectra for part in _spectrum(one, width, each)]
        title = Text(f" {self._content.get('title', '')} ", style="bold")
        body = console.render_lines(Group(*parts), options.update(width=width, height=None), new_lines=True)
        shown = Segments(segment for line in body[: max(console.size.height - 3, 1)] for segment in line)
        yield Panel(shown, title=title, subtitle=_subtitle(self._pulse), border_style="dim", width=width + 4)

    def _head(self, width: int) -> RenderableType:
        run, pulse = self._content.get("run", {}), self._pulse
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        table.add_row(Text(_facts(run), style="dim"), Text(f"● {pulse.state.name}", style=OF_STATES[pulse.state.name]))
        total = max(pulse.total_steps, 1)
        bar = ProgressBar(total=total, completed=min(pulse.step or 0, total), width=max(min(width // 3, width - 46), 4))
        line = Table.grid(padding=(0, 1))
        line.add_row(bar, Text(pulse.progress, no_wrap=True, overflow="ellipsis"))
        return Group(table, line)

    def _energies(self, width: int) -> list[RenderableType]:
        found = [one for one in self._content.get("series", ()) if one["name"] in IN_ONE_LINE]
        table = Table.grid(padding=(0, 1))
        for one in found:
            curve = sparkline(_numbers(one["y"]), max(width - 52, 8))
            table.add_row(one["label"], Text(curve, style="cyan"), Text(mean_of(one)))
        return [table] if found else []

    def _checks(self) -> list[RenderableType]:
        table = Table.grid(padding=(0, 1))
        for one in self._content.get("verdicts", ()):
            words = Text(f"{one['label']}: {one['sentence']}", overflow="ellipsis", no_wrap=True)
            table.add_row(Text("●", style=COLOURS.get(one["colour"], "dim")), words)
        for line in uncertainties_of(self._content):
            table.add_row(" ", Text(line))
        return [table]


def _lines(console: Console, group: Group, options: ConsoleOptions, width: int) -> int:
    return len(console.render_lines(group, options.update(width=width, height=None)))


def _subtitle(pulse: Pulse) -> Text:
    return Text(f" {pulse.state.words} ", style="dim")


def _facts(run: Mapping[str, Any]) -> str:
    """``H128O64, TRPMD, 8 beads, 300 K, 0.5 fs``."""
    beads, temperature, timestep = (run.get(name) for name in ("beads", "temperature", "timestep"))
    facts = [
        run.get("formula") or "",
        run.get("dynamics") or "",
        f"{beads} bead{'' if beads == 1 else 's'}" if beads else "",
        f"{temperature:g} K" if temperature is not None else "",
        f"{timestep:g} fs" if timestep is not None else "",
    ]
    return ", ".join(filter(None, facts))


def mean_of(series: Mapping[str, Any]) -> str:
    """``298.2 ± 1.3 K``, of the temperature with what it aims at; the last value where there is no mean yet."""
    mean, unit = series.get("mean"), series.get("unit") or ""
    if mean is None:
        last = next((one for one in reversed(series["y"]) if one is not None), None)
        return "" if last is None else f"{last:.6g} {unit} now"
    error = float("nan") if mean["error"] is None else mean["error"]
    target = series.get("target")
    return with_error(f"{mean['value']:.6g}", error, unit) + (
        f", target {target:g} {unit}" if target is not None else ""
    )


def drift_of(content: Content) -> str:
    """The drift of the conserved quantity with its error; empty if it is not known."""
    drift = next((one["drift"] for one in content.get("series", ()) if one.get("drift")), None)
    if drift is None:
        return ""
    error = float("nan") if drift["error"] is None else drift["error"]
    return f"drift {with_error(format(drift['value'], '.2g'), error, 'meV per atom and ps')}"


def uncertainties_of(content: Content) -> list[str]:
    """The largest of each uncertainty that was seen along the run."""
    lines = []
    for one in content.get("uncertainties", ()):
        if one.get("worst") is not None:
            lines.append(f"largest {one['label']}: {one['worst']:.3g} {one.get('unit') or ''}".rstrip())
    return lines


def bands_of(spectrum: Mapping[str, Any]) -> str:
    """``612 ± 25, 1645 ± 3, 3433 ± 9``, the positions of bands in cm⁻¹; empty if there is none."""
    places = []
    for one in spectrum.get("bands", ()):
        error = one["position_error"]
        places.append(f"{one['position']:.0f}" + ("" if error is None else f" ± {error_text(error)}"))
    return ", ".join(places)


def _spectrum(spectrum: Mapping[str, Any], width: int, rows: int) -> list[RenderableType]:
    curve = _curve(spectrum)
    if curve is None:
        return []
    x, y = _numbers(spectrum["x"]), _numbers(curve["y"])
    shown = x <= HIGHEST
    x, y = x[shown], y[shown]
    is_early = bool(spectrum.get("preliminary"))
    head = Text(f"{spectrum['title']}{', preliminary' if is_early else ''}", style="bold")
    bands = bands_of(spectrum)
    if bands:
        head.append(f"   bands / cm⁻¹: {bands}", style="not bold")
    head.truncate(width, overflow="ellipsis")
    settled = y[(x >= SCALED_FROM) & np.isfinite(y)]
    high = float(settled.max()) if len(settled) else None
    plot = Text("\n".join(braille_plot(y, width, rows, high=high)), style="dim cyan" if is_early else "cyan")
    ticks = np.arange(0.0, x[-1] + 1, TICK)
    return [head, plot, Text(axis_line(float(x[0]), float(x[-1]), width, list(ticks)), style="dim")]


def _curve(spectrum: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The curve that stands for a spectrum: the first of its first panel."""
    curves = [curve for panel in spectrum["panels"][:1] for curve in panel["curves"][:1]]
    return curves[0] if curves and len(spectrum["x"]) > 1 else None


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in values], dtype=np.float64)


def plain_line(content: Content, pulse: Pulse) -> str:
    """All that matters in one line, for where there is no terminal."""
    temperature = next((mean_of(one) for one in content.get("series", ()) if one["name"] == "temperature"), "")
    bands = [f"{one['kind']} bands {found} cm⁻¹" for one in content.get("spectra", ()) if (found := bands_of(one))]
    parts = [pulse.progress, temperature, drift_of(content), *uncertainties_of(content), *bands]
    state = "" if pulse.state.name == "going on" else f"{pulse.state.words}; "
    return state + "; ".join(filter(None, parts))
