"""Running a grid of cells: planning, the launcher loop, executors."""
