"""PostgreSQL and Valkey for the programs that share a directory, without any installation."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread
from anyio.abc import TaskStatus

from test_coordination.adapters.servers import ownership, postgres, sockets, valkey
from test_coordination.adapters.servers.account import account_for
from test_coordination.adapters.servers.errors import (
    DirectoryUnusableError,
    NotMainThreadError,
    OwnerSilentError,
)
from test_coordination.adapters.servers.ownership import Lock, ServerUrls
from test_coordination.adapters.servers.supervisor import START_S_MAX, Log, keep_running
from test_coordination.domain.errors import CoordinationError

__all__ = ["ServerUrls", "embedded_servers"]

POLL_S: Final = 0.2
PUBLISHED_S_MAX: Final = START_S_MAX + 30.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_servers(
    directory: Path, *, postgres_bin: Path | None = None
) -> AsyncGenerator[ServerUrls]:
    """Lend a PostgreSQL and a Valkey that keep their data in ``directory``, which may be new.

    The first living program to come owns the servers and starts them; others attach to them.
    When the owner leaves or dies, one of the others starts them again on the same sockets:
    clients see connections break, and can connect again after about a second. A server that dies
    is started again likewise. At the end an owner stops the servers, another one just leaves.
    No server outlives its owner, not even one that is killed.

    Of a root program the servers run as nobody, to whom ``directory`` must be open.
    ``postgres_bin`` holds ``postgres`` and ``initdb``; by default an installed package does.
    The body is cancelled, and the error raised, if the servers cannot be kept alive.

    Raises:
        NotMainThreadError: the event loop does not run in the main thread.
        NoBinaryError: a server's program is not installed.
        NoAccountError: we are root, and there is no nobody.
        DirectoryUnreachableError: nobody cannot pass a directory on the way.
        DirectoryUnusableError: we may not write in the directory.
        LeftoversRemainError: an earlier server cannot be ended.
        StartFailedError: a server does not start.
        OwnerSilentError: another program owns the directory and starts nothing.
        GaveUpError: a server kept dying.
    """
    if threading.current_thread() is not threading.main_thread():
        raise NotMainThreadError(thread=threading.current_thread().name)
    outcome: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            site = await to_thread.run_sync(_site, directory, postgres_bin)
            urls: ServerUrls = await group.start(_take_part, site)
            try:
                yield urls
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  carried past the group, which wraps it
                outcome = error
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        if (refusal := _refusal(errors)) is None:
            raise
        raise refusal from refusal.__cause__
    if outcome is not None:
        raise outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The directory that programs share, and where in it is what."""

    directory: Path
    postgres_bin: Path | None

    @property
    def lock(self) -> Path:
        """Whoever has this file locked is the owner."""
        return self.directory / "owner.lock"

    @property
    def publication(self) -> Path:
        """Where the owner tells the others how to reach the servers."""
        return self.directory / "servers.json"

    def servers(self) -> tuple[postgres.Postgres, valkey.Valkey]:
        """Return the servers of this site. Only the owner may ask: it settles their sockets."""
        home = self.directory / "postgres"
        account = account_for(home)
        database = postgres.Postgres(
            home=home,
            sockets=self._sockets(home, postgres.SOCKET),
            copies=self.directory / "binaries",
            account=account,
            postgres_bin=self.postgres_bin,
        )
        home = self.directory / "valkey"
        cache = valkey.Valkey(
            home=home,
            sockets=self._sockets(home, valkey.SOCKET),
            copies=self.directory / "binaries",
            account=account_for(home),
        )
        return database, cache

    def log_of(self, home: Path) -> Log:
        """Return the log of the server in ``home``, out of reach of that server's account."""
        return Log(path=home.with_suffix(".log"))

    def _sockets(self, home: Path, socket: str) -> Path:
        if sockets.addressable(home / socket):
            return home
        return sockets.short_directory(home.with_suffix(".sockets"), account_for(home))


def _site(directory: Path, postgres_bin: Path | None) -> Site:
    """Return the site at ``directory``, which is made if it is new."""
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            directory.chmod(0o711)  # whatever the umask: the servers' account passes through it
    except OSError as error:
        raise DirectoryUnusableError(directory=directory, cause=str(error)) from error
    return Site(directory=directory.resolve(), postgres_bin=postgres_bin)


async def _take_part(site: Site, *, task_status: TaskStatus[ServerUrls]) -> None:
    """Own the servers, or attach to them and wait to become their owner."""
    urls, lock = await _attached(site)
    if urls is not None:
        task_status.started(urls)
        lock = await _inherited(site)
        log.info("the owner of %s has gone; starting its servers again", site.directory)
    assert lock is not None, "whoever is not attached has the lock"
    try:
        await _own(site, on_ready=task_status.started if urls is None else _nothing_to_tell)
    finally:
        lock.release()


async def _inherited(site: Site) -> Lock:
    """Return the lock once its owner has gone, which may be never."""
    while True:
        if (lock := ownership.take(site.lock)) is not None:
            return lock
        await anyio.sleep(POLL_S)


async def _attached(site: Site) -> tuple[ServerUrls | None, Lock | None]:
    """Return the published URLs, or else the lock; waits while an owner starts its servers."""
    with anyio.move_on_after(PUBLISHED_S_MAX):
        while (lock := ownership.take(site.lock)) is None:
            if (urls := ownership.published(site.publication)) is not None:
                return urls, None
            await anyio.sleep(POLL_S / 4)
        return None, lock
    raise OwnerSilentError(
        directory=site.directory, owner=ownership.holder(site.lock), waited_s=PUBLISHED_S_MAX
    )


async def _own(site: Site, *, on_ready: Callable[[ServerUrls], None]) -> None:
    """Run the servers until cancelled; the caller holds the lock throughout."""
    ownership.withdraw(site.publication)
    database, cache = await to_thread.run_sync(site.servers)
    async with anyio.create_task_group() as group:
        serving = []
        for server in (database, cache):
            serving.append(anyio.Event())
            record = site.log_of(server.home)
            group.start_soon(partial(keep_running, server, record, serving=serving[-1]))
        for event in serving:
            await event.wait()
        urls = ServerUrls(postgres=database.url, redis=cache.url)
        ownership.publish(site.publication, urls)
        on_ready(urls)
        try:
            await anyio.sleep_forever()
        finally:
            # Before the servers stop, so that nobody attaches to what is about to end.
            ownership.withdraw(site.publication)


def _nothing_to_tell(_: ServerUrls) -> None:
    """Stand in for a task status that was set long ago."""


def _refusal(errors: BaseExceptionGroup[BaseException]) -> CoordinationError | None:
    """Return the first error of a group that our own tasks raised, if all of it was foreseen."""
    refusals, unforeseen = errors.split(CoordinationError)
    if unforeseen is not None:
        return None
    leaf: BaseException | None = refusals
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf if isinstance(leaf, CoordinationError) else None
