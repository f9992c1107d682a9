"""What is traded, and what the rest of the system knows of its prices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trading.clock import now
from trading.logs import Log
from trading.peers import Peer, PeerError, PeerRefusedError

# Prices are whole numbers of 0.0001 USD for one unit; quantities are thousandths of a unit.
PRICE_SCALE: Final = 10_000
QUANTITY_SCALE: Final = 1_000
STABLECOIN: Final = "USDT-USD"
OPENING: Final = {
    "BTC-USD": 60_000 * PRICE_SCALE,
    "ETH-USD": 3_000 * PRICE_SCALE,
    STABLECOIN: 1 * PRICE_SCALE,
}
LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price, and the moment at which it was one."""

    symbol: str
    price: int
    at: float

    @property
    def age_s(self) -> float:
        """How long ago this was the price."""
        return now() - self.at


def notional(price: int, quantity: int) -> int:
    """Return what ``quantity`` is worth, in 0.0001 USD."""
    return price * quantity // QUANTITY_SCALE


class PriceBoard:
    """The newest price of each symbol, as far as this service has heard."""

    def __init__(self, market_data: Peer, log: Log) -> None:
        self._market_data = market_data
        self._log = log
        self._quotes: dict[str, Quote] = {}

    async def follow(self) -> None:
        """Ask for the prices a few times a second, for ever."""
        while True:
            try:
                self._take(await self._market_data.get("/prices"))
            except (PeerError, PeerRefusedError) as error:
                self._log.trouble("asking for prices", error)
            await asyncio.sleep(LOOK_S)

    def quote(self, symbol: str) -> Quote | None:
        """Return the newest quote known, however old."""
        return self._quotes.get(symbol)

    def quotes(self, age_s_max: float | None) -> Mapping[str, Quote]:
        """Return the quotes that are not older than ``age_s_max``; None asks for all."""
        if age_s_max is None:
            return self._quotes
        return {name: quote for name, quote in self._quotes.items() if quote.age_s <= age_s_max}

    def state(self, age_s_max: float | None) -> str:
        """Return ``ok``, or why no orders can be priced."""
        missing = sorted(OPENING.keys() - self.quotes(age_s_max).keys())
        return f"no fresh price for {', '.join(missing)}" if missing else "ok"

    def _take(self, document: Mapping[str, Mapping[str, float]]) -> None:
        for symbol, told in document.items():
            self._quotes[symbol] = Quote(symbol=symbol, price=int(told["price"]), at=told["at"])
