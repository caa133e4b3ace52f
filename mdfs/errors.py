"""What a user is told when something is wrong: one line that says what, where, and what to do next."""


class MdfsError(Exception):
    """An error that is the user's to read: its message is one line and needs no traceback.

    `exit_code` is the status with which the command line ends.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UsageError(MdfsError):
    """Bad usage or bad input configuration: an option, a recipe, a path. The run has not started; exit status 2."""

    exit_code = 2


class RunError(MdfsError):
    """A run that failed, or an output folder that does not verify; exit status 1."""

    exit_code = 1
