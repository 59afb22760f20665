"""Mesh files: written, read back, and refused."""

import base64
import struct
import sys
import zlib

import meshio
import numpy as np
import pytest

from meshes.exchange import read_mesh, write_vtu
from meshes.failures import ReadError
from meshes.voxel import VoxelMesh, element_centroids, node_coordinates, voxel_mesh

SPACING, ORIGIN = (0.1, 0.2, 0.35), (1.0, -2.0, 3.0)
TETRAHEDRON = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def mesh() -> VoxelMesh:
    solid = np.random.default_rng(0).random((4, 5, 7)) < 0.5
    return voxel_mesh(solid, SPACING, origin=ORIGIN)


def write_cells(path, points: np.ndarray, kind: str, nodes: list[list[int]], **options) -> None:
    meshio.Mesh(points, [(kind, np.array(nodes))]).write(path, **options)


def test_voxel_mesh_comes_back_from_vtu_as_it_went(mesh, tmp_path):
    path = tmp_path / "bone.vtu"
    rng = np.random.default_rng(1)
    points = {"displacement": rng.random((mesh.nodes, 3))}
    cells = {"modulus": rng.random(mesh.elements), "stress": rng.random((mesh.elements, 6))}
    write_vtu(path, mesh, points, cells)
    back = read_mesh(path)
    np.testing.assert_array_equal(back.points, node_coordinates(mesh))
    np.testing.assert_array_equal(back.point_fields["displacement"], points["displacement"])
    for name, values in cells.items():
        np.testing.assert_array_equal(back.cell_fields[name]["hexahedron"], values)
    centroids = back.points[back.cells["hexahedron"]].mean(axis=1)
    np.testing.assert_allclose(centroids, element_centroids(mesh), atol=1e-12)


def test_vtk_finds_the_volume_of_each_voxel(mesh, tmp_path):
    vtk = pytest.importorskip("vtk")
    to_numpy = pytest.importorskip("vtkmodules.util.numpy_support").vtk_to_numpy
    path = tmp_path / "bone.vtu"
    write_vtu(path, mesh, {}, {"place": element_centroids(mesh)})
    reader, sizes = vtk.vtkXMLUnstructuredGridReader(), vtk.vtkCellSizeFilter()
    reader.SetFileName(str(path))
    sizes.SetInputConnection(reader.GetOutputPort())
    sizes.Update()
    cells = sizes.GetOutput().GetCellData()
    np.testing.assert_allclose(to_numpy(cells.GetArray("Volume")), np.prod(SPACING), rtol=1e-12)
    np.testing.assert_array_equal(to_numpy(cells.GetArray("place")), element_centroids(mesh))


def test_fields_that_do_not_fit_are_not_written(mesh, tmp_path):
    path = tmp_path / "bone.vtu"
    with pytest.raises(ValueError, match="`modulus` must have one value for each"):
        write_vtu(path, mesh, {}, {"modulus": np.zeros(mesh.elements + 1)})
    with pytest.raises(ValueError, match="`modulus` has 3 of"):
        write_vtu(path, mesh, {}, {"modulus": np.where(np.arange(mesh.elements) < 3, np.nan, 1.0)})
    assert not path.exists()


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".inp", ".mesh"])
def test_formats_give_the_same_mesh(suffix, tmp_path):
    path = tmp_path / f"bone{suffix}"
    write_cells(path, TETRAHEDRON, "tetra", [[0, 1, 2, 3]])
    back = read_mesh(path)
    np.testing.assert_allclose(back.points, TETRAHEDRON)
    np.testing.assert_array_equal(back.cells["tetra"], [[0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("tetra", TETRAHEDRON),
        ("pyramid", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)]),
        ("wedge", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)]),
        (
            "hexahedron",
            [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)],
        ),
    ],
)
def test_a_cell_is_read_and_its_mirror_image_refused(kind, points, tmp_path):
    points = np.array(points, dtype=float)
    nodes = [list(range(len(points)))]
    write_cells(tmp_path / "good.vtu", points, kind, nodes)
    assert len(read_mesh(tmp_path / "good.vtu").cells[kind]) == 1
    path = tmp_path / "mirrored.vtu"
    write_cells(path, points * [1.0, 1.0, -1.0], kind, nodes)
    with pytest.raises(ReadError, match=f"1 of 1 cells of type {kind} have no positive volume"):
        read_mesh(path)


def test_a_flat_cell_is_refused(tmp_path):
    path = tmp_path / "flat.vtu"
    write_cells(path, TETRAHEDRON * [1.0, 1.0, 0.0], "tetra", [[0, 1, 2, 3], [0, 1, 2, 3]])
    with pytest.raises(ReadError, match="2 of 2 cells of type tetra have no positive volume"):
        read_mesh(path)


def test_a_node_that_is_not_there_is_refused(tmp_path):
    for wrong in (4, -1, 2**40):
        path = tmp_path / "outside.vtu"
        write_cells(path, TETRAHEDRON, "tetra", [[0, 1, 2, wrong]])
        with pytest.raises(ReadError, match=f"names node {wrong}, and the nodes are 0 to 3"):
            read_mesh(path)


def test_a_point_that_is_not_finite_is_refused(tmp_path):
    points = TETRAHEDRON.copy()
    points[2, 1] = np.nan
    path = tmp_path / "nowhere.vtu"
    write_cells(path, points, "tetra", [[0, 1, 2, 3]])
    with pytest.raises(ReadError, match="1 of 4 points are not finite"):
        read_mesh(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "entities",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">',
        '<!ENTITY c SYSTEM "file:///etc/passwd">',
        "",
    ],
)
def test_xml_with_a_document_type_is_refused(entities, encoding, tmp_path):
    path = tmp_path / "bomb.vtu"
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE v [{entities}]><VTKFile>&c;</VTKFile>'
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ReadError, match="declares a document type"):
        read_mesh(path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_compressed_bomb_is_stopped_by_its_memory(tmp_path):
    blocks, size = 60, 8_000_000  # 480 MB of zeros in a file of 0.6 MB
    packed = zlib.compress(bytes(size), 9)
    header = struct.pack(f"<{3 + blocks}Q", blocks, size, size, *[len(packed)] * blocks)
    data = base64.b64encode(header).decode() + base64.b64encode(blocks * packed).decode()
    path = tmp_path / "bomb.vtu"
    path.write_text(
        '<?xml version="1.0"?><VTKFile type="UnstructuredGrid" version="0.1" byte_order="LittleEndian" '
        'header_type="UInt64" compressor="vtkZLibDataCompressor"><UnstructuredGrid>'
        f'<Piece NumberOfPoints="{blocks * size // 24}" NumberOfCells="0"><Points>'
        f'<DataArray type="Float64" NumberOfComponents="3" format="binary">{data}</DataArray></Points>'
        "<Cells></Cells></Piece></UnstructuredGrid></VTKFile>"
    )
    with pytest.raises(ReadError, match="it takes more than"):
        read_mesh(path)


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_truncated_file_is_an_error_with_its_name(keep, mesh, tmp_path):
    path = tmp_path / "cut.vtu"
    write_vtu(path, mesh, {}, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(ReadError, match=r"cut\.vtu"):
        read_mesh(path)


def test_abaqus_file_that_includes_another_is_refused(tmp_path):
    path = tmp_path / "deck.inp"
    path.write_text("*NODE\n1, 0., 0., 0.\n*Include, INPUT=/etc/passwd\n")
    with pytest.raises(ReadError, match="includes another file"):
        read_mesh(path)


def test_files_that_are_no_mesh_say_why(tmp_path):
    for name, content, message in (
        ("bone.xdmf", b"<Xdmf/>", r"`\.xdmf` is no mesh format"),
        ("bone.vtu", b"", "it is empty"),
        ("text.vtu", b"not a mesh", "it is no XML"),
        ("void.vtu", b"<?xml version='1.0'?>", "no XML element|no element"),
        ("other.vtu", b"<a/>", "its reader says"),
        ("bone.inp", b"hello\n", "has no point"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ReadError, match=message):
            read_mesh(path)


def test_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_mesh(tmp_path / "nowhere.vtu")


def test_shared_femur_and_cube_are_read(shared):
    surface = read_mesh(shared / "data/D5_proximal_femur_m8_mesh/m8_lfemur_mm.stl")
    assert surface.cells["triangle"].shape == (83792, 3)
    cube = read_mesh(shared / "data/D7_faim_manual_cubes/faim_testdata/cube2x2x2.vtu")
    assert cube.cells["hexahedron"].shape == (8, 8)
