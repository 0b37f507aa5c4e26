"""A headless Chromium, driven by its DevTools protocol over a pipe: no driver, no library.

async with chromium(folder) as browser:
    page = await browser.open("http://127.0.0.1:7602/")
    await page.until("document.title === 'ready'")
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS_MAX = 20.0
FLAGS = (
    "--headless",
    "--no-sandbox",  # so that root may run it; what it shows is ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-default-browser-check",
    "--remote-debugging-pipe",
)


def found() -> str | None:
    """Return where there is a Chromium; None when there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A Chromium that runs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._count = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        """What it has told by itself, of all pages."""
        self._told = asyncio.Event()

    async def read(self) -> None:
        """Take what it says, until it ends."""
        while True:
            try:
                said = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            except asyncio.IncompleteReadError:
                return
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                self.events.append(said)
                self._told.set()

    async def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Give a command and return its result."""
        self._count += 1
        asked: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session:
            asked["sessionId"] = session
        answer = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(asked).encode() + b"\0")
        async with asyncio.timeout(SECONDS_MAX):
            said = await answer
        assert "error" not in said, f"{method}: {said['error']}"
        result: dict[str, Any] = said["result"]
        return result

    async def until(self, method: str, session: str) -> None:
        """Wait until a page has told an event of this kind."""
        async with asyncio.timeout(SECONDS_MAX):
            while not any(
                event["method"] == method and event.get("sessionId") == session
                for event in self.events
            ):
                self._told.clear()
                await self._told.wait()

    async def open(self, url: str, width: int = 1280, height: int = 900) -> Page:
        """Open a page."""
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.ask(f"{domain}.enable")
        await page.resize(width, height)
        await page.ask("Page.navigate", url=url)
        await self.until("Page.loadEventFired", attached["sessionId"])
        return page


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command to this page."""
        return await self._browser.ask(method, self._session, **parameters)

    async def value(self, script: str) -> Any:
        """Return what an expression is there; a promise is waited for."""
        said = await self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def until(self, script: str, seconds: float = SECONDS_MAX) -> None:
        """Wait until an expression is true there; looked at with every frame that is drawn."""
        watched = f"""new Promise((resolve) => {{
            const give_up = Date.now() + {seconds * 1000:.0f};
            const look = () => ({script}) ? resolve(true)
                : Date.now() > give_up ? resolve(false) : setTimeout(look, 50);
            look();
        }})"""
        if not await self.value(watched):
            text = await self.value("document.body.innerText")
            raise AssertionError(f"not within {seconds:g} s: {script}\n{text}")

    async def resize(self, width: int, height: int) -> None:
        """Have a window of this size."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def prefer(self, scheme: str) -> None:
        """Have a user who prefers light or dark."""
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.ask("Emulation.setEmulatedMedia", features=wanted)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        codes: Mapping[str, int] = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=codes[key],
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    async def picture(self, *, whole: bool = True) -> bytes:
        """Return what it looks like, as PNG."""
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def complaints(self) -> list[str]:
        """Return what the console has to say: errors of scripts, of the policy, of requests."""
        return [
            json.dumps(event["params"])[:600]
            for event in self._browser.events
            if event.get("sessionId") == self._session
            and (
                event["method"] == "Runtime.exceptionThrown"
                or (
                    event["method"] == "Log.entryAdded"
                    and event["params"]["entry"]["level"] == "error"
                )
            )
        ]

    def addresses(self) -> set[str]:
        """Return every address that was asked for."""
        return {
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event["method"] == "Network.requestWillBeSent"
            and event.get("sessionId") == self._session
        }


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Browser]:
    """Run a Chromium whose files are in a folder, until the block ends."""
    path = found()
    assert path is not None, "there is no Chromium; apt install chromium"
    commands_there, commands = os.pipe()
    answers, answers_there = os.pipe()
    # It reads what is asked on 3 and answers on 4, whatever these pipes are called here.
    script = f'exec 3<&{commands_there} 4>&{answers_there}; exec "$@"'
    with (folder / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script, "bash", path, *FLAGS, f"--user-data-dir={folder / 'profile'}"),
            "about:blank",
            pass_fds=(commands_there, answers_there),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(commands_there)
    os.close(answers_there)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 << 20)
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb", 0)
    )
    writing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(commands, "wb", 0))
    browser = Browser(reader, writing)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(browser.read())
        try:
            yield browser
        finally:
            process.kill()
            await process.wait()
            taking.cancel()
            reading.close()
            writing.close()
            await asyncio.sleep(0)  # then they are closed
