"""The report and the book in a real browser: nothing is asked from a network, nothing overflows, everything computes.

Needs chromium and chromium-driver; axe-core and Pyodide lie in build/npm (`make build/npm/stamp`).
"""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest

import chainrule
from chainrule.book.build import build
from chainrule.book.derivations import standalone
from chainrule.conformance.report.page import write
from chainrule.spec.derivations import derivation_page

selenium = pytest.importorskip("selenium.webdriver")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("no chromium and chromedriver on this machine", allow_module_level=True)

By = pytest.importorskip("selenium.webdriver.common.by").By
ui = pytest.importorskip("selenium.webdriver.support.ui")

pyplot = pytest.importorskip("matplotlib.pyplot")
LOOKS = Path(__file__).with_name("looks")
CELL, GREY, SHARE = 20, 0.04, 0.1            # pixels; how much a cell may change; how many may change more
LETTERS = """const ink = document.createElement("canvas").getContext("2d");
ink.font = getComputedStyle(document.body).font;
return Math.round(ink.measureText("Hamburgefonstiv 0123456789 δ Θ ∂").width)"""

PACKAGES = Path(chainrule.__file__).resolve().parents[2] / "build/npm/node_modules"


def package(name):
    folder = PACKAGES / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not there; `make build/npm/stamp` brings it")
    return folder


@pytest.fixture(scope="module")
def browser():
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    out = tmp_path_factory.mktemp("live")
    build(out, pyodide=package("pyodide"))
    return out


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A run in which one case fails, one is not judged and one is unsupported."""
    lines = [{"record": "run", "backend": "ours", "mode": "simulated", "device": "simulator", "planned": 4}]
    for op, state in (("act.elu", "fail"), ("act.relu", "pass"), ("net.layer.affine", "not_judged"),
                      ("conv1d.valid", "unsupported")):
        worst = {"output": "a", "index": [0, 1], "expected": -0.5, "actual": -0.25, "error": 0.25, "bound": 0.125,
                 "fraction": 2.0, "terms": {"accumulation": 0.1, "output_rounding": 0.025}}
        lines.append({"record": "case", "case": f"{op}/T1/3x43/normal/fp32", "id": op, "tier": "T1", "dtype": "fp32",
                      "state": state, "fraction": 2.0 if state == "fail" else 0.5, "worst": worst, "reason": "",
                      "repro": "chainrule conform ours"})
    lines.append({"record": "summary", "total": 4, "exit": 1})
    folder = tmp_path_factory.mktemp("report")
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return write([path], folder / "index.html")


def sized(browser, width):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})


def opened(browser, page, width=1280, dark=False):
    sized(browser, width)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.get_log("browser")                          # what earlier pages said
    browser.get(page.as_uri())
    return browser


def said(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


PAGES = ("index.html", "errata.html", "notation.html", "rules.html", "products.html", "pictures.html", "search.html",
         "images.html", "eq/act.elu.html", "eq/bp.delta.rec.html", "eq/conv2d.valid.html", "eq/alg.average.html")


def every(book, report):
    return [report, *(book / name for name in PAGES)]


def violations(browser):
    """What axe-core says of the page that is open."""
    browser.execute_script((package("axe-core") / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run({preload: false}).then(one => done(one.violations))")
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found]


def test_pages_are_quiet_and_fit(browser, book, report):
    for page in every(book, report):
        for width in (1280, 400):
            opened(browser, page, width)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, f"{page.name} is {wide} pixels wide at {width}"
        assert said(browser) == [], page.name
        asked = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
        assert all(one.startswith(("file:", "data:", "blob:")) for one in asked), asked
        assert not browser.find_elements(By.CSS_SELECTOR, "merror")


def test_a_derivation_alone_is_laid_out(browser, tmp_path):
    """As mathematics: its fractions are no wider than what they hold. What a user's file says is text there."""
    page = tmp_path / "page.html"
    page.write_text(standalone(derivation_page("norm.batch.grad_x").replace("batch", "<script>throw 1</script>", 1)))
    for width in (1280, 400):
        opened(browser, page, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        widths = browser.execute_script("return [...document.querySelectorAll('mfrac')].map(one => one.clientWidth || "
                                        "one.getBoundingClientRect().width)")
        assert len(widths) > 9
        assert widths[0] < 50                      # ∂ℒ/∂x_p
    assert "<script>throw 1</script>" in browser.find_element(By.TAG_NAME, "body").text
    assert said(browser) == []


def test_the_mathematical_font_is_used(browser, book, report):
    for page in (report, book / "eq/alg.average.html"):
        opened(browser, page)
        loaded = browser.execute_async_script(
            "const done = arguments[0]; document.fonts.ready.then(all => done([...all].map(one => one.status)))")
        assert loaded == ["loaded"]
        brace = browser.execute_script("return document.querySelector('math mtable').getBoundingClientRect().height")
        assert brace > 30


def test_light_and_dark(browser, book, report):
    for page in (report, book / "eq/act.elu.html"):
        colours = [opened(browser, page, dark=dark).execute_script(
            "return getComputedStyle(document.body).backgroundColor") for dark in (False, True)]
        assert colours == ["rgb(255, 255, 255)", "rgb(18, 22, 27)"]


def test_pages_look_as_they_did(browser, book, report):
    """Loosely, by the mean grey of each cell of their first screen: what stands where may not change unnoticed."""
    opened(browser, report)
    font, known = browser.execute_script(LETTERS), LOOKS / "letters.json"
    if not known.exists():
        known.write_text(json.dumps(font) + "\n")
    if json.loads(known.read_text()) != font:
        pytest.skip("the letters of this machine are wider or narrower than those of the committed pictures")
    written, changed = [], {}
    for name, page in (("report", report), ("book", book / "eq/act.elu.html")):
        for dark in (False, True):
            opened(browser, page, dark=dark)
            for width in (1280, 400):
                sized(browser, width)
                file = LOOKS / f"{name}-{width}-{'dark' if dark else 'light'}.png"
                seen = cells(browser.get_screenshot_as_png())
                if not file.exists():
                    pyplot.imsave(file, seen, cmap="gray", vmin=0, vmax=1)
                    written.append(file.name)
                elif (share := different(seen, pyplot.imread(file)[..., 0])) > SHARE:
                    changed[file.name] = f"{share:.0%} of its cells"
    assert not written, f"{written} did not exist and were written: look at them"
    assert not changed, f"{changed} look different; where that is meant, delete the files and run this again"


def cells(png):
    """The mean grey of squares of a screenshot, 0 to 1."""
    grey = pyplot.imread(io.BytesIO(png))[..., :3].mean(2)
    rows, columns = (n // CELL for n in grey.shape)
    return grey[:rows * CELL, :columns * CELL].reshape(rows, CELL, columns, CELL).mean((1, 3))


def different(seen, before):
    """The share of cells that are lighter or darker than they were."""
    return float((abs(seen - before) > GREY).mean()) if seen.shape == before.shape else 1.0


@pytest.mark.parametrize("style", ["body{padding-left:20rem!important}", "header{display:none!important}",
                                   "main{opacity:.3}", "h1{margin-bottom:2rem!important}"])
def test_a_look_that_changes_is_noticed(browser, report, style):
    before = cells(opened(browser, report, 400).get_screenshot_as_png())
    other = report.with_name("other.html")
    other.write_text(report.read_text(encoding="utf-8").replace("</style>", f"{style}</style>", 1), encoding="utf-8")
    assert different(before, cells(opened(browser, report, 400).get_screenshot_as_png())) <= SHARE
    assert different(before, cells(opened(browser, other, 400).get_screenshot_as_png())) > SHARE


def test_filters_filter_without_a_script(browser, report):
    opened(browser, report)
    assert not browser.find_elements(By.TAG_NAME, "script")

    def rows():
        return {row.get_attribute("id") for row in browser.find_elements(By.CSS_SELECTOR, "tr.op")
                if row.is_displayed()}

    assert len(rows()) == 4
    for state, op in (("fail", "act.elu"), ("pass", "act.relu"), ("not_judged", "net.layer.affine")):
        browser.find_element(By.ID, f"only-{state}").click()
        assert rows() == {op}
    browser.find_element(By.ID, "only-all").click()
    assert len(rows()) == 4


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser, book, report, dark):
    for page in (report, book / "eq/bp.delta.rec.html"):
        assert violations(opened(browser, page, dark=dark)) == [], page.name


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_any_page(browser, book, report, dark):
    for page in every(book, report):
        assert violations(opened(browser, page, dark=dark)) == [], page.name


def test_axe_would_find_something(browser, report):
    opened(browser, report)
    browser.execute_script("document.body.append(document.createElement('img'));"
                           "document.querySelector('h1').style.color = '#bbb'")
    assert {"image-alt", "color-contrast"} <= {id for id, _ in violations(browser)}


def test_search_finds(browser, book):
    opened(browser, book / "search.html")
    browser.find_element(By.ID, "query").send_keys("delta rec")
    found = [link.text for link in browser.find_elements(By.CSS_SELECTOR, "#found a")]
    assert found[0] == "bp.delta.rec"


def started(browser, page):
    opened(browser, page)
    browser.find_element(By.ID, "live-start").click()
    state = browser.find_element(By.ID, "live-state")
    ui.WebDriverWait(browser, 240).until(lambda _: state.text.startswith(("ready", "It did not")))
    assert state.text.startswith("ready"), state.text
    print(state.text)


def answer(browser):
    return [one.text for one in browser.find_element(By.CSS_SELECTOR, ".case .answer").find_elements(
        By.TAG_NAME, "output")]


def typed(browser, label, text):
    field = browser.find_element(By.CSS_SELECTOR, f'input[aria-label="case 1, {label}"]')
    field.clear()
    field.send_keys(text)


def test_the_reference_runs_in_the_page(browser, live):
    started(browser, live / "eq/bp.delta.rec.html")
    assert answer(browser) == ["−3/2", "−51/16"]
    for label, text in (("delta_next[1]", "1"), ("delta_next[2]", "0"), ("Theta[1][2]", "1")):
        typed(browser, label, text)
    assert answer(browser)[1] == "3/16"
    planted(browser, "1 + a[i]")
    assert answer(browser)[1] == "5/16"
    planted(browser, "")
    browser.find_element(By.ID, "live-exact").click()
    assert answer(browser)[1] == "0.1875"
    typed(browser, "a[2]", "nonsense")
    assert "Invalid literal" in browser.find_element(By.CSS_SELECTOR, ".case .answer").text
    steps_are_checked(browser)
    assert [entry["message"] for entry in said(browser)] == []


def steps_are_checked(browser):
    """On the page that is open: every line of its derivation holds; one that is changed does not, nor what follows."""
    def wait(id, text):
        ui.WebDriverWait(browser, 240).until(lambda _: text in browser.find_element(By.ID, id).text)

    browser.find_element(By.ID, "live-steps").click()
    ui.WebDriverWait(browser, 240).until(lambda _: browser.find_elements(By.ID, "live-check"))
    lines = browser.find_elements(By.CSS_SELECTOR, "#live-body textarea")
    browser.find_element(By.ID, "live-check").click()
    wait("live-steps-state", f"all {len(lines)} steps hold")
    lines[-1].send_keys(" + 1")
    lines[1].clear()
    lines[1].send_keys("∑ of what")
    browser.find_element(By.ID, "live-check").click()
    wait("live-steps-state", "3 of 7 steps do not hold")
    marks = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#live-body .mark")]
    assert marks[0].startswith("✓ equal at 18 places of 9 sizes")
    assert marks[1].startswith("✗ this cannot be read")
    assert marks[2] == "✗ the line before it has no value"
    assert re.fullmatch(r"✗ not equal at p = 1, q = 1: \d+ ≠ \d+", marks[-1])


def planted(browser, wrong):
    """Plants the first fault with these words after its arrow, none without words; some case must catch it."""
    fault = ui.Select(browser.find_element(By.ID, "live-fault"))
    if not wrong:
        fault.select_by_visible_text("none")
        assert not browser.find_elements(By.CSS_SELECTOR, ".state.fail")
        return
    fault.select_by_visible_text(next(one.text for one in fault.options if wrong in one.text.partition("→")[2]))
    caught = int(browser.find_element(By.ID, "live-tally").text.split()[0])
    assert caught == len(browser.find_elements(By.CSS_SELECTOR, ".state.fail")) > 0


@pytest.mark.slow
def test_faults_of_a_convolution_and_the_reading_of_a_sign(browser, live):
    started(browser, live / "eq/conv2d.valid.html")
    assert answer(browser) == ["4", "3", "4", "2", "4", "3", "2", "3", "4"]
    planted(browser, "i - m")
    started(browser, live / "eq/alg.delta.out.html")
    reached = []
    for reading in ("bp.delta.out", "alg.delta.out"):
        ui.Select(browser.find_element(By.ID, "live-reading")).select_by_value(reading)
        reached.append(float(browser.find_element(By.ID, "live-signs").text.split()[2].rstrip(",")))
    assert reached[0] < 0.5 < reached[1]
