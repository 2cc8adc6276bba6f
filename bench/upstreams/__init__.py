"""Repositories to sync from: seeded generators, copies of real suites, and a server on loopback."""
