"""The run in pieces: within one the same datasets take part, at its end their schedules change.

Pieces follow from the settings alone and are made when they are first needed, each from where the
streams stand at the end of the one before; so a position costs as many courses as there are
changes before it, never a replay. In mix "epoch" the stream of a resting dataset moves on with
the epoch: who joins in the middle of one brings the samples that belong to the rest of it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from trainer.data.course import Course, Lane, Standing
from trainer.data.position import Place
from trainer.data.setup import Setup
from trainer.data.streams import Streams
from trainer.data.turns import Turns
from trainer.errors import DataError
from trainer.findings import Finding, finding


@dataclass(frozen=True, slots=True)
class Piece:
    """Micro-steps from `place` on, before `end` if there is one; `then` is the epoch that begins
    there, if the end is one of an epoch."""

    place: Place
    order: Course | Streams
    end: int | None
    then: int | None


class Timeline:
    """The pieces of a run from `start` on."""

    def __init__(self, setup: Setup, start: Place) -> None:
        self.setup, self.start = setup, start
        self._pieces = [self._piece(start)]

    def at(self, micro_step: int) -> Piece:
        """The piece with a micro-step; DataError where no dataset takes part."""
        assert micro_step >= self.start.micro_step, "before the beginning of this run"
        while (end := self._pieces[-1].end) is not None and end <= micro_step:
            self._extend()
        number = bisect_right(self._pieces, micro_step, key=lambda piece: piece.place.micro_step)
        return self._pieces[number - 1]

    def place(self, micro_step: int) -> Place:
        """Where the run stands before a micro-step: after the one before it, so that a run may
        end where its last schedule does."""
        if micro_step == self.start.micro_step:
            return self.start
        piece = self.at(micro_step - 1)
        return self._moved(piece, micro_step, piece.then if micro_step == piece.end else None)

    def micro_steps_until(self, epoch: int) -> int:
        """The first micro-step of `epoch`; DataError when it never comes."""
        number = 0
        while True:
            piece = self._pieces[number]
            batches = piece.order.batches_until(epoch)
            reached = None if batches is None else piece.place.micro_step + batches
            if reached is not None and (piece.end is None or reached <= piece.end):
                return reached
            if piece.end is None:
                raise DataError(_endless(epoch))
            number += 1
            if number == len(self._pieces):
                self._extend()

    def step_of(self, micro_step: int) -> int:
        """The optimiser step that a micro-step belongs to."""
        return self.start.step + (micro_step - self.start.micro_step) // self.setup.accumulate

    def micro_step_of(self, step: int) -> int:
        """The first micro-step of an optimiser step."""
        return self.start.micro_step + (step - self.start.step) * self.setup.accumulate

    def _extend(self) -> None:
        last = self._pieces[-1]
        assert last.end is not None, "the last piece has no end"
        self._pieces.append(self._piece(self._moved(last, last.end, last.then)))

    def _piece(self, place: Place) -> Piece:
        """What happens from `place` until a dataset comes or goes."""
        spans = [self.setup.part(pool.dataset).active for pool in self.setup.pools]
        bounds = {bound for span in spans for bound in (span.from_step, span.to_step)}
        steps = [bound for bound in bounds if bound is not None and bound > place.step]
        bounds = {bound for span in spans for bound in (span.from_epoch, span.to_epoch)}
        epochs = [bound for bound in bounds if bound is not None and bound > place.epoch]
        order = self._order(place)
        end = self.micro_step_of(min(steps)) if steps else None
        batches = order.batches_until(min(epochs)) if epochs else None
        if batches is not None and (end is None or place.micro_step + batches <= end):
            return Piece(place, order, place.micro_step + batches, min(epochs))
        return Piece(place, order, end, None)

    def _order(self, place: Place) -> Course | Streams:
        """The order of those who take part."""
        setup = self.setup
        lanes = [
            Lane(number, pool, size, place.positions[number], setup.part(pool.dataset).turn)
            for number, (pool, size) in enumerate(zip(setup.pools, setup.sizes, strict=True))
            if pool.fills(size) and setup.part(pool.dataset).active.at(place.step, place.epoch)
        ]
        if not lanes:
            raise DataError(_nobody(place))
        if setup.mix == "epoch":
            return Course(tuple(lanes), setup.seed, place.epoch)
        courses: dict[int, Course] = {}
        for dataset in sorted({lane.pool.dataset for lane in lanes}):
            own = tuple(lane for lane in lanes if lane.pool.dataset == dataset)
            courses[dataset] = Course(own, setup.seed, place.cycles[own[0].number])
        groups: dict[int, list[tuple[int, float]]] = {}
        for dataset in courses:
            part = setup.part(dataset)
            groups.setdefault(part.turn, []).append((dataset, part.weight))
        turns = Turns([groups[turn] for turn in sorted(groups)])
        return Streams(courses, turns, setup.main, place.epoch)

    def _moved(self, piece: Piece, micro_step: int, epoch: int | None) -> Place:
        """The place at a micro-step of a piece, or at its end."""
        place, pools = piece.place, self.setup.pools
        standing = piece.order.standing(micro_step - place.micro_step, epoch)
        others = self._others(standing, place)
        before = enumerate(zip(place.positions, place.cycles, strict=True))
        streams = dict(before) | others | standing.streams
        return Place(
            micro_step,
            self.step_of(micro_step),
            standing.epoch,
            tuple(streams[number][0] for number in range(len(pools))),
            tuple(streams[number][1] for number in range(len(pools))),
        )

    def _others(self, standing: Standing, place: Place) -> dict[int, tuple[int, int]]:
        """Streams that are not drawn from. One that only fills no batch of the present size goes
        round with its dataset; a resting one is as far as the others are on average (mix epoch),
        or stays where it is (mix stream)."""
        epoch, streams = standing
        pools, before = self.setup.pools, place.positions
        moving = [(pools[number], position) for number, (position, _) in streams.items()]
        drawn = sum(max(0, position - epoch * pool.entries) for pool, position in moving)
        whole = sum(pool.entries for pool, _ in moving)
        rounds = {pools[number].dataset: cycle for number, (_, cycle) in streams.items()}
        others: dict[int, tuple[int, int]] = {}
        for number, pool in enumerate(pools):
            rests = not self.setup.part(pool.dataset).active.at(place.step, place.epoch)
            cycle = epoch if self.setup.mix == "epoch" else rounds.get(pool.dataset)
            if number in streams or cycle is None:
                continue
            passed = drawn * pool.entries // whole if rests else 0
            others[number] = max(before[number], cycle * pool.entries + passed), cycle
        return others


def _nobody(place: Place) -> Finding:
    return finding(
        "DAT060",
        f"no dataset takes part from step {place.step} (epoch {place.epoch}) on",
        where="data.datasets",
        why="the schedules (active) leave a gap, or what is left fills no batch and is dropped",
        fix="let one dataset be active at any time, or end the run before",
    )


def _endless(epoch: int) -> Finding:
    return finding(
        "DAT063",
        f"epoch {epoch} is never reached",
        where="data.datasets",
        why="epochs are rounds of the first dataset (mix stream), and it stops taking part",
        fix="set train.steps instead of train.epochs, or let the first dataset be active always",
    )
