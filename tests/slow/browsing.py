"""A page's address in, a real browser on it out: Debian's Chromium, driven by Playwright, with everything noted that a
page should never do.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright import async_api

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
# Notes in the page itself: breaches of the policy, when the headline said what (by the wall clock, in ms), and what was
# written on canvases, which nobody can ask for it later.
WITNESS = """
window.breaches = [];
window.headlines = [];
window.painted = [];
const paint = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.painted.push({ canvas: this.canvas, text, px: parseFloat(/([\\d.]+)px/.exec(this.font)[1]) });
  return paint.call(this, text, ...where);
};
document.addEventListener("securitypolicyviolation", (one) =>
  window.breaches.push(`${one.violatedDirective} ${one.blockedURI}`));
document.addEventListener("DOMContentLoaded", () => {
  const look = () => {
    const text = (document.querySelector(".headline")?.textContent ?? "").replace(/\\s+/g, " ");
    if (text !== window.headlines.at(-1)?.text) window.headlines.push({ text, at: Date.now() });
  };
  look();
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
});
"""
# Every text that is to be seen, with its size; those that are written along the axes of plots too.
TEXTS = """
() => {
  const found = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    range.selectNodeContents(text);
    const { width, height } = range.getBoundingClientRect(), of = text.parentElement;
    const isSeen = text.data.trim() && width > 1 && height > 1 && of.checkVisibility();
    if (isSeen && !of.closest(".unseen, .skip, .word"))
      found.push({ text: text.data.trim(), px: parseFloat(getComputedStyle(of).fontSize) });
  }
  return found;
}
"""
AXES = """
() => painted.filter(({ canvas }) => canvas.isConnected && canvas.clientWidth)
  .map(({ text, px }) => ({ text, px: px / devicePixelRatio }))
"""
# Lines of lists that begin inside of their panel and do not end there: whole ones are left out instead.
CUT = """
() => [...document.querySelectorAll(".events li, .names tbody tr, .sitelist li, .card")].filter((one) => {
  const inner = one.getBoundingClientRect(), outer = one.closest(".panel, .pools").getBoundingClientRect();
  return inner.width && inner.left < outer.right && inner.top < outer.bottom && inner.bottom > outer.bottom + 1;
}).map((one) => one.textContent)
"""


@dataclass
class Tab:
    """One page in a browser. `troubles` are what it wrote to the console as warnings or errors, and its exceptions."""

    page: async_api.Page
    troubles: list[str] = field(default_factory=list)

    async def well(self) -> None:
        """Fail if the page has done anything that it should not."""
        breaches = await self.page.evaluate("window.breaches")
        assert not self.troubles + breaches, "\n".join(self.troubles + breaches)

    async def accessible(self) -> None:
        """Fail on any violation that axe finds, with where it is."""
        found = await self.page.evaluate("async () => (await axe.run()).violations")
        said = [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:5]]}" for one in found]
        assert not said, "\n".join(said)

    async def fits(self) -> None:
        """Fail when the page is wider than its window."""
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    async def readable(self, least_px: float) -> int:
        """Fail on a text that is smaller, a line of a list that is cut, or a page that is higher than its window.

        Return how many texts stand along the axes of plots.
        """
        texts, axes = await self.page.evaluate(TEXTS), await self.page.evaluate(AXES)
        assert len(texts) > 30
        assert not [one for one in texts + axes if one["px"] < least_px]
        assert not await self.page.evaluate(CUT)
        assert await self.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        return len(axes)

    async def said_at(self, words: str) -> float:
        """Return when the headline first had these words, in wall-clock seconds."""
        await async_api.expect(self.page.locator(".headline")).to_contain_text(words, timeout=20_000)
        script = "(words) => window.headlines.find((one) => one.text.includes(words)).at"
        found: float = await self.page.evaluate(script, words)
        return found / 1000


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[async_api.Browser]:
    """Run a browser."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: tests/slow/needs.sh"
    async with async_api.async_playwright() as playwright:
        one = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield one
        finally:
            await one.close()


@contextlib.asynccontextmanager
async def tab(
    of: async_api.Browser, url: str, *, width: int = 1440, height: int = 1000, live: bool = True, **context: Any
) -> AsyncIterator[Tab]:
    """Open `url` in a context of its own; wait until the page is live, unless it is not meant to be."""
    held = await of.new_context(viewport={"width": width, "height": height}, **context)
    await held.add_init_script(WITNESS)
    await held.add_init_script(path=AXE)
    one = Tab(await held.new_page())
    one.page.on("pageerror", lambda wrong: one.troubles.append(f"exception: {wrong}"))
    one.page.on(
        "console",
        lambda said: one.troubles.append(f"{said.type}: {said.text}") if said.type in {"error", "warning"} else None,
    )
    await one.page.goto(url)
    if live:
        await async_api.expect(one.page.locator('[data-live="link"]')).to_contain_text("live", timeout=10_000)
    try:
        yield one
    finally:
        await held.close()
