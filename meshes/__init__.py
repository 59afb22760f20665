"""Geometry and scans: from a file to the voxels of a bone."""
