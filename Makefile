# Makefile - builds, tests, installs and runs poold. `make help` lists the targets.
#
# Out of tree: every object lies in build/ (or build/asan/, build/ubsan/, ... of a variant).
# CC CFLAGS CPPFLAGS LDFLAGS PREFIX DESTDIR V=1 are the caller's; CI=true makes warnings errors.

PREFIX     ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
LIBEXECDIR ?= $(PREFIX)/libexec/poold
SBINDIR    ?= $(PREFIX)/sbin
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
SHAREDIR   ?= $(PREFIX)/share/poold
UNITDIR    ?= $(PREFIX)/lib/systemd/system
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
VERSION    := 0.1.0
SEEDS      ?= 200
RUNS       ?= 10000
FUZZ_SEED  ?= 1

B := build$(addprefix /,$(VARIANT))
Q := $(if $(V),,@)

# --- flags -------------------------------------------------------------------------------------
CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Wcast-qual -Wswitch-enum -Wformat=2 -Wnull-dereference -Wundef \
          -Wwrite-strings -Wpointer-arith $(if $(filter true,$(CI)),-Werror)
# What the compiler at hand does not take is left out (clang has no zero-call-used-regs, ...).
try     = $(foreach f,$(1),$(shell $(CC) -Werror $(f) -x c -c /dev/null -o /dev/null 2>/dev/null && echo $(f)))
HARDEN := $(call try,-fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero \
          -fzero-call-used-regs=used-gpr -fno-delete-null-pointer-checks) \
          -fno-strict-overflow -fno-strict-aliasing
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIE
LINKHARD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifneq ($(SANITIZE),)
FORTIFY := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIE
HARDEN  :=
LINKHARD := -pie -fsanitize=$(SANITIZE)
endif
BASE_CFLAGS := -std=gnu11 -I. -D_GNU_SOURCE -DPOOLD_VERSION='"$(VERSION)"' \
               -DPOOLD_LIBEXECDIR='"$(LIBEXECDIR)"' -DPOOLD_SYSCONFDIR='"$(SYSCONFDIR)"' \
               -MMD -MP $(WARN) $(HARDEN)
ALL_CFLAGS = $(BASE_CFLAGS) $(FORTIFY) $(CPPFLAGS) $(CFLAGS)
# poold-exec has no libc and no start-up code: nothing that needs either.
EXEC_CFLAGS = $(BASE_CFLAGS) -ffreestanding -fno-stack-protector -fno-builtin -fno-pie -U_FORTIFY_SOURCE \
              -fno-asynchronous-unwind-tables -fcf-protection=none $(CPPFLAGS) -O2 -g
EXEC_LDFLAGS := -nostdlib -nostartfiles -static -no-pie -Wl,-z,noexecstack -Wl,--build-id=none

# --- what is made of what ----------------------------------------------------------------------
obj = $(patsubst %.c,$(B)/o/%.o,$(1))
COMMON  := $(wildcard common/*.c)
CORE    := $(wildcard supervisor/core/*.c)
LOAD    := $(wildcard supervisor/load/*.c)
ENGINE  := $(wildcard supervisor/engine/*.c)
KEEPER  := $(wildcard supervisor/keeper/*.c)
EXECH   := $(wildcard supervisor/exec/*.c)
CTL     := $(wildcard supervisor/ctl/*.c)
SHARED  := $(wildcard supervisor/*.c)
# libpoolworker: position-independent, and nothing of it is seen but its API.
POOLWORKER := $(wildcard worker/lib/*.c) common/message.c
POOLWORKER_VERSION := 1
pic = $(patsubst %.c,$(B)/o/pic/%.o,$(1))
HOST    := $(wildcard worker/host/*.c)
# What the stock worker takes of common/: it needs no JSON.
FEW     := common/err.c common/text.c common/units.c
SIM     := $(wildcard test/sim/*.c)
UNIT    := $(wildcard test/unit/test_*.c)
FIXTURE := $(wildcard test/system/fixture/*.c)
BENCH   := $(wildcard test/bench/*.c)

# Everything but main() of the engine: what unit tests link.
LIBRARY := $(filter-out %/main.c,$(COMMON) $(CORE) $(LOAD) $(ENGINE) $(SHARED))

PROGRAMS := $(B)/poold $(B)/poold-exec $(B)/poold-engine $(B)/poolctl
# The stock worker needs libmicrohttpd; without it everything else is built.
HAVE_HTTP := $(shell printf '\43include <microhttpd.h>\n' | $(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)
ifeq ($(HAVE_HTTP),yes)
PROGRAMS += $(B)/poolworker
MODULES  := $(patsubst worker/host/examples/%.c,$(B)/test/module_%.so,$(wildcard worker/host/examples/*.c))
else
UNIT := $(filter-out test/unit/test_host_%,$(UNIT))
NO_FUZZ := $(B)/test/fuzz_http
endif
TESTS    := $(patsubst test/unit/%.c,$(B)/test/%,$(UNIT))
FIXTURES := $(patsubst test/system/fixture/%.c,$(B)/test/%,$(FIXTURE))
# Workers on libpoolworker, which the system tests run; libevent is optional.
WORKERS  := $(wildcard worker/lib/examples/*.c)
ifeq ($(wildcard /usr/include/event2/event.h),)
WORKERS  := $(filter-out %/libevent.c,$(WORKERS))
endif
EXAMPLE_WORKERS := $(patsubst worker/lib/examples/%.c,$(B)/test/example_%,$(WORKERS))
FUZZERS  := $(filter-out $(NO_FUZZ),$(patsubst test/fuzz/fuzz_%.c,$(B)/test/fuzz_%,$(wildcard test/fuzz/fuzz_*.c)))
BENCHES  := $(patsubst test/bench/%.c,$(B)/test/%,$(BENCH))

POOLWORKER_SO := $(B)/libpoolworker.so.$(POOLWORKER_VERSION)
LIBRARIES := $(POOLWORKER_SO) $(B)/libpoolworker.so $(B)/libpoolworker.a

all: $(PROGRAMS) $(LIBRARIES) ## build every program into build/
	$(if $(HAVE_HTTP),,@echo '  poolworker is not built: libmicrohttpd (Debian: libmicrohttpd-dev) is not there')

$(B)/poold-engine: $(call obj,$(COMMON) $(CORE) $(LOAD) $(ENGINE) $(SHARED))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -luv -ljansson
$(B)/poold: $(call obj,$(KEEPER) $(SHARED))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^
$(B)/poold-exec: $(call obj,$(EXECH))
	$(call say,LD,$@)
	$(Q)$(CC) $(EXEC_LDFLAGS) -o $@ $^
$(B)/poolctl: $(call obj,$(CTL) $(COMMON))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -ljansson
$(POOLWORKER_SO): $(call pic,$(POOLWORKER)) worker/lib/poolworker.map
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(filter-out -pie,$(LINKHARD)) -shared -Wl,-soname,$(@F) \
	    -Wl,--version-script=worker/lib/poolworker.map -o $@ $(filter %.o,$^) -pthread
$(B)/libpoolworker.so: $(POOLWORKER_SO)
	$(Q)ln -sf $(<F) $@
# One object, so that what is hidden in the shared library can be hidden here too.
$(B)/libpoolworker.a: $(call pic,$(POOLWORKER))
	$(call say,AR,$@)
	$(Q)$(LD) -r -o $(B)/o/pic/poolworker.o $^ && objcopy --localize-hidden $(B)/o/pic/poolworker.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/o/pic/poolworker.o
$(B)/poolworker: $(call obj,$(HOST) $(FEW)) $(B)/libpoolworker.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -lmicrohttpd -ldl -pthread
$(B)/host.a: $(call obj,$(filter-out %/main.c,$(HOST)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/poold-sim: $(call obj,$(SIM) $(CORE))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^
$(B)/library.a: $(call obj,$(LIBRARY))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
HOST_TESTS := $(filter $(B)/test/test_host_%,$(TESTS))
# Without the engine, which the thread sanitizer does not take: its fences are none that it knows.
LIB_TESTS := $(filter $(B)/test/test_poolworker%,$(TESTS))
$(LIB_TESTS): $(B)/test/%: $(B)/o/test/unit/%.o $(call obj,common/message.c) $(B)/libpoolworker.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -lcmocka -pthread
$(filter-out $(HOST_TESTS) $(LIB_TESTS),$(TESTS)): $(B)/test/%: $(B)/o/test/unit/%.o $(B)/library.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -lcmocka -luv -ljansson -pthread
# Modules of the stock worker, for the tests and as examples.
$(MODULES): $(B)/test/module_%.so: worker/host/examples/%.c worker/host/poolworker_module.h
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -MMD -MP -fPIE,$(ALL_CFLAGS)) -fPIC -Iworker/host $(LDFLAGS) \
	    $(filter-out -pie,$(LINKHARD)) -shared -o $@ $<
$(HOST_TESTS): $(B)/test/%: $(B)/o/test/unit/%.o $(B)/host.a $(call obj,$(FEW)) $(B)/libpoolworker.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -lcmocka -lmicrohttpd -pthread
$(B)/test/fixture_civil: $(B)/o/supervisor/engine/civil.o
$(FIXTURES): $(B)/test/%: $(B)/o/test/system/fixture/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -pthread
$(EXAMPLE_WORKERS): $(B)/test/example_%: $(B)/o/worker/lib/examples/%.o $(B)/libpoolworker.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ \
	    $(if $(filter %/libuv.o,$^),-luv) $(if $(filter %/libevent.o,$^),-levent_core) -pthread
$(B)/o/worker/lib/examples/%.o: CPPFLAGS += -Iworker/lib
$(B)/test/fuzz_config $(B)/test/fuzz_message: $(B)/test/%: $(B)/o/test/fuzz/%.o $(B)/o/test/fuzz/driver.o $(B)/library.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -luv -ljansson
$(B)/test/fuzz_http: $(B)/test/%: $(B)/o/test/fuzz/%.o $(B)/o/test/fuzz/driver.o $(B)/host.a \
    $(call obj,$(FEW)) $(B)/libpoolworker.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -lmicrohttpd -pthread
$(BENCHES): $(B)/test/%: $(B)/o/test/bench/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(LINKHARD) -o $@ $^ -pthread

# The benchmark's worker has no libc either: its start-up would hide what is measured.
$(B)/o/test/bench/bench_worker.o: ALL_CFLAGS = $(EXEC_CFLAGS)
$(B)/test/bench_worker: LINKHARD = $(EXEC_LDFLAGS)

# What has paths compiled in is compiled anew when PREFIX and its like change.
$(B)/o/paths: force
	$(Q)mkdir -p $(@D) && echo '$(LIBEXECDIR) $(SYSCONFDIR)' >$@.new
	$(Q)if cmp -s $@ $@.new; then rm $@.new; else mv $@.new $@; fi
$(call obj,$(KEEPER) $(LOAD)): $(B)/o/paths
force:

# The core's objects are compiled with its list of poisoned names in front.
$(B)/o/supervisor/core/%.o: supervisor/core/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -include supervisor/core/pure.h -c -o $@ $<
$(B)/o/supervisor/exec/%.o: supervisor/exec/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(EXEC_CFLAGS) -c -o $@ $<
$(B)/o/pic/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(subst -fPIE,-fPIC,$(ALL_CFLAGS)) -fvisibility=hidden -c -o $@ $<
$(B)/o/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

# --- the targets that people type --------------------------------------------------------------
run: ## build, then two pools under load, recycled every few seconds; Ctrl-C ends it
	@etc/install-needed demo
	@$(MAKE) --no-print-directory all
	@etc/demo/run $(B) $(SECONDS)

check: ## every test: unit, simulator, lint, system and real servers; installs what they need
	@etc/install-needed test
	@$(MAKE) --no-print-directory check-fast check-real

check-fast: ## the tests without installation and real servers, for the inner loop
	@$(MAKE) --no-print-directory all unit lint fuzz-short
	@$(MAKE) --no-print-directory sim
	@POOLD_BUILD=$(B) test/system/run

check-real: all $(FIXTURES) $(EXAMPLE_WORKERS) $(MODULES) ## the tests with real servers
	@POOLD_BUILD=$(B) test/system/run --real

unit: $(TESTS) $(FIXTURES) $(EXAMPLE_WORKERS) $(MODULES) $(PROGRAMS) ## the unit tests
	@POOLD_BUILD=$(B) test/unit/run $(TESTS)

fuzz-short: $(FUZZERS) ## the fuzz targets over their corpus, its prefixes, and RUNS=10000 mutations
	@$(B)/test/fuzz_config $(RUNS) $(FUZZ_SEED) test/fuzz/config.dict test/fuzz/corpus/*
	@$(B)/test/fuzz_message $(RUNS) $(FUZZ_SEED) test/fuzz/message.dict test/fuzz/corpus_message/*
	$(if $(HAVE_HTTP),@$(B)/test/fuzz_http $(RUNS) $(FUZZ_SEED) test/fuzz/http.dict test/fuzz/corpus_http/*)

FUZZCC := clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=gnu11 -I. -D_GNU_SOURCE
fuzz: ## the fuzz targets under libFuzzer and two sanitizers, jansson too, for SECONDS=60; needs clang
	@mkdir -p build/fuzz/corpus build/fuzz/corpus_http build/fuzz/corpus_message
	jansson=$$(test/fuzz/jansson build/fuzz/jansson) && $(FUZZCC) \
	    -DPOOLD_VERSION='"$(VERSION)"' -DPOOLD_SYSCONFDIR='"/etc"' -DPOOLD_LIBEXECDIR='"/usr"' \
	    test/fuzz/fuzz_config.c $(LOAD) $(COMMON) $(SHARED) $$jansson -o build/fuzz/fuzz_config
	build/fuzz/fuzz_config -dict=test/fuzz/config.dict -max_len=4096 -timeout=20 \
	    -max_total_time=$(or $(SECONDS),60) build/fuzz/corpus test/fuzz/corpus
	$(FUZZCC) test/fuzz/fuzz_message.c common/message.c -o build/fuzz/fuzz_message
	build/fuzz/fuzz_message -dict=test/fuzz/message.dict -max_len=8192 -timeout=20 \
	    -max_total_time=$(or $(SECONDS),60) build/fuzz/corpus_message test/fuzz/corpus_message
	$(FUZZCC) -DPOOLD_VERSION='"$(VERSION)"' test/fuzz/fuzz_http.c $(filter-out %/main.c,$(HOST)) $(FEW) $(POOLWORKER) \
	    -lmicrohttpd -pthread -o build/fuzz/fuzz_http
	build/fuzz/fuzz_http -dict=test/fuzz/http.dict -max_len=4096 -timeout=20 \
	    -max_total_time=$(or $(SECONDS),60) build/fuzz/corpus_http test/fuzz/corpus_http

sim: $(B)/poold-sim ## the simulator: kept seeds, then SEEDS=200 fresh ones
	@$(B)/poold-sim --kept test/sim/seeds/kept --seeds $(SEEDS)

mutants: ## break the core on purpose, many ways: every mutant must die
	@test/mutants/run.sh $(B)/mutants

bench: all $(FIXTURES) $(BENCHES) ## measure against the bare floor and the peers that are installed
	@POOLD_BUILD=$(B) test/bench/run

asan: ## unit tests and simulator under the address sanitizer
	@$(MAKE) --no-print-directory VARIANT=asan SANITIZE=address unit sim fuzz-short SEEDS=50

ubsan: ## unit tests and simulator under the undefined-behaviour sanitizer
	@$(MAKE) --no-print-directory VARIANT=ubsan SANITIZE=undefined unit sim fuzz-short SEEDS=50

tsan: ## the tests of libpoolworker under the thread sanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan SANITIZE=thread unit-poolworker

unit-poolworker: $(LIB_TESTS)
	@test/unit/run $^

lint: all $(B)/library.a ## purity of the core, who includes whom, manual pages, file and line limits
	@test/lint/run $(B)

format: ## lay every C file out as .clang-format says
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## install below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SHAREDIR)
	install -m 755 $(B)/poold $(DESTDIR)$(SBINDIR)/poold
	install -m 755 $(B)/poolctl $(DESTDIR)$(BINDIR)/poolctl
	$(if $(HAVE_HTTP),install -m 755 $(B)/poolworker $(DESTDIR)$(BINDIR)/poolworker)
	install -m 755 $(B)/poold-engine $(B)/poold-exec $(DESTDIR)$(LIBEXECDIR)
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 644 worker/lib/poolworker.h $(if $(HAVE_HTTP),worker/host/poolworker_module.h) $(DESTDIR)$(INCLUDEDIR)
	install -D -m 644 worker/bindings/poolworker.py $(DESTDIR)$(SHAREDIR)/bindings/poolworker.py
	for file in $(PYTHON_EXAMPLES); do \
	    install -D -m 644 $$file $(DESTDIR)$(SHAREDIR)/bindings/$${file#worker/bindings/} || exit 1; done
	install -m 644 $(B)/libpoolworker.a $(POOLWORKER_SO) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(POOLWORKER_SO)) $(DESTDIR)$(LIBDIR)/libpoolworker.so
	sed 's#@PREFIX@#$(PREFIX)#;s#@LIBDIR@#$(LIBDIR)#;s#@INCLUDEDIR@#$(INCLUDEDIR)#;s#@VERSION@#$(VERSION)#' \
	    worker/lib/poolworker.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/poolworker.pc
	for file in $(WORKER_EXAMPLES); do \
	    install -D -m 644 $$file $(DESTDIR)$(SHAREDIR)/examples/libpoolworker/$${file##*/} || exit 1; done
	install -m 644 etc/poold.json $(DESTDIR)$(SHAREDIR)/poold.example.json
	install -m 644 etc/poold.schema.json $(DESTDIR)$(SHAREDIR)/poold.schema.json
	for file in $(EXAMPLES); do \
	    install -D -m 644 $$file $(DESTDIR)$(SHAREDIR)/$${file#etc/} || exit 1; done
	install -m 644 etc/rsyslog-poold.conf $(DESTDIR)$(SHAREDIR)/rsyslog.conf
	install -m 644 etc/logrotate-poold $(DESTDIR)$(SHAREDIR)/logrotate
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(COMPLETIONDIR)
	sed 's#^ExecStart=poold#ExecStart=$(SBINDIR)/poold#' etc/poold.service >$(DESTDIR)$(UNITDIR)/poold.service
	install -m 644 etc/bash-completion/poolctl $(DESTDIR)$(COMPLETIONDIR)/poolctl
	for page in $(MANUAL); do \
	    install -d $(DESTDIR)$(MANDIR)/man$${page##*.} && \
	    install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit 1; done

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(SBINDIR)/poold $(DESTDIR)$(BINDIR)/poolctl $(DESTDIR)$(BINDIR)/poolworker
	rm -f $(DESTDIR)$(INCLUDEDIR)/poolworker.h $(DESTDIR)$(INCLUDEDIR)/poolworker_module.h
	rm -f $(DESTDIR)$(LIBDIR)/libpoolworker.* $(DESTDIR)$(LIBDIR)/pkgconfig/poolworker.pc
	rm -f $(DESTDIR)$(SHAREDIR)/bindings/poolworker.py
	for file in $(PYTHON_EXAMPLES); do rm -f $(DESTDIR)$(SHAREDIR)/bindings/$${file#worker/bindings/}; done
	-find $(DESTDIR)$(SHAREDIR)/bindings -depth -type d -exec rmdir {} + 2>/dev/null
	for file in $(WORKER_EXAMPLES); do \
	    rm -f $(DESTDIR)$(SHAREDIR)/examples/libpoolworker/$${file##*/}; done
	rm -f $(DESTDIR)$(SHAREDIR)/poold.example.json $(DESTDIR)$(SHAREDIR)/poold.schema.json $(DESTDIR)$(SHAREDIR)/rsyslog.conf $(DESTDIR)$(SHAREDIR)/logrotate
	rm -f $(DESTDIR)$(UNITDIR)/poold.service $(DESTDIR)$(COMPLETIONDIR)/poolctl
	rm -f $(DESTDIR)$(LIBEXECDIR)/poold-engine $(DESTDIR)$(LIBEXECDIR)/poold-exec
	for page in $(MANUAL); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	for file in $(EXAMPLES); do rm -f $(DESTDIR)$(SHAREDIR)/$${file#etc/}; done
	-find $(DESTDIR)$(SHAREDIR)/examples -depth -type d -exec rmdir {} + 2>/dev/null
	-rmdir $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SHAREDIR) 2>/dev/null

dist: ## a source archive of HEAD in build/
	@mkdir -p build
	git archive --format=tar.gz --prefix=poold-$(VERSION)/ -o build/poold-$(VERSION).tar.gz HEAD

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	    awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

PYTHON_EXAMPLES := $(shell find worker/bindings/examples -type f)
WORKER_EXAMPLES := $(wildcard worker/lib/examples/*)
MANUAL := $(wildcard man/*.[1-9])
EXAMPLES := $(shell find etc/examples -type f)
say = $(if $(V),,@printf '  %-4s %s\n' '$(1)' '$(2)')

-include $(shell find $(B)/o -name '*.d' 2>/dev/null)

.PHONY: force all run check check-fast check-real unit sim fuzz fuzz-short mutants bench asan ubsan tsan unit-poolworker lint format install \
        uninstall dist clean help
.DELETE_ON_ERROR:
.SECONDARY:
