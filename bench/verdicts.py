"""What the rows of the transformer benchmark say: speed over the best peer, among our dtypes, over threads; and which
figures to hold are not met. A ratio above 1 always means that ours, or the later named, is faster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from common import OURS
from text_table import terminal_table

Row = dict[str, Any]


@dataclass(frozen=True)
class Need:
    """Least speed over the best peer: with few tokens (below `few`), with more, in the geometric mean."""

    few: int
    with_few: float
    with_more: float
    mean: float


NEEDS = {
    "f32": Need(16, 0.95, 1.0, 1.15),
    "bf16": Need(32, 0.0, 1.3, 1.8),
    "int8": Need(32, 1.0, 1.5, 2.0),
}
# BERT-base in int8 with 128 tokens on one thread: 0.36 times the latency of the best peer.
HELD_INT8 = ("bert-base", 1, 128, 1)
LEAST_HELD_INT8 = 1 / 0.36
LEAST_SCALING, SCALING_TOKENS = 1.8, 128


@dataclass(frozen=True)
class Cell:
    """One contest at one shape."""

    model: str
    contest: str
    threads: int
    batch: int
    tokens: int
    ours: dict[str, Row]  # by dtype; those of another contest's dtype are guests
    peers: dict[str, Row]  # by label

    @property
    def place(self) -> str:
        return f"{self.model} {self.batch} x {self.tokens}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def own(self) -> dict[str, Row]:
        """Ours of the dtype of this contest."""
        return {dtype: row for dtype, row in self.ours.items() if dtype.split("+")[0] == self.contest}

    def best_peer(self) -> tuple[str, float] | None:
        """Label and median of the fastest peer."""
        return min(((label, p50(row)) for label, row in self.peers.items()), key=lambda pair: pair[1], default=None)

    def over_peer(self, dtype: str) -> float | None:
        best = self.best_peer()
        return best[1] / p50(self.ours[dtype]) if best and dtype in self.ours else None


def p50(row: Row) -> float:
    """The median in milliseconds."""
    return float(row["latency_ms"]["p50"])


def cells(rows: Iterable[Row]) -> list[Cell]:
    """The rows by contest and shape, in their order."""
    found: dict[tuple[Any, ...], Cell] = {}
    for row in rows:
        batch, tokens = (*next(iter(row["shapes"].values())), 1)[:2]
        place = (row["model"], row["contest"], row["threads"], batch, tokens)
        cell = found.setdefault(place, Cell(*place, {}, {}))
        if row["engine"] == OURS:
            cell.ours[row["dtype"]] = row
        else:
            cell.peers[f"{row['engine']} {row['dtype']}"] = row
    return list(found.values())


def geomean(values: list[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


@dataclass(frozen=True)
class Summary:
    """One dtype of ours, or one comparison, over all cells."""

    what: str
    cells: int
    mean: float
    worst: float
    at: str


def _summary(what: str, ratios: list[tuple[float, str]]) -> Iterator[Summary]:
    if ratios:
        worst, at = min(ratios)
        yield Summary(what, len(ratios), geomean([ratio for ratio, _ in ratios]), worst, at)


def against_peers(found: list[Cell]) -> dict[tuple[str, str], list[tuple[float, Cell]]]:
    """Speed over the best peer, by contest and dtype of ours."""
    ratios: dict[tuple[str, str], list[tuple[float, Cell]]] = {}
    for cell in found:
        for dtype in cell.own:
            ratio = cell.over_peer(dtype)
            if ratio is not None:
                ratios.setdefault((cell.contest, dtype), []).append((ratio, cell))
    return ratios


def among_ours(found: list[Cell]) -> dict[tuple[str, str], list[tuple[float, Cell]]]:
    """Speed of a dtype over the wider one that was a guest in the same rounds: (faster, wider)."""
    ratios: dict[tuple[str, str], list[tuple[float, Cell]]] = {}
    for cell in found:
        for dtype in cell.own:
            for guest in set(cell.ours) - set(cell.own):
                ratio = p50(cell.ours[guest]) / p50(cell.ours[dtype])
                ratios.setdefault((dtype, guest), []).append((ratio, cell))
    return ratios


def over_threads(found: list[Cell]) -> list[tuple[float, Cell, str]]:
    """Speed of two threads over one where both were measured; the label of the engine last."""
    single = {(c.model, c.contest, c.batch, c.tokens): c for c in found if c.threads == 1}
    ratios = []
    for cell in (c for c in found if c.threads == 2):
        one = single.get((cell.model, cell.contest, cell.batch, cell.tokens))
        if one is None:
            continue
        pairs = [(f"{OURS} {d}", one.own.get(d), row) for d, row in cell.own.items()]
        pairs += [(label, one.peers.get(label), row) for label, row in cell.peers.items()]
        ratios += [(p50(before) / p50(row), cell, label) for label, before, row in pairs if before is not None]
    return ratios


def summaries(rows: list[Row]) -> list[Summary]:
    """Geometric means and worst cells."""
    found, lines = cells(rows), []
    for (_, dtype), ratios in against_peers(found).items():
        lines += _summary(f"{dtype} over the best peer", [(ratio, cell.place) for ratio, cell in ratios])
    for (dtype, guest), ratios in among_ours(found).items():
        lines += _summary(f"{dtype} over our {guest}", [(ratio, cell.place) for ratio, cell in ratios])
    ours = [(ratio, f"{cell.place}, {label}") for ratio, cell, label in over_threads(found) if label.startswith(OURS)]
    lines += _summary("two threads over one", ours)
    return lines


def summary(rows: list[Row]) -> list[dict[str, Any]]:
    """The same for a results file."""
    return [asdict(line) for line in summaries(rows)]


def missed(rows: list[Row]) -> list[str]:
    """Figures to hold that are not met."""
    found, lines = cells(rows), []
    for (contest, dtype), ratios in against_peers(found).items():
        need = NEEDS[contest]
        for ratio, cell in ratios:
            least = need.with_few if cell.tokens < need.few else need.with_more
            if (cell.model, cell.batch, cell.tokens, cell.threads) == HELD_INT8 and contest == "int8":
                least = LEAST_HELD_INT8
            if ratio < least:
                lines.append(f"{cell.place}, {dtype}: {ratio:.2f}x the best peer's speed, at least {least:.2f}")
        mean = geomean([ratio for ratio, _ in ratios])
        if mean < need.mean:
            lines.append(f"{dtype}: {mean:.2f}x the best peer's speed in the geometric mean, at least {need.mean}")
    for (dtype, guest), ratios in among_ours(found).items():
        slower = [(ratio, cell) for ratio, cell in ratios if ratio < 1]
        lines += [f"{cell.place}: our {dtype} is slower than our {guest}: {ratio:.2f}x" for ratio, cell in slower]
    for ratio, cell, label in over_threads(found):
        if label.startswith(OURS) and cell.tokens == SCALING_TOKENS and ratio < LEAST_SCALING:
            lines.append(f"{cell.place}, {label}: {ratio:.2f}x one thread, at least {LEAST_SCALING}")
    return lines


def cell_line(cell: Cell, owns: list[str], peers: list[str]) -> list[str]:
    """Shape, threads, medians of ours and of peers, the best peer, how much faster ours is; blank where nothing is."""
    best = cell.best_peer()
    line = [f"{cell.batch} x {cell.tokens}", str(cell.threads)]
    line += [f"{p50(cell.ours[dtype]):.2f}" if dtype in cell.ours else "" for dtype in owns]
    line += [f"{p50(cell.peers[label]):.2f}" if label in cell.peers else "" for label in peers]
    line.append(best[0] if best else "")
    ratios = [cell.over_peer(dtype) for dtype in owns]
    return [*line, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)]


def contest_table(group: list[Cell]) -> tuple[list[str], list[list[str]], str]:
    """Heading, rows and alignment for the cells of one model and contest."""
    owns = list(dict.fromkeys(dtype for cell in group for dtype in cell.own))
    peers = list(dict.fromkeys(label for cell in group for label in cell.peers))
    header = ["batch x tokens", "threads", *(f"{OURS} {dtype}" for dtype in owns), *peers, "best peer"]
    header += [f"{dtype} over it" for dtype in owns]
    align = "lr" + "r" * (len(owns) + len(peers)) + "l" + "r" * len(owns)
    return header, [cell_line(cell, owns, peers) for cell in group], align


def by_model_and_contest(rows: list[Row]) -> dict[tuple[str, str], list[Cell]]:
    """The cells, grouped for tables."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells(rows):
        groups.setdefault((cell.model, cell.contest), []).append(cell)
    return groups


def report(rows: list[Row]) -> str:
    """Tables for the terminal."""
    parts = []
    for (model, contest), group in by_model_and_contest(rows).items():
        parts.append(f"\n{model}, {contest}: milliseconds (p50); above 1 ours is faster\n")
        parts.append(terminal_table(*contest_table(group)))
    lines = [[s.what, str(s.cells), f"{s.mean:.2f}", f"{s.worst:.2f}", s.at] for s in summaries(rows)]
    if lines:
        parts.append("\n" + terminal_table(["speed of", "cells", "mean", "worst", "at"], lines, "lrrrl"))
    return "\n".join(parts)
