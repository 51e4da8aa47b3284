"""Cloudflare's own Python SDK against Martlet's API, as its users call it. Prints "done" at the end of each scenario.

    sdk.py SCENARIO BASE_URL TOKEN
"""

import subprocess
import sys
import tempfile

import cloudflare
from cloudflare import Cloudflare


def client(base, token):
    return Cloudflare(api_token=token, base_url=base, max_retries=0)


def refused(call, status, code):
    try:
        call()
    except cloudflare.APIStatusError as error:
        codes = [problem.code for problem in error.errors]
        assert (error.status_code, codes[0]) == (status, code), (error.status_code, codes, status, code)
    else:
        raise AssertionError(f"expected {status} {code}, and it was done")


def account(api):
    return next(iter(api.accounts.list())).id


def zones(api):
    assert api.user.tokens.verify().status == "active"
    owner = account(api)
    made = [api.zones.create(account={"id": owner}, name=f"z{index:02}.example", type="full") for index in range(45)]
    refused(lambda: api.zones.create(account={"id": owner}, name="z00.example", type="full"), 400, 1061)
    # The SDK asks for page after page until one is empty.
    names = [zone.name for zone in api.zones.list(per_page=10)]
    assert names == sorted(names) and len(names) == len(set(names)) == 45, names
    assert [zone.id for zone in api.zones.list(name="z07.example")] == [made[7].id]
    assert api.zones.get(zone_id=made[0].id).status == "active"
    assert api.zones.edit(zone_id=made[0].id, paused=True).paused
    assert api.zones.settings.edit("ssl", zone_id=made[0].id, value="strict").value == "strict"
    assert api.zones.settings.get("ssl", zone_id=made[0].id).value == "strict"
    assert api.zones.delete(zone_id=made[44].id).id == made[44].id
    refused(lambda: api.zones.get(zone_id=made[44].id), 404, 7003)


def records(api):
    zone = api.zones.create(account={"id": account(api)}, name="records.example", type="full").id
    dns = api.dns.records
    first = dns.create(zone_id=zone, name="www", type="A", content="192.0.2.1", ttl=1, proxied=True)
    assert (first.name, first.proxied) == ("www.records.example", True)
    refused(lambda: dns.create(zone_id=zone, name="www", type="A", content="192.0.2.1", ttl=1), 400, 81057)
    refused(lambda: dns.create(zone_id=zone, name="www", type="CNAME", content="a.example", ttl=1), 400, 81053)
    service = {"priority": 1, "weight": 2, "port": 5060, "target": "sip.records.example"}
    assert dns.create(zone_id=zone, name="_sip._tcp", type="SRV", data=service, ttl=300).content == "2 5060 sip.records.example"
    for index in range(30):
        dns.create(zone_id=zone, name=f"h{index}", type="AAAA", content=f"2001:db8::{index:x}", ttl=300)
    assert len(list(dns.list(zone_id=zone, per_page=7))) == 32
    assert [record.type for record in dns.list(zone_id=zone, name={"exact": "www.records.example"})] == ["A"]
    assert dns.edit(first.id, zone_id=zone, name="www", type="A", content="192.0.2.2", ttl=1, comment="c").comment == "c"
    assert dns.update(first.id, zone_id=zone, name="www", type="A", content="192.0.2.3", ttl=120).comment is None
    batch = dns.batch(
        zone_id=zone, deletes=[{"id": first.id}],
        posts=[{"name": "www", "type": "CNAME", "content": "a.example", "ttl": 60}])
    assert len(batch.posts) == len(batch.deletes) == 1
    refused(lambda: dns.batch(
        zone_id=zone, deletes=[{"id": batch.posts[0].id}],
        posts=[{"name": "x", "type": "A", "content": "nothing", "ttl": 60}]), 400, 9005)
    assert dns.get(batch.posts[0].id, zone_id=zone).name == "www.records.example"
    text = dns.export(zone_id=zone)
    assert dns.import_(zone_id=zone, file=text).recs_added == 0
    assert dns.import_(zone_id=zone, file="new 300 IN A 192.0.2.9\n").recs_added == 1
    dns.delete(batch.posts[0].id, zone_id=zone)
    refused(lambda: dns.get(batch.posts[0].id, zone_id=zone), 404, 81044)


def objects(api):
    owner = account(api)
    zone = api.zones.create(account={"id": owner}, name="objects.example", type="full").id
    assert api.cache.purge(zone_id=zone, files=["https://www.objects.example/x"]).id
    assert api.cache.purge(zone_id=zone, purge_everything=True).id
    assert api.cache.purge(zone_id=zone, tags=["news"]).id
    monitor = api.load_balancers.monitors.create(account_id=owner, type="https")
    pool = api.load_balancers.pools.create(
        account_id=owner, name="pool", origins=[{"name": "a", "address": "192.0.2.1"}], monitor=monitor.id)
    balancer = api.load_balancers.create(
        zone_id=zone, name="lb.objects.example", default_pools=[pool.id], fallback_pool=pool.id)
    assert [found.id for found in api.load_balancers.list(zone_id=zone)] == [balancer.id]
    refused(lambda: api.load_balancers.pools.delete(pool.id, account_id=owner), 412, 1005)
    assert api.healthchecks.create(zone_id=zone, name="check", address="www.objects.example").status == "unknown"
    items = api.rules.lists.create(account_id=owner, kind="ip", name="bad")
    api.rules.lists.items.create(items.id, account_id=owner, body=[{"ip": "192.0.2.0/24"}, {"ip": "2001:db8::1"}])
    assert [item.ip for item in api.rules.lists.items.list(items.id, account_id=owner)] == ["192.0.2.0/24", "2001:db8::1"]
    phase = "http_request_firewall_custom"
    api.rulesets.phases.update(phase, zone_id=zone, rules=[{"action": "block", "expression": "true"}])
    ruleset = api.rulesets.phases.get(phase, zone_id=zone)
    # The SDK's type of this answer is a union with `object`.
    rules = ruleset["rules"] if isinstance(ruleset, dict) else ruleset.rules
    assert len(rules) == 1
    refused(lambda: api.rulesets.phases.get("http_ratelimit", zone_id=zone), 404, 10003)


def self_signed(name):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", "key", "-out", "certificate"],
            cwd=folder, check=True, capture_output=True)
        return [open(f"{folder}/{file}").read() for file in ("certificate", "key")]


def certificates(api):
    zone = api.zones.create(account={"id": account(api)}, name="certificates.example", type="full").id
    certificate, key = self_signed("www.certificates.example")
    made = api.custom_certificates.create(zone_id=zone, certificate=certificate, private_key=key)
    assert made.hosts == ["www.certificates.example"] and made.status == "active", made
    assert [found.id for found in api.custom_certificates.list(zone_id=zone)] == [made.id]
    assert api.custom_certificates.get(made.id, zone_id=zone).expires_on == made.expires_on
    other, other_key = self_signed("other.certificates.example")
    refused(lambda: api.custom_certificates.edit(made.id, zone_id=zone, certificate=other, private_key=key), 400, 1210)
    edited = api.custom_certificates.edit(made.id, zone_id=zone, certificate=other, private_key=other_key)
    assert edited.hosts == ["other.certificates.example"], edited
    assert api.custom_certificates.delete(made.id, zone_id=zone).id == made.id
    assert list(api.custom_certificates.list(zone_id=zone)) == []


def tokens(api):
    zone = api.zones.create(account={"id": account(api)}, name="tokens.example", type="full").id
    groups = {group.name: group.id for group in api.user.tokens.permission_groups.list()}
    token = api.user.tokens.create(name="dns", policies=[{
        "effect": "allow", "permission_groups": [{"id": groups["DNS Write"]}, {"id": groups["Zone Read"]}],
        "resources": {"com.cloudflare.api.account.zone." + zone: "*"}}])
    scoped = client(str(api.base_url), token.value)
    assert [found.name for found in scoped.zones.list()] == ["tokens.example"]
    assert scoped.dns.records.create(zone_id=zone, name="a", type="A", content="192.0.2.1", ttl=60).id
    refused(lambda: scoped.cache.purge(zone_id=zone, purge_everything=True), 403, 10000)
    refused(lambda: scoped.zones.edit(zone_id=zone, paused=True), 403, 10000)
    api.user.tokens.delete(token.id)
    refused(lambda: list(scoped.zones.list()), 403, 9109)


if __name__ == "__main__":
    scenario, base, token = sys.argv[1:]
    scenarios = [zones, records, objects, certificates, tokens]
    {run.__name__: run for run in scenarios}[scenario](client(base, token))
    print("done")
