"""VTKHDF and VTI files, read back with h5py, and with VTK where it is installed."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from meshes import vtk_image
from meshes.voxel import VoxelMesh, element_centroids, element_volume, node_coordinates, voxel_mesh
from meshes.vtkhdf import append_step, create_series, step_times, truncate_series

SHAPE, SPACING, ORIGIN = (4, 5, 7), (0.1, 0.2, 0.35), (1.0, -2.0, 3.0)
SINGLE = 1e-6
"""Relative error of single precision, in which the fields are stored."""


@pytest.fixture
def mesh() -> VoxelMesh:
    solid = np.random.default_rng(0).random(SHAPE) < 0.5
    return voxel_mesh(solid, SPACING, origin=ORIGIN)


def stored(path: Path, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return np.asarray(file[f"VTKHDF/{name}"])


def attribute(path: Path, group: str, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return np.asarray(file[f"VTKHDF/{group}"].attrs[name])


def add_step(path: Path, mesh: VoxelMesh, step: int) -> None:
    """Append a step whose fields say where they belong."""
    append_step(
        path,
        time=10.0 * step,
        point_fields={"displacement": node_coordinates(mesh) + step},
        cell_fields={"place": element_centroids(mesh)[:, 2] + step, "strain": strain(mesh, step)},
    )


def strain(mesh: VoxelMesh, step: int) -> np.ndarray:
    return element_centroids(mesh)[:, [0, 1, 2, 0, 1, 2]] * np.arange(1.0, 7.0) + step


@pytest.fixture
def series(mesh, tmp_path):
    path = tmp_path / "run.vtkhdf"
    create_series(
        path, mesh, steps=6, point_fields={"displacement": 3}, cell_fields={"place": 1, "strain": 6}
    )
    return path


def test_series_holds_the_mesh_once_and_the_steps_in_order(series, mesh):
    for step in range(3):
        add_step(series, mesh, step)
    np.testing.assert_array_equal(step_times(series), [0.0, 10.0, 20.0])
    assert attribute(series, "", "Type") == b"UnstructuredGrid"
    assert attribute(series, "", "Version").tolist() == [2, 0]
    assert stored(series, "NumberOfCells").tolist() == [mesh.elements]
    assert stored(series, "NumberOfPoints").tolist() == [mesh.nodes]
    assert stored(series, "NumberOfConnectivityIds").tolist() == [8 * mesh.elements]
    assert stored(series, "Offsets").tolist() == list(range(0, 8 * mesh.elements + 1, 8))
    assert set(stored(series, "Types").tolist()) == {12}
    np.testing.assert_array_equal(stored(series, "Points"), node_coordinates(mesh))
    assert attribute(series, "Steps", "NSteps") == len(stored(series, "Steps/Values")) == 3
    for name in ("PartOffsets", "PointOffsets", "CellOffsets", "ConnectivityIdOffsets"):
        assert not stored(series, f"Steps/{name}").any()
    for step, start in enumerate(stored(series, "Steps/CellDataOffsets/place")[:3]):
        values = stored(series, "CellData/place")[start : start + mesh.elements]
        np.testing.assert_allclose(values, element_centroids(mesh)[:, 2] + step, rtol=SINGLE)


def test_corners_go_round_the_bottom_face_and_then_round_the_top(series, mesh):
    around = np.array(
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    )
    nodes, points = stored(series, "Connectivity").reshape(-1, 8), stored(series, "Points")
    expected = element_centroids(mesh)[:, None] + (around - 0.5) * SPACING
    np.testing.assert_allclose(points[nodes], expected, atol=1e-12)


def test_resumed_run_ends_in_the_same_bytes(series, mesh, tmp_path):
    for step in range(3):
        add_step(series, mesh, step)
    truncate_series(series, steps=1)
    assert step_times(series).tolist() == [0.0]
    for step in range(1, 6):
        add_step(series, mesh, step)
    straight = tmp_path / "straight.vtkhdf"
    create_series(
        straight, mesh, steps=6, point_fields={"displacement": 3}, cell_fields={"place": 1, "strain": 6}
    )
    for step in range(6):
        add_step(straight, mesh, step)
    assert series.read_bytes() == straight.read_bytes()


def test_file_does_not_grow_with_the_steps(series, mesh):
    before = series.stat().st_size
    add_step(series, mesh, 0)
    grown = series.stat().st_size - before
    add_step(series, mesh, 1)
    assert series.stat().st_size - before == grown


def test_refused_step_leaves_the_file_as_it_was(series, mesh):
    add_step(series, mesh, 0)
    before = series.read_bytes()
    points = {"displacement": node_coordinates(mesh)}
    place, tensor = np.zeros(mesh.elements), np.zeros((mesh.elements, 6))
    broken = place.copy()
    broken[3] = np.nan
    for message, when, cells in (
        ("`time` must be finite and after", 0.0, {"place": place, "strain": tensor}),
        ("`time` must be finite and after", float("nan"), {"place": place, "strain": tensor}),
        ("CellData of the series are", 1.0, {"place": place}),
        ("`strain` must have shape", 1.0, {"place": place, "strain": tensor[:, :3]}),
        (
            f"`place` has 1 of {mesh.elements} values that are not finite",
            1.0,
            {"place": broken, "strain": tensor},
        ),
    ):
        with pytest.raises(ValueError, match=message):
            append_step(series, time=when, point_fields=points, cell_fields=cells)
    assert series.read_bytes() == before


def test_series_without_room_says_so(series, mesh):
    for step in range(6):
        add_step(series, mesh, step)
    with pytest.raises(ValueError, match="room for 6 steps"):
        add_step(series, mesh, 6)


def test_truncating_to_more_than_there_is_is_refused(series, mesh):
    add_step(series, mesh, 0)
    with pytest.raises(ValueError, match="`steps` must lie between 0 and the 1 steps"):
        truncate_series(series, steps=2)


def test_series_needs_room_and_named_fields(mesh, tmp_path):
    path = tmp_path / "run.vtkhdf"
    with pytest.raises(ValueError, match="`steps` is the room"):
        create_series(path, mesh, steps=0, point_fields={}, cell_fields={})
    with pytest.raises(ValueError, match="printable name"):
        create_series(path, mesh, steps=1, point_fields={}, cell_fields={"a/b": 1})
    with pytest.raises(ValueError, match="at least one component"):
        create_series(path, mesh, steps=1, point_fields={}, cell_fields={"a": 0})
    assert not path.exists()


def test_another_file_is_no_series(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1.0
    with pytest.raises(ValueError, match="is not a series"):
        step_times(path)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_run_keeps_every_finished_step(tmp_path):
    path = tmp_path / "killed.vtkhdf"
    writer = textwrap.dedent("""
        import itertools, sys
        import numpy as np
        from meshes.voxel import voxel_mesh
        from meshes.vtkhdf import append_step, create_series
        mesh = voxel_mesh(np.ones((20, 20, 20), dtype=bool), (1.0, 1.0, 1.0))
        create_series(sys.argv[1], mesh, steps=1000, point_fields={}, cell_fields={"step": 1})
        for step in itertools.count():
            append_step(sys.argv[1], time=float(step), point_fields={},
                        cell_fields={"step": np.full(mesh.elements, float(step))})
            print(step, flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", writer, str(path)], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        last = max(int(line) for line in itertools.islice(run.stdout, 20))
        time.sleep(0.011)  # somewhere inside a step
        os.kill(run.pid, signal.SIGKILL)
    times = step_times(path)
    assert len(times) > last
    values = stored(path, "CellData/step")[: 8000 * len(times)].reshape(len(times), -1)
    np.testing.assert_array_equal(values, np.broadcast_to(times[:, None], values.shape))


def test_vtk_reads_each_step_at_the_right_elements(series, mesh):
    vtk = pytest.importorskip("vtk")
    to_numpy = pytest.importorskip("vtkmodules.util.numpy_support").vtk_to_numpy
    for step in range(3):
        add_step(series, mesh, step)
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(series))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 3
    for step in (0, 2, 1):
        reader.SetStep(step)
        reader.Update()
        grid = reader.GetOutputDataObject(0)
        centres, sizes = vtk.vtkCellCenters(), vtk.vtkCellSizeFilter()
        for each in (centres, sizes):
            each.SetInputData(grid)
            each.Update()
        found = to_numpy(centres.GetOutput().GetPoints().GetData())
        np.testing.assert_allclose(found, element_centroids(mesh), atol=1e-12)
        # A wrong order of corners would fold the cell and change the sign or size of its volume.
        volumes = to_numpy(sizes.GetOutput().GetCellData().GetArray("Volume"))
        np.testing.assert_allclose(volumes, element_volume(mesh), rtol=1e-12)
        cells, points = grid.GetCellData(), grid.GetPointData()
        np.testing.assert_allclose(to_numpy(cells.GetArray("place")), found[:, 2] + step, rtol=SINGLE)
        np.testing.assert_allclose(to_numpy(cells.GetArray("strain")), strain(mesh, step), rtol=SINGLE)
        positions = to_numpy(grid.GetPoints().GetData())
        displaced = to_numpy(points.GetArray("displacement"))
        np.testing.assert_allclose(displaced, positions + step, rtol=SINGLE, atol=SINGLE)


@pytest.fixture
def image_fields() -> dict[str, np.ndarray]:
    values = np.random.default_rng(1).random(SHAPE)
    return {
        "density": values,
        "single": values.astype(np.float32),
        "grey": (1000.0 * values).astype(np.int16),
        "mask": values < 0.5,
    }


def test_image_lies_in_the_file_with_x_fastest(image_fields, tmp_path):
    path = tmp_path / "image.vtkhdf"
    fields = image_fields | {"vector": np.random.default_rng(2).random((*SHAPE, 3))}
    vtk_image.write_vtkhdf(path, fields, spacing=SPACING, origin=ORIGIN)
    assert attribute(path, "", "Type") == b"ImageData"
    assert attribute(path, "", "WholeExtent").tolist() == [0, 4, 0, 5, 0, 7]
    assert attribute(path, "", "Spacing").tolist() == list(SPACING)
    assert attribute(path, "", "Origin").tolist() == list(ORIGIN)
    assert stored(path, "CellData/density").shape == (7, 5, 4)
    for name, values in fields.items():
        turned = values.transpose(2, 1, 0, *range(3, values.ndim))
        np.testing.assert_array_equal(stored(path, f"CellData/{name}"), turned)


@pytest.mark.parametrize("kind", ["vtkhdf", "vti"])
def test_vtk_finds_each_value_where_its_voxel_is(kind, image_fields, tmp_path):
    vtk = pytest.importorskip("vtk")
    to_numpy = pytest.importorskip("vtkmodules.util.numpy_support").vtk_to_numpy
    path = tmp_path / f"image.{kind}"
    write = {"vtkhdf": vtk_image.write_vtkhdf, "vti": vtk_image.write_vti}[kind]
    write(path, image_fields, spacing=SPACING, origin=ORIGIN)
    reader = {"vtkhdf": vtk.vtkHDFReader, "vti": vtk.vtkXMLImageDataReader}[kind]()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutputDataObject(0)
    assert image.GetDimensions() == (5, 6, 8)
    centres = vtk.vtkCellCenters()
    centres.SetInputData(image)
    centres.Update()
    positions = to_numpy(centres.GetOutput().GetPoints().GetData())
    voxels = np.rint((positions - ORIGIN) / SPACING - 0.5).astype(int)
    np.testing.assert_allclose(ORIGIN + (voxels + 0.5) * SPACING, positions, rtol=SINGLE)
    assert len(np.unique(voxels, axis=0)) == np.prod(SHAPE)
    for name, values in image_fields.items():
        found = to_numpy(image.GetCellData().GetArray(name))
        np.testing.assert_array_equal(found, values[tuple(voxels.T)])


def test_image_that_no_viewer_could_show_is_refused(image_fields, tmp_path):
    broken = image_fields["density"].copy()
    broken[1, 2, 3] = np.inf
    for write, name in ((vtk_image.write_vtkhdf, "a.vtkhdf"), (vtk_image.write_vti, "a.vti")):
        path = tmp_path / name
        for fields, message in (
            ({"density": broken}, "`density` has 1 of 140 values that are not finite"),
            ({}, "at least one array"),
            ({"a": np.zeros((2, 3, 4)), "b": np.zeros((2, 3, 5))}, "all of one"),
            ({'<"': np.zeros((2, 3, 4))}, "printable name"),
        ):
            with pytest.raises(ValueError, match=message):
                write(path, fields, spacing=SPACING)
        assert not path.exists()
    with pytest.raises(ValueError, match=r"must end in `\.vti`"):
        vtk_image.write_vti(tmp_path / "a.vtk", image_fields, spacing=SPACING)
