# Index of commands. `make` alone lists them.
# demo and test install what is missing (Debian packages, npm packages, cargo tools) and say so.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)
export BELLWETHER_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bellwether-tools
export PATH := $(PATH):$(HOME)/.cargo/bin:$(BELLWETHER_TOOLS)/bin
STAGE := @.ci/stage

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

# --- for people -----------------------------------------------------------------------------------------------------

.PHONY: demo
demo: prepare-demo web/ui/dist/index.html ## a plant that wears out, the gateway and its dashboard; ARGS="--seed 7"
	@echo "--- building the gateway (from nothing about 8 minutes on 2 cores, most of it once for all)"
	@cargo build --workspace --locked
	@exec $(TARGET)/debug/bellwether demo $(ARGS)

.PHONY: ui
ui: web/ui/dist/index.html ## build the dashboard (web/ui/dist), if its sources have changed

.PHONY: deb
deb: prepare-deb web/ui/dist/index.html ## the Debian package, without the demo; goes to target/deb
	cargo build --release --locked --package bellwether --no-default-features
	systemd/build-deb.sh $(TARGET)/release/bellwether $(TARGET)/deb

.PHONY: bench
bench: ## the figures of docs/performance.md
	cargo bench --workspace --locked $(ARGS)

.PHONY: picture
picture: prepare-test web/ui/dist/index.html ## take the picture of the README from a running demo (3 minutes)
	cargo build --workspace --locked
	BELLWETHER_STORY_S=170 .ci/browser
	cp $(TARGET)/pictures/dashboard.png docs/dashboard.png

.PHONY: clean
clean: ## delete everything that was built
	rm -rf web/ui/dist web/ui/node_modules
	cargo clean

# --- checks: test is what CI runs, check is what needs neither Node nor a browser -----------------------------------

CHECKS := fmt arrows clippy build nextest doctest doc units
STAGES := fmt arrows ui-test clippy build nextest doctest doc units e2e browser

.PHONY: test
test: prepare-test $(STAGES) ## everything: format, lints, all tests, licences, package, browser
	@.ci/summary $(STAGES)

.PHONY: check
check: prepare-check $(CHECKS) ## the same without the dashboard's own tests and the browser
	@.ci/summary $(CHECKS)

PREPARE := prepare-demo prepare-check prepare-test prepare-deb
.PHONY: $(PREPARE)
$(PREPARE): prepare-%:
	@rm -rf $(TARGET)/stages
	@.ci/prepare $*

.PHONY: $(STAGES)
fmt:
	$(STAGE) $@ "format and spelling" sh -c 'cargo fmt --all --check && typos'
arrows:
	$(STAGE) $@ "licences, sources, who depends on whom" .ci/arrows
ui-test: web/ui/dist/index.html
	$(STAGE) $@ "dashboard: types and unit tests" sh -c 'cd web/ui && npm run --silent check && npm test --silent'
clippy:
	$(STAGE) $@ "lints, warnings denied (from nothing about 4 minutes)" \
	  cargo clippy --workspace --all-targets --locked -- -D warnings
build:
	$(STAGE) $@ "the gateway with the demo (from nothing about 6 minutes)" cargo build --workspace --locked
nextest:
	$(STAGE) $@ "unit and integration tests" cargo nextest run --workspace --locked
doctest:
	$(STAGE) $@ "examples in the documentation" cargo test --doc --workspace --locked
doc:
	$(STAGE) $@ "documentation, warnings denied" env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
units:
	$(STAGE) $@ "systemd unit, configuration and Debian package" systemd/check.sh
e2e: web/ui/dist/index.html
	$(STAGE) $@ "dashboard in Chromium against a scripted API" sh -c 'cd web/ui && npm run --silent e2e'
browser:
	$(STAGE) $@ "dashboard in Chromium against a running gateway" .ci/browser

# --- the dashboard's files ------------------------------------------------------------------------------------------

UI_SOURCES := $(shell find web/ui -name node_modules -prune -o -name dist -prune -o -name tests -prune -o -type f -print 2>/dev/null)

web/ui/node_modules/.package-lock.json: web/ui/package-lock.json web/ui/package.json
	@echo "--- installing the dashboard's npm packages"
	@cd web/ui && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
web/ui/dist/index.html: web/ui/node_modules/.package-lock.json $(UI_SOURCES)
	@echo "--- building the dashboard"
	@cd web/ui && npm run --silent build
	@touch $@
