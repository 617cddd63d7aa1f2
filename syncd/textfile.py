"""What a one-shot backfill came to, as a file for the textfile collector of Prometheus's node_exporter.

https://github.com/prometheus/node_exporter#textfile-collector: the file appears whole or not at all, and its name ends
with ``.prom``. A run that fails says so, and leaves standing when one last succeeded.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from syncd import measures
from syncd.clock import Clock
from syncd.errors import SyncdError
from syncd.metrics import Figures, Metrics, sample_in

SUCCEEDED_AT = "syncd_backfill_last_success_timestamp_seconds"
Result = Mapping[str, Any]


@contextlib.contextmanager
def reporting(
    path: Path, clock: Clock, *, version: str, standing: Callable[[], Figures]
) -> Iterator[Callable[[Result], None]]:
    """While held, a backfill runs; call what is given with its result. Without a result it has failed.

    ``standing`` asks the store what stands there. Raises ``SyncdError`` where the file cannot be written.
    """
    before, began, results = _succeeded_at(path), clock.now(), list[Result]()
    try:
        yield results.append
    finally:
        now = clock.now()
        run = of_run(results[-1] if results else None, began, now)
        _replace(path, measured({**standing(), SUCCEEDED_AT: {(): before}, **run}, version).render())


def of_run(result: Result | None, began: float, now: float) -> Figures:
    """A run's figures; without the time of a success where it is none."""
    is_whole = result is not None and not result["left"] and not result["until"]
    alone = {"last_run_timestamp_seconds": now, "succeeded": float(is_whole), "duration_seconds": now - began}
    figures: dict[str, dict[tuple[str, ...], float]] = {
        f"syncd_backfill_{name}": {(): value} for name, value in alone.items()
    }
    if is_whole:
        figures[SUCCEEDED_AT] = {(): now}
    if result is not None:
        figures["syncd_backfill_left"] = {(): result["left"]}
        figures["syncd_backfill_pages"] = {(name,): number for name, number in result["pages"].items()}
        written = [(name.split(), number) for name, number in result["writes"].items()]
        figures["syncd_backfill_writes"] = {(to, kind, call): number for (to, call, kind), number in written}
    return figures


def measured(figures: Figures, version: str) -> Metrics:
    """These figures and nothing else."""
    metrics = Metrics(version=version, listed=[measures.ALL[name] for name in ("syncd_build_info", *figures)])
    metrics.show(figures)
    return metrics


def _succeeded_at(path: Path) -> float:
    """When a backfill last succeeded, as the file says; 0: none did."""
    try:
        return sample_in(path.read_text("utf-8", "replace"), SUCCEEDED_AT) or 0.0
    except FileNotFoundError:
        if path.parent.is_dir():
            return 0.0
        raise SyncdError(f"--metrics-file: there is no folder {path.parent}") from None
    except OSError as error:
        raise SyncdError(f"--metrics-file: {path} cannot be read: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    """The file has its old content until it has all of the new."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        fresh.chmod(0o644)  # the collector runs as another user
        fresh.replace(path)
    except OSError as error:
        raise SyncdError(f"--metrics-file: {path} cannot be written: {error.strerror}") from error
