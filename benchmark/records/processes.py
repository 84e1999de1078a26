"""Pools of worker processes, which end with their parent process, also if it is killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_processes(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int,
    *,
    chunksize: int = 1,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Compute results in spawned processes, in the order of the jobs.

    Args:
        work: function that can be pickled.
        jobs: arguments of `work`.
        workers: number of processes.
        chunksize: number of jobs that are sent at once.
        initializer: function that runs in each process before the first job.
        initargs: arguments of `initializer`.

    Raises:
        BrokenProcessPool: if a process was killed.
    """
    context = multiprocessing.get_context("spawn")
    arguments = (initializer, initargs)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=arguments) as pool:
        try:
            yield from pool.map(work, jobs, chunksize=chunksize)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start_worker(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    end_with_parent()
    if initializer is not None:
        initializer(*initargs)


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, also if the parent was killed.

    A thread waits for a pipe that the operating system closes at the end of the parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
