# make alone prints this help.
GO        ?= go
ENGINE     = wasm/engine.wasm
# The engine is built by one toolchain, so that everybody's build has the same hash.
ENGINE_GO  = go1.27.4
# net/http and x/net/http2 differ in what is newer than go.mod's: users have both.
NEXT_GO    = go1.27.4
BENCH_ARGS ?=
FUZZ_TIME ?= 30s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: help run test test-next race check fmt generate engine size bench bench-http2 interop fuzz cover build-all clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the echo server, hold a conversation with it, show the wire, keep serving
	@mkdir -p bin && $(GO) build -o bin/wasock ./host/cmd/wasock && bin/wasock demo

test: ## run every test that needs only Go
	$(GO) test ./...
	$(GO) test -tags wasock_portable -skip $(NOT_PORTABLE) ./host
	cd tests/bench && $(GO) test ./...
	cd tests/interop && $(GO) test ./...

# The data path of systems without readiness, run here by a build tag. It allocates,
# and it queues in the host before it tells the engine: these tests are of the other.
NOT_PORTABLE = 'TestEchoAllocatesNothing|TestSendQueue|TestOnePongWaits'

test-next: ## run the tests of what stands on net/http with the next Go
	GOTOOLCHAIN=$(NEXT_GO) $(GO) test ./host/... ./tests

race: ## run the host's tests under the race detector
	$(GO) test -race ./host/...

cover: ## print the statement coverage of packages by their own tests
	$(GO) test -cover ./protocol ./hostcalls ./host/permission ./host/dialer ./host/internal/http2client

check: ## format, vet, staticcheck, generated files, engine, tidy, builds for other systems
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run: make fmt'; exit 1; }
	$(GO) vet ./...
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./wasm/engine ./protocol ./hostcalls
	cd tests/bench && $(GO) vet ./...
	cd tests/interop && $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	cd tests/bench && $(GO) mod tidy -diff
	cd tests/interop && $(GO) mod tidy -diff
	$(GO) generate ./...
	git diff --exit-code -- web wasm/include
	$(MAKE) --no-print-directory engine-check size build-all

fmt: ## format the Go files
	gofmt -w $$(git ls-files '*.go')

generate: ## write web/abi.js and wasm/include/wasock.h anew
	$(GO) generate ./...

engine: ## build wasm/engine.wasm
	$(call build-engine,$(ENGINE))

# build-engine builds the engine to $(1), the same bytes everywhere.
build-engine = GOTOOLCHAIN=$(ENGINE_GO) GOOS=wasip1 GOARCH=wasm GOFLAGS= CGO_ENABLED=0 GOEXPERIMENT=simd \
	$(GO) build -trimpath -buildvcs=false -buildmode=c-shared -ldflags="-s -w" -o $(1) ./wasm/engine

.PHONY: engine-check
engine-check: # the committed engine is what its source makes
	@tmp=$$(mktemp) && $(call build-engine,$$tmp) && cmp $$tmp $(ENGINE) && rm -f $$tmp \
		|| { echo 'wasm/engine.wasm is not what its source makes. Run: make engine'; exit 1; }

size: ## print the engine's size, and fail above the budget
	@raw=$$(wc -c < $(ENGINE)); gz=$$(gzip -9 -c $(ENGINE) | wc -c); \
	echo "engine.wasm: $$raw bytes of 3100000, $$gz gzipped of 900000"; \
	test $$raw -le 3100000 && test $$gz -le 900000

build-all: ## build for the systems and processors that are supported
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "build $$os/$$arch"; GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) build ./... || exit 1; done; done

bench: ## measure against raw TCP, gorilla, coder and gws, and print a table
	cd tests/bench && $(GO) run . -out results.txt -benchfmt results.bench $(BENCH_ARGS)

bench-http2: ## measure HTTP/2 against HTTP/1.1 over TLS, both ends ours
	$(GO) test ./host -run '^$$' -bench Carriers -count 6

interop: ## test against gorilla, coder and gws over real sockets
	cd tests/interop && $(GO) test -v ./...

# Peers that are no Go libraries. WASOCK_PEERS=all makes one that is not installed a
# failure.
PEERS_TEST = cd tests/peers && WASOCK_PEERS=$${WASOCK_PEERS:-run} $(GO) test -count=1

.PHONY: peers-install peers
peers-install: ## install the peers: browsers, proxies, Node, Deno, Python, h2spec, Autobahn
	tests/peers/install

peers: ## test against browsers, proxies, Node, Deno, Python and h2spec, over HTTP/1.1 and HTTP/2
	$(PEERS_TEST) -skip Autobahn

.PHONY: autobahn autobahn-http2 autobahn-all
autobahn: ## run Autobahn against both roles, under wazero, over HTTP/2 and native: 7 minutes
	$(PEERS_TEST) -timeout 30m -run '^TestAutobahn'

autobahn-http2: ## run Autobahn against both roles over HTTP/2 only
	$(PEERS_TEST) -run '^TestAutobahn$$/http2$$'

autobahn-all: export WASOCK_AUTOBAHN = all
autobahn-all: ## run all 517 cases of Autobahn against both roles under wazero: an hour
	$(PEERS_TEST) -timeout 5h -run '^TestAutobahn$$'

fuzz: ## run every fuzz target for FUZZ_TIME
	@for pkg in ./protocol ./hostcalls ./host ./host/permission ./host/dialer ./host/internal/http2client; do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
			$(GO) test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ_TIME) || exit 1; done; done

clean: ## remove what was built
	rm -rf bin
