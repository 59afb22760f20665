"""What the header of a NIfTI, MetaImage or NRRD file claims, read before a library is trusted with it.

SimpleITK reads a truncated NIfTI as if nothing were missing and makes up a spacing of 1 where a
header has none. So the headers are read here first, and the claims held against the file.
"""

import gzip
import math
import struct
from pathlib import Path
from typing import NamedTuple

from meshes.failures import ReadError

LARGEST_TEXT = 64 * 1024
"""Bytes of a text header; those of scanners hold some hundred short lines."""

NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
"""Bytes of a voxel by NIfTI datatype code, for the real-valued ones. Source: nifti1.h."""

NIFTI_MILLIMETRES = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}
"""Millimetres per length unit by NIfTI code; 0 is "unknown", which every tool reads as mm."""

META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
"""Bytes of a voxel by MetaImage type; "long" is four bytes in every MetaImage."""

NRRD_BYTES = {
    "signed char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "short int": 2, "signed short": 2, "signed short int": 2, "int16": 2, "int16_t": 2,
    "ushort": 2, "unsigned short": 2, "unsigned short int": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "signed int": 4, "int32": 4, "int32_t": 4,
    "uint": 4, "unsigned int": 4, "uint32": 4, "uint32_t": 4,
    "longlong": 8, "long long": 8, "long long int": 8, "signed long long": 8, "int64": 8, "int64_t": 8,
    "ulonglong": 8, "unsigned long long": 8, "unsigned long long int": 8, "uint64": 8, "uint64_t": 8,
    "float": 4, "double": 8,
}  # fmt: skip
"""Bytes of a voxel by NRRD type. Source: teem.sourceforge.net/nrrd/format.html, section 4."""

NRRD_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1e3, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "microns": 1e-3}
"""Millimetres per length unit of an NRRD file."""


class Header(NamedTuple):
    """The claims of a header."""

    shape: tuple[int, ...]
    """Voxels along each axis, x first."""
    itemsize: int
    """Bytes of a voxel."""
    spacing: tuple[float, float, float] | None
    """Edges of a voxel [mm]; None where the header does not say."""
    data: Path
    """The file that holds the values."""
    start: int
    """Where in that file the (compressed) values begin [bytes]; negative: they end the file."""
    skip: int
    """Decompressed bytes before the first value."""
    compressed: bool
    """Whether the values are deflated."""
    millimetres: float
    """Millimetres per length unit of what SimpleITK returns for this file."""


def nifti(path: Path) -> Header:
    """Return what a NIfTI-1 header claims; SimpleITK does not read NIfTI-2.

    Raises:
        ReadError: Where it is no NIfTI-1 file or holds no real-valued voxels.
    """
    compressed = path.name.lower().endswith(".gz")
    with gzip.open(path) if compressed else path.open("rb") as stream:
        raw = stream.read(348)
    for order in "<>":
        size = struct.unpack_from(order + "i", raw)[0] if len(raw) >= 348 else 0
        if size == 348 and raw[344:348] in (b"n+1\0", b"n+1 "):
            dims = struct.unpack_from(order + "8h", raw, 40)
            code = struct.unpack_from(order + "h", raw, 70)[0]
            steps = struct.unpack_from(order + "8f", raw, 76)
            offset = int(struct.unpack_from(order + "f", raw, 108)[0])
            units = raw[123] & 7
            break
    else:
        raise ReadError(path, "it does not begin with a NIfTI-1 header", "Export it as NIfTI-1, in one file.")
    if not 1 <= dims[0] <= 7 or code not in NIFTI_BYTES or units not in NIFTI_MILLIMETRES or offset < size:
        raise ReadError(
            path,
            f"its header has {dims[0]} axes, datatype {code}, length unit {units}, values at byte {offset}",
            "Export it as a volume of one real number per voxel, in millimetres.",
        )
    spacing = positive(steps[1:4], NIFTI_MILLIMETRES[units])
    start, skip = (0, offset) if compressed else (offset, 0)
    return Header(dims[1 : 1 + dims[0]], NIFTI_BYTES[code], spacing, path, start, skip, compressed, 1.0)


def metaimage(path: Path) -> Header:
    """Return what a MetaImage header (.mha, .mhd) claims.

    Raises:
        ReadError: Where it is no MetaImage, or one of a kind that is not supported.
    """
    with path.open("rb") as stream:
        raw = stream.read(LARGEST_TEXT)
    fields: dict[str, str] = {}
    end = 0
    while "ElementDataFile" not in fields:
        line, found, _ = raw[end:].partition(b"\n")
        key, equals, value = line.decode("latin-1").partition("=")
        if not found or not equals:
            raise ReadError(
                path, "it does not begin with a MetaImage header", "Is it a MetaImage, and whole?"
            )
        fields[key.strip()] = value.strip()
        end += len(line) + 1
    kind = fields.get("ElementType", "none")
    plain = fields.get("BinaryData", "True").lower() == "true" and fields.get("HeaderSize", "0") == "0"
    single = fields.get("ElementNumberOfChannels", "1") == "1"
    if kind not in META_BYTES or not plain or not single or "DimSize" not in fields:
        raise ReadError(
            path,
            f"its header has the type `{kind}`, or is of a kind that is not supported",
            "Export it as binary values, one real number per voxel, without a raw header.",
        )
    shape = tuple(int(word) for word in fields["DimSize"].split())
    spacing = positive([float(word) for word in fields.get("ElementSpacing", "").split()][:3], 1.0)
    local = fields["ElementDataFile"].upper() == "LOCAL"
    data = path if local else _beside(path, fields["ElementDataFile"])
    compressed = fields.get("CompressedData", "False").lower() == "true"
    return Header(shape, META_BYTES[kind], spacing, data, end if local else 0, 0, compressed, 1.0)


def nrrd(path: Path) -> Header:
    """Return what an NRRD header (.nrrd, .nhdr) claims.

    Raises:
        ReadError: Where it is no NRRD file, or one of a kind that is not supported.
    """
    with path.open("rb") as stream:
        raw = stream.read(LARGEST_TEXT)
    if not raw.startswith(b"NRRD000"):
        raise ReadError(path, "it does not begin with an NRRD header", "Is it an NRRD file, and whole?")
    fields, end = _nrrd_fields(raw)
    kind, encoding = fields.get("type", "none").lower(), fields.get("encoding", "none").lower()
    skips = {fields.get("line skip", "0"), fields.get("byte skip", "0")} != {"0"}
    if kind not in NRRD_BYTES or encoding not in ("raw", "gzip", "gz") or skips or "sizes" not in fields:
        raise ReadError(
            path,
            f"its header has the type `{kind}` and the encoding `{encoding}`, or skips bytes",
            "Export it with the encoding raw or gzip, one real number per voxel.",
        )
    shape = tuple(int(word) for word in fields["sizes"].split())
    millimetres = _nrrd_millimetres(path, fields)
    name = fields.get("data file", fields.get("datafile"))
    data = path if name is None else _beside(path, name)
    start = end if name is None else 0
    spacing = positive(_nrrd_edges(fields), millimetres)
    return Header(shape, NRRD_BYTES[kind], spacing, data, start, 0, encoding != "raw", millimetres)


def positive(edges: list[float] | tuple[float, ...], unit: float) -> tuple[float, float, float] | None:
    """Return the edges of a voxel [mm], or None unless all three are finite and positive."""
    if len(edges) != 3 or not all(math.isfinite(edge) and edge > 0.0 for edge in edges):
        return None
    x, y, z = (float(edge) * unit for edge in edges)
    return x, y, z


def _nrrd_fields(raw: bytes) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    end = 0
    while True:
        line, found, _ = raw[end:].partition(b"\n")
        end += len(line) + 1
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text or not found:
            return fields, end
        key, colon, value = text.partition(": ")
        if colon and not text.startswith("#") and ":=" not in key:
            fields[key.strip().lower()] = value.strip()


def _nrrd_edges(fields: dict[str, str]) -> list[float]:
    if "space directions" not in fields:
        return [float(word) for word in fields.get("spacings", "").split()]
    vectors = fields["space directions"].replace("(", " ").replace(")", " ").split()
    if "none" in vectors:
        return []
    return [math.hypot(*(float(number) for number in vector.split(","))) for vector in vectors]


def _nrrd_millimetres(path: Path, fields: dict[str, str]) -> float:
    words = fields.get("space units", fields.get("units", "")).replace('"', " ").lower().split()
    if not words:
        return 1.0
    if len(set(words)) != 1 or words[0] not in NRRD_MILLIMETRES:
        raise ReadError(path, f"its lengths are in {sorted(set(words))}", "Export it with lengths in mm.")
    return NRRD_MILLIMETRES[words[0]]


def _beside(path: Path, name: str) -> Path:
    """Return the file of values, which must stand in the folder of its header."""
    if (
        not name
        or name in (".", "..")
        or any(sign in name for sign in "/\\:%\0")
        or name.upper().startswith("LIST")
    ):
        raise ReadError(
            path,
            f"its values are in `{name}`, which is not the name of one file beside it",
            "Put one file of values into the folder of the header, or export a single file.",
        )
    if not path.with_name(name).is_file():
        raise ReadError(
            path, f"its values should be beside it in `{name}`, which is missing", "Copy both files."
        )
    return path.with_name(name)
