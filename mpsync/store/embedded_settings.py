"""postgresql.conf of the embedded server, written anew at each start; an operator's own lines go to ``local.conf``.

source  PostgreSQL 18 manual, chapter 19; sizes are for one host with one to a few commands at a time
"""

from __future__ import annotations

import os

_SETTINGS = """\
# Written by mpsync at every start. Put your own settings into local.conf beside this file: they win.
listen_addresses = ''
max_connections = 40
superuser_reserved_connections = 3

# Nothing that was committed is lost in a power cut.
fsync = on
synchronous_commit = on
full_page_writes = on

# One host, no replicas: COPY into a table made in the same transaction needs no WAL.
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
max_wal_size = 2GB
checkpoint_timeout = 15min

# Touched only as it is used, so a small command stays small.
shared_buffers = 128MB
work_mem = 64MB
maintenance_work_mem = 128MB
huge_pages = off
dynamic_shared_memory_type = {dynamic_shared_memory}
jit = off
autovacuum = on

# Recovery says every second how far it is: that is what a waiting command watches.
log_startup_progress_interval = 1s
log_checkpoints = off
log_min_messages = warning
# A failing COPY would write its whole statement, and hostile text, to the log.
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
log_line_prefix = '%m [%p] '

timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso'
lc_messages = 'C'
include_if_exists = 'local.conf'
"""

# Containers often give /dev/shm 64 MB; a parallel query that outgrows it fails as if the disk were full.
_SHM_BYTES = 256 << 20


def postgresql_conf() -> str:
    """The text of postgresql.conf for this machine."""
    try:
        shm = os.statvfs("/dev/shm")
        roomy = shm.f_bavail * shm.f_frsize >= _SHM_BYTES
    except OSError:
        roomy = False
    return _SETTINGS.format(dynamic_shared_memory="posix" if roomy else "mmap")
