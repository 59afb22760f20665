"""Laws of the pictures: what is drawn is where it is in the bone, and nothing is drawn in silence."""

import numpy as np
import pytest
from matplotlib.image import imread

from fem.loads import Hold, Push, load_case
from fem.standard_tests import axial, torsion
from mechanostat.curves import Panel, Span, curves_figure
from mechanostat.pictures import (
    BANNER,
    density_layers,
    load_case_figure,
    png,
    slices_figure,
    strain_layers,
    surface_figure,
)
from mechanostat.rendering import BONE_COLOUR, View, axes_of, cast, shade
from meshes.synthetic import cube
from meshes.voxel import end_plane, voxel_mesh

SMALL = View(pixels=48)
SPACING = (0.1, 0.1, 0.2)


def ball(count: int = 20) -> np.ndarray:
    """Return a field that is above 0.5 inside a ball of 0.7 mm radius, on voxels of `SPACING`."""
    ticks = [
        (np.arange(n) - (n - 1) / 2) * edge
        for n, edge in zip((count, count, count // 2), SPACING, strict=True)
    ]
    x, y, z = np.meshgrid(*ticks, indexing="ij")
    return np.clip(0.5 + (0.7 - np.sqrt(x**2 + y**2 + z**2)) / 0.4, 0.0, 1.0)


def pixels(figure, tmp_path) -> np.ndarray:
    (tmp_path / "figure.png").write_bytes(png(figure))
    return imread(tmp_path / "figure.png")


@pytest.mark.parametrize("azimuth", [-55.0, 10.0, 90.0, 200.0])
@pytest.mark.parametrize("elevation", [0.0, 25.0, 89.0])
def test_a_ball_looks_like_a_disc_of_its_radius_from_everywhere(azimuth, elevation):
    view = View(azimuth=azimuth, elevation=elevation, pixels=120)
    hits = cast(ball(), SPACING, level=0.5, view=view, samples=1)
    area = hits.seen.sum() * hits.millimetres_per_pixel**2
    assert area == pytest.approx(np.pi * 0.7**2, rel=0.05)  # a ball on ten voxels is that round


def test_rays_meet_the_surface_on_the_side_of_the_eye():
    view = View(azimuth=30.0, elevation=40.0, pixels=64)
    hits = cast(ball(), SPACING, level=0.5, view=view, samples=1)
    from_center = (hits.points - (np.asarray(ball().shape) - 1) / 2) * np.asarray(SPACING)
    assert np.linalg.norm(from_center, axis=1) == pytest.approx(0.7, abs=0.03)
    assert (from_center @ axes_of(view)[2] > -0.03).all()


def test_what_is_above_in_the_bone_is_above_in_the_picture():
    field = np.zeros((10, 10, 10))
    field[2:8, 2:8, 6:8] = 1.0
    seen = cast(field, (1.0, 1.0, 1.0), level=0.5, view=SMALL, samples=1).seen
    assert np.flatnonzero(seen.any(axis=1)).mean() < SMALL.pixels / 2


def test_an_empty_picture_is_transparent_and_a_ball_is_lit():
    field = ball()
    none = cast(field, SPACING, level=2.0, view=SMALL)
    assert not shade(field, SPACING, none, np.zeros((0, 3)), view=SMALL).any()
    hits = cast(field, SPACING, level=0.5, view=SMALL)
    picture = shade(field, SPACING, hits, np.tile(np.asarray(BONE_COLOUR), (len(hits.points), 1)), view=SMALL)
    assert picture[24, 24, 3] == 255
    assert picture[19, 20, :3].mean() > picture[29, 28, :3].mean()  # the lamp stands above on the left


def test_slices_tell_void_from_bone_and_scale_strain_to_microstrain(tmp_path):
    fraction = np.where(ball() > 0.5, 0.9, np.nan)
    layers = strain_layers(fraction * 1e-3, fraction * 2e-3)
    assert layers[0].limits == layers[1].limits
    assert layers[0].unit == "µε"
    assert np.nanmax(layers[1].values) == pytest.approx(1800.0)
    figure = slices_figure(layers, SPACING, title="Strain", banner=BANNER)
    assert any(text.get_text() == BANNER for text in figure.texts)
    assert pixels(figure, tmp_path).std() > 0.01


def test_a_change_has_no_side_that_looks_larger():
    before = np.where(ball() > 0.5, 0.5, np.nan)
    change = density_layers(before, before - 0.1)[2]
    assert change.limits[0] == -change.limits[1]
    unchanged = density_layers(before, before)[2]
    assert unchanged.limits[1] > 0.0


def test_the_surface_is_shown_before_after_and_changed_with_its_banner(tmp_path):
    before = np.where(ball() > 0.3, ball(), 0.0)
    figure = surface_figure(before, 0.8 * before, SPACING, title="Ball", view=SMALL)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["before", "after", "change"]
    assert any(text.get_text() == BANNER for text in figure.texts)
    assert pixels(figure, tmp_path).std() > 0.01


def test_a_bone_that_is_lost_wholly_still_gives_a_picture(tmp_path):
    before = np.where(ball() > 0.3, ball(), 0.0)
    figure = surface_figure(before, np.zeros_like(before), SPACING, title="Gone", view=SMALL)
    assert pixels(figure, tmp_path).shape[2] == 4


@pytest.mark.parametrize("test", [axial, torsion])
def test_a_load_case_shows_what_is_held_and_what_is_moved(test):
    mesh = voxel_mesh(cube(4), (0.1, 0.1, 0.1))
    figure = load_case_figure(mesh, test(mesh), title="case", view=SMALL)
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "held: 25 nodes" in texts
    assert "moved: 25 nodes" in texts or "moved: 24 nodes" in texts  # the axis of torsion stays


def test_a_load_case_of_forces_shows_what_is_pushed():
    mesh = voxel_mesh(cube(4), (0.1, 0.1, 0.1))
    bottom, top = (end_plane(mesh, axis=2, top=which) for which in (False, True))
    holds = [Hold(bottom, axis) for axis in range(3)]
    case = load_case(mesh, holds=holds, pushes=[Push(top, (0.0, 0.0, -10.0))], loaded=top)
    figure = load_case_figure(mesh, case, title="push", view=SMALL)
    assert any("pushed: 25 nodes" in text.get_text() for text in figure.texts)


def test_curves_mark_menopause_only_when_it_falls_in_the_study(tmp_path):
    panels = [
        Panel("Bone volume", "mm³", {"none": [10.0, 9.0, None], "patch": [10.0, 10.1, 10.2]}, relative=True)
    ]
    spans = [Span("patch", 1.0, 99.0)]
    for menopause, marks in ((51.0, 1), (70.0, 0)):
        figure = curves_figure(
            [0.0, 365.25, 730.5], panels, title="t", age=50.0, menopause_age=menopause, spans=spans
        )
        axes = figure.axes[0]
        lines = axes.get_lines()
        assert len(lines) == 2 + marks
        assert np.asarray(lines[0].get_ydata(), dtype=float)[1] == pytest.approx(-10.0)
        assert axes.get_xlim()[1] < 2.1  # a treatment without end does not stretch the axis
    assert pixels(figure, tmp_path).std() > 0.01


def test_the_same_figure_gives_the_same_file():
    def file() -> bytes:
        return png(curves_figure([0.0, 360.0], [Panel("a", "", {"b": [1.0, 2.0]})], title="t"))

    assert file() == file()
