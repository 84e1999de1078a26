"""Published copies of NYU-v2, one module per kind; each module opens a source for `datasets.preparation.preparing`.

* `folder`: a folder of JPEG images, 8-bit depth and label PNGs with an index;
* `official`: `nyu_depth_v2_labeled.mat` with `splits.mat`;
* `releases`: the three NYUD-MT releases;
* `mtan`: the 288x384 arrays with 13 classes.
"""
