# The one door people type. meson.build says what is built from what.
#
#   make            the optimized build/meridian
#   make demo       install what is needed, build, run a world (DEMO_ARGS="--regions 5")
#   make test       install what is needed, build every flavour, lint, all tests
#   make check      unit tests only, under AddressSanitizer and UBSan (T=host/wan_test: that one)
#   make sim        the simulator (RUNS=1000 SEED=1)
#   make mutations  would the simulator find them? (T=seals_late: that one)
#   make fuzz       the fuzz programs (T=resp: that one; SECONDS=60 each)
#   make corpus     their seeds anew, from the encoders
#   make lint       the gates: layers, purity, tidy, events
#   make format     clang-format over src
#   make bench      side-by-side measurements
#   make clean      remove everything built

FLAVOURS := build/flavours
RELEASE := build
ASAN := $(FLAVOURS)/asan
CLANG := $(FLAVOURS)/clang
FUZZ := $(FLAVOURS)/fuzz

.PHONY: all asan clang fuzzers demo test check sim mutations fuzz corpus lint format bench clean install-demo install-test

all: $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet

asan: $(ASAN)/build.ninja
	@ninja -C $(ASAN) --quiet

clang: $(CLANG)/build.ninja
	@ninja -C $(CLANG) --quiet all meson-test-prereq

fuzzers: $(FUZZ)/build.ninja
	@ninja -C $(FUZZ) --quiet fuzzers

$(RELEASE)/build.ninja:
	@scripts/setup $(RELEASE) --buildtype=debugoptimized

$(ASAN)/build.ninja:
	@scripts/setup $(ASAN) --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false

$(CLANG)/build.ninja:
	@CC=clang scripts/setup $(CLANG) --buildtype=debug -Doptimization=0

$(FUZZ)/build.ninja:
	@CC=clang scripts/setup $(FUZZ) --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined \
	    -Db_lundef=false -Dfuzz=true

install-demo:
	@scripts/install-packages build demo

install-test:
	@scripts/install-packages build test
	@scripts/install-clients

demo: install-demo
	@$(MAKE) --no-print-directory all
	@exec build/meridian demo $(DEMO_ARGS)

test: install-test
	@scripts/test

check: asan
	@meson test -C $(ASAN) --print-errorlogs $(T)

sim: all
	@build/meridian sim $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

mutations: all
	@scripts/mutations $(if $(SEED),--seed $(SEED)) $(T)

fuzz: fuzzers
	@scripts/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(T)

corpus: $(FUZZ)/build.ninja
	@ninja -C $(FUZZ) --quiet tests/make_corpus
	@$(FUZZ)/tests/make_corpus tests/corpus

lint: all
	@scripts/lint $(RELEASE)

format:
	@clang-format -i $$(find src -name '*.[ch]')

bench: all
	@bench/run

clean:
	@rm -rf build
