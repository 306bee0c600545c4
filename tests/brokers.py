"""Private brokers for the tests: own folder, own port, gone at the end.

Hides how each is started, killed and started again with what it holds. What they acknowledge they
keep on disk, so that a producer's confirmation means as much as in production.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

START_SECONDS = 60
KILL_SECONDS = 10


class Broker(ABC):
    """One server on 127.0.0.1; `folder` is its own and outlives `kill`."""

    name: str

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What a declaration calls it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers; raises RuntimeError with its own words."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} did not start: {log.read_text()[-4000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9, with all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(KILL_SECONDS)
            self._process = None

    def environment(self) -> dict[str, str]:
        """Variables that it wants besides ours."""
        return {}

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The words that start it in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers."""

    def answers(self, sent: bytes, wanted: bytes) -> bool:
        """Whether it says `wanted` after `sent`."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(sent)
                return wanted in connection.recv(65_536)
        except OSError:
            return False


class RedisServer(Broker):
    """Redis that writes each command to disk before it answers."""

    name = "redis"

    def command(self) -> list[str | Path]:
        options = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self.folder),
            "--appendonly": "yes",
            "--appendfsync": "always",
            "--save": "",
        }
        return ["redis-server", *(word for pair in options.items() for word in pair)]

    def ready(self) -> bool:
        return self.answers(b"PING\r\n", b"+PONG")


class NatsServer(Broker):
    """NATS with JetStream on disk."""

    name = "nats"

    def command(self) -> list[str | Path]:
        where = ["-a", "127.0.0.1", "-p", str(self.port)]
        return ["nats-server", *where, "-js", "-sd", self.folder / "jetstream"]

    def ready(self) -> bool:
        return self.answers(b"CONNECT {}\r\nPING\r\n", b"INFO ")


class RabbitServer(Broker):
    """RabbitMQ with an Erlang port mapper of its own, as whoever runs the tests."""

    name = "rabbitmq"
    scripts = Path("/usr/lib/rabbitmq/bin")

    def __init__(self, folder: Path, port: int, dist_port: int, mapper_port: int) -> None:
        super().__init__(folder, port)
        self._dist_port = dist_port
        self._mapper_port = mapper_port

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }

    def command(self) -> list[str | Path]:
        # The mapper is ours: one that RabbitMQ starts would stay behind as a daemon.
        mapper = f"epmd -address 127.0.0.1 -port {self._mapper_port}"
        return ["/bin/sh", "-c", f"{mapper} & exec {self.scripts}/rabbitmq-server"]

    def ready(self) -> bool:
        return self.answers(b"AMQP\x00\x00\x09\x01", b"RabbitMQ")


class KafkaServer(Broker):
    """Apache Kafka: one node, broker and controller at once."""

    name = "kafka"
    jars = Path(__file__).resolve().parent.parent / "var" / "brokers" / "kafka"

    def __init__(self, folder: Path, port: int, controller_port: int, closed_port: int) -> None:
        super().__init__(folder, port)
        self._controller_port = controller_port
        self._closed_port = closed_port

    @property
    def closed(self) -> str:
        """Where it wants the account `witness` with the password `secret`, SASL PLAIN."""
        return f"127.0.0.1:{self._closed_port}"

    def command(self) -> list[str | Path]:
        if not (self.folder / "data").exists():
            self._format()
        return [*self._java("-Xmx256m"), "kafka.Kafka", self.folder / "properties"]

    def ready(self) -> bool:
        # ApiVersions, version 0: the broker answers it once it is up; 4 bytes of length, then ours.
        asked = b"\x00\x00\x00\x0e\x00\x12\x00\x00\x00\x00\x00\x07\x00\x04test"
        return self.answers(asked, b"\x00\x00\x00\x07")

    def _java(self, *options: str) -> list[str | Path]:
        return [
            "java", *options, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self.jars}/*",
        ]  # fmt: skip

    def _format(self) -> None:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": (
                f"PLAINTEXT://{self.address},SASL_PLAINTEXT://{self.closed},"
                f"CONTROLLER://127.0.0.1:{self._controller_port}"
            ),
            "listener.security.protocol.map": ",".join(
                ("PLAINTEXT:PLAINTEXT", "SASL_PLAINTEXT:SASL_PLAINTEXT", "CONTROLLER:PLAINTEXT")
            ),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                "org.apache.kafka.common.security.plain.PlainLoginModule required"
                ' user_witness="secret";'
            ),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "data"),
            "num.partitions": "3",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # After kill -9 the controller waits for the end of the old session.
            "broker.session.timeout.ms": "1000",
            "broker.heartbeat.interval.ms": "200",
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (self.folder / "properties").write_text("".join(lines))
        made = subprocess.run(
            [
                *self._java(), "kafka.tools.StorageTool", "format",
                "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", self.folder / "properties",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"Kafka's storage could not be made: {made.stdout}{made.stderr}")


def lacking(name: str) -> str:
    """What of a broker is not installed here; "" where all of it is."""
    found = {
        "kafka": KafkaServer.jars.is_dir() and shutil.which("java"),
        "rabbitmq": (RabbitServer.scripts / "rabbitmq-server").exists(),
        "nats": shutil.which("nats-server"),
        "redis": shutil.which("redis-server"),
    }[name]
    return "" if found else f"{name} is not installed; `make services` installs it"


@contextlib.contextmanager
def running(name: str, free_port: Callable[[], int]) -> Iterator[Broker]:
    """A broker during the block; killed and its folder removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"modelwitness-{name}-"))
    broker: Broker
    match name:
        case "kafka":
            broker = KafkaServer(folder, free_port(), free_port(), free_port())
        case "rabbitmq":
            broker = RabbitServer(folder, free_port(), free_port(), free_port())
        case "nats":
            broker = NatsServer(folder, free_port())
        case "redis":
            broker = RedisServer(folder, free_port())
        case _:
            raise ValueError(f"no broker is called {name}")
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)
