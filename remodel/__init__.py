"""Biology over time: from strain and hormones to density."""

from remodel.activity import ActivityPlan as ActivityPlan
from remodel.activity import habitual_life as habitual_life
from remodel.activity import with_bed_rest as with_bed_rest
from remodel.activity import with_training as with_training
from remodel.agents import AGENTS as AGENTS
from remodel.checkpoint import load_checkpoint as load_checkpoint
from remodel.checkpoint import save_checkpoint as save_checkpoint
from remodel.hormones import hormone_signals as hormone_signals
from remodel.loop import advance as advance
from remodel.loop import observe as observe
from remodel.model import Model as Model
from remodel.model import Settings as Settings
from remodel.model import State as State
from remodel.parameters import Parameters as Parameters
from remodel.person import Person as Person
from remodel.preparation import HabitualLoad as HabitualLoad
from remodel.preparation import prepare as prepare
from remodel.simulation import Trajectory as Trajectory
from remodel.simulation import reports as reports
from remodel.simulation import run as run
from remodel.treatment import Protocol as Protocol
from remodel.treatment import Treatment as Treatment
from remodel.treatment import treatment as treatment
