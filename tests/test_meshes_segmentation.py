"""Thresholds, filters, pieces, boxes and other grids."""

import numpy as np
import pytest
from skimage import measure

from meshes import resampling, segmentation

SPACING = (0.1, 0.2, 0.35)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def sponge(rng) -> np.ndarray:
    """A porous mask with many pieces, on a grid without equal sides."""
    return rng.random((13, 17, 22)) < 0.35


def test_threshold_keeps_its_limits_and_drops_what_is_not_a_number():
    values = np.array([0.0, 1.0, 2.0, 3.0, np.nan]).reshape(1, 1, 5)
    solid = segmentation.threshold(values, lower=1.0, upper=2.0)
    assert solid.reshape(-1).tolist() == [False, True, True, False, False]


def test_threshold_refuses_an_empty_range():
    with pytest.raises(ValueError, match="`lower` must not exceed `upper`"):
        segmentation.threshold(np.zeros((1, 1, 1)), lower=2.0, upper=1.0)


def test_label_mask_is_the_union_of_its_codes(rng):
    labels = rng.choice(np.array([0, 100, 127], dtype=np.uint8), (5, 6, 7))
    assert np.array_equal(segmentation.label_mask(labels, (100, 127)), labels > 0)


def test_label_mask_names_the_labels_that_there_are():
    labels = np.array([0, 100, 127], dtype=np.uint8).reshape(1, 1, 3)
    with pytest.raises(ValueError, match=r"label 5.*0, 100, 127"):
        segmentation.label_mask(labels, (100, 5))
    with pytest.raises(ValueError, match="`codes` is empty"):
        segmentation.label_mask(labels, ())


def test_smoothing_keeps_a_constant_and_the_sum_inside():
    constant = np.full((9, 8, 7), 3, dtype=np.int16)
    smooth = segmentation.smooth(constant, sigma=0.3, spacing=SPACING)
    assert smooth.dtype == np.float32
    np.testing.assert_allclose(smooth, 3.0, rtol=1e-6)
    point = np.zeros((31, 31, 31))
    point[15, 15, 15] = 1.0
    assert segmentation.smooth_voxels(point, sigma_voxels=1.0).sum() == pytest.approx(1.0, rel=1e-12)


def test_width_in_millimetres_is_the_same_along_every_axis():
    spacing = (0.1, 0.2, 0.25)
    point = np.zeros((61, 41, 33))
    point[30, 20, 16] = 1.0
    smooth = segmentation.smooth(point, sigma=0.4, spacing=spacing)
    for axis, edge in enumerate(spacing):
        others = tuple(other for other in range(3) if other != axis)
        along = smooth.sum(axis=others)
        position = edge * (np.arange(len(along)) - len(along) // 2)
        # The Gaussian is cut at four widths, which takes 0.1 % of its second moment.
        assert np.sqrt((along * position**2).sum()) == pytest.approx(0.4, rel=2e-3)


def test_smoothing_refuses_a_negative_width():
    with pytest.raises(ValueError, match="must be finite and not negative"):
        segmentation.smooth_voxels(np.zeros((2, 2, 2)), sigma_voxels=-1.0)


def test_largest_component_and_what_it_removes_make_the_whole(sponge):
    sizes = np.bincount(np.asarray(measure.label(sponge, connectivity=1)).reshape(-1))[1:]
    component = segmentation.largest_component(sponge)
    assert component.solid.sum() == sizes.max()
    assert component.islands == len(sizes) - 1
    assert component.removed_voxels == sponge.sum() - sizes.max()
    assert not (component.solid & ~sponge).any()


def test_largest_component_is_the_same_in_blocks_of_planes(sponge, monkeypatch):
    whole = segmentation.largest_component(sponge)
    monkeypatch.setattr(segmentation, "SLAB", 2)
    parts = segmentation.largest_component(sponge)
    assert np.array_equal(whole.solid, parts.solid)
    assert whole.removed_voxels == parts.removed_voxels


def test_voxels_that_share_only_an_edge_or_a_corner_are_apart():
    solid = np.zeros((2, 2, 3), dtype=bool)
    solid[0, 0, 0] = solid[1, 1, 0] = solid[0, 1, 1] = True
    component = segmentation.largest_component(solid)
    assert (component.removed_voxels, component.islands) == (2, 2)


def test_one_piece_stays_as_it_is():
    component = segmentation.largest_component(np.ones((2, 3, 4), dtype=bool))
    assert component.solid.all()
    assert (component.removed_voxels, component.islands) == (0, 0)


def test_a_void_image_has_no_component_and_no_box():
    void = np.zeros((2, 3, 4), dtype=bool)
    with pytest.raises(ValueError, match="no bone voxel"):
        segmentation.largest_component(void)
    with pytest.raises(ValueError, match="no bone voxel"):
        segmentation.bounding_box(void)


def test_cropping_to_the_bounding_box_keeps_every_bone_voxel():
    solid = np.zeros((9, 8, 7), dtype=bool)
    solid[2:5, 3:4, 1:7] = True
    lower, upper = segmentation.bounding_box(solid)
    assert (lower, upper) == ((2, 3, 1), (5, 4, 7))
    assert segmentation.crop(solid, lower, upper).all()
    assert segmentation.bounding_box(solid, margin=2) == ((0, 1, 0), (7, 6, 7))


def test_crop_refuses_a_box_outside_the_grid():
    with pytest.raises(ValueError, match="0 <= lower < upper"):
        segmentation.crop(np.zeros((4, 5, 6)), (0, 0, 0), (4, 5, 7))


def test_closing_adds_and_opening_removes(sponge):
    closed = segmentation.closing(sponge, radius=0.3, spacing=SPACING)
    opened = segmentation.opening(sponge, radius=0.3, spacing=SPACING)
    assert not (sponge & ~closed).any()
    assert not (opened & ~sponge).any()
    assert np.array_equal(segmentation.closing(closed, radius=0.3, spacing=SPACING), closed)


def test_closing_fills_what_the_ball_cannot_enter_in_millimetres():
    # A slit of 0.4 mm: two voxels along y, four along x. A ball of 0.5 mm across cannot enter it.
    for axis, width in ((0, 4), (1, 2)):
        solid = np.ones((24, 20, 9), dtype=bool)
        slit = [slice(None)] * 3
        slit[axis] = slice(8, 8 + width)
        solid[tuple(slit)] = False
        centre = (slice(6, 18), slice(6, 14), slice(3, 6))
        assert segmentation.closing(solid, radius=0.25, spacing=SPACING)[centre].all()
        assert not segmentation.closing(solid, radius=0.1, spacing=SPACING)[centre].all()


def test_closing_is_the_same_slab_by_slab(rng, monkeypatch):
    solid = rng.random((60, 9, 8)) < 0.05
    whole = segmentation.closing(solid, radius=0.45, spacing=SPACING)
    monkeypatch.setattr(segmentation, "SLAB", 4)
    assert np.array_equal(segmentation.closing(solid, radius=0.45, spacing=SPACING), whole)


@pytest.mark.parametrize("factors", [(2, 2, 2), (3, 1, 4), (13, 17, 22), (5, 40, 6)])
def test_coarsening_keeps_the_bone_volume(sponge, factors):
    fraction = resampling.bone_fraction(sponge, factors)
    assert fraction.shape == tuple(-(-size // f) for size, f in zip(sponge.shape, factors, strict=True))
    # Sums of single-precision fractions.
    assert fraction.sum(dtype=np.float64) * np.prod(factors) == pytest.approx(sponge.sum(), rel=1e-6)
    assert fraction.max() <= 1.0


def test_block_mean_is_the_mean_of_each_block(rng):
    values = rng.integers(-1000, 3000, (7, 6, 9)).astype(np.int16)
    means = resampling.block_mean(values, (2, 3, 4))
    for i, j, k in np.ndindex(means.shape):
        block = values[2 * i : 2 * i + 2, 3 * j : 3 * j + 3, 4 * k : 4 * k + 4]
        assert means[i, j, k] == pytest.approx(block.mean(), rel=1e-5)


def test_coarsening_refuses_a_factor_of_zero():
    with pytest.raises(ValueError, match="`factors` must be whole numbers"):
        resampling.bone_fraction(np.ones((2, 2, 2), dtype=bool), (1, 0, 1))


def test_resampling_keeps_the_box_and_a_linear_field():
    spacing, wanted = (0.1, 0.2, 0.35), (0.25, 0.25, 0.25)
    shape = (40, 30, 20)
    centres = np.ix_(*[edge * (np.arange(size) + 0.5) for size, edge in zip(shape, spacing, strict=True)])
    field = 2.0 * centres[0] - 3.0 * centres[1] + centres[2]
    result, edges = resampling.resample(field, spacing=spacing, new_spacing=wanted)
    np.testing.assert_allclose(np.multiply(result.shape, edges), np.multiply(shape, spacing), rtol=1e-12)
    np.testing.assert_allclose(edges, wanted, rtol=0.05)
    x, y, z = np.ix_(*[edge * (np.arange(n) + 0.5) for n, edge in zip(result.shape, edges, strict=True)])
    inside = (slice(3, -3),) * 3
    np.testing.assert_allclose(result[inside], (2.0 * x - 3.0 * y + z)[inside], atol=1e-12)


def test_resampled_labels_are_labels(rng):
    labels = rng.choice(np.array([0, 100, 127], dtype=np.uint8), (8, 9, 10))
    result, edges = resampling.resample_labels(labels, spacing=(0.2, 0.2, 0.2), new_spacing=(0.1, 0.2, 0.1))
    assert result.dtype == np.uint8
    assert edges == pytest.approx((0.1, 0.2, 0.1))
    assert np.array_equal(result, labels.repeat(2, axis=0).repeat(2, axis=2))
    solid, _ = resampling.resample_labels(labels > 0, spacing=(0.2, 0.2, 0.2), new_spacing=(0.4, 0.4, 0.4))
    assert solid.dtype == np.bool_
