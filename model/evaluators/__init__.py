"""What answers, by name: a model file, a potential that is built in, a shipped model, or one of the user's own.

Each kind of name, ``PREFIX:REST``, is a file here with a `Provider`, and a word in the list below; another package has
its own under an entry point in the group ``beadwise.evaluators``, which names a `Provider`.
"""

from ..charges import provider as charges
from ..dispersion import d3, d4
from ..electron_density import provider as electron_density
from ..electrons import provider as electrons
from ..ions import fixed as ions
from . import (
    ase_calculator,
    client,
    committee,
    correction,
    field_inside,
    hamiltonian,
    harmonic,
    lennard_jones,
    mace,
    member,
    metatomic,
    mixture,
    nep,
    qtip4pf,
    switch,
    tight_binding,
    weighted_baseline,
)
from .identity import identity_of
from .loading import baseline_of, in_field, load, load_evaluator, provider_of_fit, with_precision
from .provider import Provider, models_from, named_files
from .registry import (
    BUILT_IN,
    files_of,
    from_any_folder,
    full_name,
    is_evaluator,
    models_of,
    parts_of,
    provider_of,
    short_name,
    writes_files,
)

BUILT_IN |= {  # in the order in which messages show them
    file.PROVIDER.prefix: file.PROVIDER
    for file in (
        qtip4pf,
        harmonic,
        lennard_jones,
        ions,
        tight_binding,
        d3,
        d4,
        ase_calculator,
        mace,
        metatomic,
        nep,
        client,
        committee,
        correction,
        weighted_baseline,
        member,
        field_inside,
        charges,
        hamiltonian,
        electron_density,
        electrons,
        mixture,
        switch,
    )
}

__all__ = [
    "BUILT_IN",
    "Provider",
    "baseline_of",
    "files_of",
    "from_any_folder",
    "full_name",
    "identity_of",
    "in_field",
    "is_evaluator",
    "load",
    "load_evaluator",
    "models_from",
    "models_of",
    "named_files",
    "parts_of",
    "provider_of",
    "provider_of_fit",
    "short_name",
    "with_precision",
    "writes_files",
]
