"""Alternating pairs and medians: what makes a figure hold on a machine that others use too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Pairs:
    """Figures of the measured and of its peer, taken in turn."""

    measured: Sequence[float]
    peer: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of the ratios within each pair: drift of the machine cancels out."""
        return median(ours / theirs for ours, theirs in zip(self.measured, self.peer, strict=True))

    @property
    def difference(self) -> float:
        """The median of the differences within each pair."""
        return median(ours - theirs for ours, theirs in zip(self.measured, self.peer, strict=True))

    @property
    def ours(self) -> float:
        return median(self.measured)

    @property
    def theirs(self) -> float:
        return median(self.peer)


def alternate(
    pairs: int,
    measured: Callable[[], Mapping[str, float]],
    peer: Callable[[], Mapping[str, float]],
) -> dict[str, Pairs]:
    """Take `pairs` pairs, the order turned about each time; figures are matched by name."""
    ours: list[Mapping[str, float]] = []
    theirs: list[Mapping[str, float]] = []
    for number in range(pairs):
        turns = [(measured, ours), (peer, theirs)]
        for take, into in turns if number % 2 == 0 else reversed(turns):
            into.append(take())
    return {
        name: Pairs([one[name] for one in ours], [one[name] for one in theirs])
        for name in ours[0].keys() & theirs[0].keys()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
