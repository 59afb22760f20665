"""How many element-steps a second does remodeling take: a step with its solves, and the tissue law alone?

And what does it save to start the solves of a step where the last one ended?
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fem.conjugate_gradients import Status
from fem.standard_tests import axial, directional_shear
from meshes.voxel import voxel_mesh
from remodel.loop import brought, habitual_strain, live, step
from remodel.person import Person
from remodel.preparation import HabitualLoad, prepare


def prepared(bone, name):
    """Return the model and the state of a woman at menopause whose bone is made of voxels of 0.2 mm."""
    solid = bone(name)
    mesh = voxel_mesh(solid, (0.2, 0.2, 0.2))
    fraction = np.linspace(0.1, 0.9, mesh.elements)
    squeeze = axial(mesh)
    loads = [
        HabitualLoad("compression", squeeze, -50.0),
        HabitualLoad("shear", directional_shear(mesh), 5.0),
    ]
    person = Person("female", 51.0)
    return prepare(mesh, fraction, 18_000.0 * fraction**2.58, loads=loads, tests=[squeeze], person=person)


@pytest.mark.benchmark(group="loop")
@pytest.mark.parametrize("name", ["trabeculae64", "vor64"])
def bench_step(timed, bone, benchmark, name):
    start = time.perf_counter()
    model, state = prepared(bone, name)
    setup = time.perf_counter() - start
    state, _ = step(model, state)
    elements = model.modulus.shape[0]
    _, ends = timed(
        step,
        model,
        state,
        work=lambda _: elements,
        unit="element_steps",
        bone=name,
        elements=elements,
        load_cases=len(model.load_names),
        step_days=model.settings.step_days,
        setup_seconds=setup,
    )
    assert np.all(np.asarray(ends.status) == Status.CONVERGED)
    benchmark.extra_info.update(iterations=int(np.max(ends.iterations)))


@pytest.mark.benchmark(group="loop")
@pytest.mark.parametrize("name", ["trabeculae64"])
def bench_tissue(timed, bone, name):
    model, state = prepared(bone, name)
    elements = model.modulus.shape[0]
    log_ratio = jnp.log(model.baseline_stimulus / model.reference)
    tissue, _, _ = timed(
        live,
        model,
        state.tissue,
        log_ratio,
        brought(model, jnp.asarray(1.0)),
        work=lambda _: elements,
        unit="element_steps",
        bone=name,
        elements=elements,
    )
    assert np.all(np.isfinite(np.asarray(tissue.volume_fraction)))


@pytest.mark.benchmark(group="loop")
@pytest.mark.parametrize("name", ["trabeculae64", "vor64", "vor128"])
def bench_warm_start(benchmark, bone, name):
    """The solves after the first 60 days of menopause, from the solution of day 0 and from rest.

    The tolerance is relative to the load, not to the first residual: a good start leaves less to do.
    """
    model, start = prepared(bone, name)
    after, _ = jax.jit(step)(model, start)
    change = jnp.abs(after.tissue.volume_fraction / start.tissue.volume_fraction - 1.0)
    at_rest = jnp.zeros_like(after.displacement)
    program = jax.jit(habitual_strain).lower(model, after.tissue, None, at_rest).compile()

    def solve_from(displacement):
        return jax.block_until_ready(program(model, after.tissue, None, displacement))

    _, _, cold = solve_from(at_rest)
    cold_seconds = []
    for _ in range(3 if benchmark.enabled else 1):
        begun = time.perf_counter()
        solve_from(at_rest)
        cold_seconds.append(time.perf_counter() - begun)
    _, _, warm = benchmark.pedantic(solve_from, args=(after.displacement,), rounds=3, warmup_rounds=1)
    assert np.all(np.asarray([cold.status, warm.status]) == Status.CONVERGED)
    benchmark.extra_info.update(
        bone=name,
        largest_change_of_volume_fraction=float(jnp.max(change)),
        cold_iterations=np.asarray(cold.iterations).tolist(),
        warm_iterations=np.asarray(warm.iterations).tolist(),
        cold_seconds=statistics.median(cold_seconds),
    )
    if benchmark.enabled:
        ratio = benchmark.stats.stats.median / statistics.median(cold_seconds)
        benchmark.extra_info["warm_start_ratio"] = ratio
        print(f"\n{name}: {benchmark.extra_info}")
