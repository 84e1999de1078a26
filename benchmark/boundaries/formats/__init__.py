"""Readers of foreign files, one per format: images, NumPy arrays, MATLAB files, HDF5 files, text.

Data sets and boundary evaluation share these readers. A reader bounds every size before it allocates memory or calls a
C library, and raises `content.DataError` for a file that it cannot read.
"""
