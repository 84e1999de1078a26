"""Light and textures: cases with hand-calculated results."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.nyuv2.classes import CLASS_IDS_40
from datasets.synthetic.illumination import TILE, Sampler, ambient_visibility, direct_light, smoothed, sunlight
from datasets.synthetic.items import Item, Light
from datasets.synthetic.lights import Sun
from datasets.synthetic.materials import MIRROR, make, paint
from datasets.synthetic.meshes import box, rectangle
from datasets.synthetic.render import develop
from datasets.synthetic.scene import Scene
from datasets.synthetic.surfaces import Surface, albedo, trace
from datasets.synthetic.textures import PATTERNS, checker

GREY = paint(np.random.default_rng(0), (0.5, 0.5, 0.5))


def ground(*meshes, material=GREY) -> Scene:
    """A floor of 10 x 10 m around the origin, at z = 0, with grey obstacles."""
    item = Item(10.0, 10.0, 1.0)
    item.add("floor", material, rectangle((-5, -5, 0), (10, 0, 0), (0, 10, 0)))
    item.add("box", GREY, *meshes, instance=1)
    return Scene([item], CLASS_IDS_40)


def seen_from_above(scene: Scene, points) -> Surface:
    """Surface vertically below each of the points (x, y), seen from 5 m."""
    origins = np.array([(x, y, 5.0) for x, y in points])
    return trace(scene, origins, np.tile([0.0, 0.0, -1.0], (len(points), 1)), 0.01, (1, len(points)))


def sampler(count: int) -> Sampler:
    return Sampler(np.random.default_rng(0), (1, count))


def test_lamp_light_falls_with_the_square_of_distance_and_the_cosine():
    """2 m above: 1/4. At 45 degrees and 2 sqrt(2) m: cos / r^2 = 0.7071 / 8."""
    scene, lamp = ground(), Light(np.array([0.0, 0.0, 2.0]), (1, 1, 1))
    irradiance, visible = direct_light(scene, seen_from_above(scene, [(0, 0), (2, 0)]), lamp, sampler(2))
    np.testing.assert_allclose(irradiance, [0.25, np.sqrt(0.5) / 8], rtol=0.01)
    assert visible.tolist() == [1, 1]


def test_a_box_casts_a_shadow_where_it_occludes_the_lamp():
    """Lamp at 2 m, box top at 1 m spanning x 0.4..0.6: its shadow spans x 0.8..1.2 on the floor."""
    scene = ground(box((0.2, 2.0, 0.02), (0.5, 0.0, 1.0)))
    lamp = Light(np.array([0.0, 0.0, 2.0]), (1, 1, 1), radius=0.01)
    _, visible = direct_light(scene, seen_from_above(scene, [(0.2, 0), (1.0, 0), (1.5, 0)]), lamp, sampler(3))
    assert visible.tolist() == [1, 0, 1]


def test_a_lamp_is_not_occluded_by_its_shade():
    scene = ground(box((0.3, 0.3, 0.02), (0.0, 0.0, 1.9)))
    surface = seen_from_above(scene, [(1.0, 0.0)])
    naked, shaded = (Light(np.array([0.0, 0.0, 2.0]), (1, 1, 1), clearance=clearance) for clearance in (0.3, 0.0))
    assert direct_light(scene, surface, naked, sampler(1))[1].tolist() == [1]
    assert direct_light(scene, surface, shaded, sampler(1))[1].tolist() == [0]


def test_a_distant_window_lights_like_its_area_times_both_cosines():
    """1 x 1 m pane, 4 m straight ahead of a point that faces it: L A cos cos / d^2 = 1 / 16."""
    point, normal_of_wall = np.float32([[0, 0, 0]]), np.float32([[0, 1, 0]])
    one = np.ones(1, np.float32)
    surface = Surface((1, 1), np.zeros(1, np.int32), point, normal_of_wall, one, one > 0)
    edges, normal = np.array([[0.5, 0, 0], [0, 0, 0.5]]), np.array([0.0, -1.0, 0.0])
    pane = Light(np.array([0.0, 4.0, 0.0]), (1, 1, 1), edges=edges, normal=normal)
    irradiance, _ = direct_light(ground(), surface, pane, sampler(1))
    assert irradiance[0] == pytest.approx(1 / 16, rel=0.05)


def test_the_sun_shines_through_the_window_only():
    """Pane at y = 2, x -0.5..0.5, z 1..2; sun at 45 degrees ahead: the patch on the floor is y 0..1."""
    edges, normal = np.array([[0.5, 0, 0], [0, 0, 0.5]]), np.array([0.0, -1.0, 0.0])
    pane = Light(np.array([0.0, 2.0, 1.5]), (1, 1, 1), edges=edges, normal=normal)
    sun = Sun(np.array([0.0, np.sqrt(0.5), np.sqrt(0.5)]), (1, 1, 1))
    scene = ground()
    points = [(0, 0.5), (0.4, 0.9), (0, -0.2), (0, 1.2), (0.7, 0.5)]
    cosine, visible = sunlight(scene, seen_from_above(scene, points), sun, [pane])
    assert visible.tolist() == [1, 1, 0, 0, 0]
    np.testing.assert_allclose(cosine, np.sqrt(0.5), rtol=1e-6)


def test_ambient_light_is_full_in_the_open_and_half_at_a_tall_wall():
    """At the foot of a wall half of the cosine-weighted hemisphere is occluded."""
    scene = ground(box((0.1, 10, 10), (1.05, 0, 5.0)))
    points = [(-3.0, 0.01 * k) for k in range(256)] + [(0.99, 0.01 * k) for k in range(256)]
    surface = seen_from_above(scene, points)
    clear = ambient_visibility(scene, surface, Sampler(np.random.default_rng(0), (1, 512)))
    assert clear[:256].mean() == 1
    assert clear[256:].mean() == pytest.approx(0.5, abs=0.08)


def test_a_tile_holds_every_stratum_once():
    """16 pairs of a 4x4 tile: one in each cell of a 4x4 grid."""
    first, second = Sampler(np.random.default_rng(0), (TILE, TILE)).pairs()
    cells = (np.floor(first * TILE) * TILE + np.floor(second * TILE)).astype(int)
    assert sorted(cells.tolist()) == list(range(TILE * TILE))


def test_smoothing_averages_a_surface_and_stays_on_it():
    """A period of 4 vanishes in the interior; values do not cross from one key to another."""
    values = np.zeros((1, 16, 16), np.float32)
    values[0, ::4, ::4] = 16.0
    keys = np.zeros((16, 16), np.int64)
    np.testing.assert_allclose(smoothed(values, keys)[0, 4:12, 4:12], 1.0, rtol=1e-6)
    halves = np.repeat([[0.0] * 8 + [1.0] * 8], 16, axis=0)[None].astype(np.float32)
    np.testing.assert_allclose(smoothed(halves, halves[0].astype(np.int64)), halves, atol=1e-6)


def test_a_mirror_shows_what_is_in_front_of_it():
    """A ray that meets a mirror at 45 degrees goes on upwards to a slab at z = 3."""
    item = Item(1, 1, 1)
    item.add("mirror", MIRROR, rectangle((-1, 2, -1), (2, 0, 0), (0, 2, 2)))
    item.add("box", GREY, box((9, 9, 0.1), (0, 0, 3.05)), instance=1)
    scene = Scene([item], CLASS_IDS_40)
    surface = trace(scene, np.array([[0.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]]), 0.01, (1, 1))
    assert scene.classes[scene.part[surface.faces]].tolist() == [CLASS_IDS_40["box"]]
    np.testing.assert_allclose(surface.points[0], (0, 3, 3), atol=1e-3)
    np.testing.assert_allclose(surface.normals[0], (0, 0, -1), atol=1e-6)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_bounded_deterministic_and_vary(name):
    rng = np.random.default_rng(0)
    u, v = (rng.uniform(-3, 3, 4000).astype(np.float32) for _ in range(2))
    seed, footprint = np.full(4000, 7, np.uint32), np.full(4000, 1e-3, np.float32)
    mix, tone = PATTERNS[name](u, v, seed, footprint)
    assert mix.dtype == tone.dtype == np.float32
    assert 0 <= mix.min() <= mix.max() <= 2.01
    assert 0 < tone.min() <= tone.max() < 1.5
    assert np.ptp(mix) + np.ptp(tone) > 0.02
    again = PATTERNS[name](u[::-1], v[::-1], seed, footprint)
    np.testing.assert_array_equal(mix, again[0][::-1])


def test_checker_changes_colour_from_tile_to_tile():
    points = np.array([(0.5, 0.5), (1.5, 0.5), (0.5, 1.5), (1.5, 1.5), (-0.5, 0.5)], np.float32)
    mix, _ = checker(points[:, 0], points[:, 1], np.ones(5, np.uint32), np.full(5, 1e-3, np.float32))
    assert mix.tolist() == [0, 1, 1, 0, 1]


def test_textures_move_with_their_object():
    """The same item at two places and turns shows the same colours at corresponding points."""
    material = make(np.random.default_rng(1), "carpet", [(0.8, 0.1, 0.1), (0.1, 0.1, 0.8)], 0.5)
    colours = []
    for place in ((0.0, 0.0, 0.0), (1.0, 2.0, 90.0)):
        item, scene_item = Item(1, 1, 1), Item(1, 1, 1)
        item.add("floor mat", material, box((1, 1, 0.1)))
        scene_item.attach(item, place[0], place[1], 0.0, turn=place[2])
        local = [(0.1, 0.3), (-0.2, 0.4)]
        points = local if place[2] == 0 else [(place[0] - y, place[1] + x) for x, y in local]
        scene = Scene([scene_item], CLASS_IDS_40)
        colours.append(albedo(scene, seen_from_above(scene, points))[0])
    np.testing.assert_allclose(colours[0], colours[1], atol=1e-4)


def test_views_of_a_room_are_exposed_alike():
    """A view of twice the light is brighter in its room; exposed separately, both would be alike."""
    dim, bright = np.full((32, 32, 3), 0.1, np.float32), np.full((32, 32, 3), 0.2, np.float32)
    first, second = develop([dim, bright], np.random.default_rng(0))
    assert second.mean() > first.mean() + 30
