"""The exit statuses of every command, beside 0: all is well."""

EXIT_PROBLEMS = 1  # the command ran, and images or articles have problems
EXIT_USAGE = 2  # it could not start: options or configuration
EXIT_BUSY = 3  # another run holds the cache
EXIT_INTERRUPTED = 130  # what was finished is kept
