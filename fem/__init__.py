"""Mechanics on a mesh: from loads to strain, stiffness and strength."""
