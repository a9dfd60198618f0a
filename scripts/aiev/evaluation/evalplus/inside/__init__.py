"""Programs that are copied into the sandbox and run there; each stands alone.

They are modules of the project so that a change in one counts for the jobs that run it.
"""
