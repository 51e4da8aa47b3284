"""From measurements to the table a person reads and the JSON a program reads."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Sequence

from .row import Bar, Measurement, Row

_NUMBERS = ("figure", "rate", "p50_ms", "p99_ms", "peak_rss_mib", "busy_percent")
_HEADINGS = (
    "row", "server", "figure", "rate", "p50 ms", "p99 ms", "peak RSS MiB", "CPU busy", "× nginx", "× varnish", "bar",
    "verdict", "beside",
)


@dataclass(frozen=True)
class Summary:
    """One server's rounds of one row: the median of each column by itself."""

    median: dict[str, float | None]
    rounds: list[Measurement]

    @property
    def figure(self) -> float:
        return self.median["figure"] or 0.0


def summarise(rounds: list[Measurement]) -> Summary:
    medians: dict[str, float | None] = {}
    for name in _NUMBERS:
        values = [value for measurement in rounds if (value := getattr(measurement, name)) is not None]
        medians[name] = median(values) if values else None
    return Summary(medians, rounds)


def taken_from(other: Summary, member: str) -> Summary:
    """A row whose figure is a member of another row's `extra`."""
    return summarise([Measurement(figure=float(m.extra[member])) for m in other.rounds if member in m.extra])


@dataclass(frozen=True)
class Result:
    """One row with all its servers."""

    row: Row
    servers: dict[str, Summary]

    @property
    def figures(self) -> dict[str, float]:
        return {name: summary.figure for name, summary in self.servers.items()}

    def ratio(self, other: str) -> float | None:
        """Martlet's figure over another server's."""
        if not self.row.has_ratio or "martlet" not in self.servers or not self.figures.get(other):
            return None
        return self.figures["martlet"] / self.figures[other]

    @property
    def verdicts(self) -> list[tuple[Bar, bool | None]]:
        """Each bar and whether Martlet reached it; None without the figures to tell."""
        return [(bar, bar.met(self.figures)) for bar in self.row.bars]

    @property
    def met(self) -> bool | None:
        """Whether Martlet reached all bars; None without a bar or without the figures to tell."""
        known = [met for _, met in self.verdicts]
        if False in known:
            return False
        return True if known and None not in known else None


def table(results: Sequence[Result]) -> str:
    lines: list[tuple[str, ...]] = [_HEADINGS]
    for result in results:
        for position, (name, summary) in enumerate(result.servers.items()):
            lines.append(_line(result, name, summary, first=position == 0))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    shown = []
    for number, line in enumerate(lines):
        if number == 1 or (number > 1 and line[0]):
            shown.append("")
        # The first two columns and the last are words and the rest figures.
        last = len(widths) - 1
        cells = [text.ljust(width) if i < 2 or i == last else text.rjust(width)
                 for i, (text, width) in enumerate(zip(line, widths))]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def _line(result: Result, name: str, summary: Summary, first: bool) -> tuple[str, ...]:
    row, numbers = result.row, summary.median
    over_nginx = over_varnish = bars = verdict = ""
    if name == "martlet":
        over_nginx, over_varnish = (_number(result.ratio(other), 2) for other in ("nginx", "varnish"))
        bars = ", ".join(bar.describe() for bar in row.bars)
        verdict = ", ".join({True: "met", False: "MISSED", None: "?"}[met] for _, met in result.verdicts)
    rate = numbers["rate"]
    return (
        row.title if first else "",
        name,
        f"{_figure(numbers['figure'], row)} {row.unit}",
        "" if rate is None else f"{rate:,.0f}{row.rate_unit}",
        _number(numbers["p50_ms"], 2),
        _number(numbers["p99_ms"], 2),
        _number(numbers["peak_rss_mib"], 1),
        "" if numbers["busy_percent"] is None else f"{numbers['busy_percent']:.0f} %",
        over_nginx,
        over_varnish,
        bars,
        verdict,
        _beside(row, summary),
    )


def _beside(row: Row, summary: Summary) -> str:
    """The row's note, with the median of each number and all different words that it shows."""
    shown: dict[str, float | str] = {}
    for name in {name for measurement in summary.rounds for name in measurement.extra}:
        values = [measurement.extra.get(name) for measurement in summary.rounds]
        if all(isinstance(value, (int, float)) for value in values):
            shown[name] = median(values)
        elif all(isinstance(value, str) for value in values):
            shown[name] = " or ".join(sorted(set(values)))
    return row.note.format_map(shown)


def _figure(value: float | None, row: Row) -> str:
    # 99.95 and 99.99 are far apart where the bar is 99.9.
    fine = any(bar.at_least and not bar.of for bar in row.bars)
    return _number(value, 3 if fine else 2 if (value or 0) < 100 else 0)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def write_json(file: Path, results: Sequence[Result], run: dict[str, object], errors: list[str]) -> None:
    """Writes the whole run; `run` says when, on what machine, which versions and settings."""
    document = {"format": 2, **run, "errors": errors, "rows": [_row_json(result) for result in results]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _row_json(result: Result) -> dict[str, object]:
    row = result.row
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "bars": [{**asdict(bar), "met": met} for bar, met in result.verdicts],
        "met": result.met,
        "martlet_over": {other: result.ratio(other) for other in ("nginx", "varnish")},
        "servers": {
            name: {**summary.median, "rounds": [asdict(measurement) for measurement in summary.rounds]}
            for name, summary in result.servers.items()
        },
    }
