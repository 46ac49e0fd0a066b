"""The checks of a run as traffic lights, each with one true sentence; what is not known is grey, never green."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

GOOD, FAIR, BAD, UNKNOWN = "good", "fair", "bad", "unknown"
DRIFT_GOOD, DRIFT_FAIR = 0.1, 0.3  # meV per atom and ps
FEWEST_INDEPENDENT = 8.0  # samples; fewer say little about an error
DISTANCE = "envelope_distance"
FAR = 1.0  # distance from the training frames in units of their range, as the servers warn of it
LINEAR_SPREAD = 1.0  # of β times a member's potential, beyond which reweighting leaves its linear range


def verdicts_of(
    content: Mapping[str, Any], growing_bias: bool = False, allowed_drift: float | None = None
) -> list[dict[str, str]]:
    """All checks of a run.

    Parameters
    ----------
    content : mapping
        What `beadwise.analysis.report` describes, all but the verdicts.
    growing_bias : bool
        Whether something does work on the system, as metadynamics or a field that changes.
    allowed_drift : float or None
        Of the conserved quantity, in meV per atom and ps, if the input states it.
    """
    series = {one["name"]: one for one in content["series"]}
    found = [
        _ended(content["run"]),
        verdict_of_drift(series.get("conserved"), growing_bias, allowed_drift),
        _temperature(series.get("temperature")),
    ]
    found += [_spectrum(one) for one in content["spectra"]]
    found += [_profile(one) for one in content["profiles"]]
    found += [
        _training(content["uncertainties"], content["messages"], content["has_events"]),
        _uncertainty(content["uncertainties"], content["spectra"]),
        _warnings(content["messages"], content["has_log"], content["has_events"]),
    ]
    return found


def _verdict(name: str, label: str, colour: str, sentence: str) -> dict[str, str]:
    return {"name": name, "label": label, "colour": colour, "sentence": sentence}


def uncertain(value: float, error: float) -> str:
    """A number with its error, both to the second digit of the error."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6g}"
    places = min(max(1 - math.floor(math.log10(error)), 0), 9)
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "−")


def _ended(run: Mapping[str, Any]) -> dict[str, str]:
    colours = {"finished": GOOD, "running": UNKNOWN, "stopped": FAIR, "unknown": UNKNOWN}
    return _verdict("end", "End of the run", colours[run["state"]], run["state_text"])


def verdict_of_drift(
    one: Mapping[str, Any] | None, growing_bias: bool = False, allowed: float | None = None
) -> dict[str, str]:
    """Whether the conserved quantity is conserved.

    Parameters
    ----------
    one : mapping or None
        Its series, as `beadwise.analysis.report` describes it; None if the run does not write it.
    growing_bias : bool
        Whether something does work on the system.
    allowed : float or None
        Drift that the input itself allows, in meV per atom and ps.

    Returns
    -------
    dict
        ``name``, ``label``, ``colour`` and ``sentence``.
    """
    label = "Conserved quantity"
    if one is None:
        return _verdict("conserved", label, UNKNOWN, "The run does not write its conserved quantity.")
    if one["drift"] is None:
        return _verdict("conserved", label, UNKNOWN, "There are too few rows, or no times, for a drift.")
    value, error = one["drift"]["value"], one["drift"]["error"]
    drift = f"{uncertain(value, error)} meV per atom and ps"
    if growing_bias:
        sentence = f"It changes by {drift}, and what acts on the system from outside may do that: no verdict."
        return _verdict("conserved", label, UNKNOWN, sentence)
    low, high = abs(value) - 2 * error, abs(value) + 2 * error
    good, most = (DRIFT_GOOD, DRIFT_FAIR) if allowed is None else (allowed, allowed)
    tolerance = f"up to {DRIFT_GOOD:g} is good, up to {DRIFT_FAIR:g} needs a reason"
    if allowed is not None:
        tolerance = f"the input allows {allowed:g}"
    if high < good:
        return _verdict("conserved", label, GOOD, f"It drifts by {drift}: {tolerance}.")
    if low > most:
        sentence = f"It drifts by {drift}: too much, {tolerance}. Try a shorter time step."
        return _verdict("conserved", label, BAD, sentence)
    if high < DRIFT_FAIR or (allowed is not None and abs(value) < allowed):
        sentence = f"It drifts by {drift}: {tolerance}."
        if low < good:
            limit = DRIFT_FAIR if allowed is None else high
            sentence = f"It drifts by {drift}: below {limit:.2g}; a longer run would tell if below {good:g}."
        return _verdict("conserved", label, FAIR, sentence)
    sentence = f"It drifts by {drift}, which is not known well enough for a verdict: {tolerance}."
    return _verdict("conserved", label, UNKNOWN, sentence)


def _temperature(one: Mapping[str, Any] | None) -> dict[str, str]:
    label = "Temperature"
    if one is None or one["mean"] is None:
        why = "The run does not write its temperature." if one is None else "There are too few rows for a mean."
        return _verdict("temperature", label, UNKNOWN, why)
    mean, target = one["mean"], one["target"]
    said = f"{uncertain(mean['value'], mean['error'])} K in the second half"
    if target is None:
        return _verdict("temperature", label, UNKNOWN, f"It is {said}; no thermostat holds it at one temperature.")
    away = abs(mean["value"] - target)
    if mean["independent"] < FEWEST_INDEPENDENT:
        count = f"{mean['independent']:.2g}"
        sentence = f"It is {said}, from some {count} independent samples: too few to compare it with {target:g} K."
        return _verdict("temperature", label, UNKNOWN, sentence)
    if away <= 2 * mean["error"]:
        return _verdict("temperature", label, GOOD, f"It is {said}, within two errors of {target:g} K.")
    colour = FAIR if away <= 3 * mean["error"] or away < 0.01 * target else BAD
    times = f"{away / mean['error']:.2g}" if mean["error"] > 0 else "many"
    return _verdict("temperature", label, colour, f"It is {said}, {times} errors away from {target:g} K.")


def _spectrum(one: Mapping[str, Any]) -> dict[str, str]:
    said = one["notes"].get("standard errors", "")
    label, name = one["title"], f"spectrum {one['kind']}"
    if said.startswith("none"):
        return _verdict(name, label, UNKNOWN, f"Preliminary, no error is known: {said.removeprefix('none, as ')}.")
    why = f" Preliminary: {one['preliminary']}." if one["preliminary"] else ""
    return _verdict(name, label, FAIR if why else GOOD, f"Standard errors are a {said}.{why}")


def _profile(one: Mapping[str, Any]) -> dict[str, str]:
    label = f"Free energy along {one['variable']}"
    errors = [error for curve in one["curves"] for error in curve["error"] or () if error is not None]
    if not errors:
        return _verdict("profile", label, UNKNOWN, "Preliminary, no error is known.")
    largest = max(errors) / one["thermal_energy"]
    colour = GOOD if largest < 1 else FAIR
    return _verdict("profile", label, colour, f"Its largest standard error is {largest:.2g} kT. {one['remark']}.")


def _training(
    uncertainties: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, str]], has_events: bool
) -> dict[str, str]:
    label = "Training range"
    distance = next((one for one in uncertainties if one["name"] == DISTANCE), None)
    if distance is not None:
        worst = distance["worst"]
        if worst > FAR:
            sentence = (
                f"Structures are up to {worst:.3g} ranges outside the training frames: results mean little there."
            )
            return _verdict("training", label, BAD, sentence)
        inside = "inside" if worst == 0 else f"at most {worst:.2g} ranges outside"
        return _verdict(
            "training", label, GOOD if worst == 0 else FAIR, f"Structures are {inside} the training frames."
        )
    warned = [one["text"] for one in messages if one["source"] == "beadwise" and DISTANCE in one["text"]]
    if warned:
        return _verdict("training", label, BAD, f"A server warned: {warned[0]}")
    if has_events:
        sentence = (
            "The servers warned of nothing at the first structure; envelope_distance among the extras tells of all."
        )
        return _verdict("training", label, UNKNOWN, sentence)
    sentence = "The files do not tell whether structures were like the training frames; envelope_distance would."
    return _verdict("training", label, UNKNOWN, sentence)


def _uncertainty(uncertainties: Sequence[Mapping[str, Any]], spectra: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    label = "Error of the model"
    worst = {one["name"]: one["worst"] for one in uncertainties}
    forces = worst.get("forces_uncertainty")
    of_forces = "" if forces is None else f" The force on the worst atom was uncertain by up to {forces:.2g} eV/Å."
    spread = worst.get("committee_spread")
    if spread is not None:
        more = "" if spread < LINEAR_SPREAD else "; reweighting to members leaves its linear range"
        sentence = (
            f"Members' potentials move against their mean by {spread:.2g} kT (standard deviation){more}.{of_forces}"
        )
        return _verdict("model", label, GOOD if spread < LINEAR_SPREAD else FAIR, sentence)
    if any(curve["model_error"] is not None for one in spectra for panel in one["panels"] for curve in panel["curves"]):
        return _verdict("model", label, GOOD, f"Spectra have a model error beside their sampling error.{of_forces}")
    if of_forces:
        return _verdict(
            "model", label, UNKNOWN, f"{of_forces.strip()} What that does to results, the files do not tell."
        )
    sentence = "The files hold no members of a committee, which would tell the error of the model."
    return _verdict("model", label, UNKNOWN, sentence)


def _warnings(messages: Sequence[Mapping[str, str]], has_log: bool, has_events: bool) -> dict[str, str]:
    label = "Warnings"
    failures = [one for one in messages if one["level"] == "failure"]
    if failures:
        return _verdict("warnings", label, BAD, f"{failures[0]['source']} failed: {failures[0]['text']}")
    own = [one for one in messages if one["level"] == "warning"]
    if own:
        many = f"There are {len(own)}; the first is of" if len(own) > 1 else "There is one, of"
        return _verdict("warnings", label, FAIR, f"{many} {own[0]['source']}: {own[0]['text']}")
    if not has_log:
        return _verdict("warnings", label, UNKNOWN, "The log of i-PI is not in the folder.")
    said = "Neither i-PI nor a server warned." if has_events else "i-PI did not warn; of servers nothing is known."
    return _verdict("warnings", label, GOOD, said)
