"""The nouns of the table: a row, its bars, and what one server's round of it measured."""

from dataclasses import dataclass, field
from typing import Callable, Mapping

from .lab import Lab
from .peers import Peer

EVERYONE = ("martlet", "nginx", "varnish")
# Varnish's own TLS is a separate product and its log a separate process: neither is one server thread.
WITHOUT_VARNISH = ("martlet", "nginx")
WITH_SENDFILE = (*EVERYONE, "nginx-sendfile")


@dataclass(frozen=True)
class Measurement:
    """One server, one row, one round."""

    figure: float
    rate: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    peak_rss_mib: float | None = None
    busy_percent: float | None = None
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Bar:
    """What Martlet has to reach: a share of a peer's figure in the same run, or a figure of its own."""

    limit: float
    # The peer whose figure is divided by.
    of: str | None = None
    at_least: bool = False

    def describe(self) -> str:
        share = f"× {self.of}" if self.of else ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{share}"

    def met(self, figures: Mapping[str, float]) -> bool | None:
        """None where a figure that is needed was not measured. `figures` are all servers', by name."""
        figure = figures.get("martlet")
        if figure is None:
            return None
        if self.of:
            if not figures.get(self.of):
                return None
            figure /= figures[self.of]
        return figure >= self.limit if self.at_least else figure <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table for each of its peers."""

    name: str
    title: str
    unit: str
    measure: Callable[[Lab, Peer], Measurement] | None
    peers: tuple[str, ...] = EVERYONE
    bars: tuple[Bar, ...] = ()
    rounds_max: int | None = None
    rate_unit: str = "/s"
    # Members of `extra` shown in the last column, as a format: "{hit_percent:.1f} % hits".
    note: str = ""
    # Whether Martlet's figure over another's says anything.
    has_ratio: bool = True
    # A row read off another row's measurements: that row's name, and the member of `extra` to read.
    taken_from: tuple[str, str] | None = None
