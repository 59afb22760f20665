"""Mechanics on a mesh: from loads to strain, stiffness and strength."""

from fem.conjugate_gradients import Status as Status
from fem.equilibrium import Equilibrium as Equilibrium
from fem.equilibrium import SolveError as SolveError
from fem.equilibrium import solve as solve
from fem.fields import strain_energy_density as strain_energy_density
from fem.loads import Hold as Hold
from fem.loads import LoadCase as LoadCase
from fem.loads import Push as Push
from fem.loads import Spring as Spring
from fem.loads import load_case as load_case
from fem.standard_tests import STANDARD_TESTS as STANDARD_TESTS
from fem.standard_tests import axial as axial
from fem.standard_tests import bending as bending
from fem.standard_tests import confined as confined
from fem.standard_tests import directional_shear as directional_shear
from fem.standard_tests import symmetric_shear as symmetric_shear
from fem.standard_tests import torsion as torsion
from fem.standard_tests import uniaxial as uniaxial
from fem.strength import failure_factor as failure_factor
from fem.strength import failure_table as failure_table
