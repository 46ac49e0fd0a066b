"""PLUMED inputs, as far as a run and its free-energy profile need them: which actions there are, and their files.

PLUMED itself says whether an input is right.  Here it is only read: ``label: ACTION KEY=VALUE FLAG``, comments after
``#``, actions over several lines between dots, values with spaces in braces, and ``INCLUDE``.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ase import units

from ...reading import CONTENT, reason, shown
from ..input.elements import InputError

WORD = re.compile(r"[^\s{]*\{[^}]*\}|\S+")
KILOJOULE_PER_MOLE = units.kJ / units.mol
ENERGY_UNITS = {
    "kj/mol": KILOJOULE_PER_MOLE,
    "j/mol": KILOJOULE_PER_MOLE / 1000,
    "kcal/mol": units.kcal / units.mol,
    "ev": units.eV,
    "ha": units.Hartree,
}

OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# what deposits along the run, and the file that it continues from, unless FILE names it
DEPOSITING = {"METAD": "HILLS", "OPES_METAD": "KERNELS", "OPES_METAD_EXPLORE": "KERNELS"}
RESTRAINTS = frozenset({"RESTRAINT"})
STATIC = frozenset({"UPPER_WALLS", "LOWER_WALLS", "BIASVALUE", "EXTERNAL"})
OTHER_BIASES = frozenset(
    "MOVINGRESTRAINT ABMD PBMETAD OPES_EXPANDED MAXENT EXTENDED_LAGRANGIAN VES_LINEAR_EXPANSION VES_DELTA_F DRR EDS "
    "LOGMFD FISST RESCALE CALIBER METAINFERENCE".split()
)
BIASES = frozenset(DEPOSITING) | RESTRAINTS | STATIC | OTHER_BIASES


@dataclass(frozen=True)
class Action:
    """One action of a PLUMED input.

    Parameters
    ----------
    name : str
        Such as ``METAD``.
    label : str
        Empty if it has none.
    keywords : mapping of str to str
        Values by their keyword, without braces.
    flags : frozenset of str
        Words without a value.
    """

    name: str
    label: str = ""
    keywords: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its arguments, ``ARG``."""
        return tuple(self.values("ARG"))

    def values(self, keyword: str) -> list[str]:
        """The items of a value that is a list; none if there is no such keyword."""
        return [item for item in re.split(r"[\s,]+", self.keywords.get(keyword, "")) if item]

    def numbers(self, keyword: str, default: str = "") -> list[float]:
        """The numbers of a value that is a list of them; PLUMED knows ``pi`` in them.

        Raises
        ------
        InputError
            If an item is no number.
        """
        items = self.values(keyword) or default.split()
        try:
            return [plumed_number(item) for item in items]
        except ValueError:
            raise InputError(f"{keyword} of {self.name} is '{shown(','.join(items))}'; numbers are needed") from None


@dataclass(frozen=True)
class PlumedInput:
    """The actions of a PLUMED input.

    Parameters
    ----------
    path : Path
    actions : tuple of Action
        In their order, those of included files in place of the ``INCLUDE``.
    """

    path: Path
    actions: tuple[Action, ...]

    def named(self, *names: str) -> list[Action]:
        """Actions of these names."""
        return [action for action in self.actions if action.name in names]

    @property
    def biases(self) -> list[Action]:
        """Actions that add an energy."""
        return self.named(*BIASES)

    @property
    def energy_unit(self) -> float:
        """Unit of energy in eV: kJ/mol unless ``UNITS`` says otherwise.

        Raises
        ------
        InputError
            If it is unknown.
        """
        return self._unit("ENERGY", ENERGY_UNITS, KILOJOULE_PER_MOLE)

    @property
    def length_unit(self) -> str:
        """Unit of length as ``UNITS`` has it: nm unless it says otherwise."""
        return next((action.keywords["LENGTH"] for action in self.named("UNITS") if "LENGTH" in action.keywords), "nm")

    def _unit(self, keyword: str, known: Mapping[str, float], default: float) -> float:
        found = [action.keywords[keyword] for action in self.named("UNITS") if keyword in action.keywords]
        if not found:
            return default
        if found[-1].lower() in known:
            return known[found[-1].lower()]
        try:
            return float(found[-1]) * default
        except ValueError:
            raise InputError(
                f"UNITS {keyword}={found[-1]} in '{self.path}' is unknown; allowed are {', '.join(known)} and numbers"
            ) from None


def read_plumed_input(path: Path, folder: Path | None = None) -> PlumedInput:
    """Read a PLUMED input.

    Parameters
    ----------
    path : Path
    folder : Path, optional
        Where PLUMED runs, and looks for files that are included; by default that of `path`.

    Raises
    ------
    InputError
        If it, or a file that it includes, cannot be read.
    """
    return PlumedInput(path, tuple(_actions(path, path.parent if folder is None else folder)))


def _actions(path: Path, folder: Path, includers: tuple[Path, ...] = ()) -> Iterator[Action]:
    if path in includers:
        raise InputError(f"the PLUMED input '{path}' includes itself")
    for words in _statements(path):
        action = _action(words)
        if action.name == "INCLUDE":
            yield from _actions(folder / action.keywords.get("FILE", ""), folder, (*includers, path))
        else:
            yield action


def _statements(path: Path) -> Iterator[list[str]]:
    """The words of one action after another."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the PLUMED input '{path}': {reason(error)}") from error
    together: list[str] | None = None
    for line in lines:
        words = WORD.findall(line.split("#", 1)[0])
        if words[:1] == ["ENDPLUMED"]:
            return
        if together is not None and words[:1] == ["..."]:
            if not together:
                raise InputError(f"'{path}' has nothing between two lines of dots; an action is needed")
            yield together
            together = None
        elif together is not None:
            together += words
        elif words[-1:] == ["..."]:
            together = words[:-1]
        elif words:
            yield words


def _action(words: list[str]) -> Action:
    label = words.pop(0)[:-1] if words[0].endswith(":") and len(words) > 1 else ""
    pairs = [word.partition("=") for word in words[1:]]
    keywords = {keyword: value.strip("{}").strip() for keyword, equals, value in pairs if equals}
    flags = frozenset(word for word, equals, _ in pairs if not equals)
    return Action(words[0], label or keywords.pop("LABEL", ""), keywords, flags)


def plumed_number(text: str) -> float:
    """Read a number as PLUMED does, which knows pi and the four operations: ``-5*pi/6``.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        value = _value(ast.parse(text.strip().lstrip("+"), mode="eval").body)
        if not math.isfinite(value):
            raise OverflowError(value)
        return value
    except CONTENT as error:
        raise ValueError(f"'{shown(text)}' is no number") from error


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id="pi"):
            return math.pi
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in OPERATIONS:
            return OPERATIONS[type(operation)](_value(left), _value(right))
    raise TypeError(ast.dump(node))
