"""Runs the tests of a configuration, each in a world and on a clock of its own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gateway.config.config import Config
from gateway.config.document import Place
from gateway.config.problems import Path
from gateway.config.route_tests import FaultSpec, RouteTest, TestStep
from gateway.model.json import JsonValue
from gateway.routetests.clock import VirtualLoop
from gateway.routetests.desks import as_tested
from gateway.routetests.expect import Mismatch, everything, mismatches
from gateway.routetests.record import Happening, What
from gateway.routetests.sends import with_fields
from gateway.routetests.world import World
from gateway.ruleset import UNROUTED, Ruleset, build_ruleset

_KEY = b"message ids of tests need no secret of anybody"


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that did not go as it should.

    ``path`` leads to what is wrong from the root of the file, ``place`` is there. ``since`` is what happened after the last
    expectation. ``true`` is what the file would have to say; None where no other expectation would help.
    """

    path: Path
    place: Place
    step: int
    after: float
    expected: str
    happened: str
    since: tuple[Happening, ...]
    true: JsonValue = None
    mendable: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How one test went. ``place`` is its name's in the file; ``seconds`` are real ones."""

    index: int
    name: str
    place: Place
    failures: tuple[Failure, ...]
    happened: tuple[Happening, ...]
    seconds: float

    @property
    def well(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


@dataclass(slots=True)
class _Run:
    """One test while it runs."""

    config: Config
    world: World
    index: int
    at: int = 0
    mark: int = 0
    failures: list[Failure] = field(default_factory=list)

    async def through(self, test: RouteTest) -> None:
        """All steps."""
        await self.world.start()
        try:
            for self.at, step in enumerate(test.steps):
                await self.step(self.at, step)
        finally:
            await self.world.stop()

    async def step(self, number: int, step: TestStep) -> None:
        """One step."""
        await self.world.pass_time(step.at, due=step.send is None and not step.agent)
        if step.fault is not None:
            self._break(step)
        for name, action in (step.agent or {}).items():
            if not self.world.act(name, action):
                path: Path = ("agent", name)
                self.failures.append(
                    self.failure(path, number, step, f"a ticket to {action}", "there is none, or it cannot be done", ())
                )
        for instant, send in step.sends():
            await self.world.pass_time(instant, due=False)
            before = len(self.world.happened)
            await self.world.send(send)
            self._faults(number, step, before, "send")
        if step.expect is not None:
            before = len(self.world.happened)
            await self.world.pass_time(step.ends, due=True)
            self._faults(number, step, before, "expect")
            await self._expect(number, step)

    def _break(self, step: TestStep) -> None:
        wanted = step.fault if isinstance(step.fault, dict) else dict.fromkeys(self.world.desks, "clear")
        for name, given in wanted.items():
            listed = given if isinstance(given, list) else [given]
            specs = [one if isinstance(one, FaultSpec) else FaultSpec(fault=one) for one in listed]
            faults = [one.as_fault() for one in specs if one.fault not in {"down", "clear"}]
            self.world.desks[name].fault(faults, down=any(one.fault == "down" for one in specs))

    def _faults(self, number: int, step: TestStep, before: int, key: str) -> None:
        """What fails in our own code, or cannot be read, fails the step."""
        for one in self.world.happened[before:]:
            if one.what is What.FAULT:
                self.failures.append(self.failure((key,), number, step, "no fault", one.text, ()))

    async def _expect(self, number: int, step: TestStep) -> None:
        assert step.expect is not None
        standing = await self.world.standing()
        since = tuple(self.world.happened[self.mark :])
        self.mark = len(self.world.happened)
        if not step.expect.given:
            true = everything(since, standing)
            told = "an expectation that says something; --update fills it in"
            self.failures.append(self.failure(("expect",), number, step, told, "nothing is written", since, true))
        for wrong in mismatches(step.expect, since, standing):
            self.failures.append(self._wrong(wrong, number, step, since))

    def _wrong(self, wrong: Mismatch, number: int, step: TestStep, since: tuple[Happening, ...]) -> Failure:
        return self.failure(wrong.path, number, step, wrong.expected, wrong.happened, since, wrong.true, mendable=True)

    def failure(
        self,
        inside: Path,
        number: int,
        step: TestStep,
        expected: str,
        happened: str,
        since: tuple[Happening, ...],
        true: JsonValue = None,
        *,
        mendable: bool = False,
    ) -> Failure:
        """A failure of a step; ``inside`` leads from the step to what is wrong."""
        path: Path = ("tests", self.index, "steps", number, *inside)
        place = self.config.places.at(path).place
        mends = mendable or true is not None
        return Failure(path, place, number, step.ends, expected, happened, since, true, mends)


def tested_rules(config: Config) -> Ruleset:
    """The rules of a configuration as its tests use them; nothing of them changes while tests run.

    Raises:
        gateway.routing.router.RuleErrors, gateway.rendering.compile.TemplateErrors: as `gateway.ruleset.build_ruleset`.
    """
    rules = build_ruleset(as_tested(config), (_KEY,))
    return replace(rules, kinds={name: with_fields(kind) for name, kind in rules.kinds.items()})


def run_test(rules: Ruleset, index: int) -> Result:
    """Run one test of the configuration of these rules."""
    config = rules.config
    test = config.tests[index]
    began = time.perf_counter()
    loop = VirtualLoop(test.begins)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        run = runner.run(_through(config, rules, loop, index, test))
    return Result(
        index=index,
        name=test.name,
        place=config.places.at(("tests", index, "name")).place,
        failures=tuple(run.failures),
        happened=tuple(run.world.happened),
        seconds=time.perf_counter() - began,
    )


async def _through(config: Config, rules: Ruleset, loop: VirtualLoop, index: int, test: RouteTest) -> _Run:
    run = _Run(config, World(rules, loop), index)
    try:
        await run.through(test)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this test's failure, and the others go on
        told = f"the gateway of this test failed: {type(error).__name__}: {error}"
        run.failures.append(run.failure((), run.at, test.steps[run.at], "no fault", told, ()))
    return run


def run_tests(config: Config, chosen: Sequence[int], told: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Run some of the tests of a configuration; ``told`` hears of each as it ends."""
    rules = tested_rules(config)
    results: list[Result] = []
    for index in chosen:
        result = run_test(rules, index)
        told(result)
        results.append(result)
    return results


def not_reached(config: Config, results: Sequence[Result]) -> list[str]:
    """The routes that took nothing in any of these tests."""
    reached = {name for result in results for one in result.happened for name in one.reached}
    names = [route.name for route in config.routes]
    if config.unrouted.ticket is not None:
        names.append(UNROUTED)
    return [name for name in names if name not in reached]
