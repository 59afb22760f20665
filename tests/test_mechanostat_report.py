"""Laws of the report: a browser shows it whole, it asks no network, and no text in it runs."""

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mechanostat.curves import Panel, curves_figure
from mechanostat.pictures import BANNER, png
from mechanostat.report import Claim, DataTable, Headline, Picture, Report, report_html, write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def report(text: str = "Bone") -> Report:
    """Return a report that has `text` wherever a text can stand."""
    curve = png(curves_figure([0.0, 360.0], [Panel("Bone", "", {"arm": [1.0, 0.9]})], title="Curve"))
    table = DataTable(text, [text, "N"], [[text, 1234.5678], ["end", None]], note=text)
    return Report(
        title=text,
        summary=text,
        headlines=[Headline(text, text, text)],
        bone=[(text, text)],
        pictures=[Picture(text, curve)],
        curves=[Picture(text, curve)],
        tables=[table],
        solves=table,
        claims=[Claim(text, "assumed", text, text)],
        sources=[text],
        credit=text,
        licence=text,
        provenance=[(text, text)],
        predicts=True,
    )


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs a browser: install chromium, for example `apt-get install chromium`")
    return found


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A server that stands for the network; gives its address and the list of what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def browse(browser: str, page: Path, *actions: str) -> str:
    """Open a page in a browser with an own profile and return what it prints."""
    profile = page.parent / "profile"
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *actions, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


def test_text_of_users_is_never_markup():
    page = report_html(report('</title><script>alert(1)</script><img src=x onerror="alert(2)">'))
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_a_report_names_no_address_and_forbids_the_browser_to_ask_any():
    page = report_html(report())
    assert not re.search(r"\s(src|href|action)=(?!.data:)|url\(|@import|http-equiv=.refresh", page)
    assert "default-src 'none'" in page


def test_a_report_says_its_banner_its_limits_and_its_credit_once():
    page = report_html(report())
    assert page.count(BANNER) == 1
    assert page.count("medical advice") == 1
    assert BANNER not in report_html(report()._replace(predicts=False))


def test_numbers_keep_five_digits_and_what_is_missing_is_shown():
    page = report_html(report())
    assert "<td>1234.6</td>" in page
    assert "<td>–</td>" in page


def test_the_same_result_gives_the_same_report(tmp_path):
    write_report(tmp_path / "a.html", report())
    write_report(tmp_path / "b.html", report())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_browser_runs_nothing_that_stands_in_a_text_and_asks_no_network(browser, outside, tmp_path):
    address, asked = outside
    hostile = (
        f"<script>document.title='owned'</script><img src={address}/i><link rel=stylesheet href={address}/c>"
    )
    write_report(tmp_path / "report.html", report(hostile))
    shown = browse(browser, tmp_path / "report.html", "--dump-dom")
    assert "What is validated and what is assumed" in shown
    assert "<title>owned" not in shown
    assert asked == []


@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_the_whole_report_at_desk_and_phone_width(browser, tmp_path, width):
    write_report(tmp_path / "report.html", report())
    browse(
        browser, tmp_path / "report.html", f"--window-size={width},2400", f"--screenshot={tmp_path / 's.png'}"
    )
    picture = np.asarray(imread(tmp_path / "s.png"))[..., :3]
    assert picture.shape[1] == width
    inked = np.flatnonzero(np.any(picture.max(axis=2) < 0.5, axis=1))
    assert inked.size > 200  # text and curves from top to bottom, not an empty page
    assert inked[-1] > 1000
