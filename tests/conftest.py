"""Settings of all tests."""

from hypothesis import settings

# A test says what is right, not how fast it is: the machine may be busy.
settings.register_profile("nepfield", deadline=None)
settings.load_profile("nepfield")
