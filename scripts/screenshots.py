"""Run notebooks in a real JupyterLab in headless Chromium, and take pictures of them.

    .venv/bin/python scripts/screenshots.py                # the README's picture (notebook 04)
    .venv/bin/python scripts/screenshots.py --all FOLDER   # every notebook, top to bottom

Needs Debian's Chromium (``apt-get install chromium``); starts the lab if none runs. The notebooks
are run in copies; nothing in ``notebooks/`` changes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
README_PICTURE = ROOT / "docs" / "images" / "transferred-call.png"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
WITHIN_S = 120
ALL_CELLS_RAN = """() => {
    const prompts = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')];
    const failed = document.querySelector('.jp-OutputArea-output[data-mime-type*="error"]');
    return failed || (prompts.length && prompts.every(p => /\\[\\d+\\]/.test(p.textContent)));
}"""


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab on a folder, with no configuration of anybody's; gives its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {name: str(folder / ".jupyter") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    asked = folder / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    asked.mkdir(parents=True)  # or a question about news covers the corner
    (asked / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--LabApp.news_url="]
    log = (folder / "jupyter.log").open("w")
    process = subprocess.Popen(
        command, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_server(f"{url}/api/status", process)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until JupyterLab answers.

    Raises:
        RuntimeError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2)
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("JupyterLab did not start")


def run_all(page: Page, url: str, name: str) -> None:
    """Open a notebook and run all its cells; returns when the kernel is idle again."""
    page.goto(f"{url}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook", state="attached", timeout=60_000)
    # Before its kernel is connected, Run All would ask which kernel to use.
    page.get_by_text("| Idle").first.wait_for(state="attached", timeout=60_000)
    if (choose := page.get_by_role("button", name="Select Kernel")).is_visible():
        choose.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    page.wait_for_function(ALL_CELLS_RAN, timeout=WITHIN_S * 1000)


def picture_of_cell(page: Page, words: str, path: Path) -> None:
    """A picture of the first code cell that shows these words, with its output."""
    cell = page.locator(".jp-CodeCell", has_text=words).first
    cell.scroll_into_view_if_needed()
    path.parent.mkdir(parents=True, exist_ok=True)
    cell.screenshot(path=path)


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", metavar="FOLDER", type=Path, help="pictures of every notebook")
    everything = parser.parse_args().all
    subprocess.run(
        [sys.executable, "-m", "vobiz_kit.cli", "lab", "up"], check=True, stdout=subprocess.DEVNULL
    )
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        for notebook in NOTEBOOKS.glob("*.ipynb"):
            shutil.copy(notebook, folder)
        names = [path.name for path in sorted(folder.glob("*.ipynb"))] if everything else []
        with jupyterlab(folder) as url:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM
            )
            tall = {"width": 1500, "height": 9000 if everything else 2400}
            page = browser.new_page(viewport=tall)  # type: ignore[arg-type]
            for name in names:
                run_all(page, url, name)
                everything.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=everything / f"{Path(name).stem}.png")
            if not everything:
                run_all(page, url, "04_cold_transfer.ipynb")
                picture_of_cell(page, "Call flow:", README_PICTURE)
            browser.close()


if __name__ == "__main__":
    main()
