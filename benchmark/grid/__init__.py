"""Grids of cells: planning, the launcher loop, executors."""
