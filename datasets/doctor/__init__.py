"""Examination of a prepared data set: completeness, integrity and plausibility.

`examination` examines a folder in the canonical layout and returns a `report.Report`. Nothing is changed on disk.

    tables     dataset.json, frames.csv and checksums.csv agree with each other, with the files on disk, and with the
               official numbers of frames; no frame, picture or scene is in two splits
    frames     every file decodes, has the declared shape and type, allowed values and the content it had when prepared
    axes       normals agree with the depth, as stored or in another order or sign of their components
    summary    checks over all frames: coverage, classes that never occur, units
    at_preparation   the checks of plausibility while a data set is prepared

A problem makes results wrong or a training fail; a warning may be intended, so the user has to judge it.
"""
