"""Settings of all tests."""

import contextlib
import os
import signal

from hypothesis import settings

from nepfield.space import pardiso

# A test says what is right, not how fast it is: the machine may be busy.
settings.register_profile("nepfield", deadline=None)
settings.load_profile("nepfield")

# Where the suite was started in the background Ctrl-C is ignored, also by what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)

# Factors are SuperLU's, as where PARDISO is not installed; `test_pardiso` has both.
pardiso._library = lambda: None

# A hundred commands are started: without their bytecode each of them compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
