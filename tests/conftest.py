"""Settings of every test: what is slow on a busy machine is not wrong."""

from hypothesis import settings

settings.register_profile("headwater", deadline=None)
settings.load_profile("headwater")
