"""NumPy files: plain arrays as they are, and never more than the file holds."""

import contextlib
import io
import zipfile

import numpy as np
import pytest

from meshes.failures import ReadError
from meshes.image import read_image


def read(path, **options):
    return read_image(path, spacing=1.0, **options)


@pytest.mark.parametrize("dtype", ["bool", "u1", "<i2", ">i2", "<i8", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_array_comes_back_as_it_was_saved(tmp_path, dtype, order):
    values = np.asarray(np.arange(60).reshape(3, 4, 5) % 7, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", bone=values)
    for name in ("a.npy", "a.npz"):
        again = read(tmp_path / name).values
        np.testing.assert_array_equal(again, values)
        assert again.dtype == values.dtype.newbyteorder("=")
        assert again.flags.c_contiguous


def test_booleans_are_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2, 2), dtype=bool))
    assert read(tmp_path / "a.npy").quantity == "label"


def test_order_of_the_axes_is_said_by_the_caller(tmp_path):
    values = np.arange(60).reshape(3, 4, 5)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read(tmp_path / "a.npy", axes="zyx").values, values.transpose(2, 1, 0))
    with pytest.raises(ValueError, match="axes"):
        read(tmp_path / "a.npy", axes="yxz")


def test_one_of_several_arrays_must_be_named(tmp_path):
    np.savez(tmp_path / "a.npz", bone=np.ones((2, 2, 2)), rest=np.zeros((2, 2, 2)))
    with pytest.raises(ReadError, match=r"\['bone', 'rest'\]"):
        read(tmp_path / "a.npz")
    with pytest.raises(ReadError, match="not `skin`"):
        read(tmp_path / "a.npz", array="skin")
    assert read(tmp_path / "a.npz", array="bone").values.all()


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickles_are_never_loaded(tmp_path, name):
    values = np.array([[[print]]], dtype=object)
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, values, allow_pickle=True)
    with pytest.raises(ReadError, match="pickled"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "values", [np.ones((2, 2, 2), complex), np.full((2, 2, 2), "text"), np.zeros((2, 2), "f4")]
)
def test_what_is_no_volume_of_real_numbers_is_refused(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ReadError, match=r"type|axes"):
        read(tmp_path / "a.npy")


def lying_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize("shape", [(10**5, 10**4, 10**4), (3, 3, 3), (2, 2, 1), (0, 2, 2), (-1, -8, 1)])
def test_lying_header_is_refused_before_any_memory_is_taken(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(lying_header(shape))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("bone.npy", lying_header(shape))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ReadError, match="claims"):
            read(tmp_path / name)


def test_bomb_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", bone=np.zeros((400, 400, 420), np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    with pytest.raises(ReadError, match="the limit is 200 times"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_mutated_files_are_read_or_refused(tmp_path, name):
    values = np.random.default_rng(0).integers(0, 255, (4, 5, 6), dtype=np.uint8)
    (np.save if name == "a.npy" else np.savez_compressed)(tmp_path / name, values)
    whole = (tmp_path / name).read_bytes()
    generator = np.random.default_rng(7)
    for case in range(300):
        raw = bytearray(whole)
        for place in generator.integers(0, len(raw), generator.integers(1, 4)):
            raw[place] = generator.integers(0, 256)
        (tmp_path / name).write_bytes(raw[: generator.integers(0, len(raw))] if case % 6 == 5 else raw)
        with contextlib.suppress(ReadError):
            assert read(tmp_path / name).values.ndim == 3
