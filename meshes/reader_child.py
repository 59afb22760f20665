"""Read one image in a process of its own: it may crash, eat memory or never end.

Run as a script by `meshes/isolation.py`, never imported. The request comes as JSON on standard
input; the values go to an .npy file, the header to standard output. Of a header only what is named
here leaves the process, so that names, dates and pseudonyms stay behind.
"""

import json
import re
import sys

NUMBER = r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"
LOG_LINES = {
    "mu_scaling": r"^Mu_Scaling\s+" + NUMBER,
    "density_slope": r"^Density: slope\s+" + NUMBER,
    "density_intercept": r"^Density: intercept\s+" + NUMBER,
}
"""The numbers of an AIM's processing log that leave the process."""

DENSITY_UNIT = r"^Density: unit\s+mg HA/ccm\s*$"

DICOM_TAGS = {
    "position": "0020|0032",
    "orientation": "0020|0037",
    "spacing": "0028|0030",
    "series": "0020|000e",
    "modality": "0008|0060",
    "rescale_type": "0028|1054",
}
"""The tags of a slice that leave the process. Source: DICOM PS3.3, sections C.7.6.2 and C.11.1."""


def limit_resources(memory: int, seconds: int) -> None:
    """Bound the memory [bytes] and the processor time [s] of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has none; the parent's timeout is what is left
        return
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
    ):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # macOS refuses some of them
            continue


def read_aim(request):
    """Return values (z, y, x) and the whitelisted header of an AIM file; its lengths are in mm."""
    import py_aimio

    values, _ = py_aimio.read_aim(request["files"][0])
    header = py_aimio.aim_info(request["files"][0])
    log = header["processing_log"]
    found = {name: re.search(pattern, log, re.MULTILINE) for name, pattern in LOG_LINES.items()}
    return values, {
        "spacing": list(header["element_size"]),
        "origin": list(header["origin"]),
        "hydroxyapatite": re.search(DENSITY_UNIT, log, re.MULTILINE) is not None,
        **{name: float(match.group(1)) if match else None for name, match in found.items()},
    }


def read_isq(request):
    """Return values (z, y, x) and the whitelisted header of an ISQ file; its lengths are in µm.

    The values are taken from the file itself: py_aimio 0.4.1 returns wrong ones where the last
    block of 512 bytes is not full.
    """
    import numpy as np
    import py_aimio

    header = py_aimio.isq_info(request["files"][0])
    x, y, z = header["dimensions"]
    offset = header["data_offset"]
    values = np.fromfile(request["files"][0], dtype="<i2", count=x * y * z, offset=offset)
    return values.reshape(z, y, x), {
        "spacing": [edge * 1e-3 for edge in header["spacing"]],
        "origin": [0.0, 0.0, 0.0],
        "hydroxyapatite": header.get("rescale_units") == "mg HA/ccm",
        "mu_scaling": float(header["mu_scaling"]),
        "density_slope": header.get("rescale_slope"),
        "density_intercept": header.get("rescale_intercept"),
    }


def read_simpleitk(request):
    """Return values (z, y, x) and the grid of one file, or of one file per slice."""
    import numpy as np
    import SimpleITK

    files = request["files"]
    if len(files) == 1:
        image = SimpleITK.ReadImage(files[0], imageIO=request["reader"])
    else:
        image = SimpleITK.ReadImage(files, imageIO=request["reader"])
    axes = image.GetDimension()
    if image.GetNumberOfComponentsPerPixel() != 1 or axes < 3:
        raise ValueError(f"it has {axes} axes and {image.GetNumberOfComponentsPerPixel()} values per voxel")
    values = SimpleITK.GetArrayViewFromImage(image)
    cosines = np.reshape(image.GetDirection(), (axes, axes))[:3, :3]
    # The view does not keep the image alive; a copy would double the memory.
    request["kept"] = image
    return values.reshape(values.shape[-3:]), {
        "spacing": image.GetSpacing()[:3],
        "origin": image.GetOrigin()[:3],
        "direction": cosines.reshape(-1).tolist(),
    }


def read_dicom_tags(request):
    """Return no values, and of each file its size and the whitelisted tags."""
    import numpy as np
    import SimpleITK

    slices = []
    for file in request["files"]:
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(file)
        reader.SetImageIO("GDCMImageIO")
        reader.ReadImageInformation()
        tags = {
            name: reader.GetMetaData(tag).strip()
            for name, tag in DICOM_TAGS.items()
            if reader.HasMetaDataKey(tag)
        }
        slices.append({"shape": reader.GetSize(), "components": reader.GetNumberOfComponents(), **tags})
    return np.zeros((1, 1, 1), dtype=np.uint8), {"slices": slices}


KINDS = {"aim": read_aim, "isq": read_isq, "simpleitk": read_simpleitk, "dicom tags": read_dicom_tags}


def main() -> int:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    limit_resources(request["memory"], request["seconds"])
    import numpy as np

    try:
        values, header = KINDS[request["kind"]](request)
        np.save(request["target"], values, allow_pickle=False)
    except Exception as error:  # the process boundary: whatever it was, the parent gets one line
        # ITK puts what it wants to say into the last lines, and numbers below them.
        lines = [line.strip() for line in str(error).splitlines() if re.search("[a-z]{3}", line)]
        sys.stderr.write("\n" + (" ".join(lines[-2:]) or type(error).__name__)[:300])
        return 1
    sys.stdout.write(json.dumps(header))
    return 0


if __name__ == "__main__":
    sys.exit(main())
