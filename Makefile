# SPDX-License-Identifier: GPL-2.0-only
# page2cache: `make help` lists the targets.

VERSION := 0.1.0

prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
mandir  ?= $(prefix)/share/man
compdir ?= $(prefix)/share/bash-completion/completions

O       ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
ARCH    := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/' -e 's/ppc64le/powerpc/')

PKGS     := libbpf libelf zlib smartcols mount json-c
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Wno-missing-field-initializers
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' \
	$(WARNINGS) $(WERROR) -pthread -Ibpf -Itools/lib -I$(O) \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
# As needed: libmount brings libraries of its own, and pcforce, which uses none of it, starts without.
LIBS     = -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) -pthread
BPF_CFLAGS = -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall $(WERROR) -Ibpf \
	-isystem /usr/include/$(shell $(CC) -print-multiarch)

TOOLS := cachemiss ratrace pcforce pclist
BPFS  := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
SKELS := $(BPFS:%=$(O)/%.skel.h)
LIB   := $(patsubst tools/lib/%.c,$(O)/lib/%.o,$(wildcard tools/lib/*/*.c))
PROGS := $(patsubst tests/progs/%.c,$(O)/tests/%,$(filter-out %.bpf.c,$(wildcard tests/progs/*.c)))
UNITS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/*_test.c))
MAN   := $(patsubst man/%.scd,$(O)/man/%,$(wildcard man/*.scd))
MAN_SECTIONS := 1 5 8

# Fuzzed, with the sanitizers that then are on.
SANITIZE := address,undefined
FUZZED := $(wildcard tools/lib/list/*.c tools/lib/file/*.c) $(addprefix tools/lib/base/,ask.c output.c progress.c table.c util.c)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
MAKEFLAGS += --no-print-directory
endif

.PHONY: all man tests kmod deps demo test check bench fuzz install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(TOOLS:%=$(O)/%) man

man: $(MAN)

tests: $(PROGS) $(UNITS)

help:
	@echo 'all         the programs and man pages, in $(O)/'
	@echo 'kmod        the kernel module; KVER=RELEASE KDIR=HEADERS for another kernel'
	@echo 'install     into $$(DESTDIR)$(prefix); uninstall takes it back'
	@echo 'deps        the Debian packages that are missing (as root)'
	@echo 'demo        measure, force and compare on real files'
	@echo 'test        unit and host tests; check: style and static analysis'
	@echo 'bench       experiment marks: speed, as ratios to the device; fuzz: parser and loader of lists'
	@echo 'V=1 shows the commands, O=DIR builds elsewhere.'

$(O)/%.bpf.o: bpf/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf >$@

$(O)/lib/%.o: tools/lib/%.c Makefile | $(SKELS)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.o: tools/%.c Makefile | $(SKELS)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(TOOLS:%=$(O)/%): $(O)/%: $(O)/%.o $(O)/libpage2cache.a
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

$(O)/libpage2cache.a: $(LIB)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

# Those that bring programs of their own for the kernel.
$(O)/tests/%.bpf.o: tests/progs/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@

$(O)/tests/helper $(O)/tests/kfunc: $(O)/tests/%: tests/progs/%.c $(O)/tests/%.skel.h $(O)/libpage2cache.a Makefile
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -I$(O)/tests -MMD -MP $< $(O)/libpage2cache.a $(LIBS) -o $@

$(O)/tests/%: tests/progs/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $< -luring -pthread -o $@

$(O)/unit/%: tests/unit/%.c $(O)/libpage2cache.a Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $< $(O)/libpage2cache.a -lcmocka $(LIBS) -o $@

# The loader's fuzzer for a moment, where there is no libFuzzer either.
$(O)/unit/load_test: tests/unit/load_test.c tests/fuzz/list.c $(FUZZED) Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=$(SANITIZE) -fno-sanitize-recover=all $(filter %.c,$^) -lcmocka $(LIBS) -o $@

$(O)/man/%: man/%.scd
	@mkdir -p $(@D)
	$(say) MAN $@
	$(Q)scdoc <$< >$@

# A kernel's build leaves its files beside the sources: it is given copies. To it O is the folder
# of the kernel, which the headers name themselves.
KVER ?= $(shell uname -r)
kmod: MAKEOVERRIDES := $(filter-out O=%,$(MAKEOVERRIDES))
kmod:
	@mkdir -p $(O)/kmod/$(KVER)
	$(Q)cp -u $(wildcard kmod/*) $(O)/kmod/$(KVER)
	$(Q)$(MAKE) -C $(O)/kmod/$(KVER) KVER=$(KVER) $(KDIR:%=KDIR=%)

deps:
	$(Q)scripts/setup

demo:
	$(Q)scripts/demo

test:
	$(Q)scripts/test

bench: all tests
	$(Q)scripts/experiment marks

check:
	$(Q)scripts/check

# A bounded run of the offsets parser and of the loader of lists under libFuzzer; FUZZ_SECONDS to change.
FUZZ_SECONDS ?= 30
fuzz: $(O)/fuzz/offsets $(O)/fuzz/list
	@mkdir -p $(O)/fuzz/corpus $(O)/fuzz/recipes
	$(Q)$(O)/fuzz/offsets -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(O)/fuzz/corpus tests/fuzz/seeds
	$(Q)$(O)/fuzz/list -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(abspath $(O))/fuzz/recipes

$(O)/fuzz/%: tests/fuzz/%.c $(FUZZED) Makefile
	@mkdir -p $(@D)
	$(say) FUZZ $@
	$(Q)$(CLANG) $(ALL_CFLAGS) -fsanitize=fuzzer,$(SANITIZE) $(filter %.c,$^) $(LIBS) -o $@

install: all
	install -d $(DESTDIR)$(bindir) $(MAN_SECTIONS:%=$(DESTDIR)$(mandir)/man%) $(DESTDIR)$(compdir)
	install -m 755 $(TOOLS:%=$(O)/%) $(DESTDIR)$(bindir)
	$(foreach s,$(MAN_SECTIONS),install -m 644 $(filter %.$s,$(MAN)) $(DESTDIR)$(mandir)/man$s &&) true
	for t in $(TOOLS); do install -m 644 scripts/completion/$$t $(DESTDIR)$(compdir) || exit 1; done

uninstall:
	rm -f $(TOOLS:%=$(DESTDIR)$(bindir)/%) $(TOOLS:%=$(DESTDIR)$(compdir)/%)
	rm -f $(foreach s,$(MAN_SECTIONS),$(patsubst $(O)/man/%,$(DESTDIR)$(mandir)/man$s/%,$(filter %.$s,$(MAN))))

clean:
	rm -rf $(O)

-include $(wildcard $(O)/*.d $(O)/lib/*/*.d $(O)/tests/*.d $(O)/unit/*.d)
