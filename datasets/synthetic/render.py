"""Rendering of a room to frames: image, labels, depth, normals, boundary, camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.nyuv2.classes import CLASS_IDS_40
from datasets.synthetic.cameras import Camera, choose_views
from datasets.synthetic.meshes import times
from datasets.synthetic.rooms import Room, furnish
from datasets.synthetic.scene import MISS, Floats, Scene
from datasets.synthetic.shading import radiance
from datasets.synthetic.surfaces import trace

SUPERSAMPLING = 2
"""Rays per pixel along each axis, for the image only."""

EXPOSED_SHARE = 0.93
"""Quantile of the brightness of a room that the exposure brings near `EXPOSED_TO`."""

EXPOSED_TO = 0.78


@dataclass(frozen=True)
class Frame:
    """One rendered view.

    Args:
        image: (H, W, 3) uint8 RGB.
        semseg: (H, W) uint8 class numbers from 1, 0 where a ray met nothing.
        instances: (H, W) objects, from 1; 0 where a ray met nothing.
        depth: (H, W) float32 metres along the optical axis, 0 missing.
        normals: (H, W, 3) float32 unit vectors, x right, y down, z towards the camera; zero missing.
        boundary: (H, W) bool, outlines of the objects.
        camera: intrinsics and pose.
    """

    image: NDArray[np.uint8]
    semseg: NDArray[np.uint8]
    instances: NDArray[np.int64]
    depth: Floats
    normals: Floats
    boundary: NDArray[np.bool_]
    camera: Camera


@dataclass(frozen=True)
class Geometry:
    """Exact labels of a view at the pixel centres; fields as in `Frame`."""

    semseg: NDArray[np.uint8]
    instances: NDArray[np.int64]
    depth: Floats
    normals: Floats


def geometry(scene: Scene, camera: Camera) -> Geometry:
    """Exact labels of a view, one ray through each pixel centre."""
    origins, directions = camera.rays(camera.pixel_centres())
    faces, depth = scene.first_hit(origins, directions)
    hit = faces != MISS
    part = scene.part[faces]
    normals = scene.normals[faces]
    facing = normals * -np.sign(np.einsum("ni,ni->n", normals, directions))[:, None]
    in_camera = times(facing, camera.pose[:3, :3].T) * (1.0, 1.0, -1.0)
    height, width = camera.size
    return Geometry(
        semseg=np.where(hit, scene.classes[part], 0).astype(np.uint8).reshape(height, width),
        instances=np.where(hit, scene.instances[part], 0).reshape(height, width),
        depth=np.where(hit, depth, 0.0).astype(np.float32).reshape(height, width),
        normals=np.where(hit[:, None], in_camera, 0.0).astype(np.float32).reshape(height, width, 3),
    )


def light_field(scene: Scene, room: Room, camera: Camera, rng: Generator) -> Floats:
    """Linear RGB image (H, W, 3) of a view, supersampled."""
    origins, directions = camera.rays(camera.pixel_centres(SUPERSAMPLING))
    height, width = camera.size
    shape = (height * SUPERSAMPLING, width * SUPERSAMPLING)
    spread = 1.0 / (float(camera.intrinsics[0, 0]) * SUPERSAMPLING)
    fine = radiance(scene, room, trace(scene, origins, directions, spread, shape), rng)
    # Clipped before the mean, or one bright sample would whiten its pixel.
    fine = np.minimum(fine, 6.0)
    return fine.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3), dtype=np.float32)


def develop(linear: Sequence[Floats], rng: Generator) -> list[NDArray[np.uint8]]:
    """Expose, tone-map and quantise the views of a room alike, with mild sensor noise.

    Args:
        linear: (H, W, 3) linear RGB views.
        rng: generator of gain and noise.

    Returns:
        (H, W, 3) uint8 sRGB-like images.
    """
    brightness = np.concatenate([view.mean(axis=2).ravel() for view in linear])
    gain = EXPOSED_TO * float(rng.uniform(0.85, 1.15)) / max(float(np.quantile(brightness, EXPOSED_SHARE)), 1e-6)
    # White balance is imperfect: a part of the tint remains.
    tint = np.mean([view.mean(axis=(0, 1)) for view in linear], axis=0)
    balance = (float(tint.mean()) / np.maximum(tint, 1e-6)) ** 0.6
    images = []
    for view in linear:
        exposed = view * (gain * balance).astype(np.float32)
        noise = rng.standard_normal(view.shape, dtype=np.float32)
        exposed = exposed + noise * np.sqrt(1.5e-5 + 7e-5 * np.maximum(exposed, 0))
        # Straight up to 0.7, then a shoulder that reaches 1 slowly.
        compressed = np.where(exposed > 0.7, 0.7 + 0.3 * np.tanh((exposed - 0.7) / 0.6), np.maximum(exposed, 0))
        images.append(np.rint(255 * compressed ** np.float32(1 / 2.2)).clip(0, 255).astype(np.uint8))
    return images


def render_room(seed: Sequence[int], number: int, size: tuple[int, int]) -> list[Frame]:
    """Furnish a room and render its views.

    Args:
        seed: numbers that determine the room together with `number`.
        number: number of the room in its split.
        size: (height, width) of the frames.
    """
    # Imported here, since importing numba takes a second, and most processes find the rooms rendered.
    from benchmark.boundaries.ground_truth import outlines

    room = furnish([*seed, number], number)
    scene = Scene(room.items, CLASS_IDS_40)
    rng = np.random.default_rng([*seed, number, 1])
    cameras = choose_views(room, scene, rng, size)
    images = develop([light_field(scene, room, camera, rng) for camera in cameras], rng)
    frames = []
    for camera, image in zip(cameras, images, strict=True):
        exact = geometry(scene, camera)
        frames.append(
            Frame(image, exact.semseg, exact.instances, exact.depth, exact.normals, outlines(exact.instances), camera)
        )
    return frames
