"""Bone strength and remodeling by finite elements: the public face."""

__version__ = "0.1.0"
