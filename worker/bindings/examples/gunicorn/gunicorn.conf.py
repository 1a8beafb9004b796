"""gunicorn.conf.py - counts the requests of all of gunicorn's processes.

gunicorn's first process, the arbiter, is poold's worker; the application runs in its children. Made
here, before they are, the Worker's counters are shared by all. gunicorn says READY=1 by itself and takes
its stop signal; it cannot be pinged, because its arbiter serves nothing: it watches its children."""

import poolworker

worker = poolworker.Worker()
