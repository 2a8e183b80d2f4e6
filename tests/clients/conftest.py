"""The suites of clients take their parts from the harness, as those of browsers do."""

pytest_plugins = ["harness.fixtures"]
