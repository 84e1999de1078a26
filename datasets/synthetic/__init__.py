"""The embedded data set: furnished rooms, rendered by ray casting on first use.

Steps: `rooms` furnishes a room from its seed (`furniture`, `storage`, `props`, `wall_items` and `openings` build the
items, `placement` finds free positions, `materials` and `textures` colour the items, `lights` choose the light),
`cameras` chooses the views, `render` casts the rays, `generate` renders all rooms in parallel and writes the canonical
layout.
"""
