"""Radiance of surface points towards the camera."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.synthetic.illumination import Sampler, ambient_visibility, direct_light, smoothed, sunlight
from datasets.synthetic.rooms import Room
from datasets.synthetic.scene import Floats, Scene
from datasets.synthetic.surfaces import Surface, albedo


def surface_keys(scene: Scene, surface: Surface) -> NDArray[np.int64]:
    """(H, W) number for `smoothed` that identifies the object and the main axis of the normal."""
    facing = np.abs(surface.normals).argmax(axis=1)
    side = np.take_along_axis(surface.normals, facing[:, None], axis=1)[:, 0] > 0
    instance = scene.instances[scene.part[surface.faces]]
    return (instance * 6 + facing * 2 + side).reshape(surface.shape)


def radiance(scene: Scene, room: Room, surface: Surface, rng: Generator) -> Floats:
    """Linear RGB radiance (H, W, 3) of the surface points towards the camera."""
    sampler = Sampler(rng, surface.shape)
    sky = ambient_visibility(scene, surface, sampler)
    sources = [(light.colour, *direct_light(scene, surface, light, sampler)) for light in room.lights]
    if room.sun is not None:
        sources.append((room.sun.colour, *sunlight(scene, surface, room.sun, room.lights)))
    visible = np.stack([sky, *(seen for _, _, seen in sources)]).reshape(-1, *surface.shape)
    sky, *shares = smoothed(visible, surface_keys(scene, surface)).reshape(len(visible), -1)
    colour, emission = albedo(scene, surface)
    # Floors and ceilings reflect light: horizontal surfaces receive a little more ambient light than walls.
    ambient = room.setup.ambient * (0.85 + 0.15 * surface.normals[:, 2] ** 2) * (0.25 + 0.75 * sky)
    received = ambient[:, None] * np.asarray(_ambient_colour(room), dtype=np.float32)
    for (tint, strength, _), seen in zip(sources, shares, strict=True):
        received = received + (strength * seen)[:, None] * np.asarray(tint, dtype=np.float32)
    return (colour * (received + emission[:, None])).reshape(*surface.shape, 3).astype(np.float32)


def _ambient_colour(room: Room) -> tuple[float, float, float]:
    """Mean colour of the lights, mixed half with white, since many surfaces have reflected it."""
    total = np.sum([light.colour for light in room.lights], axis=0) if room.lights else np.ones(3)
    tint = 0.5 + 0.5 * total / max(float(np.max(total)), 1e-6)
    return (float(tint[0]), float(tint[1]), float(tint[2]))
