"""How orders meet the house: pure, in memory, the same in both builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trading.market import Quote, notional

# The house stands on both sides with LEVELS prices, each STEP further from the market.
LEVELS: Final = 5
LEVEL_QUANTITY: Final = 500
QUANTITY_MAX: Final = LEVELS * LEVEL_QUANTITY
STEP_PER_MILLION: Final = 200
RESTING_S_MAX: Final = 10.0
HOUSE: Final = "house"
CASH: Final = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order, and how far it has come."""

    order_id: str
    client_order_id: str
    reference: str
    account: str
    symbol: str
    side: str
    kind: str
    quantity: int
    limit_price: int | None
    created_at: float
    status: str = "open"
    filled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of an order against the house; ``seq`` counts all fills without a gap."""

    seq: int
    order: Order
    quantity: int
    price: int
    price_at: float
    executed_at: float

    @property
    def notional(self) -> int:
        """What changed hands, in 0.0001 USD."""
        return notional(self.price, self.quantity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one event did to one order."""

    order: Order
    fills: tuple[Fill, ...] = ()


Deltas = dict[tuple[str, str], int]


def legs(fills: Iterable[Fill]) -> tuple[Deltas, Deltas]:
    """Return what ``fills`` add to the balances of the clients, and to those of the house."""
    clients: Deltas = {}
    house: Deltas = {}
    for fill in fills:
        asset = fill.order.symbol.removesuffix("-USD")
        sign = 1 if fill.order.side == "buy" else -1
        for name, amount in ((asset, sign * fill.quantity), (CASH, -sign * fill.notional)):
            holder = (fill.order.account, name)
            clients[holder] = clients.get(holder, 0) + amount
            house[HOUSE, name] = house.get((HOUSE, name), 0) - amount
    return clients, house


def offers(order: Order, quote: Quote) -> Iterable[tuple[int, int]]:
    """Return the prices and quantities at which the house takes the rest of ``order`` now."""
    rest = order.quantity - order.filled
    sign = 1 if order.side == "buy" else -1
    for level in range(1, LEVELS + 1):
        price = quote.price + sign * (quote.price * STEP_PER_MILLION * level // 1_000_000)
        if order.limit_price is not None and sign * price > sign * order.limit_price:
            return
        yield price, min(rest, LEVEL_QUANTITY)
        rest -= LEVEL_QUANTITY
        if rest <= 0:
            return


class Book:
    """The orders that rest, and the number of the last fill."""

    def __init__(self, *, last_seq: int, resting: Iterable[Order]) -> None:
        self._last_seq = last_seq
        self._resting = {order.order_id: order for order in resting}

    def place(self, order: Order, quote: Quote, *, at: float) -> Entry:
        """Execute ``order`` as far as it goes; the rest of a limit order stays in the book."""
        entry = self._execute(order, quote, at=at)
        if entry.order.status == "open":
            self._resting[order.order_id] = entry.order
        return entry

    def refuse(self, order: Order) -> Entry:
        """Take note of an order that is not wanted."""
        return Entry(order=replace(order, status="rejected"))

    def cancel(self, client_order_id: str) -> list[Entry]:
        """Take what rests under a key out of the book."""
        found = [
            order for order in self._resting.values() if order.client_order_id == client_order_id
        ]
        return [self._take_out(order) for order in found]

    def look(self, quotes: Mapping[str, Quote], *, at: float) -> list[Entry]:
        """Execute what rests and has come into reach; cancel what has rested for too long."""
        entries = []
        for order in list(self._resting.values()):
            if at - order.created_at > RESTING_S_MAX:
                entries.append(self._take_out(order))
            elif order.symbol in quotes:
                entry = self._execute(order, quotes[order.symbol], at=at)
                if entry.fills:
                    self._resting[order.order_id] = entry.order
                    entries.append(entry)
                if entry.order.status != "open":
                    del self._resting[order.order_id]
        return entries

    def _take_out(self, order: Order) -> Entry:
        del self._resting[order.order_id]
        return Entry(order=replace(order, status="cancelled"))

    def _execute(self, order: Order, quote: Quote, *, at: float) -> Entry:
        fills = []
        for price, quantity in offers(order, quote):
            self._last_seq += 1
            fill = Fill(
                seq=self._last_seq,
                order=order,
                quantity=quantity,
                price=price,
                price_at=quote.at,
                executed_at=at,
            )
            fills.append(fill)
        filled = order.filled + sum(fill.quantity for fill in fills)
        status = "filled" if filled == order.quantity else "open"
        return Entry(order=replace(order, filled=filled, status=status), fills=tuple(fills))
