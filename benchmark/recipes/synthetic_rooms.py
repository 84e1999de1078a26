r"""synthetic_rooms: the embedded rooms with exact geometry and several views, two to four minutes a cell on one core.

Rendered rooms at 96x128, EfficientNet-Lite0 from packaged ImageNet weights, 400 iterations of 8 images. Pairs of posed
views of the rooms, with depth alone, are added to the training split in every cell, so that all regularizers see the
same data. `train_dataloader.dataset.share=0.1` keeps the labels of a tenth of the training frames; the pairs stay.

    python tools/run_grid.py --board synthetic_rooms
"""

_base_ = ["_base_/lite.py"]

version = 1
dataset = "synthetic"
train_cfg = dict(max_iters=400)
train_dataloader = dict(dataset=dict(size=(96, 128), pairs=dict(_delete_=True, name="synthetic", tasks=("depth",))))
test_dataloader = dict(dataset=dict(size=(96, 128)))
optim_wrapper = dict(optimizer=dict(lr=4e-3), paramwise_cfg=dict(backbone_lr_mult=0.4))
