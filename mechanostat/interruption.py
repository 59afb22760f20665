"""Ctrl-C that is never lost.

Some libraries catch every exception in places, also the KeyboardInterrupt that happens to strike there. So
it is remembered, and raised again at the next step that is told.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_pressed = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt at once, and once more at the next `check_interruption`.

    Where Ctrl-C is ignored, as under `nohup`, or outside the main thread, nothing changes.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return

    def press(*_) -> None:
        _pressed.set()
        raise KeyboardInterrupt

    _pressed.clear()
    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _pressed.clear()


def check_interruption() -> None:
    """Raise the KeyboardInterrupt that a library has swallowed.

    Raises:
        KeyboardInterrupt: If Ctrl-C was pressed within `interruptible`.
    """
    if _pressed.is_set():
        raise KeyboardInterrupt
