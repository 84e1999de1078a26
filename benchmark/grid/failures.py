"""Rules for failures: which cells are tried again, and which cells are no longer started."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from benchmark.grid.progress import Outcome, name_of
from benchmark.records.failures import CODE, DATA, INFRASTRUCTURE
from benchmark.records.result import FAILED, NO_REGULARIZER, RunSpec

ALIKE = 2
"""Number of cells with the same error in the code after which similar cells are not started."""

Scope = tuple[str, str]


@dataclass
class FailureRules:
    """Consequences of failures within one run of a grid.

    * infrastructure: the cell is tried again, after a delay that doubles each time.
    * code: after two cells of a method with the same error, the method's other cells are not started. If both have the
      same regularizer other than "none", only cells with that regularizer are not started.
    * data: no further cell is started.
    * out of memory and diverged: no consequence; a cell that runs out of memory has tried again by itself.

    Args:
        retries: number of further attempts after a failure of the infrastructure.
        first_delay: seconds before the first of them.
    """

    retries: int = 2
    first_delay: float = 10.0
    _attempts: Counter[RunSpec] = field(default_factory=Counter)
    _code_errors: dict[tuple[str, str], list[RunSpec]] = field(default_factory=dict)
    _stopped: dict[Scope, str] = field(default_factory=dict)
    stopped_all: str | None = None

    def delay(self, spec: RunSpec, outcome: Outcome) -> float | None:
        """Count an attempt of a cell; return the seconds until the next one, or None if the failure is final."""
        if outcome.status != FAILED or outcome.error_class != INFRASTRUCTURE:
            return None
        self._attempts[spec] += 1
        if self._attempts[spec] > self.retries:
            return None
        return self.first_delay * 2 ** (self._attempts[spec] - 1)

    def record(self, spec: RunSpec, outcome: Outcome) -> str | None:
        """Record a final failure; returns a line for the user if it stops other cells."""
        if outcome.status != FAILED:
            return None
        if outcome.error_class == DATA:
            self.stopped_all = f"a data error stops the grid ({name_of(spec)}); mend the data and run it again"
            return self.stopped_all
        return self._record_code_error(spec, outcome) if outcome.error_class == CODE else None

    def reason_to_leave(self, spec: RunSpec) -> str | None:
        """Reason why a cell is not started; None if it may start."""
        stopped = self._stopped.get((spec.method, NO_REGULARIZER)) or self._stopped.get((spec.method, spec.regularizer))
        return self.stopped_all or stopped

    def _record_code_error(self, spec: RunSpec, outcome: Outcome) -> str | None:
        # Numbers such as seeds, sizes and times differ between two cells with the same fault.
        alike = self._code_errors.setdefault((spec.method, re.sub(r"\d+", "0", outcome.error or "")), [])
        alike.append(spec)
        if len(alike) < ALIKE:
            return None
        regularizers = {cell.regularizer for cell in alike}
        scope = (spec.method, spec.regularizer if len(regularizers) == 1 else NO_REGULARIZER)
        if scope in self._stopped:
            return None
        cells = spec.method if scope[1] == NO_REGULARIZER else f"{spec.method}+{scope[1]}"
        self._stopped[scope] = f"two cells failed alike; the other cells of {cells} are not started"
        return self._stopped[scope]
