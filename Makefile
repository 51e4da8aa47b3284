# `make help` lists what there is. Each task installs what it lacks first (Scripts/setup), so that a fresh clone on
# Debian 12 with a Swift toolchain needs no other step.

PREFIX  ?= /usr/local
DESTDIR ?=

# Release binaries carry the Swift runtime: the machine that serves needs no toolchain. Modules are optimised across
# their borders, and exclusive access, which the compiler proves for most of the code and debug builds check for the
# rest, is not checked again at run time: together a quarter of the user time of a proxied request (docs/measurements.md).
RELEASE_FLAGS = -c release --static-swift-stdlib --product martlet \
	-Xswiftc -cross-module-optimization -Xswiftc -enforce-exclusivity=unchecked
# Imports that Package.swift does not list are errors: its dependency lists are the import law.
DEBUG_FLAGS = --explicit-target-dependency-import-check error
FORMAT = swift format --configuration .swift-format
SWIFT_FILES = Package.swift $(wildcard Sources Tests Benchmarks FuzzTesting)

.PHONY: help up build test tidy bench fuzz format install uninstall clean

help:
	@echo 'make up        build, start the demo site and Martlet in front of it; Ctrl-C stops both'
	@echo 'make test      every check and every test, as CI runs them'
	@echo 'make bench     Martlet beside nginx and Varnish, in one table'
	@echo 'make build     the release binary, .build/release/martlet'
	@echo 'make install   binary, configuration and systemd unit (PREFIX=$(PREFIX), DESTDIR for packagers)'
	@echo 'make uninstall what install put there, but for configuration and data'
	@echo 'make tidy      the rules of the house alone: names, imports, bans, sizes, format'
	@echo 'make format    rewrite the Swift sources in the house format'
	@echo 'make fuzz      the parsers against generated input (SECONDS_EACH=60)'
	@echo 'make clean     remove what was built; configuration and var/ stay'

up: build
	@Scripts/setup up
	@Scripts/up

build:
	@Scripts/setup build
	swift build $(RELEASE_FLAGS)

# The cheap checks stand first: a wrong import is reported before ten minutes of building.
test:
	@Scripts/setup test
	Scripts/tidy --self-test
	Scripts/tidy
	swift build --build-tests $(DEBUG_FLAGS)
# In parts: tests whose peers give each other seconds to answer do not stand beside those that block for minutes.
	swift test --skip-build --skip '^(Journeys|ControlPlaneTests|DistributionTests)'
	swift test --skip-build --filter '^DistributionTests'
	swift test --skip-build --filter '^ControlPlaneTests'
	swift test --skip-build --filter '^Journeys'

tidy:
	@Scripts/setup test
	@Scripts/tidy

bench: build
	@Scripts/setup bench
	Benchmarks/run --no-install

fuzz:
	@Scripts/setup fuzz
	FuzzTesting/run

format:
	@Scripts/setup build
	$(FORMAT) format --in-place --parallel --recursive $(SWIFT_FILES)

# Configuration that stands there already is kept. A running Martlet changes into the new binary, without a
# refused connection, by `systemctl kill --kill-who=main --signal=USR2 martlet` (docs/operations.md).
install:
	@test -x .build/release/martlet || { echo 'no .build/release/martlet: run `make build` first' >&2; exit 1; }
	install -D -m 755 .build/release/martlet $(DESTDIR)$(PREFIX)/bin/martlet
	install -d -m 755 $(DESTDIR)/etc/systemd/system $(DESTDIR)/etc/sysusers.d
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/systemd/martlet.service > $(DESTDIR)/etc/systemd/system/martlet.service
	install -m 644 packaging/systemd/martlet.sysusers $(DESTDIR)/etc/sysusers.d/martlet.conf
	install -D -m 644 packaging/logrotate/martlet $(DESTDIR)/etc/logrotate.d/martlet
	install -D -m 644 packaging/sysctl/60-martlet.conf $(DESTDIR)$(PREFIX)/share/martlet/60-martlet.conf
	test -e $(DESTDIR)/etc/martlet/martlet.yaml || \
		install -D -m 644 packaging/martlet.yaml $(DESTDIR)/etc/martlet/martlet.yaml
	test -n '$(DESTDIR)' || ! command -v systemd-sysusers >/dev/null || systemd-sysusers /etc/sysusers.d/martlet.conf
	test -n '$(DESTDIR)' || ! test -d /run/systemd/system || systemctl daemon-reload

uninstall:
	test -n '$(DESTDIR)' || ! test -d /run/systemd/system || systemctl disable --now martlet || true
	rm -f $(DESTDIR)$(PREFIX)/bin/martlet $(DESTDIR)$(PREFIX)/share/martlet/60-martlet.conf \
		$(DESTDIR)/etc/systemd/system/martlet.service $(DESTDIR)/etc/sysusers.d/martlet.conf \
		$(DESTDIR)/etc/logrotate.d/martlet
	test -n '$(DESTDIR)' || ! test -d /run/systemd/system || systemctl daemon-reload

clean:
	rm -rf .build Benchmarks/results
