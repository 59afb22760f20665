"""What a reader must know about a protocol: doses beyond the usual, levels beyond nature, what is not validated."""

import jax.numpy as jnp
import numpy as np

from remodel.agents import AGENTS
from remodel.hormones import hormone_signals
from remodel.natural_history import estradiol_scale, normal_igf1
from remodel.parameters import Parameters
from remodel.person import DAYS_PER_YEAR, Person, age_on
from remodel.treatment import Protocol, Treatment

HIGHEST = {
    "female": {"estradiol": 200.0, "testosterone": 70.0},
    "male": {"estradiol": 50.0, "testosterone": 1000.0},
}
"""Upper end of what healthy people have, for women the mean of a cycle: estradiol [pg/ml], testosterone [ng/dl].
Assumed, after usual reference ranges."""
HIGHEST_IGF1_RATIO = 2.0
"""IGF-1 relative to the usual one of the age that healthy people reach [-]. Assumed, about two standard deviations."""
STRETCH = 2.0
"""Scaling of the natural estradiol beyond which a laboratory value hardly fits the age at menopause [-]. Assumed."""

_ABOUT_AGENTS = {
    "progesterone": "progesterone changes no bone here: progesterone alone did not keep bone after menopause.",
    "medroxyprogesterone": "medroxyprogesterone changes no bone here by default, as progesterone.",
    "gonadorelin": "no measurement of bone exists for gonadorelin; injections do nothing here, pulses a little.",
    "sermorelin": "its rise of IGF-1 is assumed, and what bone makes of it; bone data of secretagogues are of rats.",
    "cjc-1295": "IGF-1 is known, bone is not: bone data of secretagogues are of rats.",
    "ipamorelin": "its rise of IGF-1 in people is assumed; that it widens bone was seen in rats only.",
    "tesamorelin": "IGF-1 is known, bone is not: bone data of secretagogues are of rats; it can raise blood sugar.",
    "risedronate": "its strength relative to alendronate is derived from markers, not fitted.",
    "ibandronate": "its strength relative to alendronate is derived from bone density, not fitted.",
    "gnrh-agonist": "the flare of the first two weeks and a slow recovery after the end are left out.",
}
_MALE_HORMONES = {
    "testosterone-gel",
    "testosterone-cypionate",
    "testosterone-undecanoate",
    "anastrozole",
    "gnrh-agonist",
}


def remarks(protocol: Protocol, person: Person) -> tuple[str, ...]:
    """Return what must be said about a protocol for a person, a sentence or two each; none may be due.

    Not for use inside compiled code: numbers must be known.

    Args:
        protocol: What is given.
        person: Who gets it.
    """
    said = [text for part in protocol for text in _about(part)]
    agents = {part.agent for part in protocol}
    if person.sex == "male" and agents & _MALE_HORMONES:
        said.append(
            "not validated: the model is known to under-predict testosterone therapy and aromatase inhibitors in "
            "men, and to over-predict castration."
        )
    if person.sex == "female" and any(name.startswith("testosterone") for name in agents):
        said.append(
            "not validated: testosterone in women acts on bone here only through the estradiol made from it."
        )
    if person.sex == "male" and any(_raises_estradiol(name) for name in agents):
        said.append("not validated: estrogens in men; that they suppress the testes is left out.")
    if float(person.nutrition) != 1.0:
        said.append(
            "not validated: `nutrition` has no quantitative human datum behind it; 1 is the reference."
        )
    if person.estradiol is not None and not 1.0 / STRETCH <= float(estradiol_scale(person)) <= STRETCH:
        said.append(
            f"`estradiol` of {float(person.estradiol):g} pg/ml scales the natural curve of all ages by "
            f"{float(estradiol_scale(person)):.2g}; check the age at menopause first."
        )
    said.extend(_unnatural_levels(protocol, person))
    return tuple(dict.fromkeys(said))


def _about(part: Treatment) -> list[str]:
    known = AGENTS[part.agent]
    said = []
    dose, low, high = float(part.dose), *known.usual
    if dose > high:
        said.append(
            f"{part.agent}: {dose:g} {known.unit} is above the usual {low:g} to {high:g} {known.unit}."
        )
    if part.agent in _ABOUT_AGENTS:
        said.append(f"{part.agent}: {_ABOUT_AGENTS[part.agent]}")
    return said


def _raises_estradiol(agent: str) -> bool:
    return "estradiol" in AGENTS[agent].levels


def _unnatural_levels(protocol: Protocol, person: Person) -> list[str]:
    """Return which hormones exceed what healthy people have, in the first year of any treatment."""
    days = _days_under_treatment(protocol)
    # What needs an integration is no hormone.
    hormonal = tuple(part for part in protocol if part.agent != "denosumab")
    signals = hormone_signals(person, hormonal, jnp.asarray(days), Parameters())
    said = []
    for name, unit in (("estradiol", "pg/ml"), ("testosterone", "ng/dl")):
        reached, limit = float(jnp.max(getattr(signals, name))), HIGHEST[person.sex][name]
        if reached > limit:
            said.append(
                f"supraphysiologic: {name} reaches {reached:.0f} {unit}; healthy people have up to {limit:g}. "
                "Not validated."
            )
    highest = HIGHEST_IGF1_RATIO * normal_igf1(age_on(person, jnp.asarray(days)))
    if bool(jnp.any(signals.igf1 > highest)):
        said.append(
            f"supraphysiologic: IGF-1 reaches {float(jnp.max(signals.igf1)):.0f} ng/ml, more than twice the "
            "usual at that age. Not validated."
        )
    return said


def _days_under_treatment(protocol: Protocol) -> np.ndarray:
    """Return the scan and every day of the first year of each treatment, rising [day]."""
    days = {0.0}
    for part in protocol:
        start = float(part.start_day)
        stop = min(float(part.stop_day), start + DAYS_PER_YEAR)
        days.update(np.arange(start, stop + 0.5, 1.0).tolist())
    return np.array(sorted(days))
