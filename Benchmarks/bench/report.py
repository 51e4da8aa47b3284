"""From measurements to the table a person reads and the JSON a program reads."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Sequence

from .rows import Bar, Measurement, Row

_NUMBERS = ("figure", "rate", "p50_ms", "p99_ms", "peak_rss_mib", "busy_percent")
_HEADINGS = (
    "row", "server", "figure", "rate", "p50 ms", "p99 ms", "peak RSS MiB", "CPU busy", "× nginx", "bar", "verdict",
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
    def ratio(self) -> float | None:
        """Martlet's figure over nginx's, where less is better."""
        if self.row.bar is not None and self.row.bar.at_least:
            return None
        if "martlet" not in self.servers or "nginx" not in self.servers or not self.servers["nginx"].figure:
            return None
        return self.servers["martlet"].figure / self.servers["nginx"].figure

    @property
    def met(self) -> bool | None:
        """Whether Martlet reached the bar; None without a bar or without the figures to tell."""
        if self.row.bar is None or "martlet" not in self.servers:
            return None
        nginx = self.servers.get("nginx")
        return self.row.bar.met(self.servers["martlet"].figure, nginx.figure if nginx else None)


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
        # The first two columns are words and the rest figures.
        cells = [text.ljust(width) if i < 2 else text.rjust(width) for i, (text, width) in enumerate(zip(line, widths))]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def _line(result: Result, name: str, summary: Summary, first: bool) -> tuple[str, ...]:
    row, numbers = result.row, summary.median
    ratio = bar = verdict = ""
    if name == "martlet":
        ratio = f"{result.ratio:.2f}" if result.ratio is not None else ""
        bar = row.bar.describe() if row.bar else ""
        verdict = {True: "met", False: "MISSED", None: ""}[result.met]
    rate = numbers["rate"]
    return (
        row.title if first else "",
        name,
        f"{_figure(numbers['figure'], row.bar)} {row.unit}",
        "" if rate is None else f"{rate:,.0f}{row.rate_unit}",
        _number(numbers["p50_ms"], 2),
        _number(numbers["p99_ms"], 2),
        _number(numbers["peak_rss_mib"], 1),
        "" if numbers["busy_percent"] is None else f"{numbers['busy_percent']:.0f} %",
        ratio,
        bar,
        verdict,
    )


def _figure(value: float | None, bar: Bar | None) -> str:
    # 99.95 and 99.99 are far apart where the bar is 99.9.
    return _number(value, 3 if bar is not None and bar.at_least else 2 if (value or 0) < 100 else 0)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def write_json(file: Path, results: Sequence[Result], run: dict[str, object], errors: list[str]) -> None:
    """Writes the whole run; `run` says when, on what machine, which versions and settings."""
    document = {"format": 1, **run, "errors": errors, "rows": [_row_json(result) for result in results]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _row_json(result: Result) -> dict[str, object]:
    row = result.row
    return {
        "name": row.name,
        "title": row.title,
        "unit": row.unit,
        "bar": asdict(row.bar) if row.bar else None,
        "met": result.met,
        "martlet_over_nginx": result.ratio,
        "servers": {
            name: {**summary.median, "rounds": [asdict(measurement) for measurement in summary.rounds]}
            for name, summary in result.servers.items()
        },
    }
