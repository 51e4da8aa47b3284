"""The dashboard as people use it, in a headless Chromium. Prints "done" at the end of a scenario.

    browse.py SCENARIO BASE_URL TOKEN MORE...
"""

import json
import urllib.request

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import Browser, run


def everything(base, token, width, scheme, certificate, key):
    """What an operator does on an ordinary day."""
    with Browser(base, int(width), scheme) as browser:
        browser.sign_in(token)
        assert browser.place == "/", browser.place
        browser.sees("Overview", "Begin with a zone", "No edges yet")
        browser.menu("Zones")
        browser.sees("No zones yet")
        browser.go("Add a zone")
        browser.fill("name", "example.test")
        browser.press("Add zone")
        browser.sees("example.test was added", "No records yet")
        zone = browser.place.removesuffix("/dns")
        records(browser)
        cache(browser)
        certificates(browser, certificate, key)
        settings(browser, zone)
        rules(browser)
        tokens(browser, base)
        browser.menu("Audit log")
        browser.sees("Created A record", "Created zone", "Deleted A record", "First token")
        browser.find("summary:not(.menu *)" if int(width) > 900 else "td summary").click()
        browser.menu("Edges")
        browser.sees("No edges yet")
        for place in [zone, zone + "/delete", "/", "/edges/new", "/rules", "/zones?search=nothing"]:
            browser.open(place)
        if int(width) < 900:
            browser.find(".menu > summary").click()
        browser.click(next(b for b in browser.all(".person button") if b.is_displayed()))
        assert browser.place == "/sign-in", browser.place
        browser.driver.get(base + zone)
        assert browser.place == "/sign-in", browser.place
        assert browser.pages > 40, browser.pages


def records(browser):
    browser.go("Add a record")
    assert browser.find("#f-priority").is_displayed() is False
    browser.fill("type", "MX")
    assert browser.find("#f-priority").is_displayed() and not browser.find("#f-proxied").is_displayed()
    browser.fill("type", "A")
    browser.fill("name", "www")
    browser.fill("content", "nonsense")
    browser.press("Add record", ["status of 422"])
    browser.sees("one field needs another look")
    focused = browser.driver.switch_to.active_element
    assert focused.get_attribute("id") == "f-content" and focused.get_attribute("value") == "nonsense"
    assert browser.find("#e-content").is_displayed()
    browser.fill("content", "192.0.2.1")
    browser.fill("proxied", True)
    browser.press("Add record")
    browser.sees("The record was added", "www.example.test", "192.0.2.1", "Proxied")
    browser.click(browser.find("td.actions a"))
    browser.fill("content", "192.0.2.2")
    browser.press("Save record")
    browser.sees("The record was saved", "192.0.2.2")
    browser.click(browser.find("td.actions .dangerous"))
    browser.sees("Delete this A record?", "www.example.test")
    browser.go("Cancel")
    browser.sees("192.0.2.2")
    browser.click(browser.find("td.actions .dangerous"))
    browser.press("Delete record")
    browser.sees("The record was deleted", "No records yet")
    browser.go("Import a zone file")
    browser.find("#f-text").send_keys("@ 300 IN A 192.0.2.9\nmail 300 IN A 192.0.2.10")
    browser.press("Import")
    browser.sees("2 of 2 records were added", "mail.example.test")


def cache(browser):
    browser.go("Cache")
    browser.fill("items", "https://example.test/a\nhttps://other.test/b")
    browser.press("Purge", ["status of 422"])
    browser.sees("one field needs another look")
    browser.fill("items", "https://example.test/a")
    browser.press("Purge")
    browser.sees("1 item is purged")
    browser.go("Purge everything…")
    browser.press("Purge everything")
    browser.sees("Everything cached for example.test is purged")


def certificates(browser, certificate, key):
    browser.go("Certificates")
    browser.sees("No certificates yet")
    browser.go("Upload a certificate")
    browser.find("#f-certificate_file").send_keys(certificate)
    browser.press("Upload certificate", ["status of 422"])
    browser.sees("one field needs another look")
    browser.find("#f-certificate_file").send_keys(certificate)
    browser.find("#f-private_key_file").send_keys(key)
    browser.press("Upload certificate")
    browser.sees("is in force on every edge", "example.test")


def settings(browser, zone):
    browser.go("Settings")
    browser.fill("min_tls_version", "1.3")
    browser.press("Save TLS")
    browser.sees("TLS: 1 setting was changed")
    assert browser.find("#f-min_tls_version").get_attribute("value") == "1.3"
    assert browser.place.startswith(zone)


def rules(browser):
    browser.go("Rules")
    browser.sees("No rulesets yet", "No page rules yet")
    browser.go("Add a ruleset")
    browser.press("Save ruleset")
    browser.sees("The ruleset was saved", "http_request_firewall_custom")


def tokens(browser, base):
    browser.menu("API tokens")
    browser.sees("you are signed in with it")
    browser.go("Create a token")
    browser.fill("name", "for the journey")
    select = next(e for e in browser.all(".level") if e.find_element(By.TAG_NAME, "label").text == "DNS")
    select.find_element(By.TAG_NAME, "select").send_keys("Read and write")
    browser.press("Create token")
    browser.sees("Its secret is shown this once")
    secret = browser.find("#secret").get_attribute("value")
    request = urllib.request.Request(
        base + "/client/v4/user/tokens/verify", headers={"authorization": "Bearer " + secret})
    assert json.load(urllib.request.urlopen(request))["result"]["status"] == "active"
    browser.go("for the journey")
    browser.sees("DNS Write", "All zones")


def keyboard(base, token):
    """No pointer: whatever has the focus shows it, and is reached in the order of the page."""
    with Browser(base) as browser:
        driver = browser.driver

        def focused():
            return driver.switch_to.active_element

        def tab_to(matches):
            for _ in range(60):
                focused().send_keys(Keys.TAB)
                here = focused()
                width = driver.execute_script("return parseFloat(getComputedStyle(arguments[0]).outlineWidth)", here)
                style = here.value_of_css_property("outline-style")
                assert width >= 2 and style != "none", f"{here.get_attribute('outerHTML')} hides its focus"
                if matches(here):
                    return here
            raise AssertionError(f"not reached by the keyboard on {browser.place}")

        def named(text):
            return lambda element: element.text.strip() == text

        def field(name):
            return lambda element: element.get_attribute("id") == f"f-{name}"

        browser.open("/")
        assert focused().get_attribute("id") == "f-token"
        focused().send_keys(token)
        browser.leave(lambda: focused().send_keys(Keys.ENTER))
        # The first stop jumps over the navigation.
        browser.find("body").send_keys(Keys.TAB)
        assert focused().text == "Skip to the content", focused().text
        focused().send_keys(Keys.ENTER)
        assert focused().get_attribute("id") == "content"
        add = tab_to(named("Add a zone"))
        browser.leave(lambda: add.send_keys(Keys.ENTER))
        tab_to(field("name")).send_keys("keyboard.test")
        browser.leave(lambda: focused().send_keys(Keys.ENTER))
        add = tab_to(named("Add a record"))
        browser.leave(lambda: add.send_keys(Keys.ENTER))
        tab_to(field("type")).send_keys("TXT")
        tab_to(field("name")).send_keys("@")
        tab_to(field("content")).send_keys("said by keys alone")
        send = tab_to(named("Add record"))
        browser.leave(lambda: send.send_keys(Keys.SPACE))
        browser.sees("The record was added", "said by keys alone")
        out = tab_to(named("Sign out"))
        browser.leave(lambda: out.send_keys(Keys.ENTER))
        assert browser.place == "/sign-in"


def plain(base, token):
    """Without JavaScript, all but the graphs' refresh."""
    with Browser(base, 320, "dark", has_script=False) as browser:
        browser.sign_in(token)
        assert browser.driver.execute_script("return document.querySelector('[data-copy]')") is None
        browser.menu("Zones")
        browser.go("Add a zone")
        browser.fill("name", "plain.test")
        browser.press("Add zone")
        browser.go("Add a record")
        # Nothing hides fields: all of them are there.
        assert browser.find("#f-priority").is_displayed() and browser.find("#f-proxied").is_displayed()
        browser.fill("name", "www")
        browser.fill("content", "192.0.2.1")
        browser.press("Add record")
        browser.sees("The record was added", "www.plain.test")
        browser.click(browser.find("td.actions .dangerous"))
        browser.press("Delete record")
        browser.go("Overview")
        browser.go("Delete zone…")
        browser.fill("name", "plain.test")
        browser.press("Delete this zone")
        browser.sees("plain.test was deleted", "No zones yet")


def refusals(base, token):
    """A wrong token, a token that may only read, and one that is revoked while somebody is signed in with it."""

    def api(method, path, body=None):
        request = urllib.request.Request(
            base + "/client/v4" + path, method=method, data=body and json.dumps(body).encode(),
            headers={"authorization": "Bearer " + token, "content-type": "application/json"})
        return json.load(urllib.request.urlopen(request))["result"]

    zone = api("POST", "/zones", {"name": "refusals.test"})["id"]
    groups = {group["name"]: group["id"] for group in api("GET", "/user/tokens/permission_groups")}
    policy = {
        "effect": "allow", "permission_groups": [{"id": groups["Zone Read"]}, {"id": groups["DNS Read"]}],
        "resources": {"com.cloudflare.api.account.zone.*": "*"},
    }
    reader = api("POST", "/user/tokens", {"name": "reader", "policies": [policy]})
    with Browser(base) as browser:
        browser.open("/zones")
        browser.fill("token", "wrong")
        browser.press("Sign in", ["status of 403"])
        browser.sees("This token is not accepted")
        browser.fill("token", reader["value"])
        browser.press("Sign in")
        assert browser.place == "/zones", browser.place
        browser.go("refusals.test")
        browser.go("DNS")
        assert not browser.all("main form[method=post]") and not browser.all("main .primary")
        browser.leave(lambda: browser.driver.get(f"{base}/zones/{zone}/settings"), ["status of 403"])
        browser.sees("Your token does not allow this", "needs Zone Settings Read")
        api("DELETE", f"/user/tokens/{reader['id']}")
        browser.leave(lambda: browser.driver.get(f"{base}/zones"))
        assert browser.place == "/sign-in", browser.place
        browser.sees("You were signed out")


run({"everything": everything, "keyboard": keyboard, "plain": plain, "refusals": refusals})
