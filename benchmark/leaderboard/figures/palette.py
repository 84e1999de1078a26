"""Colours of figures and page, for light and dark; pairs of blue and orange, which colour-blind readers tell apart."""

from __future__ import annotations

LIGHT = {
    "surface": "#ffffff",
    "raised": "#f4f5f7",
    "text": "#1b1f24",
    "muted": "#525a66",
    "line": "#d5d9df",
    "link": "#0b57a4",
    "gain": "#1459a5",
    "loss": "#a8430b",
    "open": "#525a66",
    "few": "#525a66",
    "seed": "#5a7fb0",
    "mean": "#1b1f24",
    "published": "#6b3fa0",
    "map-low": "#e39a64",
    "map-middle": "#f4f5f7",
    "map-high": "#6ea3de",
    "share-low": "#dfe9f6",
    "share-high": "#6ea3de",
}
DARK = {
    "surface": "#14171c",
    "raised": "#1f242c",
    "text": "#e8eaed",
    "muted": "#aab2bd",
    "line": "#3a424e",
    "link": "#8fc1ff",
    "gain": "#8fc1ff",
    "loss": "#ffab73",
    "open": "#aab2bd",
    "few": "#aab2bd",
    "seed": "#7f9fc8",
    "mean": "#e8eaed",
    "published": "#c4a3f0",
    "map-low": "#93480f",
    "map-middle": "#262c36",
    "map-high": "#23599a",
    "share-low": "#22344c",
    "share-high": "#23599a",
}
"""The same names for a dark page."""
SYMBOLS = {
    "gain": ("^", "triangle-up"),
    "loss": ("v", "triangle-down"),
    "open": ("o", "circle-open"),
    "few": ("x", "x-thin-open"),
    "seed": ("o", "circle"),
    "mean": ("|", "line-ns-open"),
    "published": ("s", "square"),
}
"""Mark of each style, as matplotlib and plotly name it."""
SIZES = {"gain": 9, "loss": 9, "open": 8, "few": 8, "seed": 5, "mean": 16, "published": 8}
"""Size of each mark in pixels."""
