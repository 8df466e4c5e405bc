"""A backend that supports nothing: 0 of N, and exit code 3, because a run that judged nothing has shown nothing."""

from chainrule.conformance import Backend

backend = Backend("nothing")
