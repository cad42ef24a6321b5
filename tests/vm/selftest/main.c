// SPDX-License-Identifier: GPL-2.0-only
#include <test_progs.h>

static int checks, failed;

bool check(bool good, const char *name, long got)
{
	checks++;
	failed += !good;
	if (!good)
		printf("failed: %s: %ld\n", name, got);
	return good;
}

bool test__start_subtest(const char *name)
{
	printf("subtest %s\n", name);
	return true;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int main(void)
{
	libbpf_set_print(quiet);
	SELFTEST();
	printf("%d checks of the selftest, %d failed\n", checks, failed);
	return failed > 0;
}
