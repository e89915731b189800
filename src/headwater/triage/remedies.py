"""Choose what to do about a verdict: every act that applies, its measured gain, and the best that nothing forbids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headwater.core.records import Action, Option, Remedy
from headwater.triage.acts import hold, undoing, windows_of
from headwater.triage.case import Case
from headwater.triage.payoffs import AS_IT_IS, Payoffs
from headwater.triage.posterior import Posterior
from headwater.triage.retraining import retrained
from headwater.triage.suspects import Weighed
from headwater.triage.vetoes import failing, percent, retraining, unfit, worse

AUTOMATIC = 0.9
"""A remedy may run by itself only above this confidence, and only when it is reversible."""
LIKELY = 0.5
"""No act against an asset is chosen whose fault is less probable than this."""
CONSIDERED, FEWEST = 3, 0.02
"""How many suspects' acts are weighed, and how probable their fault must be."""
_COSTLY = (
    "By its replay the decisions made with the fault cost less than the repaired ones: see whether the decision rule "
    "is where the cost is lowest."
)
_ORDER = ("rollback_model", "rollback_code", "repair", "retrain", "hold", "none")
"""Of acts that gain the same, the one that comes first: what undoes a cause before what waits."""
DISPLACEMENT = "displacement"
"""The measure of utility where money cannot tell: how much nearer predictions come to what they should be."""


@dataclass(frozen=True)
class Beliefs:
    """What is believed when a remedy is chosen.

    Attributes:
        suspects: The suspects with their probabilities, heaviest first.
        posterior: What else can have happened.
    """

    suspects: Sequence[tuple[Weighed, float]]
    posterior: Posterior

    @property
    def failed(self) -> float:
        """The probability that some asset failed."""
        told = self.posterior
        return min(1.0, max(0.0, 1.0 - told.world - told.nothing - told.unseen))

    def chance(self, suspect: Weighed) -> float:
        """The probability that a suspect failed."""
        return next(chance for item, chance in self.suspects if item is suspect)

    def considered(self, culprit: Weighed | None) -> list[tuple[Weighed, float]]:
        """The suspects whose acts are weighed: the culprit first."""
        likely = [
            (item, chance) for item, chance in self.suspects
            if item is not culprit and not item.exonerated and chance >= FEWEST
        ]  # fmt: skip
        first = [(item, chance) for item, chance in self.suspects if item is culprit]
        return (first + sorted(likely, key=lambda pair: -pair[1]))[:CONSIDERED]


def choose(case: Case, culprit: Weighed, beliefs: Beliefs) -> Remedy:
    """Choose the remedy for a named asset.

    Code is rolled back to its last accepted version and its windows are backfilled; a model or its parts are rolled
    back to what was approved; a source with an invertible signature is repaired and backfilled; anything else is
    held: its windows are kept out of training until the source is delivered again. Each act's gain is measured by the
    replay that simulates exactly it, under each cause that may be true, and weighed by how probable that cause is.

    Utility is in the business metric where that shows a gain (its interval lies above zero), else in how much nearer
    predictions and labels come to what they should be: a fault that happens to save money for a week is still one, but
    what costs money by its replay is never done by itself. An act is vetoed when labels show that it makes predictions
    worse, when its fault is less probable than not, when a predecessor cannot serve, when what it makes does not pass
    downstream. Retraining is never the remedy for an asset that failed.

    Args:
        case: The case.
        culprit: The suspect that is named.
        beliefs: All suspects and what else can have happened.
    """
    weighing = _Weighing(case, beliefs, beliefs.considered(culprit))
    acts = [undoing(case, item, windows_of(case, item)) for item, _ in weighing.considered]
    options = weighing.options(acts)
    if acts[0].action != "hold":
        acts.append(hold(case, culprit, windows_of(case, culprit)))
        options.append(_idle("hold", acts[-1].target, beliefs.failed, weighing.measure))
    options += [
        _idle("retrain", _trained(case), beliefs.posterior.world, weighing.measure, retraining(beliefs.failed)),
        _idle("none", culprit.subject(case), beliefs.posterior.nothing, weighing.measure, _needless(beliefs)),
    ]
    best = _best(options)
    chosen = acts[best] if best < len(acts) else _nothing(culprit.subject(case))
    option = options[best]
    costly = option.gain_high is not None and option.gain_high < 0
    sure = option.probability >= AUTOMATIC and chosen.reversible and not costly
    return replace(
        chosen,
        text=f"{chosen.text} {_COSTLY}" if costly else chosen.text,
        gain=option.gain,
        gain_low=option.gain_low,
        gain_high=option.gain_high,
        automatic=sure and (option.action == "hold" or (option.utility or 0.0) > 0),
        options=tuple(replace(one, chosen=index == best) for index, one in enumerate(options)),
    )


def stand_by(
    action: Literal["retrain", "hold", "none"], target: str, text: str, case: Case, beliefs: Beliefs,
    changed: tuple[str, str] | None = None,
) -> Remedy:  # fmt: skip
    """Say what to do where no asset is named: wait, hold training, or train again if no asset is in question.

    Args:
        action: What the verdict asks for.
        target: What that is about.
        text: What to say.
        case: The case.
        beliefs: What is believed.
        changed: The model for which the world changed, and since when.
    """
    veto = retraining(beliefs.failed)
    if action == "retrain" and veto:
        action = "hold"
    suspected = [(undoing(case, item, windows_of(case, item)), chance) for item, chance in beliefs.considered(None)]
    trained = _idle("retrain", _trained(case) or target, beliefs.posterior.world, DISPLACEMENT, veto)
    parameters: dict[str, str] = {}
    if changed is not None and not veto:
        trained = _measured_anew(case, trained, *changed)
        parameters = {"model": changed[0], "since": changed[1]}
    options = [
        *(Option(action=act.action, target=act.target, probability=_round(chance), veto=_unlikely(chance))
          for act, chance in suspected),
        trained,
        _idle("hold", target, beliefs.failed, DISPLACEMENT),
        _idle("none", target, beliefs.posterior.nothing, DISPLACEMENT),
    ]  # fmt: skip
    best = next(index for index, option in reversed(list(enumerate(options))) if option.action == action)
    marked = tuple(replace(option, chosen=index == best) for index, option in enumerate(options))
    chosen = Remedy(action=action, target=target, text=text, options=marked)
    if action != "retrain":
        return chosen
    return replace(
        chosen,
        target=trained.target,
        parameters=parameters,
        gain=trained.gain,
        gain_low=trained.gain_low,
        gain_high=trained.gain_high,
        text=f"Train on windows up to now, those since {parameters.get('since', case.windows[0])} among them, and let "
        "the gate compare the version with the champion.",
    )


def _measured_anew(case: Case, option: Option, name: str, since: str) -> Option:
    """Say what training again would gain at least, in the windows since the world changed."""
    model = next((item for item in case.models if item.name == name), None)
    found = None if model is None else retrained(case, model, since)
    if model is None or found is None:
        return option
    option = replace(
        option,
        target=case.ref(name).replace("dataset:", "model:"),
        displacement=_round(found.nearer),
        utility=_round(option.probability * found.nearer),
    )
    if found.money is None:
        return option
    return replace(option, gain=found.money, gain_low=found.low, gain_high=found.high, unit=model.unit)


class _Weighing:
    """The acts against the suspects that are considered, measured in one currency."""

    def __init__(self, case: Case, beliefs: Beliefs, considered: Sequence[tuple[Weighed, float]]) -> None:
        self.case, self.beliefs, self.considered = case, beliefs, considered
        self.plans = {item.asset: item.plan for item, _ in considered if item.plan is not None}
        self.payoffs = Payoffs(case, self.plans)
        self.unit = next((model.unit for model in case.models if model.cost is not None), "")
        self.measure = DISPLACEMENT

    def options(self, acts: Sequence[Remedy]) -> list[Option]:
        """Weigh each considered suspect's act, the culprit's first; its money decides the measure."""
        measured = [
            self._measured(item, chance, act) for (item, chance), act in zip(self.considered, acts, strict=True)
        ]
        if measured and _tells(measured[0]):
            self.measure = self.unit
        return [self._useful(option, item) for option, (item, _) in zip(measured, self.considered, strict=True)]

    def _measured(self, item: Weighed, chance: float, act: Remedy) -> Option:
        """Measure what an act gains if its cause is true, and say what forbids it."""
        option = Option(action=act.action, target=act.target, probability=_round(chance), reversible=act.reversible)
        if act.action == "hold":
            culprit = item is self.considered[0][0]  # to wait is always possible
            return replace(option, gain=0.0, unit=self.unit, veto="" if culprit else _unlikely(chance))
        if item.plan is None:
            return replace(option, veto=_unlikely(chance))
        paid = self.payoffs.of(item.asset, item.asset)
        option = replace(option, displacement=_round(paid.moved))
        if paid.money is not None:
            low, high = paid.money - paid.spread, paid.money + paid.spread
            option = replace(option, gain=paid.money, gain_low=low, gain_high=high, unit=self.unit)
        return replace(option, veto=_unlikely(chance) or self._veto(item, act))

    def _veto(self, item: Weighed, act: Remedy) -> str:
        if item.plan is None:
            return ""
        if act.action == "rollback_model" and (reason := unfit(self.case, item.asset, item.plan)):
            return reason
        if act.action == "repair" and "repair" in act.parameters and (
            reason := failing(self.case, item.asset, item.plan)
        ):  # fmt: skip
            return reason
        return worse(self.case, item.plan)

    def _useful(self, option: Option, item: Weighed) -> Option:
        """Weigh what an act gains if its cause is true against what it does if another is."""
        if option.action == "hold" or item.asset not in self.plans:
            return replace(option, utility=0.0 if option.action == "hold" else None, measure=self.measure)
        told = self.beliefs.posterior
        causes = [(other.asset, chance) for other, chance in self.considered
                  if other is not item and other.asset in self.plans]  # fmt: skip
        causes.append((AS_IT_IS, max(1e-9, told.world + told.nothing + told.unseen)))
        whole = sum(chance for _, chance in causes)
        wrong = sum(chance / whole * self._worth(item.asset, cause) for cause, chance in causes)
        right = self._worth(item.asset, item.asset)
        utility = option.probability * right + (1 - option.probability) * wrong
        return replace(option, loss=_round(max(0.0, -wrong)), utility=_round(utility), measure=self.measure)

    def _worth(self, act: str, cause: str) -> float:
        paid = self.payoffs.of(act, cause)
        return paid.moved if self.measure == DISPLACEMENT else paid.money or 0.0


def _tells(option: Option) -> bool:
    """Whether the business metric can tell what an act gains."""
    return option.gain_low is not None and option.gain_low > 0


def _unlikely(chance: float) -> str:
    return f"its fault is less probable ({chance:.0%}) than not" if chance < LIKELY else ""


def _needless(beliefs: Beliefs) -> str:
    return f"an asset failed with a probability of {percent(beliefs.failed)}" if beliefs.failed > LIKELY else ""


def _idle(action: Action, target: str, chance: float, measure: str, veto: str = "") -> Option:
    """An act that changes no decision of the incident's windows; what training anew would gain, no replay tells."""
    gain = None if action == "retrain" else 0.0
    return Option(
        action=action, target=target, probability=_round(chance), gain=gain, utility=gain, measure=measure, veto=veto
    )


def _best(options: Sequence[Option]) -> int:
    allowed = [index for index, option in enumerate(options) if not option.veto]

    def rank(index: int) -> tuple[float, int, int]:
        option = options[index]
        return option.utility or 0.0, -_ORDER.index(option.action), -index

    return max(allowed, key=rank)


def _trained(case: Case) -> str:
    return case.ref(case.models[0].name).replace("dataset:", "model:") if case.models else ""


def _nothing(target: str) -> Remedy:
    return Remedy(action="none", target=target, text="Watch the next windows.")


def _round(value: float) -> float:
    return round(value, 6)
