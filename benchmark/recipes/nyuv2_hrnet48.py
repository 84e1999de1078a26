"""nyuv2_hrnet48: the published protocol on NYU-v2 with HRNet-W48, for a GPU.

The ATRC harness (Bruggemann et al., ICCV 2021) as in `nyuv2_hrnet18`: 425x560, batch 8, 40,000 iterations, SGD 0.01,
loss weights 1, 1, 10, 50. The backbone is HRNet-W48 with ImageNet weights (timm downloads them).

Published, not measured here (mIoU, depth RMSE, normals, odsF): ATRC 46.33, 0.5363 m, 20.18 deg, 77.94.
Differs: as `nyuv2_hrnet18`.

    python tools/run_grid.py --recipe nyuv2_hrnet48 --methods single_task,hard_sharing,atrc,mti_net
"""

_base_ = ["nyuv2_hrnet18.py"]

backbone = "hrnet_w48:imagenet"
