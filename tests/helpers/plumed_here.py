"""For tests that need a PLUMED that works."""

import pytest
from beadwise.driver.launch.plumed.ask import plumed_problem

PROBLEM = plumed_problem()
needs_plumed = pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM))
