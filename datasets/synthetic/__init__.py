"""The embedded data set: furnished rooms, rendered by ray casting on first use.

From the seed of a room to its files: `rooms` furnishes it (`furniture` and its neighbours build the items, `placement`
finds room for them, `materials` and `textures` colour them, `lights` light them), `cameras` chooses the views, `render`
casts the rays, `generate` does this for every room in parallel and writes the canonical layout.
"""
