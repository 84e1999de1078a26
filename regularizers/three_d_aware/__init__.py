"""The 3D-aware regularizer: triplane, camera, field, volume rendering, and the registered `three_d_aware`."""
