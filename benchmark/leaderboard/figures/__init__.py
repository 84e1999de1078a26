"""Figures of a table of results: one description of each, drawn by matplotlib for papers and by plotly on the page."""
