"""Placeholder until treatments are merged."""

from remodel.hormones import TransdermalEstradiol as Protocol

__all__ = ["Protocol"]
