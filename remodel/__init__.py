"""Biology over time: from strain and hormones to density."""
