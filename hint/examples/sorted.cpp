// SPDX-License-Identifier: LGPL-2.1-or-later
//
// sorted.c's walk in C++: a handle that closes itself, and hints that any range of offsets may
// have in front of its reads.
//
// sorted++ TABLE INDEX AHEAD      of a table that `sorted build` made
//
// c++ -O2 sorted.cpp -o sorted++ $(pkg-config --cflags --libs pagehint)
#include <fcntl.h>
#include <pagehint.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

constexpr std::size_t record_bytes = 1024;

struct entry {
	std::uint64_t key;
	std::uint64_t offset;
};

using handle = std::unique_ptr<pagehint, decltype(&pagehint_close)>;

// Calls visit(entry) for each entry, and hints the record of each `ahead` entries before.
template <typename Visit>
void walk(pagehint *hints, int id, const std::vector<entry> &entries, std::size_t ahead, Visit visit)
{
	std::size_t hinted = 0;

	for (std::size_t i = 0; i < entries.size(); i++) {
		for (; hinted < entries.size() && hinted < i + ahead; hinted++)
			pagehint_willneed(hints, id, entries[hinted].offset, record_bytes);
		visit(entries[i]);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		std::fprintf(stderr, "usage: sorted++ TABLE INDEX AHEAD\n");
		return 2;
	}
	std::ifstream index(argv[2], std::ios::binary);
	std::vector<entry> entries;
	for (entry e; index.read(reinterpret_cast<char *>(&e), sizeof(e));)
		entries.push_back(e);

	int fd = open(argv[1], O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	handle hints(pagehint_connect(nullptr), pagehint_close);
	int id = pagehint_file(hints.get(), fd);
	std::array<std::uint64_t, record_bytes / sizeof(std::uint64_t)> record;
	std::size_t wrong = 0;

	walk(hints.get(), id, entries, std::strtoul(argv[3], nullptr, 10), [&](const entry &e) {
		wrong += pread(fd, record.data(), record_bytes, e.offset) != record_bytes ||
			 record[0] != e.key;
	});
	std::printf("%zu records, %zu wrong\n", entries.size(), wrong);
	return wrong != 0;
}
