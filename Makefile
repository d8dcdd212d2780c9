# The one door people type. meson.build says what is built from what.
#
#   make            the optimized build/meridian
#   make demo       install what is needed, build, run a world (DEMO_ARGS="--regions 5")
#   make test       install what is needed, build every flavour, lint, all tests
#   make check      unit tests only, under AddressSanitizer and UBSan (T=host/wan_test: that one)
#   make sim        the simulator (RUNS=1000 SEED=1)
#   make lint       the gates: layers, purity, tidy
#   make format     clang-format over src
#   make bench      side-by-side measurements
#   make clean      remove everything built

FLAVOURS := build/flavours
RELEASE := build
ASAN := $(FLAVOURS)/asan
CLANG := $(FLAVOURS)/clang

.PHONY: all asan clang demo test check sim lint format bench clean install-demo install-test

all: $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) --quiet

asan: $(ASAN)/build.ninja
	@ninja -C $(ASAN) --quiet

clang: $(CLANG)/build.ninja
	@ninja -C $(CLANG) --quiet all meson-test-prereq

$(RELEASE)/build.ninja:
	@scripts/setup $(RELEASE) --buildtype=debugoptimized

$(ASAN)/build.ninja:
	@scripts/setup $(ASAN) --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false

$(CLANG)/build.ninja:
	@CC=clang scripts/setup $(CLANG) --buildtype=debug -Doptimization=0

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

lint: all
	@scripts/lint $(RELEASE)

format:
	@clang-format -i $$(find src -name '*.[ch]')

bench: all
	@bench/run

clean:
	@rm -rf build
