"""Boundary evaluation by the published protocols, without MATLAB: odsF, oisF, AP.

    protocols      the published ways to score, as data: `SEISM`, `BSDS`
    suppression    non-maximum suppression across the boundary
    thinning       thinning until nothing changes
    ground_truth   true boundaries from annotations
    matching       one-to-one matching within a distance, exact
    counting       counts of one image
    summary        odsF, oisF, AP and the curve from the counts of many images
    formats        readers of foreign files, shared with the data sets
    files, folders, plausibility, plot   for `tools/evaluate_boundaries.py`

Arrays in, numbers out: no torch, no mmengine. The hot loops are compiled by numba where it is installed (`compiled`).
numba takes half a second to import, so other packages import these modules inside the functions that use them.
"""
