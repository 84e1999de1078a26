"""Metric cards and data cards, made from docstrings as Markdown; see `reading` for their format in a docstring."""
