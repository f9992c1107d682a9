"""What a service is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from trading.builds import BUILDS, Build

PREFIX = "TRADING_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field for each variable: ``port`` is ``TRADING_PORT``, and so on.

    A field that a service has no use for stays empty.
    """

    build: Build
    port: int
    database_url: str = ""
    redis_url: str = ""
    market_data_url: str = ""
    exchange_url: str = ""
    custodian_url: str = ""
    engine_url: str = ""
    acknowledged: str = ""
    seed: int = 7

    @classmethod
    def read(cls, *needs: str, environ: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings of a service that cannot do without the fields in ``needs``.

        Raises:
            SystemExit: with one line that names every variable that is missing or wrong.
        """
        told = {
            field.name: environ[PREFIX + field.name.upper()]
            for field in fields(cls)
            if environ.get(PREFIX + field.name.upper())
        }
        wrong = [
            f"{PREFIX}{name.upper()} is not set" for name in ("port", *needs) if name not in told
        ]
        wrong += [
            f"{PREFIX}{name.upper()} is {told[name]!r}, not a whole number"
            for name in ("port", "seed")
            if not told.get(name, "0").isdecimal()
        ]
        build = told.pop("build", "hardened")
        if build not in BUILDS:
            wrong.append(f"{PREFIX}BUILD is {build!r}, neither {' nor '.join(BUILDS)}")
        if wrong:
            raise SystemExit("; ".join(wrong))
        port, seed = int(told.pop("port")), int(told.pop("seed", "7"))
        return cls(build=BUILDS[build], port=port, seed=seed, **told)
