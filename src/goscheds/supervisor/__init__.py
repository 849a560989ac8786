"""One parent process over several workers: it starts them, replaces them, ends them, and runs nobody's code.

``parent`` is the loop, ``seat`` one place for a worker, ``child`` a worker's process seen from the parent, ``line`` the
same seen from inside it; ``signals`` and ``health`` are what the outside world has to say and to ask. The parent's
rooms import the standard library alone, so that nothing of the user's can crash it, hang it, or make it large.
"""
