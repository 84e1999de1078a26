"""Data sets: each is prepared once into one canonical layout on disk and read from there by one class.

`layout` says what lies on disk, `canonical` reads it, `transforms` moves all labels of a frame together.
"""
