"""celery over SQS: `python worker.py N` has N sums made by the worker that `celery -A worker` is."""

import os
import sys
from pathlib import Path

import certifi

# The worker's curl trusts certifi's roots and reads no variable: kombu, asynchronous/aws/connection.py.
certifi.where = lambda: os.environ["AWS_CA_BUNDLE"]

from celery import Celery  # noqa: E402

app = Celery("worker", broker="sqs://")
app.conf.task_default_queue = "sums"
app.conf.broker_transport_options = {
    "region": os.environ["AWS_REGION"],
    "wait_time_seconds": 1,
    "polling_interval": 0.1,
}
app.conf.worker_enable_remote_control = False


@app.task
def add(one: int, other: int) -> None:
    (Path(os.environ["SUMS"]) / f"{one}+{other}").write_text(str(one + other))


if __name__ == "__main__":
    from worker import add as task

    for number in range(int(sys.argv[1])):
        task.delay(number, number)
