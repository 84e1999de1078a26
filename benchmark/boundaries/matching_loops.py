"""One-to-one matching of predicted with true boundary pixels, exact, for a sequence of predictions.

Two pixels may be matched if their distance d is at most R, the tolerance. Of all matchings, the one is taken that
minimises

    the sum over matched pairs of rint(100 d), plus ceil(10000 R) for each match that it lacks.

So the number of matches comes first and distance second, except that a match is given up if it would shift a chain of
others by more than 100 R together. This is the objective of the published tools without the random choices they make.
Of matchings that are equal in it the largest counts, and of those the one whose predicted pixels have the largest sum
of a fixed pseudo-random `bonus`. So what is counted depends on the two maps alone, not on the way to it.

Predictions of neighbouring thresholds differ little. So the matching is carried from one to the next: pixels that
vanish are taken out, new ones are put in, and each time a shortest path makes it optimal again (Dijkstra on reduced
costs, as in the Hungarian method). Neighbours are found in the image itself; no graph is built.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmark.boundaries.compiled import compiled

Values = Any
"""A one-dimensional array of integers; a list where the loops run in plain Python, which reads lists faster."""

NONE = -1
FAR = 2**62
"""More than any distance of a search; the sums of a search stay below 2**63."""


class Side(NamedTuple):
    """The pixels of one of the two maps, in raster order, and their part of the matching.

    Args:
        row: of each pixel.
        column: of each pixel.
        first: (H W + 1,) how many of the pixels come before a place in raster order.
        bonus: what any match of the pixel gains on top.
        price: dual variable of the pixel, 0 for one without mate.
        mate: its pixel of the other side, -1 for none.
        present: 1 for the pixels that take part now.
    """

    row: Values
    column: Values
    first: Values
    bonus: Values
    price: Values
    mate: Values
    present: Values


class Window(NamedTuple):
    """Which pixels are in reach of a pixel, and what a match gains.

    Args:
        height: of the image.
        width: of the image.
        reach: rows above and below that are in reach.
        half: (2 reach + 1,) half width of the window in each of its rows.
        gain: (2 reach + 1)**2 gains by row and column of the partner relative to the pixel.
    """

    height: int
    width: int
    reach: int
    half: Values
    gain: Values


class Search(NamedTuple):
    """Workspace of a search; every `distance` is `FAR` between searches.

    Args:
        distance: to each pixel of the far side.
        parent: pixel of the near side from which it was reached.
        reached: pixels of the far side in the order in which they were reached.
        heap: those whose turn will come, the nearest first.
        place: where in the heap each of them is.
    """

    distance: Values
    parent: Values
    reached: Values
    heap: Values
    place: Values


@compiled
def rise(node: int, at: int, search: Search) -> None:
    """Put a pixel into the heap at position `at` or above."""
    distance, heap, place = search.distance, search.heap, search.place
    mine = distance[node]
    while at > 0:
        above = (at - 1) >> 1
        other = heap[above]
        if distance[other] <= mine:
            break
        heap[at] = other
        place[other] = at
        at = above
    heap[at] = node
    place[node] = at


@compiled
def take_nearest(size: int, search: Search) -> int:
    """Take the nearest pixel out of a heap of `size` pixels."""
    distance, heap, place = search.distance, search.heap, search.place
    nearest: int = heap[0]
    size -= 1
    node = heap[size]
    mine = distance[node]
    at, below = 0, 1
    while below < size:
        if below + 1 < size and distance[heap[below + 1]] < distance[heap[below]]:
            below += 1
        other = heap[below]
        if mine <= distance[other]:
            break
        heap[at] = other
        place[other] = at
        at, below = below, 2 * below + 1
    heap[at] = node
    place[node] = at
    return nearest


@compiled
def reprice(root: int, shortest: int, count: int, near: Side, far: Side, search: Search) -> None:
    """Change prices so that the best path costs nothing and no pair gains more than its prices; clear the search."""
    distance = search.distance
    near.price[root] -= shortest
    for step in range(count):
        node = search.reached[step]
        surplus = shortest - distance[node]
        if surplus > 0:
            far.price[node] += surplus
            near.price[far.mate[node]] -= surplus
        distance[node] = FAR


@compiled
def flip(root: int, end: int, near: Side, far: Side, search: Search) -> None:
    """Match along the path from `root` to the far pixel `end`: each near pixel on it changes its mate."""
    while True:
        node = search.parent[end]
        given_up = near.mate[node]
        near.mate[node] = end
        far.mate[end] = node
        if node == root:
            return
        end = given_up


@compiled
def spread(
    node: int, base: int, shortest: int, count: int, size: int, near: Side, far: Side, window: Window, search: Search
) -> tuple[int, int, int, int]:
    """Find shorter paths to the far pixels within reach of a near pixel, to which the path costs `base`.

    Returns:
        Cost of the best end so far, the far pixel without mate where it now ends or -1, how many far pixels are
        reached, and how many stand in the heap.
    """
    distance, parent, reach, width = search.distance, search.parent, window.reach, window.width
    row, column, free = near.row[node], near.column[node], NONE
    price = base + near.price[node] - near.bonus[node]
    for line in range(max(row - reach, 0), min(row + reach + 1, window.height)):
        half = window.half[line - row + reach]
        start = far.first[line * width + max(column - half, 0)]
        stop = far.first[line * width + min(column + half + 1, width)]
        middle = (line - row + reach) * (2 * reach + 1) + reach - column
        for other in range(start, stop):
            cost = price + far.price[other] - far.bonus[other] - window.gain[middle + far.column[other]]
            if cost >= shortest or cost >= distance[other] or far.present[other] == 0:
                continue
            new = distance[other] == FAR
            distance[other] = cost
            parent[other] = node
            if new:
                search.reached[count] = other
                count += 1
            if far.mate[other] == NONE:
                # Here a path ends, so the pixel never stands in the heap.
                shortest, free = cost, other
                continue
            rise(other, size if new else search.place[other], search)
            size += new
    return shortest, free, count, size


@compiled
def settle(root: int, near: Side, far: Side, window: Window, search: Search) -> None:
    """Make the matching optimal again, in which the near pixel `root` has a price but no mate.

    There are three ends: a path to a far pixel without mate, a path to a near pixel that gives its mate away, or `root`
    staying without. A path is followed only while it costs less than the best end so far.
    """
    loser = NONE
    shortest, end, count, size = spread(root, 0, near.price[root], 0, 0, near, far, window, search)
    while size > 0:
        nearest = take_nearest(size, search)
        size -= 1
        base = search.distance[nearest]
        if base >= shortest:
            break
        node = far.mate[nearest]
        if base + near.price[node] < shortest:
            shortest, end, loser = base + near.price[node], nearest, node
        shortest, free, count, size = spread(node, base, shortest, count, size, near, far, window, search)
        if free != NONE:
            end, loser = free, NONE
    reprice(root, shortest, count, near, far, search)
    if loser != NONE:
        near.mate[loser] = NONE
    if end != NONE:
        flip(root, end, near, far, search)


@compiled
def enter(node: int, near: Side, far: Side, window: Window, search: Search) -> None:
    """Let a near pixel take part, at the price of its best offer."""
    reach, width = window.reach, window.width
    row, column = near.row[node], near.column[node]
    best, mate = 0, NONE
    for line in range(max(row - reach, 0), min(row + reach + 1, window.height)):
        half = window.half[line - row + reach]
        start = far.first[line * width + max(column - half, 0)]
        stop = far.first[line * width + min(column + half + 1, width)]
        middle = (line - row + reach) * (2 * reach + 1) + reach - column
        for other in range(start, stop):
            offer = window.gain[middle + far.column[other]] + far.bonus[other] + near.bonus[node] - far.price[other]
            if offer > best and far.present[other] != 0:
                best, mate = offer, other
    near.present[node] = 1
    near.price[node] = best
    if mate == NONE:
        return
    if far.mate[mate] == NONE:
        near.mate[node] = mate
        far.mate[mate] = node
    else:
        settle(node, near, far, window, search)


@compiled
def leave(node: int, near: Side, far: Side, window: Window, search: Search) -> None:
    """Take a near pixel out."""
    mate = near.mate[node]
    near.present[node] = 0
    near.price[node] = 0
    near.mate[node] = NONE
    if mate != NONE:
        far.mate[mate] = NONE
        settle(mate, far, near, window, search)


@compiled
def match_in_turn(
    members: Values, ends: Values, stamp: Values, near: Side, far: Side, window: Window, search: Search, mates: Values
) -> None:
    """Match one set of near pixels after the other.

    Args:
        members: pixels of all sets, one set after the other.
        ends: where in `members` each set ends.
        stamp: zeros, one per near pixel.
        near: predicted pixels, none of them present.
        far: true pixels, all of them present.
        window: reach and gains.
        search: workspace.
        mates: the mate of each of `members` is written here.
    """
    old, start = 0, 0
    for step in range(len(ends)):
        stop = ends[step]
        for at in range(start, stop):
            stamp[members[at]] = step + 1
        for at in range(old, start):
            if stamp[members[at]] != step + 1:
                leave(members[at], near, far, window, search)
        for at in range(start, stop):
            if near.present[members[at]] == 0:
                enter(members[at], near, far, window, search)
        for at in range(start, stop):
            mates[at] = near.mate[members[at]]
        old, start = start, stop
