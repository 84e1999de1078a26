"""Results -> tables: boards first, then every other setting. Only results measured alike share a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmark.leaderboard.columns import measured_columns, ranking_columns
from benchmark.leaderboard.plan import Plan, RowKey
from benchmark.leaderboard.rows import Row, Setting, Table, recipe_version, row_key, setting_of
from benchmark.records.result import DONE
from benchmark.records.store import Stored


def tables(
    results: Iterable[Stored], plans: Sequence[Plan] = (), ranking: Mapping[str, str] | None = None
) -> list[Table]:
    """All tables: one per board in the order of `plans`, then one per setting of the results on no board.

    Args:
        results: the results.
        plans: the boards.
        ranking: metric by task that ranks it, in place of the board's and of the default.
    """
    chosen = dict(ranking or {})
    left = list(results)
    boards = []
    for plan in plans:
        own = [cell for cell in left if _belongs(cell, plan)]
        board = _board(plan, own, chosen)
        used = {id(cell) for cell in _cells(board)}
        left = [cell for cell in left if id(cell) not in used]
        boards.append(board)
    return [*boards, *_other_tables(left, chosen)]


def _belongs(cell: Stored, plan: Plan) -> bool:
    """True if a board asks for this cell, in the recipe's version of the board."""
    spec, setting = cell.result.spec, setting_of(cell.result)
    return (
        spec.recipe == plan.recipe
        and setting.split == plan.split
        and recipe_version(cell.result) == plan.version
        and setting.overrides == plan.settings
        and spec.seed in plan.rows.get(row_key(cell.result), ())
    )


def _board(plan: Plan, cells: Sequence[Stored], ranking: Mapping[str, str]) -> Table:
    done = [cell for cell in cells if cell.result.status == DONE]
    current, num_stale = current_cells(_of_one_setting(done))
    settings = [setting_of(cell.result) for cell in current or cells]
    empty = Setting(plan.recipe, plan.version, plan.split, "", "", "", (), plan.settings)
    setting = settings[0] if settings else empty
    not_done = [cell for cell in cells if cell.result.status != DONE and _same_request(cell, setting)]
    by_row = _by_row(current)
    failed: dict[RowKey, dict[int, str]] = defaultdict(dict)
    for cell in not_done:
        failed[row_key(cell.result)][cell.result.spec.seed] = cell.result.status
    rows = tuple(Row(key, by_row.get(key, ()), seeds, failed.get(key)) for key, seeds in plan.rows.items())
    return _table(setting, rows, not_done, {**plan.ranking, **ranking}, plan, num_stale)


def _of_one_setting(cells: Sequence[Stored]) -> list[Stored]:
    """The cells of the setting that most cells have: a board never mixes data sets or backbones."""
    by_setting: dict[Setting, list[Stored]] = defaultdict(list)
    for cell in cells:
        by_setting[setting_of(cell.result)].append(cell)
    known = [group for setting, group in by_setting.items() if setting.names_data]
    return max(known, key=len, default=[])


def current_cells(cells: Iterable[Stored]) -> tuple[list[Stored], int]:
    """One cell per row and seed, made of the row's newest ingredients, and the number of results left out."""
    by_row: dict[RowKey, list[Stored]] = defaultdict(list)
    for cell in cells:
        by_row[row_key(cell.result)].append(cell)
    current: list[Stored] = []
    for group in by_row.values():
        newest = _digest(max(group, key=_finished))
        by_seed = {cell.result.spec.seed: cell for cell in sorted(group, key=_finished) if _digest(cell) == newest}
        current += [by_seed[seed] for seed in sorted(by_seed)]
    return current, sum(map(len, by_row.values())) - len(current)


def _digest(cell: Stored) -> str:
    ingredients = cell.result.spec.ingredients
    return ingredients.digest if ingredients else ""


def _finished(cell: Stored) -> tuple[bool, str]:
    return cell.result.spec.ingredients is not None, str(cell.result.provenance.get("finished") or "")


def _other_tables(results: Iterable[Stored], ranking: Mapping[str, str]) -> list[Table]:
    done: dict[Setting, list[Stored]] = defaultdict(list)
    not_done: list[Stored] = []
    for cell in results:
        if cell.result.status == DONE:
            done[setting_of(cell.result)].append(cell)
        else:
            not_done.append(cell)
    failed = _settings_of_failures(not_done, done)
    return [
        _other_table(setting, done.get(setting, []), failed.get(setting, []), ranking)
        for setting in sorted({*done, *failed}, key=_order)
    ]


def _other_table(
    setting: Setting, cells: Sequence[Stored], not_done: Sequence[Stored], ranking: Mapping[str, str]
) -> Table:
    if not setting.names_data:
        alone = sorted(cells, key=lambda cell: (_name(row_key(cell.result)), cell.result.spec.seed))
        return _table(setting, tuple(Row(row_key(cell.result), (cell,)) for cell in alone), not_done, ranking)
    current, num_stale = current_cells(cells)
    by_row = _by_row(current)
    rows = tuple(Row(key, by_row[key]) for key in sorted(by_row, key=_name))
    return _table(setting, rows, not_done, ranking, num_stale=num_stale)


def _table(
    setting: Setting,
    rows: tuple[Row, ...],
    not_done: Sequence[Stored],
    ranking: Mapping[str, str],
    plan: Plan | None = None,
    num_stale: int = 0,
) -> Table:
    results = [cell.result for row in rows for cell in row.cells]
    columns = ranking_columns(setting.tasks, results, ranking)
    return Table(setting, columns, measured_columns(columns, results), rows, tuple(not_done), plan, num_stale)


def _by_row(cells: Iterable[Stored]) -> dict[RowKey, tuple[Stored, ...]]:
    groups: dict[RowKey, list[Stored]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.result.spec.seed):
        groups[row_key(cell.result)].append(cell)
    return {key: tuple(group) for key, group in groups.items()}


def _cells(table: Table) -> list[Stored]:
    return [*(cell for row in table.rows for cell in row.cells), *table.not_done]


def _same_request(cell: Stored, setting: Setting) -> bool:
    """True if a failed cell asked for the setting; it may have failed before it knew its data."""
    own = setting_of(cell.result)
    return own == setting or (not own.data and own == replace(setting, data="", fingerprint=""))


def _settings_of_failures(not_done: Iterable[Stored], done: Mapping[Setting, Any]) -> dict[Setting, list[Stored]]:
    """The tables under which failed cells are named; a cell may have failed before it knew its data."""
    by_request: dict[Setting, list[Setting]] = defaultdict(list)
    for setting in done:
        by_request[replace(setting, data="", fingerprint="")].append(setting)
    failed: dict[Setting, list[Stored]] = defaultdict(list)
    for cell in not_done:
        own = setting_of(cell.result)
        for setting in [own] if own.data else by_request.get(own, [own]):
            failed[setting].append(cell)
    return failed


def _name(key: RowKey) -> tuple[str, str, str]:
    return key.method, key.regularizer, str(key.options)


def _order(setting: Setting) -> tuple[Any, ...]:
    return (
        setting.recipe,
        setting.version or 0,
        setting.split,
        setting.data,
        setting.fingerprint,
        setting.backbone,
        -len(setting.tasks),
        setting.tasks,
        str(setting.overrides),
    )
