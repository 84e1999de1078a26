"""smoke: test that a method trains, with four iterations of 2 embedded rooms at 64x96; its numbers have no meaning.

python tools/run_grid.py --recipe smoke --methods my_method --import path/to/my_method.py
"""

_base_ = ["synthetic_demo.py"]

backbone = "resnet18"
train_cfg = dict(max_iters=4)
train_dataloader = dict(batch_size=2, dataset=dict(size=(64, 96)))
test_dataloader = dict(dataset=dict(size=(64, 96)))
checkpoint_interval = 2
