"""Rollouts on Ray: pieces go out to workers, fragments come back, and who is lost is replaced."""

from __future__ import annotations

import copy
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kinesis_neuro.env import parts
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.errors import ClusterError, InvalidInputError
from kinesis_neuro.learn.cluster.connection import connect
from kinesis_neuro.learn.cluster.worker import (
    Assignment,
    Piece,
    Worker,
    check_versions,
    versions,
    weights_of,
)
from kinesis_neuro.learn.policy import Policy
from kinesis_neuro.learn.rollout import Collector, Fragment, join

_START = 600.0
"""How long workers have to start, on machines that may load libraries over a network [s]."""

_MACHINES = 60.0
"""How long the cluster has to be joined by enough machines [s]."""

_PATIENCE = 60.0
"""A worker is not given up before this [s]."""

_TIMES = 10.0
"""Nor before so many times what the slowest fragment so far has taken."""

_LOSSES = 3
"""So many losses for each worker within one rollout are no accident."""


@dataclass(eq=False)
class _Hand:
    """A worker, and what it does now: the number of a piece, or None while it starts."""

    actor: Any
    reference: Any
    since: float
    piece: int | None = None
    process: int = 0

    @property
    def idle(self) -> bool:
        return self.reference is None


class RayCollector(Collector):
    """Rollouts in workers on a Ray cluster.

    The environments of this process hold the state between rollouts, as they do without workers;
    each worker steps a part of them. Whichever worker makes a fragment, it comes out the same, so
    losing one costs the time of its fragment and changes no number.

    Parameters
    ----------
    env : ImitationEnv
        With streams of random numbers, one an environment.
    policy : Policy
    n_workers : int
    address : str
        See :func:`kinesis_neuro.learn.cluster.connection.connect`.
    n_threads : int
        Of each worker.
    seed : int

    Raises
    ------
    InvalidInputError
        If there are more workers than environments.
    ClusterError
        If no cluster answers, or has too few processors.
    IncompatibleError
        If a worker has other versions than this process.
    """

    def __init__(
        self,
        env: ImitationEnv,
        policy: Policy,
        n_workers: int,
        *,
        address: str = "",
        n_threads: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(env)
        if not 1 <= n_workers <= env.n_envs:
            raise InvalidInputError(
                f"{n_workers} workers cannot share {env.n_envs} environments: each needs at least "
                "one. Raise n_envs, or take fewer workers."
            )
        self.n_workers, self.n_threads = n_workers, n_threads
        self.patience, self.replaced, self._slowest = _PATIENCE, 0, 0.0
        edges = [env.n_envs * k // n_workers for k in range(n_workers + 1)]
        self._rows = [slice(*pair) for pair in pairwise(edges)]
        self._ray, self._own = connect(address, n_workers * n_threads)
        self._hands: list[_Hand] = []
        try:
            self._check_room(address)
            # A goal may make a table for each batch.
            table = None if env.config.goal.kind else env.table
            # The learner may be on a device that workers do not have.
            policy = copy.deepcopy(policy).cpu()
            weight = env.starts.motion_weight
            motions = env.table.motions
            self._assignment = self._ray.put(
                Assignment(env.config, motions, table, weight, policy, seed, n_threads)
            )
            self._class = self._ray.remote(
                num_cpus=n_threads, max_restarts=0, scheduling_strategy="SPREAD"
            )(Worker)
            self._hands = [self._hire() for _ in range(n_workers)]
            self._greet()
        except BaseException:
            self.close()
            raise

    # -- workers ------------------------------------------------------------------------------

    def _check_room(self, address: str) -> None:
        """Wait a little for processors: machines of a cluster may still be on their way."""
        wanted, until = self.n_workers * self.n_threads, time.monotonic() + _MACHINES
        if not address:
            until = 0.0
        while (there := self._ray.cluster_resources().get("CPU", 0.0)) < wanted:
            if time.monotonic() > until:
                raise ClusterError(
                    f"{self.n_workers} workers with {self.n_threads} thread(s) each need {wanted} "
                    f"processors, and the cluster has {there:g}. Take fewer workers, or add "
                    "machines (ray start --address=HOST:PORT on each)."
                )
            time.sleep(1.0)

    def _hire(self) -> _Hand:
        actor = self._class.remote(self._assignment)
        return _Hand(actor, actor.about.remote(), time.monotonic())

    def _greet(self) -> None:
        """Wait until all workers have started."""
        until = time.monotonic() + _START
        while any(not hand.idle for hand in self._hands):
            if time.monotonic() > until:
                late = sum(not hand.idle for hand in self._hands)
                raise ClusterError(
                    f"{late} of {self.n_workers} workers did not start within {_START:g} s. Has "
                    "the cluster that many processors free (ray status)?"
                )
            self._listen({})

    def _replace(self, hand: _Hand) -> None:
        self._ray.kill(hand.actor, no_restart=True)
        self._hands[self._hands.index(hand)] = self._hire()
        self.replaced += 1

    @property
    def processes(self) -> list[int]:
        """Numbers of the workers' processes, on the machine of each; 0 of one that starts."""
        return [hand.process for hand in self._hands]

    # -- rollouts -----------------------------------------------------------------------------

    def collect(self, policy: Policy, observation: NDArray[np.float32], white: Tensor) -> Fragment:
        """Have all fragments made; the environments here are then where they end."""
        state, numbers = self.env.state_arrays(), white.numpy()
        self._weights = self._ray.put(weights_of(policy))
        self._pieces = [
            Piece(parts.part(state, rows), observation[rows], numbers[:, rows])
            for rows in self._rows
        ]
        queue = deque(range(self.n_workers))
        done: dict[int, Any] = {}
        allowed = self.replaced + _LOSSES * self.n_workers
        while len(done) < self.n_workers:
            self._hand_out(queue)
            queue.extend(self._listen(done))
            queue.extend(self._give_up())
            if self.replaced > allowed:
                raise ClusterError(
                    f"{self.replaced - allowed + _LOSSES * self.n_workers} workers were lost in "
                    "one rollout. If they run out of memory, take fewer environments; Ray's logs "
                    "(session_latest/logs in its temporary folder) say more."
                )
        made = [done[number] for number in range(self.n_workers)]
        self.env.set_state_arrays(parts.together([state for _, state, _ in made]))
        for _, _, tally in made:
            self.env.starts.add(tally)
        return join([fragment for fragment, _, _ in made])

    def _hand_out(self, queue: deque[int]) -> None:
        """Give pieces to workers that have none."""
        for hand in self._hands:
            if hand.idle and queue:
                hand.piece, hand.since = queue.popleft(), time.monotonic()
                hand.reference = hand.actor.make.remote(self._weights, self._pieces[hand.piece])

    def _listen(self, done: dict[int, Any]) -> list[int]:
        """Take in what workers have to say; returns the pieces of those that died."""
        busy = {hand.reference: hand for hand in self._hands if not hand.idle}
        ready, _ = self._ray.wait(list(busy), num_returns=1, timeout=1.0)
        lost = []
        for reference in ready:
            hand, errors = busy[reference], self._ray.exceptions
            try:
                said = self._ray.get(reference)
            except errors.RayTaskError as error:
                # What its program raised is not the loss of a worker.
                raise error.cause if isinstance(error.cause, Exception) else error from error
            except errors.RayError as error:
                if hand.piece is None and "creation" in str(error):
                    text = " ".join(str(error).split())
                    raise ClusterError(f"A worker cannot start: {text}") from error
                if hand.piece is not None:
                    lost.append(hand.piece)
                self._replace(hand)
                continue
            if hand.piece is None:
                theirs, where, hand.process = said
                check_versions(versions(), theirs, where)
            else:
                done[hand.piece] = said
                self._slowest = max(self._slowest, time.monotonic() - hand.since)
            hand.reference = hand.piece = None
        return lost

    def _give_up(self) -> list[int]:
        """Replace workers that have been silent for too long; returns their pieces."""
        limit = max(self.patience, _TIMES * self._slowest) if self._slowest else _START
        now, lost = time.monotonic(), []
        for hand in list(self._hands):
            if not hand.idle and now - hand.since > (limit if hand.piece is not None else _START):
                if hand.piece is not None:
                    lost.append(hand.piece)
                self._replace(hand)
        return lost

    def report(self) -> dict[str, float]:
        """How many workers have been replaced."""
        return {"workers_replaced": self.replaced}

    def close(self) -> None:
        """Dismiss the workers, and leave a cluster that was joined or started here."""
        for hand in self._hands:
            self._ray.kill(hand.actor, no_restart=True)
        self._hands = []
        if self._own:
            self._ray.shutdown()
        super().close()
