// SPDX-License-Identifier: GPL-2.0-only
/* Which file it is: what is opened, what a list remembers, what the page cache calls it. */
#include "unit.h"

#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "file/target.h"
#include "cachemiss.skel.h"

static struct target target;
static char *why;

static int make_files(void **state)
{
	why = NULL;
	target.fd = -1;
	target.path = NULL;
	unit_file("data", 3 * page_size() + 1);
	unit_file("other", 0);
	return 0;
}

static int drop_files(void **state)
{
	target_close(&target);
	free(why);
	unlink("data");
	unlink("other");
	unlink("link");
	alarm(0);
	return 0;
}

static void identify(const char *name, struct identity *id)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(identity_of(fd, id), 0);
	close(fd);
}

static void is_same(const struct identity *a, const struct identity *b)
{
	assert_int_equal(a->fsid, b->fsid);
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->gen, b->gen);
}

static void a_regular_file_opens_for_reading_and_is_identified(void **state)
{
	struct identity id;
	struct stat st;

	assert_int_equal(target_open(&target, "data", &why), TARGET_OK);
	assert_true(target.fd >= 0);
	assert_string_equal(target.path, "data");
	assert_int_equal(fcntl(target.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(target.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(stat("data", &st), 0);
	assert_int_equal(target.id.ino, st.st_ino);
	assert_int_equal(target.id.size, 3 * page_size() + 1);
	assert_int_equal(target.id.mtime_ns, st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
	identify("data", &id);
	is_same(&target.id, &id);
	target_close(&target);
	assert_int_equal(target.fd, -1);
}

static void an_empty_file_and_a_symbolic_link_open(void **state)
{
	assert_int_equal(target_open(&target, "other", &why), TARGET_OK);
	assert_int_equal(target.id.size, 0);
	target_close(&target);
	assert_int_equal(symlink("data", "link"), 0);
	assert_int_equal(target_open(&target, "link", &why), TARGET_OK);
	assert_int_equal(target.id.size, 3 * page_size() + 1);
}

static void refused(const char *path, enum target_error error, const char *about)
{
	assert_int_equal(target_open(&target, path, &why), error);
	assert_int_equal(target.fd, -1);
	assert_null(target.path);
	assert_non_null(strstr(why, path));
	if (!strstr(why, about))
		fail_msg("'%s' says nothing of '%s'", why, about);
	free(why);
	why = NULL;
}

static void a_missing_file_is_gone(void **state)
{
	refused("missing", TARGET_GONE, "No such file");
	refused("data/below", TARGET_GONE, "Not a directory");
	refused("", TARGET_GONE, "No such file");
	assert_int_equal(symlink("missing", "link"), 0);
	refused("link", TARGET_GONE, "No such file");
}

static void directories_and_devices_are_refused(void **state)
{
	refused(".", TARGET_DIRECTORY, "directory");
	refused("/dev/null", TARGET_UNCACHED, "device");
	refused("/dev/zero", TARGET_UNCACHED, "device");
}

static void a_fifo_is_refused_without_waiting_for_its_writer(void **state)
{
	assert_int_equal(mkfifo("link", 0600), 0);
	alarm(60);
	refused("link", TARGET_UNCACHED, "FIFO");
}

static void a_socket_is_refused(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "link" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	refused("link", TARGET_UNCACHED, "socket");
	close(fd);
}

static void files_that_are_made_as_they_are_read_are_refused(void **state)
{
	refused("/proc/self/status", TARGET_UNCACHED, "procfs");
	refused("/sys/kernel/notes", TARGET_UNCACHED, "sysfs");
}

static void files_in_memory_are_refused(void **state)
{
	char path[] = "/dev/shm/page2cache-unit.XXXXXX";
	struct statfs fs;
	int fd;

	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC) {
		print_message("/dev/shm is no tmpfs: skipped\n");
		skip();
	}
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	refused(path, TARGET_UNCACHED, "tmpfs");
	unlink(path);
}

static void names_and_links_do_not_change_the_identity(void **state)
{
	struct identity before, after;

	identify("data", &before);
	assert_int_equal(link("data", "link"), 0);
	identify("link", &after);
	is_same(&before, &after);
	assert_int_equal(unlink("data"), 0);
	identify("link", &after);
	is_same(&before, &after);
	assert_int_equal(rename("link", "data"), 0);
	assert_int_equal(chmod("data", 0600), 0);
	identify("data", &after);
	is_same(&before, &after);
	assert_int_equal(after.size, before.size);
	assert_int_equal(after.mtime_ns, before.mtime_ns);
}

static void writing_changes_the_size_and_the_time_only(void **state)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, { 1000000000, 123456789 } };
	struct identity before, after;

	identify("data", &before);
	assert_int_equal(truncate("data", 7), 0);
	assert_int_equal(utimensat(AT_FDCWD, "data", times, 0), 0);
	identify("data", &after);
	is_same(&before, &after);
	assert_int_equal(after.size, 7);
	assert_int_equal(after.mtime_ns, 1000000000123456789);
}

static void two_files_differ(void **state)
{
	struct identity a, b;

	identify("data", &a);
	identify("other", &b);
	assert_int_equal(a.fsid, b.fsid);
	assert_int_not_equal(a.ino, b.ino);
}

static void a_replacement_differs_by_inode_or_generation(void **state)
{
	struct identity before, after;
	int round;

	/* By rename(2), with both there at a time. */
	identify("data", &before);
	assert_int_equal(rename("other", "data"), 0);
	identify("data", &after);
	assert_int_not_equal(before.ino, after.ino);
	/* By deleting it first, when the inode number is often given out again. */
	for (round = 0; round < 8; round++) {
		identify("data", &before);
		assert_int_equal(unlink("data"), 0);
		unit_file("data", 0);
		identify("data", &after);
		if (before.ino != after.ino)
			continue;
		if (!before.gen && !after.gen) {
			print_message("this file system has no generations: skipped\n");
			skip();
		}
		assert_int_not_equal(before.gen, after.gen);
	}
}

static void what_is_no_descriptor_is_an_error(void **state)
{
	struct identity id;

	assert_int_equal(identity_of(-1, &id), -EBADF);
}

/* The page cache's own names need BPF. */

static void need_bpf(void)
{
	if (!geteuid() && !access("/sys/kernel/btf/vmlinux", R_OK))
		return;
	print_message("needs root and a kernel with BTF: skipped\n");
	skip();
}

/* A tool's programs, of which these tests need one. */
static struct bpf_object *object(void)
{
	static struct cachemiss_bpf *skel;
	struct bpf_program *prog;

	if (skel)
		return skel->obj;
	skel = cachemiss_bpf__open();
	assert_non_null(skel);
	bpf_object__for_each_program(prog, skel->obj) {
		bpf_program__set_autoload(prog, prog == skel->progs.identify);
	}
	assert_int_equal(cachemiss_bpf__load(skel), 0);
	return skel->obj;
}

static void resolve_of_nothing_needs_nothing(void **state)
{
	assert_int_equal(targets_resolve(NULL, NULL, 0, &why), 0);
	assert_null(why);
}

static void keys_name_the_inode_whatever_the_path(void **state)
{
	struct target t[4] = { 0 }, *all[4] = { &t[0], &t[1], &t[2], &t[3] };
	struct statfs fs;
	struct stat st;
	size_t i;

	need_bpf();
	assert_int_equal(link("data", "link"), 0);
	assert_int_equal(target_open(&t[0], "data", &why), TARGET_OK);
	assert_int_equal(target_open(&t[1], "other", &why), TARGET_OK);
	assert_int_equal(target_open(&t[2], "link", &why), TARGET_OK);
	assert_int_equal(rename("data", "renamed"), 0);
	assert_int_equal(target_open(&t[3], "renamed", &why), TARGET_OK);
	assert_int_equal(rename("renamed", "data"), 0);
	assert_int_equal(targets_resolve(object(), all, ARRAY_SIZE(all), &why), 0);
	assert_memory_equal(&t[0].key, &t[2].key, sizeof(t[0].key));
	assert_memory_equal(&t[0].key, &t[3].key, sizeof(t[0].key));
	assert_memory_not_equal(&t[0].key, &t[1].key, sizeof(t[0].key));
	/* On a plain disk file system stat(2) tells the same. */
	assert_int_equal(stat("data", &st), 0);
	assert_int_equal(statfs("data", &fs), 0);
	if (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC) {
		assert_int_equal(t[0].key.ino, st.st_ino);
		assert_int_equal(t[0].key.dev, major(st.st_dev) << 20 | minor(st.st_dev));
		assert_int_equal(t[0].key.gen, t[0].id.gen);
	}
	for (i = 0; i < ARRAY_SIZE(t); i++)
		target_close(&t[i]);
}

static void more_files_than_one_batch_are_resolved(void **state)
{
	enum {
		MANY = 4096 + 3
	};
	struct target *t, **all;
	size_t i;

	need_bpf();
	assert_int_equal(target_open(&target, "data", &why), TARGET_OK);
	t = calloc(MANY, sizeof(*t));
	all = calloc(MANY, sizeof(*all));
	assert_true(t && all);
	alarm(60); /* an iterator that never ends is a failure, too */
	for (i = 0; i < MANY; i++) {
		t[i].fd = target.fd;
		t[i].path = target.path;
		all[i] = &t[i];
	}
	assert_int_equal(targets_resolve(object(), all, MANY, &why), 0);
	assert_true(t[0].key.ino != 0);
	for (i = 1; i < MANY; i++)
		assert_memory_equal(&t[i].key, &t[0].key, sizeof(t[0].key));
	free(all);
	free(t);
}

static void resolve_refuses_a_file_without_page_cache_and_says_which(void **state)
{
	char path[] = "/dev/shm/page2cache-unit.XXXXXX";
	struct target memory = { .path = path }, *all[2] = { &target, &memory };
	struct statfs fs;

	need_bpf();
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC) {
		print_message("/dev/shm is no tmpfs: skipped\n");
		skip();
	}
	memory.fd = mkostemp(path, O_CLOEXEC);
	assert_true(memory.fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(memory.fd, page_size()), 0);
	assert_int_equal(target_open(&target, "data", &why), TARGET_OK);
	assert_int_equal(targets_resolve(object(), all, ARRAY_SIZE(all), &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, path));
	close(memory.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_files, drop_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_regular_file_opens_for_reading_and_is_identified),
		TEST(an_empty_file_and_a_symbolic_link_open),
		TEST(a_missing_file_is_gone),
		TEST(directories_and_devices_are_refused),
		TEST(a_fifo_is_refused_without_waiting_for_its_writer),
		TEST(a_socket_is_refused),
		TEST(files_that_are_made_as_they_are_read_are_refused),
		TEST(files_in_memory_are_refused),
		TEST(names_and_links_do_not_change_the_identity),
		TEST(writing_changes_the_size_and_the_time_only),
		TEST(two_files_differ),
		TEST(a_replacement_differs_by_inode_or_generation),
		TEST(what_is_no_descriptor_is_an_error),
		TEST(resolve_of_nothing_needs_nothing),
		TEST(keys_name_the_inode_whatever_the_path),
		TEST(more_files_than_one_batch_are_resolved),
		TEST(resolve_refuses_a_file_without_page_cache_and_says_which),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
