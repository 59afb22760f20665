"""The arms of many trials as few batches: persons of one sex with the same slots for treatments and activities.

A compiled program is made for each batch, so the trials are made alike first: who has no laboratory value gets the
natural one, an arm without some treatment gets it at a dose of zero, and an arm without activity a window in which
nothing changes. Years from 30 to day 0 are computed once for the persons of a trial and shared by its arms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mechanostat.trial_file import trial_of
from mechanostat.trial_tables import Trial
from remodel.activity import ActivityPlan, habitual_life
from remodel.agents import AGENTS
from remodel.natural_history import natural_estradiol, natural_igf1, natural_testosterone
from remodel.parameters import Parameters
from remodel.person import Person, body_weight
from remodel.population import draw_persons
from remodel.skeleton import DayZero, PersonCourse, day_zero, follow_from
from remodel.treatment import Protocol, Treatment

LENGTHS = (60, 150, 720)
"""Batches are as long as the first of these that is enough [month]: fewer programs for some idle months."""

INTEGRATED = "denosumab"
"""The agent whose level is integrated, which costs time: its arms are a batch of their own."""


class History(eqx.Module):
    """The persons of all trials of one sex."""

    persons: Person
    """With an axis of persons."""
    before: Protocol
    """Treatments that began before day 0, every number with an axis of persons."""


class Batch(eqx.Module):
    """Arms that are followed together; a lane is a person of an arm."""

    sex: str = eqx.field(static=True)
    months: int = eqx.field(static=True)
    """How long all are followed."""
    row: Int[np.ndarray, " lanes"]
    """Person of each lane, in the history of the sex."""
    protocol: Protocol
    """All treatments, every number with an axis of lanes."""
    plan: ActivityPlan
    """Activities, every number with an axis of lanes."""
    rests: Bool[np.ndarray, "lanes windows"]
    """Windows whose strain is the law's own of bed rest."""


class Place(NamedTuple):
    """Where an arm is."""

    batch: int
    """Number of its batch."""
    first: int
    """Its first lane; its other persons follow."""
    persons: int


class Courses(eqx.Module):
    """What has to be computed for all trials; leaves are arrays."""

    histories: dict[str, History]
    """By sex."""
    batches: tuple[Batch, ...]


class _Lane(NamedTuple):
    """An arm on its way into a batch."""

    key: tuple[str, str]
    """Trial and arm."""
    sex: str
    row: int
    """First of its persons in the history of the sex."""
    persons: int
    months: int
    protocol: Protocol
    plan: ActivityPlan
    rests: tuple[bool, ...]


def prepare_courses(
    trials: Mapping[str, Trial], months: Mapping[str, int]
) -> tuple[Courses, dict[tuple[str, str], Place]]:
    """Return what has to be computed for some trials, and where each of their arms is, by trial and arm.

    Args:
        trials: By name.
        months: How long each is followed, by name.
    """
    lanes: list[_Lane] = []
    drawn: dict[str, list[Person]] = {}
    before: dict[str, list[tuple[int, Protocol]]] = {}
    for name, table in trials.items():
        record = trial_of(table)
        sex, count = record.population.sex, record.population.persons
        row = sum(np.size(people.age) for people in drawn.setdefault(sex, []))
        drawn[sex].append(jax.vmap(with_natural_levels)(draw_persons(record.population)))
        before.setdefault(sex, []).append((count, record.population.before))
        for arm, arm_table in zip(record.arms, table.arms, strict=True):
            rests = tuple(a.kind == "bed_rest" and a.load_factor is None for a in arm_table.activity)
            protocol = (*record.population.before, *arm.protocol)
            lanes.append(_Lane((name, arm.name), sex, row, count, months[name], protocol, arm.plan, rests))
    histories = {sex: _history(people, before[sex]) for sex, people in drawn.items()}
    batches, places = [], {}
    for (sex, length, _), members in _grouped(lanes).items():
        first = 0
        for lane in members:
            places[lane.key] = Place(len(batches), first, lane.persons)
            first += lane.persons
        batches.append(_batch(sex, min(length, max(lane.months for lane in members)), members))
    return Courses(histories, tuple(batches)), places


def follow(courses: Courses, parameters: Parameters) -> tuple[tuple[Person, PersonCourse], ...]:
    """Return the persons and the course of each batch, with an axis of lanes.

    Args:
        courses: By `prepare_courses`.
        parameters: The law's numbers.
    """
    law = jax.tree.map(lambda number: jnp.asarray(number, dtype=float), parameters)
    zero: dict[str, DayZero] = {
        sex: jax.vmap(day_zero, (0, 0, None))(history.persons, history.before, law)
        for sex, history in courses.histories.items()
    }
    followed = []
    for batch in courses.batches:
        persons, start = jax.tree.map(
            lambda leaf, row=batch.row: leaf[row], (courses.histories[batch.sex].persons, zero[batch.sex])
        )
        scale = jnp.where(batch.rests, law.bed_rest_load, batch.plan.habitual_scale)
        plan = eqx.tree_at(lambda p: p.habitual_scale, batch.plan, scale)

        def one(start, person, protocol, plan, months=batch.months):
            return follow_from(start, person, protocol, plan, law, months=months)

        followed.append((persons, jax.vmap(one)(start, persons, batch.protocol, plan)))
    return tuple(followed)


def with_natural_levels(person: Person) -> Person:
    """Return a person all of whose levels and weight are given: those that were not, as nature has them.

    Args:
        person: One person; many are a map.
    """
    age = jnp.asarray(person.age, dtype=float)
    return replace(
        person,
        weight=jnp.asarray(body_weight(person), dtype=float),
        testosterone=natural_testosterone(person, age),
        igf1=natural_igf1(person, age),
        estradiol=natural_estradiol(person, age) if person.estradiol is None else person.estradiol,
    )


def _grouped(lanes: Iterable[_Lane]) -> dict[tuple[str, int, bool], list[_Lane]]:
    """Return the lanes that can be followed together."""
    groups: dict[tuple[str, int, bool], list[_Lane]] = {}
    for lane in lanes:
        length = next(length for length in LENGTHS if lane.months <= length)
        integrated = any(part.agent == INTEGRATED for part in lane.protocol)
        groups.setdefault((lane.sex, LENGTHS[-1] if integrated else length, integrated), []).append(lane)
    return groups


def _history(people: Sequence[Person], before: Sequence[tuple[int, Protocol]]) -> History:
    persons = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *people)
    counts = [count for count, _ in before]
    return History(persons, _stacked_protocols([protocol for _, protocol in before], counts))


def _batch(sex: str, months: int, lanes: Sequence[_Lane]) -> Batch:
    counts = [lane.persons for lane in lanes]
    windows = max(len(lane.rests) for lane in lanes)
    plans = [_with_idle_windows(lane.plan, windows) for lane in lanes]
    rests = [lane.rests + (False,) * (windows - len(lane.rests)) for lane in lanes]
    return Batch(
        sex,
        months,
        np.concatenate([np.arange(lane.row, lane.row + lane.persons) for lane in lanes]),
        _stacked_protocols([lane.protocol for lane in lanes], counts),
        jax.tree.map(lambda *leaves: _repeated(leaves, counts), *plans),
        np.repeat(np.asarray(rests, bool).reshape(len(lanes), windows), counts, axis=0),
    )


def _stacked_protocols(protocols: Sequence[Protocol], counts: Sequence[int]) -> Protocol:
    """Return protocols as one, whose slots serve all of them; a slot that one leaves empty is a dose of zero."""
    most: dict[str, int] = {}
    for protocol in protocols:
        for part in protocol:
            most[part.agent] = max(most.get(part.agent, 0), sum(p.agent == part.agent for p in protocol))
    filled = []
    for protocol in protocols:
        slots: list[Treatment] = []
        for agent, number in most.items():
            own = [part for part in protocol if part.agent == agent]
            empty = Treatment(agent, 0.0, AGENTS[agent].interval, 0.0, 1.0)
            slots += [*own, *[empty] * (number - len(own))]
        filled.append(tuple(slots))
    return jax.tree.map(lambda *leaves: _repeated(leaves, counts), *filled)


def _with_idle_windows(plan: ActivityPlan, windows: int) -> ActivityPlan:
    """Return a plan with some more windows, in which habitual life goes on."""
    missing = windows - plan.start_day.shape[0]
    none, one = jnp.zeros(missing), jnp.ones(missing)
    idle = eqx.tree_at(
        lambda p: (p.start_day, p.stop_day, p.bouts, p.cycles, p.load, p.habitual_scale),
        habitual_life(1),
        (none, one, none, none, jnp.ones((missing, 1)), one),
    )
    fields = ("start_day", "stop_day", "bouts", "cycles", "load", "habitual_scale")
    joined = tuple(jnp.concatenate([getattr(plan, name), getattr(idle, name)]) for name in fields)
    return eqx.tree_at(lambda p: tuple(getattr(p, name) for name in fields), plan, joined)


def _repeated(leaves: Sequence[Any], counts: Sequence[int]) -> Float[Array, "lanes ..."]:
    """Return numbers of arms as numbers of their persons."""
    stacked = np.stack([np.asarray(leaf, dtype=float) for leaf in leaves])
    return jnp.asarray(np.repeat(stacked, counts, axis=0))
