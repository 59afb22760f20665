"""The files of one analysis: Pistoia's table, pictures, and fields on the mesh and over the scan."""

import csv
import dataclasses
import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fem.equilibrium import Equilibrium
from fem.loads import LoadCase
from fem.strength import FailureTable, failure_table
from mechanostat.bones import Bone
from mechanostat.files import LOAD_CASE_PICTURE, write_bytes
from mechanostat.pictures import load_case_figure, png, slices_figure, strain_layer
from meshes.image import Image, Spacing, write_image
from meshes.voxel import on_grid
from meshes.vtkhdf import append_step, create_series


def write_solve_files(
    folder: Path, image: Image, bone: Bone, case: LoadCase, state: Equilibrium, *, fields: bool
) -> None:
    """Write Pistoia's table and the pictures, and on demand the fields on the mesh and on the scan's grid."""
    mesh = bone.mesh
    strain = np.asarray(state.effective_strain, dtype=np.float64)
    if state.converged:
        write_bytes(
            folder / "pistoia.csv",
            failure_csv(
                failure_table(
                    state.effective_strain,
                    float(state.reaction[case.response]),
                    bone_volume=bone_volume(bone, state),
                )
            ),
        )
        layer = strain_layer(on_grid(mesh, strain, fill=np.nan), name=f"{case.name} {'xyz'[case.axis]}")
        write_bytes(
            folder / "strain.png", png(slices_figure([layer], mesh.spacing, title="Effective strain"))
        )
    write_bytes(folder / LOAD_CASE_PICTURE, png(load_case_figure(mesh, case, title=f"Load case {case.name}")))
    if not fields or not state.converged:
        return
    energy = 0.5 * bone.modulus * strain**2
    path = folder / "fields.vtkhdf"
    columns = {"effective_strain": strain, "strain_energy_density": energy, "modulus": bone.modulus}
    create_series(
        path, mesh, steps=1, point_fields={"displacement": 3}, cell_fields=dict.fromkeys(columns, 1)
    )
    append_step(
        path, time=0.0, point_fields={"displacement": np.asarray(state.displacement)}, cell_fields=columns
    )
    for name in ("effective_strain", "strain_energy_density"):
        values = on_grid(mesh, columns[name].astype(np.float32), fill=0.0)
        write_image(folder / f"{name}.nii.gz", on_blocks(image, values, mesh.spacing, quantity=name))


def on_blocks(
    image: Image, values: Float[np.ndarray, "mx my mz"], spacing: Spacing, *, quantity: str
) -> Image:
    """Return a field as an image that lies over the scan, also where blocks of voxels became elements.

    Args:
        image: The scan.
        values: The field on the grid of the mesh.
        spacing: Edges of an element [mm].
        quantity: What the field means.
    """
    axes = np.reshape(image.direction, (3, 3))
    shift = axes @ (0.5 * (np.asarray(spacing) - image.spacing))
    x, y, z = (float(place) for place in image.origin + shift)
    return dataclasses.replace(
        image, values=values, spacing=spacing, origin=(x, y, z), quantity=quantity, calibration=None
    )


def failure_csv(table: FailureTable) -> bytes:
    """Return Pistoia's table as CSV: one row per critical volume, one column per critical strain."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    strains = [f"failure_load_at_strain_{strain:g}" for strain in table.strains]
    writer.writerow(["critical_volume", "effective_strain_exceeded", *strains])
    for volume, exceeded, loads in zip(table.volumes, table.strain_exceeded, table.load, strict=True):
        writer.writerow([f"{volume:g}", f"{exceeded:.9g}", *(f"{load:.9g}" for load in loads)])
    return text.getvalue().encode()


def bone_volume(bone: Bone, state: Equilibrium) -> Float[Array, " elements"]:
    """Return how much bone each element holds, as a share of the element [-]."""
    return jnp.asarray(bone.volume_fraction, state.effective_strain.dtype)
