"""The directions that the auxiliary head of normals distinguishes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmark.tasks import NORMALS
from mtl_methods.atrc.auxiliary import DirectionHead, calibrate_directions, clustered, even_directions


def around(centre: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Unit vectors within some degrees of a direction."""
    noise = 0.05 * torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return F.normalize(centre + noise, dim=1)


def test_even_directions_cover_the_sphere():
    """No direction is farther than 25 degrees from the nearest of 40, which a square grid of their number cannot do."""
    directions = even_directions(40)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(40))
    probes = F.normalize(torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    assert (probes @ directions.T).max(1).values.min() > torch.tensor(25.0).deg2rad().cos()


def test_clusters_are_found():
    """Three groups of 200, 20 and 2 directions along the axes."""
    axes = torch.eye(3)
    directions = torch.cat([around(axes[place], count, place) for place, count in enumerate((200, 20, 2))])
    found = clustered(directions, 3)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert (axes @ found.T).max(1).values.min() > 0.99


def test_clustering_twice_gives_the_same_and_draws_nothing_from_the_global_stream():
    directions = F.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    before = torch.get_rng_state()
    assert torch.equal(clustered(directions, 40), clustered(directions, 40))
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_directions_make_no_nan():
    found = clustered(torch.tensor([[0.0, 0.0, 1.0]]).expand(50, 3), 4)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3))


def test_missing_normals_make_no_cluster():
    head = DirectionHead(NORMALS, channels=8, classes=4)
    target = torch.zeros(1, 3, 10, 10)
    target[:, 2, :5] = 1.0
    calibrate_directions([head], [{"normals": target}])
    torch.testing.assert_close(head.centroids, torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3))


def test_too_few_normals_leave_the_directions_as_they_are():
    head = DirectionHead(NORMALS, channels=8, classes=4)
    calibrate_directions([head], [{"normals": torch.zeros(1, 3, 10, 10)}])
    assert torch.equal(head.centroids, even_directions(4))
