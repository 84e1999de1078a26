"""Metric cards and data cards, from docstrings to Markdown; see `reading` for how a docstring holds one."""
