# make                  build/mailcask            make check        every test (needs Dovecot)
# make deps             Debian packages           make SAN=1 check  the same under ASan and UBSan
# make demo             a tour on a throw-away server
# make install          PREFIX=/usr/local DESTDIR=
# make bench            how long things take    make check-powercut  power cuts, all stores (root)
# make check-model      200 rounds of changes for each kind of server
# make V=1              show the commands       make coverage     lines reached, by folder
# make CC=clang B=build/clang lint                warnings as errors, all files
# make bench-git        parts of the git archive  make ISAL= ...   zlib in place of ISA-L
# make deps-live        Courier and Cyrus         make check-peers  the client against them
#
# No configure step: plain -l flags, so that `make deps demo` works when nothing is installed yet.
B       ?= build$(if $(SAN),/san)$(NO_ISAL)
Q       := $(if $(V),,@)
PREFIX  ?= /usr/local
VERSION := 0.1.0

CFLAGS  ?= -O2 -g
CSTD    := -std=gnu17
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
           -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
           -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough \
           -Werror=implicit-function-declaration \
           -Werror=incompatible-pointer-types -Werror=return-type
HARDEN  := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fno-common
SANF    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL     = $(CSTD) $(WARN) -I. -D_GNU_SOURCE -DMAILCASK_VERSION='"$(VERSION)"' \
          $(if $(ISAL),-DHAVE_ISAL) $(CFLAGS) $(if $(SAN),$(SANF),$(HARDEN)) $(EXTRA)
# Looked for at the first use, which in `make deps demo` comes after `deps`; then remembered. ISAL= says no.
ISAL    ?= $(eval ISAL := $$(shell $$(CC) -E -x c -include isa-l.h /dev/null >/dev/null 2>&1 && echo y))$(ISAL)
NO_ISAL := $(if $(filter command environment,$(origin ISAL)),$(if $(ISAL),,/zlib))
LIBS     = -linih -lsqlite3 -lgsasl -ljansson -lcsv -lssl -lcrypto -lz -lgit2 $(if $(ISAL),-lisal)

LIBSRC  := $(sort $(wildcard core/*/*.c backends/*/*.c))
CMDSRC  := $(sort $(wildcard cmd/*.c))
# Tests reach all of the program but main().
CMDLIB  := $(filter-out cmd/main.c,$(CMDSRC))
# Tests are built from a second set of objects with crash points compiled in.
TESTLIB := $(sort $(wildcard tests/lib/*.c))
UNIT    := $(sort $(wildcard tests/unit/test_*.c tests/conformance/test_*.c tests/scripted/test_*.c \
             tests/live/test_*.c tests/crash/test_*.c tests/relay/test_*.c \
             tests/cases/test_*.c))
# Against servers that conflict with Dovecot as packages: built with the rest, run by check-peers.
PEERS   := $(sort $(wildcard tests/peers/test_*.c))
FUZZ    := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TOOLS   := $(sort $(wildcard tests/tools/*.c))
BENCH   := $(sort $(wildcard tests/bench/bench_*.c))
HEADERS := $(sort $(wildcard core/*/*.h backends/*/*.h cmd/*.h tests/lib/*.h))

UNITBIN := $(UNIT:%.c=$B/%) $(PEERS:%.c=$B/%)
FUZZBIN := $(FUZZ:tests/fuzz/fuzz_%.c=$B/tests/fuzz/replay_%)
TOOLBIN := $(TOOLS:%.c=$B/%)
BENCHBIN := $(BENCH:%.c=$B/%)
GITBENCH := $(filter %/bench_pack %/bench_git_store,$(BENCHBIN))

all: $B/mailcask

deps:
	@sh tests/deps.sh

$B/mailcask: $(CMDSRC:%.c=$B/obj/%.o) $B/libmailcask.a
	@echo "  LD  $@"
	$(Q)$(CC) $(ALL) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/libmailcask.a: $(LIBSRC:%.c=$B/obj/%.o)
	@rm -f $@
	@echo "  AR  $@"
	$(Q)$(AR) rcs $@ $^

# The same program with crash points: what tests run and kill.
$B/mailcask-test: $B/tobj/cmd/main.o $B/libtest.a
	@echo "  LD  $@"
	$(Q)$(CC) $(ALL) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/libtest.a: $(LIBSRC:%.c=$B/tobj/%.o) $(CMDLIB:%.c=$B/tobj/%.o) $(TESTLIB:%.c=$B/tobj/%.o)
	@rm -f $@
	@echo "  AR  $@"
	$(Q)$(AR) rcs $@ $^

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC  $<"
	$(Q)$(CC) $(ALL) -MMD -MP -c -o $@ $<
$B/tobj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC  $< (test)"
	$(Q)$(CC) $(ALL) -DMAILCASK_TEST -MMD -MP -c -o $@ $<

# GMime's headers are where pkg-config says. It is asked when they are needed: `make deps` may just
# have installed both. The library itself is loaded by cmd/decode.c.
GMIME = $(subst -I,-isystem ,$(shell pkg-config --cflags gmime-3.0))
$B/obj/cmd/decode.o $B/tobj/cmd/decode.o: ALL += $(GMIME)
$B/fobj/cmd/decode.o: FUZZALL += $(GMIME)

$(UNITBIN): $B/%: $B/tobj/%.o $B/libtest.a
	@mkdir -p $(@D)
	@echo "  LD  $@"
	$(Q)$(CC) $(ALL) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka
$(TOOLBIN) $(BENCHBIN): $B/%: $B/tobj/%.o $B/libtest.a
	@mkdir -p $(@D)
	@echo "  LD  $@"
	$(Q)$(CC) $(ALL) $(LDFLAGS) -o $@ $^ $(LIBS)
$(FUZZBIN): $B/tests/fuzz/replay_%: $B/tobj/tests/fuzz/fuzz_%.o $B/tobj/tests/fuzz/replay.o $B/libtest.a
	@mkdir -p $(@D)
	@echo "  LD  $@"
	$(Q)$(CC) $(ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

check: headers
	+@$(MAKE) --no-print-directory -j$(or $(JOBS),$(shell nproc)) EXTRA="-Werror $(EXTRA)" check-build
	@B=$B SAN=$(SAN) sh tests/run.sh
check-build: $B/mailcask $B/mailcask-test $(UNITBIN) $(FUZZBIN) $(TOOLBIN) $(BENCHBIN)

# Every header compiles alone.
headers: $(HEADERS:%=$B/headers/%.ok)
$B/headers/%.ok: %
	@mkdir -p $(@D)
	@$(CC) $(ALL) -fsyntax-only -x c $< && touch $@

lint: EXTRA += -Werror
lint: check-build

# libFuzzer for T seconds on each target (clang), starting from the kept corpus.
FUZZALL = $(CSTD) -I. -D_GNU_SOURCE -DMAILCASK_VERSION='"$(VERSION)"' $(if $(ISAL),-DHAVE_ISAL) -g -O1 \
          -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZLIB := $(LIBSRC) $(CMDLIB) $(wildcard tests/lib/*_dump.c)
FUZZRUN := $(FUZZ:tests/fuzz/fuzz_%.c=$B/fuzz/run-%)

$B/fobj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC  $< (fuzz)"
	$(Q)clang $(FUZZALL) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$B/fuzz/libfuzz.a: $(FUZZLIB:%.c=$B/fobj/%.o)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(FUZZRUN): $B/fuzz/run-%: $B/fobj/tests/fuzz/fuzz_%.o $B/fuzz/libfuzz.a
	@echo "  LD  $@"
	$(Q)clang $(FUZZALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)
fuzz: $(FUZZRUN)
	@for f in $(FUZZRUN); do n=$${f##*/run-}; mkdir -p $B/fuzz/$$n tests/fuzz/corpus/$$n; \
	  $$f -max_total_time=$(or $(T),20) -print_final_stats=1 $B/fuzz/$$n tests/fuzz/corpus/$$n || exit 1; done

# Which lines every test together reaches, by folder; D="core/imap ..." by file, too.
coverage:
	+@$(MAKE) --no-print-directory B=build/cov CFLAGS="-O1 -g --coverage" check-build
	@find build/cov -name '*.gcda' -delete
	@rc=0; B=build/cov sh tests/run.sh || rc=$$?; B=build/cov sh tests/coverage.sh $(D); exit $$rc

# How long things take; prints, judges nothing.
bench: all check-tools $(BENCHBIN)
	@for b in $(BENCHBIN); do echo "== $$b"; $$b || exit 1; done
	@for b in tests/bench/bench_*.sh; do echo "== $$b"; B=$B sh $$b || exit 1; done

# The parts of the git archive against what each cannot do without.
bench-git: $(GITBENCH)
	@for b in $(GITBENCH); do echo "== $$b"; $$b || exit 1; done

# The client against Courier and Cyrus; deps-live needs root for what is missing.
deps-live:
	@B=$B sh tests/deps_live.sh
check-peers: $B/mailcask-test $(PEERS:%.c=$B/%)
	@rc=0; for t in $(PEERS:%.c=$B/%); do B=$B TOP="$(CURDIR)" $$t || rc=1; done; exit $$rc

# Ten power cuts in the middle of a backup for each type of store, on a loop device (root).
# Store and server compared after each of ROUNDS rounds of changes, for each kind of server and store.
check-model: $B/mailcask-test $B/tests/live/test_model
	@B=$B TOP="$$PWD" ROUNDS=$(or $(ROUNDS),200) $B/tests/live/test_model

check-powercut: all check-tools
	@B=$B sh tests/crash/powercut.sh

demo: all
	+@$(MAKE) --no-print-directory check-tools
	@B=$B sh tests/demo.sh
check-tools: $(TOOLBIN)

install: all
	install -D -m 755 $B/mailcask $(DESTDIR)$(PREFIX)/bin/mailcask
	install -D -m 644 cmd/share/mailcask.1 $(DESTDIR)$(PREFIX)/share/man/man1/mailcask.1
	install -D -m 644 config.example.ini $(DESTDIR)$(PREFIX)/share/doc/mailcask/config.example.ini
	install -D -m 644 cmd/share/mailcask.cron $(DESTDIR)$(PREFIX)/share/doc/mailcask/mailcask.cron
	install -D -m 644 cmd/share/mailcask.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mailcask
	install -D -m 644 cmd/share/mailcask@.service $(DESTDIR)$(PREFIX)/lib/systemd/user/mailcask@.service
	install -D -m 644 cmd/share/mailcask@.timer $(DESTDIR)$(PREFIX)/lib/systemd/user/mailcask@.timer
	install -D -m 644 cmd/share/mailcask-domain.service $(DESTDIR)$(PREFIX)/lib/systemd/system/mailcask-domain.service
	install -D -m 644 cmd/share/mailcask-domain.timer $(DESTDIR)$(PREFIX)/lib/systemd/system/mailcask-domain.timer
	install -D -m 644 cmd/share/kubernetes.yaml $(DESTDIR)$(PREFIX)/share/doc/mailcask/kubernetes.yaml

clean:
	rm -rf build

.PHONY: all deps deps-live check check-peers check-build check-model check-powercut check-tools headers lint fuzz bench bench-git coverage demo install clean
-include $(shell find $B -name '*.d' -type f -not -path '$B/live/*' 2>/dev/null)
