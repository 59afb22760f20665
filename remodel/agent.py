"""What an agent is that a treatment can name: a hormone or drug, its doses, and the levels it adds to."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from remodel.agent_levels import Level

Unit = Literal["mg", "µg"]
Status = Literal["established", "direction known, size fitted", "assumed"]


class Agent(NamedTuple):
    """A hormone or drug."""

    about: str
    """What it is and how it is taken."""
    unit: Unit
    """Unit of a dose."""
    usual: tuple[float, float]
    """Usual doses, each [unit]."""
    highest: float
    """Highest dose that is accepted, each [unit]."""
    interval: float
    """Usual time between doses [day]."""
    intervals: tuple[float, float]
    """Shortest and longest time between doses that is accepted [day]."""
    levels: Mapping[str, Level]
    """The levels it adds to (names of `LEVELS`)."""
    acts_on: str
    """The one place where it acts on bone."""
    status: Status
    """How well that action is known in people."""
    source: str
    """Of its kinetics and size."""


LEVELS = {
    "estradiol": "estradiol in serum [pg/ml]",
    "oral_estrogen": "estrogen that passes the liver first [mg/day of oral estradiol]",
    "progesterone": "progesterone in serum [ng/ml]",
    "progestogen": "what a synthetic progestogen is worth as progesterone [ng/ml]",
    "testosterone": "testosterone in serum [ng/dl]",
    "anastrozole": "anastrozole [mg/day]",
    "gonadorelin_pulses": "gonadorelin in pulses that keep LH up [-]",
    "castration": "LH switched off [-]",
    "sermorelin": "sermorelin relative to 0.3 mg/day [-]",
    "cjc-1295": "CJC-1295 relative to 30 µg/kg a week, mean [-]",
    "ipamorelin": "ipamorelin relative to 250 µg/day [-]",
    "tesamorelin": "tesamorelin relative to 2 mg/day [-]",
    "growth_hormone": "growth hormone [mg/day]",
    "glucocorticoid": "glucocorticoid [mg/day of prednisone]",
    "bisphosphonate": "uptake by bone surfaces [1/day]",
    "denosumab": "denosumab in serum [ng/ml]; integrated, not a sum",
    "raloxifene": "raloxifene relative to 60 mg/day [-]",
    "romosozumab": "romosozumab in serum [µg/ml]",
    "teriparatide": "teriparatide relative to 20 µg/day [-]",
    "calcium": "calcium [mg/day]",
    "vitamin_d": "25-hydroxyvitamin D in serum [ng/ml]",
}
"""What agents can add to, with its unit."""
