"""TIFF stacks: one file of many pages, or a folder of numbered slices.

A TIFF that lost its end still opens: libtiff leaves out the pages it cannot find. So the chain of
pages is followed here first, and every page must be whole.
"""

import itertools
import re
import struct
from pathlib import Path
from typing import NamedTuple

from meshes.failures import ReadError, reading
from meshes.isolation import read_isolated
from meshes.scan import Limits, Scan, check_claim

MOST_PAGES = 100_000
"""Pages of a file; a bone scan has some thousand slices, and a damaged chain can be endless."""

FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""The integer types of TIFF fields. Source: TIFF 6.0, section 2, and the BigTIFF design."""

WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, COUNTS = 256, 257, 258, 259, 273, 277, 279
TILE_OFFSETS, TILE_COUNTS = 324, 325
FIELDS = (WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, COUNTS, TILE_OFFSETS, TILE_COUNTS)


class Page(NamedTuple):
    """One slice as its directory describes it."""

    width: int
    height: int
    bits: int


def read_tiff(path: Path, *, limits: Limits) -> Scan:
    """Return the pages of one TIFF file as slices along z; a TIFF has no spacing to be trusted.

    Raises:
        ReadError: Where the file is damaged, truncated, in colour or a single picture.
    """
    with reading(path):
        found = pages(path)
        if len(found) < 2:
            raise ReadError(
                path, "it holds one page, and a bone needs many", "Give the folder of all slices."
            )
        return _read(path, [path], found, limits)


def read_tiff_folder(files: list[Path], *, limits: Limits) -> Scan:
    """Return single-page TIFF files as slices along z, in the order of the numbers in their names.

    Raises:
        ReadError: Where a slice is damaged, has another size, or is missing between its neighbours.
    """
    folder = files[0].parent
    ordered = in_order(folder, files)
    found: list[Page] = []
    for file in ordered:
        with reading(file):
            inside = pages(file)
        if len(inside) != 1:
            raise ReadError(
                file, f"it holds {len(inside)} pages among slices", "Give one file or single slices."
            )
        found += inside
    with reading(folder):
        return _read(folder, ordered, found, limits)


def in_order(folder: Path, files: list[Path]) -> list[Path]:
    """Return the slices in the order of the number in their names.

    Raises:
        ReadError: Where names differ in more than one number, or numbers are missing.
    """
    words = {file: re.split(r"(\d+)", file.name) for file in files}
    columns = list(zip(*words.values(), strict=False))
    differing = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    # Numbers without leading zeros change their width, never the count of words.
    if len({len(parts) for parts in words.values()}) != 1 or len(differing) != 1 or differing[0] % 2 == 0:
        raise ReadError(
            folder,
            f"the names of its {len(files)} TIFF files differ in more than one number",
            "Keep the slices of one scan in a folder, named by one running number.",
        )
    number = {file: int(parts[differing[0]]) for file, parts in words.items()}
    ordered = sorted(files, key=lambda file: number[file])
    steps = {number[after] - number[before] for before, after in itertools.pairwise(ordered)}
    if len(steps) != 1 or 0 in steps:
        gap = next(b for a, b in itertools.pairwise(ordered) if number[b] - number[a] != min(steps))
        raise ReadError(folder, f"slices are missing or doubled before `{gap.name}`", "Restore all slices.")
    return ordered


def pages(path: Path) -> list[Page]:
    """Return the pages of a TIFF or BigTIFF file, each checked to be whole.

    Raises:
        ReadError: Where the chain of pages is broken or a page reaches beyond the end of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(order + "H", head[2:4])[0] if order else 0
        if order is None or version not in (42, 43):
            raise ReadError(path, "it does not begin with a TIFF header", "Is it a TIFF file, and whole?")
        big = version == 43
        at = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
        seen: set[int] = set()
        found: list[Page] = []
        while at:
            if at in seen or at >= size or len(found) == MOST_PAGES:
                raise ReadError(path, f"its page {len(found)} is not in the file", "Copy or export it again.")
            seen.add(at)
            stream.seek(at)
            fields, at = _directory(stream, order, big)
            found.append(_page(path, fields, size=size, number=len(found)))
        return found


def _directory(stream, order: str, big: bool) -> tuple[dict[int, list[int]], int]:
    """Return the fields of a page that matter, and where the next page is."""
    count_code, entry_bytes, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack(order + count_code, stream.read(struct.calcsize(count_code)))[0]
    entries = stream.read(min(count, 4096) * entry_bytes)
    following = struct.unpack(order + word, stream.read(struct.calcsize(order + word)))[0]
    fields: dict[int, list[int]] = {}
    for start in range(0, len(entries), entry_bytes):
        tag, kind, number = struct.unpack_from(order + "HH" + word, entries, start)
        if tag not in FIELDS or kind not in FORMATS:
            continue
        code = f"{order}{number}{FORMATS[kind]}"
        room = struct.calcsize(order + word)
        value = start + 4 + room
        if struct.calcsize(code) <= room:
            fields[tag] = list(struct.unpack_from(code, entries, value))
        else:
            stream.seek(struct.unpack_from(order + word, entries, value)[0])
            fields[tag] = list(struct.unpack(code, stream.read(struct.calcsize(code))))
    return fields, following


def _page(path: Path, fields: dict[int, list[int]], *, size: int, number: int) -> Page:
    offsets = fields.get(OFFSETS, fields.get(TILE_OFFSETS, []))
    counts = fields.get(COUNTS, fields.get(TILE_COUNTS, []))
    bits = fields.get(BITS, [1])
    page = Page(fields[WIDTH][0], fields[HEIGHT][0], bits[0])
    if fields.get(SAMPLES, [1]) != [1] or bits not in ([8], [16], [32], [64]):
        raise ReadError(
            path, f"its page {number} has {bits} bits a pixel", "Export it in grey, 8 to 64 bits."
        )
    needed = page.width * page.height * page.bits // 8 if fields.get(COMPRESSION, [1]) == [1] else 1
    ends = [offset + count for offset, count in zip(offsets, counts, strict=True)]
    if not ends or max(ends) > size or sum(counts) < needed:
        raise ReadError(path, f"it is truncated: page {number} is not whole", "Copy or export it again.")
    return page


def _read(path: Path, files: list[Path], found: list[Page], limits: Limits) -> Scan:
    if len(set(found)) != 1 or len(found) < 2:
        raise ReadError(
            path,
            f"its {len(found)} slices have the sizes {sorted(set(found))[:3]}",
            "A volume needs several slices of one size and type.",
        )
    page = found[0]
    shape = (page.width, page.height, len(found))
    stored = sum(file.stat().st_size for file in files)
    claimed = check_claim(path, shape=shape, itemsize=page.bits // 8, stored=stored, limits=limits)
    values, _ = read_isolated(path, kind="simpleitk", files=files, claimed=claimed, reader="TIFFImageIO")
    if values.shape != shape:
        raise ReadError(path, f"only {values.shape} of {shape} pixels can be read", "Export it again.")
    return Scan(values, None)
