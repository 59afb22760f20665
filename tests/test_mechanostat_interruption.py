"""Laws of Ctrl-C: it strikes at once, and again where a library has swallowed it."""

import contextlib
import signal

import pytest

from mechanostat.console import Reporter
from mechanostat.interruption import check_interruption, interruptible


@pytest.fixture(autouse=True)
def usual():
    """Ctrl-C as Python takes it, whatever this process was started from."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallow_and_go_on() -> None:
    """Do what a run does when a library catches everything."""
    with interruptible(), Reporter(quiet=True).stage("x", 3) as stage:
        stage.advance()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        stage.advance()


def test_a_swallowed_interruption_strikes_again_at_the_next_step():
    with pytest.raises(KeyboardInterrupt):
        swallow_and_go_on()
    check_interruption()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_ctrl_c_is_ignored_it_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGINT)
        check_interruption()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
