"""waiting.py - waiting for a condition, with a limit; never a sleep for luck."""

import os
import time

# On a machine under load, or with a build that checks itself, every limit is so many times longer.
PATIENCE = float(os.environ.get("POOLD_TEST_PATIENCE", "1"))
LIMIT = 10.0
PAUSE = 0.005


class Late(AssertionError):
    """Something did not happen in time."""


def wait_until(condition, limit=LIMIT, what="", pause=PAUSE):
    """Calls condition until it returns something true, and returns that."""
    deadline = time.monotonic() + limit * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Late(f"waited {limit * PATIENCE:g} s for {what or condition.__name__}")
        time.sleep(pause)


def holds_for(condition, span, what=""):
    """The opposite: condition must be true all along. Only for what must not happen."""
    deadline = time.monotonic() + span
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(f"did not hold for {span:g} s: {what or condition.__name__}")
        time.sleep(PAUSE)
