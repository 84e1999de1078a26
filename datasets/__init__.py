"""Data sets: each is prepared once into one canonical layout on disk and read by one class.

`layout` defines the files on disk, `loading.canonical` reads them, `loading.transforms` transforms all labels of a
frame jointly.
"""
