"""What came of a batch: its results become records, and each is linked to the application whose résumé it was."""

from collections.abc import Sequence

from syncd import pull, push
from syncd.batches import batch_of, items_of, join
from syncd.connector import Screened
from syncd.model import Kind, Record
from syncd.work import Work


def take_results(work: Work, id_: str, results: Sequence[Screened], records: Sequence[Record]) -> None:
    """Take in a page of results: each is joined to its application by the file's name alone."""
    batch, intent = batch_of(work, id_), push.load(work, id_)  # what follows goes back to what the intent goes back to
    if batch is None or intent is None:
        return
    pair = work.world.pair(batch.pair)
    touched = pull.absorb(work, pair.right, records, pull.GET)
    items = items_of(work, id_)
    by_name = {item.name or item.application: item for item in items}
    for result in results:
        file = result.file or ""
        item = by_name.get(file) or by_name.get(file.rpartition(".")[0])  # of an older copy no file's name is known
        row = work.tx.record(pair.left.name, Kind.APPLICATION, item.application) if item is not None else None
        there = work.tx.record(pair.right.name, Kind.APPLICATION, result.id)
        if row is not None and there is not None:
            join(work, pair, row, there, "screened")
    pull.settle_all(work, pair.right, dict.fromkeys(touched, True))
