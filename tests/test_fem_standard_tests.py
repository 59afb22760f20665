"""Laws of the seven standard tests: closed formulas, the work they do, and no axis is special."""

import jax.numpy as jnp
import numpy as np
import pytest

from fem.equilibrium import Equilibrium, solve
from fem.loads import LoadCase
from fem.standard_tests import STANDARD_TESTS, bending, directional_shear, torsion, uniaxial
from fem.stiffness import VoxelStiffness, voxel_topology
from meshes.voxel import VoxelMesh, extent, gross_section, on_grid, voxel_mesh

E, NU = 18_000.0, 0.3
G = E / (2.0 * (1.0 + NU))
OEDOMETRIC = E * (1.0 - NU) / ((1.0 + NU) * (1.0 - 2.0 * NU))
SPACING = (0.05, 0.06, 0.08)


@pytest.fixture(scope="module")
def block() -> VoxelMesh:
    return voxel_mesh(np.ones((3, 3, 3), dtype=bool), SPACING)


def solved(mesh: VoxelMesh, case: LoadCase, *, modulus=E, poisson_ratio: float = NU) -> Equilibrium:
    """Solve to rounding; all meshes of one size share one compiled solve."""
    return solve(mesh, modulus, case, poisson_ratio=poisson_ratio, precision="double", tolerance=1e-12)


def turned(mesh: VoxelMesh) -> VoxelMesh:
    """Return the mesh with x where y was, y where z was, z where x was."""
    solid = on_grid(mesh, np.ones(mesh.elements, dtype=bool), fill=False)
    dx, dy, dz = mesh.spacing
    return voxel_mesh(solid.transpose(2, 0, 1), (dz, dx, dy))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("name", "modulus"), [("uniaxial", E), ("confined", OEDOMETRIC), ("symshear", G)])
def test_a_uniform_block_answers_with_its_modulus(block, name, modulus, axis):
    case = STANDARD_TESTS[name](block, axis=axis, strain=0.004)
    side = (axis + 2) % 3 if name == "symshear" else axis
    wanted = 0.004 * modulus * gross_section(block, axis=side)
    found = solved(block, case)
    assert found.reaction[case.response] == pytest.approx(wanted, rel=1e-10)
    strain = np.asarray(found.effective_strain)
    np.testing.assert_allclose(strain, 0.004 * np.sqrt(modulus / E), rtol=1e-10)


def test_bending_stiffness_tends_to_that_of_a_beam_with_the_square_of_the_spacing():
    """Without lateral contraction the ends of the test are those of a beam in pure bending."""
    angle, side, length = 1e-3, 1.0, 2.0
    wanted = E * side**4 / 12.0 / length
    errors = []
    for n in (2, 4):
        mesh = voxel_mesh(np.ones((n, n, 2 * n), dtype=bool), (side / n, side / n, side / n))
        case = bending(mesh, strain=angle)
        found = solved(mesh, case, poisson_ratio=0.0)
        errors.append(found.reaction[case.response] / case.motion / wanted - 1.0)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] == pytest.approx(0.0, abs=0.05)


def test_torsion_of_a_square_bar_follows_saint_venant():
    """The ends do not warp, and the mesh is coarse: both make it stiffer, by some per cent.

    Source: Timoshenko and Goodier 1970, Theory of Elasticity, section 109: J = 0.1406 a^4.
    """
    mesh = voxel_mesh(np.ones((4, 4, 8), dtype=bool), (0.25, 0.25, 0.25))
    found = solved(mesh, torsion(mesh, strain=1e-3)).reaction[5] / (G * 0.1406 * 1e-3 / 2.0)
    assert 1.0 < found < 1.1


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", STANDARD_TESTS)
def test_turning_bone_and_test_together_changes_nothing(crumb, name, axis):
    case = STANDARD_TESTS[name](crumb, axis=axis)
    other = turned(crumb)
    same = STANDARD_TESTS[name](other, axis=axis + 1)
    assert same.motion == pytest.approx(case.motion, rel=1e-14)
    one, two = solved(crumb, case), solved(other, same)
    wanted = one.reaction.reshape(2, 3)[:, [2, 0, 1]]
    np.testing.assert_allclose(
        two.reaction.reshape(2, 3), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted[0]).max()
    )
    field = on_grid(crumb, np.asarray(one.effective_strain), fill=0.0).transpose(2, 0, 1)
    turned_field = on_grid(other, np.asarray(two.effective_strain), fill=0.0)
    np.testing.assert_allclose(turned_field, field, atol=1e-9 * field.max())


@pytest.mark.parametrize("name", ["axial", "uniaxial", "confined", "dshear", "torsion"])
def test_the_response_does_the_work_that_the_bone_stores(crumb, name):
    # Small enough that the sine of the angle of torsion is the angle.
    case = STANDARD_TESTS[name](crumb, strain=1e-6)
    found = solved(crumb, case)
    stiffness = VoxelStiffness(voxel_topology(crumb, poisson_ratio=NU), jnp.full(crumb.elements, E))
    stored = 0.5 * float(jnp.vdot(found.displacement, stiffness.apply(found.displacement)))
    work = 0.5 * case.motion * found.reaction[case.response]
    assert work == pytest.approx(stored, rel=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_imposed_motion_is_the_strain_times_the_height_of_the_bone(crumb, axis):
    for name in ("axial", "uniaxial", "confined", "dshear"):
        case = STANDARD_TESTS[name](crumb, axis=axis, strain=-0.003)
        assert case.motion == pytest.approx(-0.003 * extent(crumb, axis=axis), rel=1e-14)
        assert (case.strain, case.axis, case.name) == (-0.003, axis, name)


def test_the_pin_of_the_uniaxial_test_takes_no_force(crumb):
    found = solved(crumb, uniaxial(crumb))
    assert np.abs(found.reaction[:2]).max() < 1e-9 * np.abs(found.reaction[2])


def test_shear_along_its_own_axis_and_unknown_axes_are_refused(block):
    with pytest.raises(ValueError, match="`direction` of a shear must differ from its axis z"):
        directional_shear(block, axis=2, direction=2)
    for test in STANDARD_TESTS.values():
        with pytest.raises(ValueError, match=r"`axis` is 0, 1 or 2"):
            test(block, axis=3)


def test_a_test_without_strain_is_refused(block):
    for test in STANDARD_TESTS.values():
        with pytest.raises(ValueError, match="loads nothing"):
            test(block, strain=0.0)
