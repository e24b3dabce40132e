"""Plain tables for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def _widths(header: Row, rows: Sequence[Row]) -> list[int]:
    return [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]


def _align(cell: str, width: int, kind: str) -> str:
    return cell.rjust(width) if kind == "r" else cell.ljust(width)


def terminal_table(header: Row, rows: Sequence[Row], align: str) -> str:
    """`align` has one letter per column: l or r."""
    widths = _widths(header, rows)
    lines = []
    for row in (header, ["-" * width for width in widths], *rows):
        cells = [_align(cell, width, kind) for cell, width, kind in zip(row, widths, align, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_table(header: Row, rows: Sequence[Row], align: str) -> str:
    """The same as Markdown."""
    rule = ["---:" if kind == "r" else "---" for kind in align]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def shorten(text: str, width: int) -> str:
    """`text` on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
