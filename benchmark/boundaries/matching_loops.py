"""One-to-one matching of predicted with true boundary pixels, exact, for a sequence of predictions.

Two pixels may be matched if their distance d is at most the tolerance R. The matching minimises

    the sum over matched pairs of rint(100 d), plus ceil(10000 R) for each missing match.

So the number of matches comes first and distance second. As an exception, a match is omitted if it would shift a chain
of other matches by more than 100 R in total. This is the objective of the published tools, without their random
choices. Among matchings with the same objective, the largest is chosen, and among these the one whose predicted pixels
have the largest sum of a fixed pseudo-random `bonus`. So the counts depend on the two maps alone.

Predictions of consecutive thresholds differ little, so each matching starts from the previous one. Pixels that vanish
are removed, new pixels are added, and after each change a shortest path restores the optimum (Dijkstra on reduced
costs, as in the Hungarian method). Neighbours are read from the image; no graph is built.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmark.boundaries.compiled import compiled

Values = Any
"""One-dimensional array of integers; a list if the loops run in plain Python, which reads lists faster."""

NONE = -1
FAR = 2**62
"""Larger than any distance of a search; the sums of a search stay below 2**63."""


class Side(NamedTuple):
    """Pixels of one of the two maps in raster order, with prices and matches.

    Args:
        row: row of each pixel.
        column: column of each pixel.
        first: (H W + 1,) number of pixels before each position in raster order.
        bonus: added gain of any match of the pixel.
        price: dual variable of the pixel, 0 without a match.
        mate: matched pixel of the other side, -1 without a match.
        present: 1 for the pixels of the current prediction.
    """

    row: Values
    column: Values
    first: Values
    bonus: Values
    price: Values
    mate: Values
    present: Values


class Window(NamedTuple):
    """Pixels within the tolerance of a pixel, and the gain of a match.

    Args:
        height: height of the image.
        width: width of the image.
        reach: number of rows above and below within the tolerance.
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
        heap: reached pixels that are not yet processed, the nearest first.
        place: position of each of these pixels in the heap.
    """

    distance: Values
    parent: Values
    reached: Values
    heap: Values
    place: Values


@compiled
def rise(node: int, at: int, search: Search) -> None:
    """Insert a pixel into the heap at position `at` or above."""
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
    """Remove and return the nearest pixel of a heap of `size` pixels."""
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
    """Update prices so that the best path has cost 0 and no pair gains more than its prices; clear the search."""
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
    """Change the match of each near pixel on the path from `root` to the far pixel `end`."""
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
    """Find shorter paths to the far pixels within reach of a near pixel whose own path costs `base`.

    Returns:
        Cost of the best path so far, its last far pixel (one without a match) or -1, number of reached far pixels, and
        number of pixels in the heap.
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
                # A path ends here, so the pixel does not enter the heap.
                shortest, free = cost, other
                continue
            rise(other, size if new else search.place[other], search)
            size += new
    return shortest, free, count, size


@compiled
def settle(root: int, near: Side, far: Side, window: Window, search: Search) -> None:
    """Restore the optimum after the near pixel `root` got a price but no match.

    The search ends in one of three ways: with a path to a far pixel without a match, with a path to a near pixel that
    loses its match, or with `root` unmatched. A path is followed only while it costs less than the best end so far.
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
    """Add a near pixel to the matching, at the price of its best match."""
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
    """Remove a near pixel from the matching."""
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
    """Match the sets of near pixels one after the other.

    Args:
        members: pixels of all sets, one set after the other.
        ends: end of each set in `members`.
        stamp: zeros, one per near pixel.
        near: predicted pixels, with `present` all 0.
        far: true pixels, with `present` all 1.
        window: reach and gains.
        search: workspace.
        mates: output, the match of each of `members`.
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
