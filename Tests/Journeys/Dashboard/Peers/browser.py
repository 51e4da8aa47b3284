"""A headless Chromium, and what every page that it shows is held to."""

import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

# Longer than any page takes on a busy machine: only ever waited for in full by a journey that fails.
PATIENCE_SECONDS = 60

# Texts whose contrast with what lies behind them is below 4.5:1 (3:1 where they are large: WCAG 2.2, 1.4.3); controls
# without a name; and the page's own width if it is wider than the window.
INSPECTION = r"""
const parse = color => { const n = color.match(/[\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
const light = c => { const f = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
const over = (top, ground) => [0, 1, 2].map(i => top[i] * top[3] + ground[i] * (1 - top[3])).concat(1);
const behind = element => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] > 0) layers.push(c);
    if (c[3] === 1) break;
  }
  return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1]);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, e = node.parentElement;
  if (!node.textContent.trim() || !e.checkVisibility({ visibilityProperty: true }) || e.closest('svg, .unseen, .skip, :disabled')) continue;
  const style = getComputedStyle(e), size = parseFloat(style.fontSize);
  const a = light(over(parse(style.color), behind(e))), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const isLarge = size >= 24 || size >= 18.66 && parseInt(style.fontWeight) >= 700;
  if (ratio < (isLarge ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
}
for (const e of document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea, button, a')) {
  const named = (e.labels && e.labels.length) || e.textContent.trim() || e.getAttribute('aria-label');
  if (!named) found.push(`no name: ${e.outerHTML.slice(0, 100)}`);
}
const levels = Array.from(document.querySelectorAll('h1, h2, h3, h4')).map(e => Number(e.tagName[1]));
levels.forEach((level, i) => { if (level > (i ? levels[i - 1] : 0) + 1) found.push(`heading h${level} follows ${i ? 'h' + levels[i - 1] : 'nothing'}`); });
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) found.push(`wider than the window: ${root.scrollWidth} > ${root.clientWidth}`);
return found;
"""


class Browser:
    def __init__(self, base, width=1280, scheme="light", has_script=True):
        self.base = base
        self.pages = 0
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        # No sandbox: journeys run as root in CI. The pipe ends the browser together with its driver.
        for argument in [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
        ]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not has_script:
            options.add_experimental_option(
                "prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(PATIENCE_SECONDS)
        # What tests say counts, not the machine's window manager: no window is narrower than 500 px there.
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    # What is seen

    @property
    def place(self):
        return self.driver.current_url.removeprefix(self.base).split("?")[0]

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def link(self, text, within="main"):
        for element in self.all(f"{within} a"):
            if element.text.strip() == text and element.is_displayed():
                return element
        raise AssertionError(f"no link {text!r} on {self.place}: {[a.text for a in self.all('a')]}")

    def inspect(self, expected=()):
        """Holds the page to what every page is held to."""
        self.pages += 1
        found = self.driver.execute_script(INSPECTION)
        assert not found, f"{self.place}: {found}"
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE" and not any(part in entry["message"] for part in expected):
                raise AssertionError(f"{self.place}: {entry}")

    # What is done

    def open(self, place):
        self.driver.get(self.base + place)
        self.inspect()

    def leave(self, act, expected=()):
        """Does what leads to another page, and waits until that one is there."""
        before = self.find("html")
        act()
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                before.is_enabled()
            except Exception:  # the element is gone with its page
                if self.driver.execute_script("return document.readyState") == "complete":
                    self.inspect(expected)
                    return
            time.sleep(0.02)
        raise AssertionError(f"{self.place}: nothing came of it: {self.text}")

    def click(self, element, expected=()):
        self.leave(element.click, expected)

    def go(self, text, within="main"):
        self.click(self.link(text, within))

    def press(self, text, expected=()):
        for element in self.all("main button"):
            if element.text.strip() == text:
                return self.click(element, expected)
        raise AssertionError(f"no button {text!r} on {self.place}")

    def fill(self, name, value):
        field = self.find(f"#f-{name}")
        if field.tag_name == "select":
            Select(field).select_by_value(value)
        elif field.get_attribute("type") == "checkbox":
            if field.is_selected() != value:
                field.click()
        else:
            field.clear()
            field.send_keys(value)

    def sign_in(self, token):
        self.open("/")
        self.fill("token", token)
        self.press("Sign in")

    def menu(self, text):
        """Through the main navigation: beside the page, or behind the menu's button where the window is narrow."""
        summary = self.find(".menu > summary")
        if summary.is_displayed():
            summary.click()
            self.go(text, ".menu")
        else:
            self.go(text, ".side")

    def sees(self, *texts):
        for text in texts:
            assert text in self.text, f"{self.place}: expected {text!r}, found {self.text}"


def run(scenarios):
    scenario, *arguments = sys.argv[1:]
    scenarios[scenario](*arguments)
    print("done")
