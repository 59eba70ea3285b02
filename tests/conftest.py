"""For every test: properties are not timed. Machines are shared and noisy; speed is judged by `make bench`."""

from hypothesis import settings

settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")
