"""Light of a room: lamps, windows, sun and ambient light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from datasets.synthetic.items import Light
from datasets.synthetic.materials import Colour
from datasets.synthetic.meshes import Array
from datasets.synthetic.props import COLD, NEUTRAL, WARM


@dataclass(frozen=True)
class LightSetup:
    """Strength of the lamps, the windows, the sun and the ambient light.

    Args:
        name: name of the kind of light.
        colour: linear RGB colour of the lamps.
        ceiling: radiant intensity of the ceiling lamp; 0 is off.
        lamps: radiant intensity of standing and table lamps; 0 is off.
        windows: radiance of the panes.
        night: True if it is dark outside.
        sun: irradiance of direct sunlight; 0 for an overcast sky.
        ambient: irradiance from all directions.
    """

    name: str
    colour: Colour
    ceiling: float
    lamps: float
    windows: float
    night: bool
    sun: float
    ambient: float


@dataclass(frozen=True)
class Sun:
    """Parallel light through the windows.

    Args:
        towards: (3,) unit vector from the room to the sun.
        colour: linear RGB irradiance at normal incidence.
    """

    towards: Array
    colour: Colour


def draw_setup(rng: Generator, number: int) -> LightSetup:
    """Draw the strengths of one of four kinds of light.

    Args:
        rng: generator of the room.
        number: selects the kind, so that consecutive rooms differ.
    """
    vary = float(rng.uniform(0.8, 1.25))
    warm_or_cold = WARM if rng.random() < 0.5 else COLD
    sunny = rng.random() < 0.6
    setups = (
        LightSetup("daylight", NEUTRAL, 0.0, 0.0, 5.0 * vary, False, 7.0 * vary if sunny else 0.0, 0.45),
        LightSetup("ceiling lamp", warm_or_cold, 5.0 * vary, 0.0, 0.0, True, 0.0, 0.42),
        LightSetup("two lamps", WARM, 1.2 * vary, 1.8 * vary, 0.0, True, 0.0, 0.4),
        LightSetup("daylight and lamp", warm_or_cold, 3.5 * vary, 0.8, 2.5 * vary, False, 0.0, 0.42),
    )
    return setups[number % len(setups)]


def draw_sun(rng: Generator, setup: LightSetup, lights: list[Light]) -> Sun | None:
    """Draw a sun that shines into the room through a window; None without sun or window."""
    windows = [light for light in lights if light.normal is not None]
    if setup.sun <= 0 or not windows:
        return None
    normal = windows[int(rng.integers(len(windows)))].normal
    if normal is None:
        return None
    elevation, sideways = np.radians(rng.uniform(28, 48)), np.radians(rng.uniform(-45, 45))
    turn = np.array([[np.cos(sideways), -np.sin(sideways)], [np.sin(sideways), np.cos(sideways)]])
    horizontal = turn @ -normal[:2] * np.cos(elevation)
    towards = np.array([horizontal[0], horizontal[1], np.sin(elevation)])
    return Sun(towards, (setup.sun, 0.93 * setup.sun, 0.8 * setup.sun))
