"""What can stop the demonstration; each message says what to do."""


class DemoError(Exception):
    """The demonstration cannot go on."""


class MissingFlights(DemoError):
    """The package with the flights is not installed or not as expected."""


class Refused(DemoError):
    """The API answered with a refusal that sending again does not cure."""


class TooSlow(DemoError):
    """Something that the story waits for did not come in time."""


class OtherRun(DemoError):
    """The directory holds a demonstration with other settings."""
