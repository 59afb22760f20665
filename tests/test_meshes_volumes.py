"""NIfTI, MetaImage and NRRD: what the header claims must be in the file, and spacing is never invented."""

import contextlib
import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from meshes.failures import ReadError
from meshes.image import read_image
from meshes.scan import Limits

NAMES = ["a.nii", "a.nii.gz", "a.mha", "z.mha", "a.mhd", "a.nrrd", "z.nrrd"]
"""Every format, raw and compressed; `z` is compressed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One volume of noise, which does not compress, in every format."""
    folder = tmp_path_factory.mktemp("volumes")
    values = np.random.default_rng(0).integers(-1000, 1000, (7, 6, 5), dtype=np.int16)
    picture = SimpleITK.GetImageFromArray(values)
    picture.SetSpacing((0.1, 0.2, 0.3))
    for name in NAMES:
        SimpleITK.WriteImage(picture, str(folder / name), name.startswith("z") or name.endswith("gz"))
    return folder


def copied(source: Path, target: Path, *, old: bytes = b"", new: bytes = b"") -> Path:
    target.write_bytes(source.read_bytes().replace(old, new) if old else source.read_bytes())
    return target


@pytest.mark.parametrize("name", NAMES)
def test_all_formats_hold_the_same_volume(folder, name):
    image = read_image(folder / name)
    np.testing.assert_array_equal(image.values, read_image(folder / "a.mha").values)
    np.testing.assert_allclose(image.spacing, (0.1, 0.2, 0.3), rtol=1e-6)


@pytest.mark.parametrize("kept", [0.97, 0.5, 0.1])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "z.mha", "a.nrrd", "z.nrrd"])
def test_truncated_file_is_refused(folder, tmp_path, name, kept):
    whole = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ReadError, match=name):
        read_image(tmp_path / name)


def test_truncated_values_beside_their_header_are_refused(folder, tmp_path):
    copied(folder / "a.mhd", tmp_path / "a.mhd")
    (tmp_path / "a.raw").write_bytes((folder / "a.raw").read_bytes()[:-1])
    with pytest.raises(ReadError, match="419 of 420 bytes"):
        read_image(tmp_path / "a.mhd")


@pytest.mark.parametrize("elsewhere", ["../a.raw", "/etc/hostname", "LIST", "a%d.raw 1 7 1", "missing.raw"])
def test_header_cannot_point_out_of_its_folder(folder, tmp_path, elsewhere):
    inside = tmp_path / "inside"
    inside.mkdir()
    copied(folder / "a.raw", tmp_path / "a.raw")
    copied(folder / "a.mhd", inside / "a.mhd", old=b"a.raw", new=elsewhere.encode())
    with pytest.raises(ReadError, match="beside it"):
        read_image(inside / "a.mhd")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.mha", b"ElementSpacing = 0.10000000000000001 0.20000000000000001 0.29999999999999999\n"),
        ("a.nrrd", b"space: left-posterior-superior\n"),
    ],
)
def test_header_without_spacing_asks_for_it(folder, tmp_path, name, line):
    path = copied(folder / name, tmp_path / name, old=line)
    if name == "a.nrrd":  # without a space, the directions and the origin have no meaning either
        raw = path.read_bytes()
        start, end = raw.index(b"space directions"), raw.index(b"kinds")
        raw = raw[:start] + raw[end:]
        start, end = raw.index(b"space origin"), raw.index(b"\n\n")
        path.write_bytes(raw[: start - 1] + raw[end:])
    with pytest.raises(ReadError, match="no voxel spacing"):
        read_image(path)
    assert read_image(path, spacing=0.05).spacing == (0.05, 0.05, 0.05)


@pytest.mark.parametrize("pixdim", [0.0, -0.1, float("nan")])
def test_nifti_spacing_of_nothing_is_asked_for(folder, tmp_path, pixdim):
    raw = bytearray((folder / "a.nii").read_bytes())
    struct.pack_into("<f", raw, 84, pixdim)
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(ReadError, match="no voxel spacing"):
        read_image(tmp_path / "a.nii")


@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1.0), ("micron", 1e-3), ("meter", 1e3)])
def test_nifti_in_other_units_is_read_in_millimetres(tmp_path, unit, millimetres):
    picture = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    picture.header.set_xyzt_units(unit)
    nibabel.save(picture, tmp_path / "a.nii")
    spacing = read_image(tmp_path / "a.nii").spacing
    np.testing.assert_allclose(spacing, np.array([2.0, 3.0, 4.0]) * millimetres, rtol=1e-6)


def test_nifti_of_another_library_gives_the_same_values(tmp_path):
    values = np.random.default_rng(1).integers(-500, 500, (3, 4, 5)).astype(np.int16)
    picture = nibabel.Nifti1Image(values, np.diag([0.1, 0.2, 0.3, 1.0]))
    picture.header.set_slope_inter(2.0, 10.0)
    nibabel.save(picture, tmp_path / "a.nii.gz")
    expected = nibabel.Nifti1Image.from_filename(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(read_image(tmp_path / "a.nii.gz").values, expected)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2), (4, 5, 6, 1)])
def test_bone_has_three_axes_and_one_time(tmp_path, shape):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), tmp_path / "a.nii")
    if shape[-1] == 1:
        assert read_image(tmp_path / "a.nii").values.shape == (4, 5, 6)
        return
    with pytest.raises(ReadError, match=f"{len(shape)} axes"):
        read_image(tmp_path / "a.nii")


def test_colours_are_refused(tmp_path):
    SimpleITK.WriteImage(SimpleITK.Image([4, 5, 6], SimpleITK.sitkVectorUInt8, 3), str(tmp_path / "a.mha"))
    with pytest.raises(ReadError, match="one real number per voxel"):
        read_image(tmp_path / "a.mha")


def test_absurd_claim_is_refused_before_any_memory_is_taken(folder, tmp_path):
    raw = bytearray((folder / "a.nii").read_bytes())
    struct.pack_into("<3h", raw, 42, 32767, 32767, 32767)
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(ReadError, match="GiB"):
        read_image(tmp_path / "a.nii")


def test_bomb_is_refused_and_a_sound_mask_can_be_let_through(folder, tmp_path):
    head = bytearray((folder / "a.nii").read_bytes()[:352])
    struct.pack_into("<3h", head, 42, 400, 400, 420)
    struct.pack_into("<2h", head, 70, 2, 8)
    with gzip.GzipFile(tmp_path / "a.nii.gz", "wb", compresslevel=6) as stream:
        stream.write(bytes(head))
        stream.write(bytes(400 * 400 * 420))
    with pytest.raises(ReadError, match="the limit is 200 times"):
        read_image(tmp_path / "a.nii.gz")
    assert not read_image(tmp_path / "a.nii.gz", limits=Limits(ratio=1100.0)).values.any()


def survives(source: Path, folder: Path, *, cases: int) -> None:
    """Flip up to three bytes of the first 400, or cut the end, again and again."""
    generator = np.random.default_rng(7)
    whole = source.read_bytes()
    for case in range(cases):
        raw = bytearray(whole)
        for place in generator.integers(0, min(400, len(raw)), generator.integers(1, 4)):
            raw[place] = generator.integers(0, 256)
        if case % 6 == 5:
            raw = raw[: generator.integers(0, len(raw))]
        path = folder / source.name
        path.write_bytes(raw)
        with contextlib.suppress(ReadError):
            assert read_image(path).values.ndim == 3


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "z.nrrd"])
def test_mutated_files_are_read_or_refused(folder, tmp_path, name):
    survives(folder / name, tmp_path, cases=12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "z.mha", "a.nrrd", "z.nrrd"])
def test_many_mutated_files_are_read_or_refused(folder, tmp_path, name):
    survives(folder / name, tmp_path, cases=60)


def test_bone_of_the_demo_has_no_spacing(shared):
    path = shared / "data" / "D4_bonebox_L1_rois" / "isodata_04216_roi_0.nrrd"
    with pytest.raises(ReadError, match="no voxel spacing"):
        read_image(path)
    image = read_image(path, spacing=0.05)
    assert image.values.shape == (201, 201, 201)
    assert image.values.dtype == np.uint8
    # the authors' BV/TV of this region, within their own rounding of the region
    np.testing.assert_allclose((image.values > 0).mean(), 0.16148127460024203, rtol=1e-3)


def test_samples_of_one_bone_agree_over_all_formats(shared):
    samples = shared / "data" / "D6_io_samples"
    names = ["test_aim.AIM", "test_isq.ISQ", "test_mha.mha", "test_nii.nii", "test_nrrd.nrrd", "test_dicom"]
    images = [read_image(samples / name) for name in names]
    for image in images:
        np.testing.assert_array_equal(image.values, images[0].values)
        np.testing.assert_allclose(image.spacing, 0.0607, rtol=1e-3)
