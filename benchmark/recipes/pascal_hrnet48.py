"""pascal_hrnet48: the published protocol on PASCAL-Context with HRNet-W48, for a GPU.

The ATRC harness (Bruggemann et al., ICCV 2021) as in `pascal_hrnet18`: crops of 512x512, batch 8, 40,000 iterations,
SGD 0.005, loss weights 1, 2, 5, 10, 50. The backbone is HRNet-W48 with ImageNet weights (timm downloads them).

Published, not measured here: no number for this backbone.

    python tools/run_grid.py --recipe pascal_hrnet48 --methods single_task,hard_sharing,atrc
"""

_base_ = ["pascal_hrnet18.py"]

backbone = "hrnet_w48:imagenet"
