"""`make picture`: draws the dashboard from the metrics of a load on the local AWS.

python -m local.dashboard FILE
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console

from local.cloudwatch import values
from local.deployment import Deployment, without_policy
from local.emulator import Emulator

PERIOD = 2
"""In seconds; CloudWatch's period is a minute."""
SECONDS = 90
COLUMNS = 24
ROWS = 18
SHOWN_FAILURES = 6

console = Console(highlight=False)


class Load:
    """The load: what an application does with the bucket, and what goes wrong meanwhile."""

    def __init__(self, emulator: Emulator, outputs: dict[str, Any]) -> None:
        self._iam = emulator.client("iam")
        self._s3 = emulator.client("s3")
        self._outputs = outputs
        self._chance = Random(1)  # noqa: S311 # no secret
        self.events = 0
        """How many events S3 has sent, one per message."""

    def run(self) -> None:
        """Upload and delete, with one burst, while a permission is removed and restored."""
        began = time.monotonic()
        with ThreadPoolExecutor(9) as pool:
            refusing = pool.submit(self._refuse)
            while (elapsed := time.monotonic() - began) < SECONDS:
                burst = SECONDS * 0.6 < elapsed < SECONDS * 0.6 + 6
                list(pool.map(self._change, range(120 if burst else 16)))
                time.sleep(0.5)
            refusing.result()

    def _change(self, _: int) -> None:
        bucket, key = self._outputs["bucket"]["name"], f"in/{self._chance.randrange(500):03}.csv"
        if self._chance.random() < 0.2:  # noqa: PLR2004 # one in five
            self._s3.delete_object(Bucket=bucket, Key=key)
        else:
            self._s3.put_object(Bucket=bucket, Key=key, Body=b"a;b\n")
        self.events += 1

    def _refuse(self) -> None:
        time.sleep(SECONDS * 0.2)
        with without_policy(self._iam, self._outputs["role"]["name"], "table"):
            time.sleep(SECONDS * 0.1)


class Meters:
    """The deployment's metrics in CloudWatch.

    The local AWS does not measure queues, so this class does.
    """

    def __init__(self, emulator: Emulator, outputs: dict[str, Any]) -> None:
        self._cloudwatch = emulator.client("cloudwatch")
        self._sqs = emulator.client("sqs")
        self._queues = [outputs["queue"], outputs["dead_letter_queue"]]
        self.began = datetime.now(UTC)

    @contextmanager
    def reading(self, load: Load) -> Iterator[None]:
        """Record the lengths of the queues in each period while the block runs."""
        ending = threading.Event()

        def read() -> None:
            before = 0
            while not ending.wait(PERIOD):
                before, sent = load.events, load.events - before
                self._put("NumberOfMessagesSent", self._queues[0]["name"], sent)
                for queue in self._queues:
                    self._put(
                        "ApproximateNumberOfMessagesVisible", queue["name"], self._visible(queue)
                    )

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def _visible(self, queue: dict[str, str]) -> int:
        name = "ApproximateNumberOfMessages"
        found = self._sqs.get_queue_attributes(QueueUrl=queue["url"], AttributeNames=[name])
        return int(found["Attributes"][name])

    def _put(self, metric: str, queue: str, value: int) -> None:
        datum = {
            "MetricName": metric,
            "Dimensions": [{"Name": "QueueName", "Value": queue}],
            "Value": value,
        }
        self._cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[datum])

    def series(self, metric: Sequence[str], statistic: str) -> dict[float, float]:
        """Return the values of a dashboard's metric, by second since the start."""
        _, name, _, of = metric
        if name == "ConsumedWriteCapacityUnits":
            # One for each write, even if the condition refuses it.
            written: Counter[float] = Counter()
            for outcome in ("Indexed", "Removed", "Superseded"):
                written.update(self.series(["FileIndex", outcome, "Deployment", of], "Sum"))
            return dict(written)
        found = values(self._cloudwatch, metric, statistic, PERIOD, self.began)
        return {(at - self.began).total_seconds(): value for at, value in found.items()}


def draw(widgets: Sequence[dict[str, Any]], meters: Meters, failures: list[list[str]]) -> None:
    """Draw the widgets at their places in the dashboard."""
    mpl.rcParams.update({"font.size": 8, "axes.titlesize": 9, "axes.titlelocation": "left"})
    figure = plt.figure(figsize=(14, 8.4))
    for widget in widgets:
        left, width = widget["x"] / COLUMNS, widget["width"] / COLUMNS
        bottom = 1 - (widget["y"] + widget["height"]) / ROWS
        height = widget["height"] / ROWS
        axes = figure.add_axes((left + 0.03, bottom + 0.06, width - 0.06, height - 0.11))
        axes.set_title(widget["properties"]["title"], fontweight="bold")
        if widget["type"] == "log":
            _draw_table(axes, failures)
        else:
            _draw_metrics(axes, widget["properties"], meters)


def _draw_metrics(axes: Axes, properties: dict[str, Any], meters: Meters) -> None:
    right = axes.twinx() if "right" in json.dumps(properties["metrics"]) else None
    lines = []
    for number, (*metric, options) in enumerate(properties["metrics"]):
        points = meters.series(metric, options.get("stat", properties["stat"]))
        on = right if right and options.get("yAxis") == "right" else axes
        lines += on.plot(
            list(points), list(points.values()), color=f"C{number}", label=options["label"]
        )
    for one in filter(None, (axes, right)):
        one.set_ylim(bottom=0)
        one.spines[["top"]].set_visible(False)
    axes.set_xlim(0, SECONDS)
    axes.set_xlabel("seconds", fontsize=7)
    axes.grid(alpha=0.3)
    axes.legend(handles=lines, loc="upper right", fontsize=7, framealpha=0.6)


def _draw_table(axes: Axes, rows: list[list[str]]) -> None:
    axes.set_axis_off()
    table = axes.table(
        cellText=rows,
        colLabels=["@timestamp", "key", "errorType", "errorMessage"],
        colWidths=[0.1, 0.07, 0.11, 0.72],
        cellLoc="left",
        colLoc="left",
        loc="upper left",
    )
    table.auto_set_font_size(value=False)
    table.set_fontsize(7)
    for cell in table.get_celld().values():
        cell.set_linewidth(0.3)


def last_failures(emulator: Emulator, log_group: str) -> list[list[str]]:
    """Return the results of the query behind the dashboard's table."""
    logs = emulator.client("logs")
    events = logs.filter_log_events(logGroupName=log_group, filterPattern="failed")["events"]
    lines = [json.loads(event["message"]) for event in events if '"outcome"' in event["message"]]
    failed = [line for line in lines if line["outcome"] == "failed"][-SHOWN_FAILURES:]
    return [
        [
            line["timestamp"],
            line.get("key", ""),
            line["errorType"],
            f"{line['errorMessage'][:140]}…",
        ]
        for line in reversed(failed)
    ]


def main(file: str) -> None:
    """Deploy, load, draw, destroy."""
    console.print("Deploying to a local AWS …")
    with Emulator() as emulator, Deployment(emulator, {"queue": {}}) as deployment:
        deployment.apply()
        outputs = deployment.outputs()
        # Failed events are retried while the load runs, not after six minutes.
        emulator.client("sqs").set_queue_attributes(
            QueueUrl=outputs["queue"]["url"], Attributes={"VisibilityTimeout": "20"}
        )
        load, meters = Load(emulator, outputs), Meters(emulator, outputs)
        console.print(f"{SECONDS} seconds of uploads, deletes and denied calls …")
        with meters.reading(load):
            load.run()
            time.sleep(PERIOD)
        name = outputs["function"]["name"]
        body = emulator.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
        failures = last_failures(emulator, outputs["log_group"]["name"])
        draw(json.loads(body)["widgets"], meters, failures)
        plt.savefig(file, dpi=110)
        console.print(f"{load.events:,} events drawn in {file}. Destroying …")
        deployment.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
