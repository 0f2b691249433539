"""Whose turn it is: datasets drawn in exact proportion to their weights, at any position at once.

A `Rota` gives every slot to one member. Draw number c of a member with share w of P may come from
slot floor(c P / w) on and must come before slot ceil((c + 1) P / w); among those allowed, the one
with the earliest deadline goes first. These windows are those of P-fair scheduling (Baruah and
others, 1996), where the rule is known to meet all of them; so after n slots every member has been
drawn n w / P times, give or take less than one. Plain error diffusion (largest debt first) has
no such bound for more than two members. The order repeats after P slots, hence any slot is found
by arithmetic and a table of at most one period, which grows as far as it is asked for.

`Turns` cycles through several rotas: the sides of a slider.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

LONGEST = 1 << 20  # slots of a period; weights that need more are rounded to this many


class Rota:
    """Slots dealt to members by weight. All positions count from 0."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.shares = whole_shares(weights)
        self.period = sum(self.shares)
        self._dealt = array("I")  # member of each slot of the period, as far as known
        self._slots = [array("I") for _ in self.shares]  # and the other way round
        self._waiting = [(0, member) for member in range(len(self.shares))]
        self._ready: list[tuple[int, int]] = []

    def at(self, slot: int) -> tuple[int, int]:
        """Member of a slot, and how many draws it had before."""
        rounds, place = divmod(slot, self.period)
        while len(self._dealt) <= place:
            self._deal()
        member = self._dealt[place]
        return member, rounds * self.shares[member] + bisect_left(self._slots[member], place)

    def count(self, member: int, slots: int) -> int:
        """Draws of a member within the first `slots` slots."""
        rounds, place = divmod(slots, self.period)
        while len(self._dealt) < place:
            self._deal()
        return rounds * self.shares[member] + bisect_left(self._slots[member], place)

    def slots_until(self, member: int, draws: int) -> int:
        """Fewest slots that hold `draws` draws of a member."""
        if not draws:
            return 0
        rounds, rest = divmod(draws - 1, self.shares[member])
        while len(self._slots[member]) <= rest:
            self._deal()
        return rounds * self.period + self._slots[member][rest] + 1

    def _deal(self) -> None:
        """Give the next slot of the period away."""
        slot = len(self._dealt)
        while self._waiting and self._waiting[0][0] <= slot:
            member = heapq.heappop(self._waiting)[1]
            drawn, share = len(self._slots[member]), self.shares[member]
            heapq.heappush(self._ready, (-(-(drawn + 1) * self.period // share), member))
        member = heapq.heappop(self._ready)[1]
        self._dealt.append(member)
        self._slots[member].append(slot)
        drawn, share = len(self._slots[member]), self.shares[member]
        if drawn < share:
            heapq.heappush(self._waiting, (drawn * self.period // share, member))


def whole_shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as whole numbers in lowest terms, exactly as written unless the sum is too large."""
    exact = [Fraction(str(weight)) for weight in weights]
    scale = lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    if sum(whole) // gcd(*whole) > LONGEST:
        whole = [max(1, round(weight / sum(exact) * LONGEST)) for weight in exact]
    return tuple(weight // gcd(*whole) for weight in whole)


class Turns:
    """Groups of (dataset, weight) that take turns, one slot each; groups are not empty."""

    def __init__(self, groups: Sequence[Sequence[tuple[int, float]]]) -> None:
        self._names = [[dataset for dataset, _ in group] for group in groups]
        self._rotas = [Rota([weight for _, weight in group]) for group in groups]
        self._home = {
            dataset: (number, member)
            for number, names in enumerate(self._names)
            for member, dataset in enumerate(names)
        }

    def at(self, slot: int) -> tuple[int, int]:
        """Dataset of a slot, and how many draws it had before."""
        place, group = divmod(slot, len(self._rotas))
        member, before = self._rotas[group].at(place)
        return self._names[group][member], before

    def count(self, dataset: int, slots: int) -> int:
        """Draws of a dataset within the first `slots` slots."""
        group, member = self._home[dataset]
        own = (slots - group + len(self._rotas) - 1) // len(self._rotas)
        return self._rotas[group].count(member, own)

    def slots_until(self, dataset: int, draws: int) -> int:
        """Fewest slots that hold `draws` draws of a dataset."""
        group, member = self._home[dataset]
        own = self._rotas[group].slots_until(member, draws)
        return (own - 1) * len(self._rotas) + group + 1 if own else 0
