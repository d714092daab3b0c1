"""trio-gcs: Ray's Global Control Service, written anew in Python on Trio."""

__version__ = "0.1.0"
