"""Training and evaluation of one cell on an mmengine Runner."""
