"""The hormones and drugs that a treatment can name: unit, doses, where each acts, how well that is known.

Each agent adds to named levels, linearly in its dose, so that the same agent given twice adds up; what
saturates is in `axes.py` and in the laws of bone. Doses are masses, mg or µg, never volumes or biological units.
"""

from remodel.agent import Agent
from remodel.drug_agents import DRUGS
from remodel.hormone_agents import HORMONES

AGENTS: dict[str, Agent] = HORMONES | DRUGS
"""All agents by name."""
