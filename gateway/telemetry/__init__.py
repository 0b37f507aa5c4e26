"""What an operator sees of a gateway beside its logs: how long things take, traces, the audit.

Nothing here decides anything. What costs something is put around the parts of a gateway when it is
wired, and only if the settings ask for it; the parts know nothing of it.
"""
