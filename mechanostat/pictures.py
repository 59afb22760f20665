"""Pictures of a bone for a talk: slices, its surface before and after, the load case."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from scipy import ndimage
from scipy.spatial import KDTree

from fem.loads import LoadCase
from mechanostat.rendering import BONE_COLOUR, Hits, View, axes_of, cast, sampled, shade
from meshes.voxel import VoxelMesh, node_coordinates, on_grid

BANNER = "Not validated in 3-D: a prediction of the model, not a measurement"
"""Stands on every picture of a prediction."""

INK, QUIET, PAPER, VOID = "#1c2530", "#5b6670", "#ffffff", "#e9ecef"
HELD_COLOUR, MOVED_COLOUR = (0.15, 0.39, 0.66), (0.84, 0.37, 0.10)
ARROW_COLOUR = "#7d1d00"
PIXELS_PER_INCH = 150

Grid = Float[np.ndarray, "nx ny nz"]
Spacing = tuple[float, float, float]


class Layer(NamedTuple):
    """A field to be shown: one row of slices."""

    title: str
    values: Grid
    """Not a number where there is no bone."""
    unit: str
    colours: str
    """Name of a colour map of matplotlib's."""
    limits: tuple[float, float]


def change_limit(before: Grid, after: Grid) -> float:
    """Return the change at the end of a colour bar, which one place of bone in fifty exceeds, at least 0.01.

    Args:
        before: Bone volume fraction, 0 or not a number where there is no bone [-].
        after: The same, later.
    """
    change = np.abs(after - before)[before > 0.0]
    return max(float(np.nanquantile(change, 0.98)), 0.01)


def density_layers(
    before: Grid,
    after: Grid,
    *,
    names: tuple[str, str] = ("before", "after"),
    limit: float | None = None,
) -> list[Layer]:
    """Return the bone volume fraction before, after, and the difference.

    Args:
        before: Bone volume fraction, not a number where there is no bone [-].
        after: The same, later.
        names: What before and after are called.
        limit: Change at the end of its colours; `change_limit` by default.
    """
    change = after - before
    limit = change_limit(before, after) if limit is None else limit
    layers = [
        Layer(f"Bone volume fraction, {name}", values, "", "viridis", (0.0, 1.0))
        for name, values in zip(names, (before, after), strict=True)
    ]
    return [*layers, Layer("Change", change, "", "RdBu", (-limit, limit))]


def strain_layer(strain: Grid, *, name: str, limit: float | None = None) -> Layer:
    """Return the effective strain in microstrain.

    Args:
        strain: Effective strain, not a number where there is no bone [-].
        name: What it is the strain of.
        limit: Strain at the end of the colours [-]; by default what 2 % of the bone exceeds.
    """
    limit = float(np.nanquantile(strain, 0.98)) if limit is None else limit
    return Layer(f"Effective strain, {name}", 1e6 * strain, "µε", "inferno", (0.0, max(1e6 * limit, 1e-9)))


def strain_layers(before: Grid, after: Grid, *, names: tuple[str, str] = ("before", "after")) -> list[Layer]:
    """Return the effective strain before and after in microstrain, on one scale.

    Args:
        before: Effective strain, not a number where there is no bone [-].
        after: The same, later.
        names: What before and after are called.
    """
    limit = max(float(np.nanquantile(values, 0.98)) for values in (before, after))
    return [
        strain_layer(values, name=name, limit=limit)
        for name, values in zip(names, (before, after), strict=True)
    ]


def slices_figure(layers: Sequence[Layer], spacing: Spacing, *, title: str, banner: str = "") -> Figure:
    """Return three orthogonal slices through the middle of each field, one row per field.

    Args:
        layers: The fields, on one grid.
        spacing: Edges of a voxel [mm].
        title: Title of the figure.
        banner: What limits the picture; `BANNER` for predictions.
    """
    figure = blank_figure(10.0, 3.1 * len(layers) + 0.9, title, banner)
    top, bottom = 1 - 0.75 / figure.get_figheight(), 0.35 / figure.get_figheight()
    places = {"left": 0.06, "right": 0.91, "top": top, "bottom": bottom, "wspace": 0.06, "hspace": 0.1}
    grid = figure.add_gridspec(len(layers), 4, width_ratios=(1, 1, 1, 0.05), **places)
    for row, layer in enumerate(layers):
        colours = colormaps[layer.colours].with_extremes(bad=VOID)
        scale = Normalize(*layer.limits)
        for column, axis in enumerate((0, 1, 2)):
            axes = figure.add_subplot(grid[row, column])
            _show_slice(axes, layer, spacing, axis, colours, scale)
            if row == 0:
                across, up = (name for name in "xyz" if name != "xyz"[axis])
                middle = (layer.values.shape[axis] // 2 + 0.5) * spacing[axis]
                axes.set_title(f"{across}{up} at {'xyz'[axis]} = {middle:.3g} mm", fontsize=10, color=INK)
            if column == 0:
                axes.text(
                    -0.07, 0.5, layer.title, rotation=90, va="center", transform=axes.transAxes, color=INK
                )
        ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        beyond = (np.nanmin(layer.values) < layer.limits[0], np.nanmax(layer.values) > layer.limits[1])
        bar = figure.colorbar(
            ScalarMappable(scale, colours),
            cax=figure.add_subplot(grid[row, 3]),
            extend=ends[bool(beyond[0]), bool(beyond[1])],
        )
        bar.set_label(layer.unit)
    return figure


def surface_figure(
    before: Grid,
    after: Grid,
    spacing: Spacing,
    *,
    title: str,
    names: tuple[str, str] = ("before", "after"),
    banner: str = BANNER,
    view: View | None = None,
) -> Figure:
    """Return the rendered surface before and after, and where bone was lost and gained.

    The surface stands where the volume fraction is half of that of the bone before.

    Args:
        before: Bone volume fraction, 0 where there is no bone [-].
        after: The same, later.
        spacing: Edges of a voxel [mm].
        title: Title of the figure.
        names: What before and after are called.
        banner: What limits the picture.
        view: From where.
    """
    view = view or View()
    level = 0.5 * float(np.median(before[before > 0.0]))
    first, last = (_for_rendering(grid) for grid in (before, after))
    first_hits, last_hits = (cast(grid, spacing, level=level, view=view) for grid in (first, last))
    change = sampled(np.pad(after - before, 1), last_hits.points)
    # Of the surface alone: what changes inside is more, and would leave it pale.
    limit = max(float(np.quantile(np.abs(change), 0.98)) if change.size else 0.0, 0.01)
    scale, colours = Normalize(-limit, limit), colormaps["RdBu"]
    panels = (
        (first, first_hits, _bone_colours(first_hits)),
        (last, last_hits, _bone_colours(last_hits)),
        (last, last_hits, colours(scale(change))[:, :3]),
    )
    figure = blank_figure(13.0, 5.0, title, banner)
    pictures = [shade(grid, spacing, hits, paint, view=view) for grid, hits, paint in panels]
    frame = _frame(pictures)
    for column, (picture, name) in enumerate(zip(pictures, (*names, "change"), strict=True)):
        axes = figure.add_axes((0.005 + 0.305 * column, 0.06, 0.3, 0.76))
        _show_rendering(axes, picture[frame], name)
        if column == 0:
            _scale_bar(axes, first_hits.millimetres_per_pixel, length=_round_length(before.shape, spacing))
    bar = figure.colorbar(
        ScalarMappable(scale, colours), cax=figure.add_axes((0.915, 0.15, 0.01, 0.58)), extend="both"
    )
    bar.set_label("change of bone volume fraction")
    return figure


def load_case_figure(mesh: VoxelMesh, case: LoadCase, *, title: str, view: View | None = None) -> Figure:
    """Return a picture of the bone with what is held, what is moved or pushed, and in which direction.

    Args:
        mesh: The bone.
        case: The load case.
        title: Title of the figure.
        view: From where.
    """
    view = view or View()
    grid = _for_rendering(on_grid(mesh, np.ones(mesh.elements), fill=0.0))
    hits = cast(grid, mesh.spacing, level=0.4, view=view)
    points = node_coordinates(mesh) - np.asarray(mesh.origin)
    moves = np.flatnonzero(case.displacement)
    arrows, kind = (case.held[moves], case.displacement[moves]), "moved"
    if case.pushed.size:
        arrows, kind = (case.pushed, case.force), "pushed"
    places, vectors = _vectors(*arrows)
    held = np.setdiff1d(case.held // 3, places)
    paint = _bone_colours(hits)
    where = (hits.points - 0.5) * np.asarray(mesh.spacing)
    reach = 2.5 * max(mesh.spacing)
    for nodes, colour in ((held, HELD_COLOUR), (places, MOVED_COLOUR)):
        if nodes.size:
            paint[KDTree(points[nodes]).query(where, distance_upper_bound=reach)[0] <= reach] = colour
    figure = blank_figure(7.0, 7.0, title, "")
    axes = figure.add_axes((0.02, 0.09, 0.96, 0.82))
    picture = shade(grid, mesh.spacing, hits, paint, view=view)
    _show_rendering(axes, picture, "")
    _zoom(axes, picture, margin=0.13 * view.pixels)
    center = (np.asarray(grid.shape) - 1) * np.asarray(mesh.spacing) / 2 - 0.5 * np.asarray(mesh.spacing)
    _draw_arrows(axes, points[places] - center, vectors, hits, view)
    _scale_bar(axes, hits.millimetres_per_pixel, length=_round_length(mesh.shape, mesh.spacing))
    labels = ((f"held: {held.size} nodes", HELD_COLOUR), (f"{kind}: {places.size} nodes", MOVED_COLOUR))
    for place, (label, colour) in enumerate(labels):
        figure.text(0.05 + 0.45 * place, 0.035, f"■ {label}", color=colour, fontsize=12)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return content.getvalue()


def blank_figure(width: float, height: float, title: str, banner: str) -> Figure:
    """Return an empty figure with its title and, where it needs one, its banner; sizes in inches."""
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    figure.text(0.02, 1 - 0.36 / height, title, fontsize=15, fontweight="bold", color=INK)
    if banner:
        figure.text(
            0.98, 0.08 / height, banner, fontsize=9, color="#7a3b00", ha="right", va="bottom",
            bbox={"facecolor": "#fff1d6", "edgecolor": "#e0a84a", "boxstyle": "round,pad=0.3"},
        )  # fmt: skip
    return figure


def _show_slice(
    axes: Axes, layer: Layer, spacing: Spacing, axis: int, colours: Any, scale: Normalize
) -> None:
    across, up = (other for other in range(3) if other != axis)
    middle = layer.values.shape[axis] // 2
    size = [layer.values.shape[other] * spacing[other] for other in (across, up)]
    section = np.take(layer.values, middle, axis=axis).T
    axes.imshow(
        section,
        cmap=colours,
        norm=scale,
        origin="lower",
        interpolation="nearest",
        extent=(0, size[0], 0, size[1]),
    )
    axes.set_axis_off()
    if axis == 0:
        length = _round_length((1, 1), (size[0], size[1]))
        axes.plot([0.04 * size[0], 0.04 * size[0] + length], [0.045 * size[1]] * 2, color=INK, lw=3)
        axes.text(
            0.04 * size[0], 0.07 * size[1], f"{length:g} mm", color=INK, fontsize=9,
            bbox={"facecolor": PAPER, "alpha": 0.7, "lw": 0, "pad": 1},
        )  # fmt: skip


def _show_rendering(axes: Axes, picture: np.ndarray, name: str) -> None:
    axes.imshow(picture, interpolation="antialiased")
    axes.set_title(name, fontsize=12, color=INK)
    axes.set_axis_off()


def _frame(pictures: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """Return the smallest rows and columns that hold all pictures, with a margin."""
    seen = np.any([picture[..., 3] > 0 for picture in pictures], axis=0)
    cut = []
    for axis in (1, 0):
        places = np.flatnonzero(seen.any(axis=axis))
        first, last = (places[0], places[-1]) if places.size else (0, seen.shape[1 - axis] - 1)
        cut.append(slice(max(first - 8, 0), last + 9))
    return cut[0], cut[1]


def _zoom(axes: Axes, picture: np.ndarray, *, margin: float) -> None:
    """Show a square around the bone, with room for arrows."""
    rows, columns = (np.flatnonzero((picture[..., 3] > 0).any(axis=axis)) for axis in (1, 0))
    half = max(np.ptp(rows), np.ptp(columns)) / 2 + margin
    axes.set_xlim((columns[0] + columns[-1]) / 2 - half, (columns[0] + columns[-1]) / 2 + half)
    axes.set_ylim((rows[0] + rows[-1]) / 2 + half, (rows[0] + rows[-1]) / 2 - half)


def _scale_bar(axes: Axes, millimetres_per_pixel: float, *, length: float) -> None:
    left, right = axes.get_xlim()
    bottom = axes.get_ylim()[0]
    end = left + length / millimetres_per_pixel
    axes.plot([left, end], [bottom, bottom], color=INK, lw=3, clip_on=False)
    axes.text(
        (left + end) / 2, bottom - 6, f"{length:g} mm", color=INK, fontsize=10, ha="center", va="bottom"
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, axes.get_ylim()[1])


def _round_length(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return a round length of about a quarter of the bone [mm]."""
    quarter = max(count * edge for count, edge in zip(shape, spacing, strict=True)) / 4
    power = 10.0 ** np.floor(np.log10(quarter))
    return float(max(step * power for step in (1, 2, 5) if step * power <= quarter))


def _for_rendering(fraction: Grid) -> Grid:
    """Return a volume fraction with a closed border, its voxel edges slightly rounded."""
    return ndimage.gaussian_filter(np.pad(np.nan_to_num(fraction), 1), 0.5)


def _bone_colours(hits: Hits) -> Float[np.ndarray, "hits 3"]:
    return np.tile(np.asarray(BONE_COLOUR), (len(hits.points), 1))


def _vectors(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and vectors from degrees of freedom and their values."""
    nodes, number = np.unique(places // 3, return_inverse=True)
    vectors = np.zeros((nodes.size, 3))
    np.add.at(vectors, (number, places % 3), values)
    return nodes, vectors


def _draw_arrows(axes: Axes, points: np.ndarray, vectors: np.ndarray, hits: Hits, view: View) -> None:
    """Draw some of the vectors, spread over their nodes, as arrows that end at their points."""
    if not len(points):
        return
    few = np.linspace(0, len(points) - 1, min(len(points), 24)).round().astype(int)
    right, up, _ = axes_of(view)
    flat = np.stack([vectors[few] @ right, -vectors[few] @ up], axis=1)
    longest = np.linalg.norm(flat, axis=1).max()
    if longest == 0.0:
        return
    flat *= 0.09 * view.pixels / longest
    middle = view.pixels / 2 - 0.5
    ends = np.stack([points[few] @ right, -points[few] @ up], axis=1) / hits.millimetres_per_pixel + middle
    for end, along in zip(ends, flat, strict=True):
        axes.annotate(
            "", xy=(end[0], end[1]), xytext=(end[0] - along[0], end[1] - along[1]), annotation_clip=False,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.32,head_length=0.6", "color": ARROW_COLOUR, "lw": 1.8,
                "path_effects": [Stroke(linewidth=3.6, foreground=PAPER), Normal()],
            },
        )  # fmt: skip
