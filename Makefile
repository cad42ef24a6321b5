# SPDX-License-Identifier: GPL-2.0-only
# page2cache: `make help` lists the targets.

# The version of everything; `scripts/check version` compares what has to repeat it.
VERSION := 0.2.0

prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
mandir  ?= $(prefix)/share/man
compdir ?= $(prefix)/share/bash-completion/completions
libdir  ?= $(prefix)/lib
incdir  ?= $(prefix)/include
docdir  ?= $(prefix)/share/doc/page2cache
unitdir ?= $(prefix)/lib/systemd/system

O       ?= build
DIST    := $(O)/page2cache-$(VERSION)
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
ARCH    := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/' -e 's/ppc64le/powerpc/')

PKGS     := libbpf libelf zlib smartcols json-c
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Wno-missing-field-initializers
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' \
	$(WARNINGS) $(WERROR) -pthread -I. -Ibpf -Itools/lib -I$(O) \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CPPFLAGS) $(CFLAGS)
# As needed: each program loads the libraries that it uses, and starts without the others.
LIBS     = -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) -pthread
BPF_CFLAGS = -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall $(WERROR) -Ibpf \
	-isystem /usr/include/$(shell $(CC) -print-multiarch)

# libpagehint, for applications: nothing but libc. HINT_ABI is that of its SONAME.
HINT      := $(O)/hint
HINT_ABI  := 0
HINT_OBJS := $(patsubst hint/%.c,$(HINT)/%.o,$(wildcard hint/*.c))
HINT_SO   := $(HINT)/libpagehint.so.$(VERSION)
# Of it, what pcforce --serve shares with the programs that it serves.
HINT_SERVED := $(addprefix $(HINT)/,cached.o own.o processors.o protocol.o requests.o ring.o)
HINT_LINKS := $(HINT)/libpagehint.so.$(HINT_ABI) $(HINT)/libpagehint.so
HINT_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fPIC -fvisibility=hidden -pthread \
	$(WARNINGS) $(WERROR) $(CPPFLAGS) $(CFLAGS)

TOOLS := cachemiss ratrace pcforce pclist
BPFS  := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
SKELS := $(BPFS:%=$(O)/%.skel.h)
LIB   := $(patsubst tools/lib/%.c,$(O)/lib/%.o,$(wildcard tools/lib/*/*.c))
PROGS := $(patsubst tests/progs/%.c,$(O)/tests/%,$(filter-out %.bpf.c,$(wildcard tests/progs/*.c)))
UNITS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/*_test.c))
MAN   := $(patsubst man/%.scd,$(O)/man/%,$(wildcard man/*.scd))
MAN_SECTIONS := 1 5 8
HINT_SECTIONS := 3 7

# Fuzzed, with the sanitizers that then are on.
SANITIZE := address,undefined
FUZZED := $(wildcard tools/lib/list/*.c tools/lib/file/*.c) $(addprefix tools/lib/base/,ask.c command.c output.c progress.c session.c table.c util.c)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
MAKEFLAGS += --no-print-directory
endif

.PHONY: all hint man tests units kmod deps demo test check bench fuzz dist install install-hint uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(TOOLS:%=$(O)/%) hint man

hint: $(HINT)/libpagehint.a $(HINT_LINKS)

man: $(MAN)

tests: $(PROGS) units

units: $(UNITS)

help:
	@echo 'all         the programs and man pages, in $(O)/'
	@echo 'hint        libpagehint alone, which needs a C compiler and libc; install-hint installs it'
	@echo 'kmod        the kernel module; KVER=RELEASE KDIR=HEADERS for another kernel'
	@echo 'install     into $$(DESTDIR)$(prefix); uninstall takes it back'
	@echo 'dist        the sources as committed, in $(O)/page2cache-$(VERSION).tar.xz'
	@echo 'deps        the Debian packages that are missing (as root)'
	@echo 'demo        measure, force and compare on real files'
	@echo 'test        unit and host tests; check: style and static analysis'
	@echo 'bench       experiment marks: speed, as ratios to the device; fuzz, fuzz-hints: lists and the queue of hints'
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

$(O)/libpage2cache.a: $(LIB) $(HINT_SERVED)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(HINT)/%.o: hint/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(HINT_CFLAGS) -MMD -MP -c $< -o $@

# One object, so that a program that links statically sees no other names than those of pagehint.h.
$(HINT)/libpagehint.a: $(HINT_OBJS)
	$(say) AR $@
	$(Q)$(CC) -r -nostdlib $^ -o $(HINT)/whole.o && objcopy --localize-hidden $(HINT)/whole.o
	$(Q)rm -f $@ && ar rcs $@ $(HINT)/whole.o

$(HINT_SO): $(HINT_OBJS) hint/pagehint.map
	$(say) LINK $@
	$(Q)$(CC) -shared -Wl,-soname,libpagehint.so.$(HINT_ABI) -Wl,--version-script=hint/pagehint.map \
		-Wl,-z,defs $(LDFLAGS) $(HINT_OBJS) -pthread -o $@

$(HINT_LINKS): $(HINT_SO)
	$(Q)ln -sf $(<F) $@

# Those that bring programs of their own for the kernel.
$(O)/tests/%.bpf.o: tests/progs/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@

$(O)/tests/helper $(O)/tests/kfunc: $(O)/tests/%: tests/progs/%.c $(O)/tests/%.skel.h $(O)/libpage2cache.a Makefile
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -I$(O)/tests -MMD -MP $< $(O)/libpage2cache.a $(LIBS) -o $@

# With the ring of the library, whose names it keeps to itself.
$(O)/tests/sharing: tests/progs/sharing.c $(O)/tests/sharing.skel.h $(HINT)/ring.o Makefile
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -I$(O)/tests -Ihint -MMD -MP $< $(HINT)/ring.o $(LIBS) -o $@

# The choice of pcforce, beside an application's hints.
$(O)/tests/changing: tests/progs/changing.c $(O)/tests/sharing.skel.h $(O)/libpage2cache.a $(HINT_LINKS) Makefile
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -I$(O)/tests -Ihint -MMD -MP $< $(O)/libpage2cache.a \
		-L$(HINT) -Wl,-rpath,'$$ORIGIN/../hint' -lpagehint $(LIBS) -o $@

# As an application has it: the shared library.
$(O)/tests/hints $(O)/tests/hinter: $(O)/tests/%: tests/progs/%.c $(HINT_LINKS) Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -Ihint -MMD -MP $< -L$(HINT) -Wl,-rpath,'$$ORIGIN/../hint' -lpagehint -luring -pthread -o $@

$(O)/tests/%: tests/progs/%.c Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $< -luring -pthread -o $@

$(O)/unit/%: tests/unit/%.c $(O)/libpage2cache.a Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $< $(O)/libpage2cache.a -lcmocka $(LIBS) -o $@

# The names that the library keeps to itself are tested as well.
$(O)/unit/hint_%: tests/unit/hint_%.c $(HINT_OBJS) Makefile
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -Ihint -MMD -MP $< $(HINT_OBJS) -lcmocka $(LIBS) -o $@

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
	$(Q)cp -ru $(wildcard kmod/*) $(O)/kmod/$(KVER)
	$(Q)$(MAKE) -C $(O)/kmod/$(KVER) KVER=$(KVER) $(KDIR:%=KDIR=%)

dist:
	@mkdir -p $(O)
	$(say) DIST $(DIST).tar.xz
	$(Q)git -c safe.directory='*' -c tar.tar.xz.command='xz -c' archive --prefix=$(notdir $(DIST))/ -o $(DIST).tar.xz HEAD

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

# A bounded run of the offsets parser, of the loader of lists and of the consumer of hints under
# libFuzzer; FUZZ_SECONDS to change.
FUZZ_SECONDS ?= 30
fuzz: $(O)/fuzz/offsets $(O)/fuzz/list $(O)/fuzz/hints
	@mkdir -p $(O)/fuzz/corpus $(O)/fuzz/recipes $(O)/fuzz/rings
	$(Q)$(O)/fuzz/offsets -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(O)/fuzz/corpus tests/fuzz/seeds
	$(Q)$(O)/fuzz/list -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(abspath $(O))/fuzz/recipes
	$(Q)$(O)/fuzz/hints -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 $(O)/fuzz/rings

# The consumer of hints for long: 100 million records, some minutes.
FUZZ_RECORDS ?= 100000000
fuzz-hints: $(O)/fuzz/hints
	@mkdir -p $(O)/fuzz/rings
	$(Q)FUZZ_RECORDS=$(FUZZ_RECORDS) $(O)/fuzz/hints -max_len=4096 -len_control=0 -print_final_stats=1 $(O)/fuzz/rings

$(O)/fuzz/hints: tests/fuzz/hints.c hint/ring.c hint/requests.c Makefile
	@mkdir -p $(@D)
	$(say) FUZZ $@
	$(Q)$(CLANG) $(HINT_CFLAGS) -Ihint -fsanitize=fuzzer,$(SANITIZE) $(filter %.c,$^) -o $@

$(O)/fuzz/%: tests/fuzz/%.c $(FUZZED) Makefile
	@mkdir -p $(@D)
	$(say) FUZZ $@
	$(Q)$(CLANG) $(ALL_CFLAGS) -fsanitize=fuzzer,$(SANITIZE) $(filter %.c,$^) $(LIBS) -o $@

# Units name programs by their whole path.
install: all install-hint
	install -d $(DESTDIR)$(bindir) $(MAN_SECTIONS:%=$(DESTDIR)$(mandir)/man%) $(DESTDIR)$(compdir) \
		$(DESTDIR)$(unitdir) $(DESTDIR)$(docdir)/examples
	for f in systemd/*.service; do sed 's,/usr/bin/pcforce,$(bindir)/pcforce,' $$f >$(DESTDIR)$(unitdir)/$${f##*/} || exit 1; done
	for f in systemd/*.conf; do sed 's,/usr/bin/pcforce,$(bindir)/pcforce,' $$f >$(DESTDIR)$(docdir)/examples/$${f##*/} || exit 1; done
	install -m 755 $(TOOLS:%=$(O)/%) $(DESTDIR)$(bindir)
	$(foreach s,$(MAN_SECTIONS),install -m 644 $(filter %.$s,$(MAN)) $(DESTDIR)$(mandir)/man$s &&) true
	for t in $(TOOLS); do install -m 644 scripts/completion/$$t $(DESTDIR)$(compdir) || exit 1; done

install-hint: hint $(filter $(HINT_SECTIONS:%=\%.%),$(MAN))
	install -d $(DESTDIR)$(incdir) $(DESTDIR)$(libdir)/pkgconfig $(HINT_SECTIONS:%=$(DESTDIR)$(mandir)/man%)
	install -m 644 hint/pagehint.h $(DESTDIR)$(incdir)
	install -m 644 $(HINT)/libpagehint.a $(DESTDIR)$(libdir)
	install -m 755 $(HINT_SO) $(DESTDIR)$(libdir)
	cp -P $(HINT_LINKS) $(DESTDIR)$(libdir)
	sed 's,@prefix@,$(prefix),; s,@includedir@,$(incdir),; s,@libdir@,$(libdir),; s,@VERSION@,$(VERSION),' \
		hint/pagehint.pc.in >$(DESTDIR)$(libdir)/pkgconfig/pagehint.pc
	$(foreach s,$(HINT_SECTIONS),install -m 644 $(filter %.$s,$(MAN)) $(DESTDIR)$(mandir)/man$s &&) true

uninstall:
	rm -f $(TOOLS:%=$(DESTDIR)$(bindir)/%) $(TOOLS:%=$(DESTDIR)$(compdir)/%)
	rm -f $(patsubst systemd/%,$(DESTDIR)$(unitdir)/%,$(wildcard systemd/*.service)) $(patsubst systemd/%,$(DESTDIR)$(docdir)/examples/%,$(wildcard systemd/*.conf))
	rm -f $(patsubst %,$(DESTDIR)$(libdir)/%,$(notdir $(HINT_SO) $(HINT_LINKS)) libpagehint.a pkgconfig/pagehint.pc)
	rm -f $(DESTDIR)$(incdir)/pagehint.h
	rm -f $(foreach s,$(MAN_SECTIONS) $(HINT_SECTIONS),$(patsubst $(O)/man/%,$(DESTDIR)$(mandir)/man$s/%,$(filter %.$s,$(MAN))))

clean:
	rm -rf $(O)

-include $(wildcard $(O)/*.d $(O)/lib/*/*.d $(O)/tests/*.d $(O)/unit/*.d $(HINT)/*.d)
