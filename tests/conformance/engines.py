"""Real engines for the tests: DuckDB in this process, PostgreSQL and Spark where the machine has them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest


def require(module: str) -> None:
    """Skip the test, saying so, where a package is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: make engines")


class Engine(ABC):
    """An engine that an Arrow table can be brought into."""

    name = ""

    @abstractmethod
    def table(self, name: str, rows: pa.Table) -> Any:
        """Store the rows as a table and return it as an Ibis expression."""

    @abstractmethod
    def close(self) -> None:
        """Stop what was started."""


class DuckDB(Engine):
    name = "duckdb"

    def __init__(self) -> None:
        require("ibis")
        require("duckdb")
        import ibis

        self.connection = ibis.duckdb.connect()

    def table(self, name: str, rows: pa.Table) -> Any:
        self.connection.con.register("arriving", rows)
        self.connection.con.execute(f'CREATE OR REPLACE TABLE "{name}" AS FROM arriving')
        self.connection.con.unregister("arriving")
        return self.connection.table(name)

    def close(self) -> None:
        self.connection.disconnect()


def postgres_programs() -> Path | None:
    """Find the folder of Debian's PostgreSQL server, which is not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


class Postgres(Engine):
    """A cluster of its own in a temporary folder, on the loopback and a free port; the server refuses to be root."""

    name = "postgres"
    TYPES = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_float32, "real"),
        (pa.types.is_floating, "double precision"),
        (lambda kind: pa.types.is_integer(kind) and kind.bit_width <= 16, "smallint"),
        (lambda kind: pa.types.is_integer(kind) and kind.bit_width == 32, "integer"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_date, "date"),
        (pa.types.is_time, "time"),
        (lambda kind: pa.types.is_timestamp(kind) and kind.tz, "timestamptz"),
        (pa.types.is_timestamp, "timestamp"),
    )

    def __init__(self) -> None:
        require("ibis")
        require("psycopg")
        programs = postgres_programs()
        if programs is None:
            pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
        import ibis

        self.folder = Path(tempfile.mkdtemp(prefix="headwater-postgres-"))
        user = "postgres" if os.getuid() == 0 else None
        if user:
            shutil.chown(self.folder, user)
        run: dict[str, Any] = {"user": user, "cwd": self.folder, "stdout": subprocess.DEVNULL}
        data = self.folder / "data"
        trust = ["--auth=trust", "--username=tests", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8"]
        subprocess.run([programs / "initdb", "-D", data, *trust], check=True, **run)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(self.folder), "-p", str(port)]
        self.server = subprocess.Popen([programs / "postgres", "-D", data, *settings], stderr=subprocess.DEVNULL, **run)
        for _ in range(200):
            ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        self.connection = ibis.postgres.connect(host="127.0.0.1", port=port, user="tests", database="postgres")

    def table(self, name: str, rows: pa.Table) -> Any:
        columns = ", ".join(f'"{field.name}" {self._type(field.type)}' for field in rows.schema)
        cursor = self.connection.con.cursor()
        cursor.execute(f'DROP TABLE IF EXISTS "{name}"')
        cursor.execute(f'CREATE TABLE "{name}" ({columns})')
        with cursor.copy(f'COPY "{name}" FROM STDIN') as copy:
            for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                copy.write_row(row)
        self.connection.con.commit()
        return self.connection.table(name)

    def _type(self, kind: pa.DataType) -> str:
        if pa.types.is_decimal(kind):
            return f"numeric({kind.precision}, {kind.scale})"
        return next((name for fits, name in self.TYPES if fits(kind)), "text")

    def close(self) -> None:
        self.connection.disconnect()
        self.server.terminate()
        self.server.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


class Spark(Engine):
    name = "pyspark"

    def __init__(self) -> None:
        require("ibis")
        require("pyspark")
        if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
            pytest.skip("there is no Java for Spark: apt-get install openjdk-17-jre-headless")
        import ibis
        from pyspark.sql import SparkSession

        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            # Compiling hundreds of queries takes minutes; a few thousand rows are as well interpreted.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.warehouse.dir": tempfile.mkdtemp(prefix="headwater-spark-"),
        }
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")
        self.connection = ibis.pyspark.connect(self.session)

    def table(self, name: str, rows: pa.Table) -> Any:
        # Without whole-file types Spark would take a time without a zone for one in the session's.
        self.session.createDataFrame(rows).createOrReplaceTempView(name)
        return self.connection.table(name)

    def close(self) -> None:
        self.session.stop()


ENGINES = {"duckdb": DuckDB, "postgres": Postgres, "pyspark": Spark}
