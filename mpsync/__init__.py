"""mpsync syncs huge Debian and RPM repositories."""

__version__ = "0.1.0"
