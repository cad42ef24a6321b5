#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ratrace against what must come of the kernel's rules: window sizes of a
# sequential reader, forced reads, random reads, faults; and that the pages which
# it says were read, used, evicted and left are those of the file.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

RATRACE=$BUILD/ratrace

needs_root
needs jq jq
needs_built "$RATRACE" "$PROGS/access" "$PROGS/cached"
setup_dir

plan $((2 * 8 + 2 + 5 + 5 + 4 + 4 + 3 + 3 + 5 + 4 + 3 + 3))

file=$DIR/data
make_file "$file" 16m
pages=4096

# traced RATRACE_OPTIONS... -- COMMAND...: its data in $OUT, COMMAND's in $TRUTH
traced()
{
	OUT=$DIR/out TRUTH=$DIR/truth ERR=$DIR/err
	rm -f "$OUT"
	timeout -k 5 300 "$RATRACE" -j -O "$OUT" "$@" >"$TRUTH" 2>"$ERR" </dev/null
	STATUS=$?
	[ "$STATUS" -eq 0 ] || diag "ratrace: status $STATUS: $(head -3 "$ERR")"
}

# events FILTER: of all decisions, as one array
events()
{
	jq -cs "map(select(.record == \"event\")) | $1" "$OUT" 2>&1
}

# windows RA_PAGES: do the windows of a reader that asks for a page at a time follow from each
# other by the rules of mm/readahead.c: get_init_ra_size(), get_next_ra_size(), and in newer
# kernels an end that is rounded down to the folios that are read? "yes", or the first that does not.
windows()
{
	events 'map(select(.start < 4096) | [.start, .size, .order] | join(" ")) | .[]' | tr -d '"' | awk -v max="$1" '
	function grown(size) { return size < max / 16 ? 4 * size : size <= max / 2 ? 2 * size : max }
	function rounded(n, to) { return n - n % to }
	NR == 1 { want = max < 32 ? 2 : 4; start = 0 }
	NR > 1 { want = grown(size) }
	{
		end = rounded(start + want, 2 ^ $3)
		if ($1 != start || !($2 == want || (NR > 1 && end > start && $2 == end - start))) {
			print "no: " $0 ", wanted start " start " size " want
			exit
		}
		start += $2
		size = $2
	}
	END { print start >= 4096 ? "yes" : "no: it ends at " start }'
}

# --- a sequential reader: the windows follow from read_ahead_kb

while step; do
	for kb in 128 512; do
		set_ra "$kb"
		ra=$((kb / 4))
		traced -f "$file" -- "$PROGS/access" --evict -b 4k -p sequential "$file"
		name="sequential, read_ahead_kb $kb"
		is "$(windows $ra)" yes "$name: each window follows from the one before"
		is "$(events 'map(.kind) | [.[0], (.[1:] | unique)]')" '["sync",["async"]]' "$name: one miss, then ahead of the reader"
		is "$(events 'map(.ra_pages) | unique')" "[$ra]" "$name: ra_pages"
		is "$(events 'map(.req_pages) | unique')" '[1]' "$name: one page a request"
		is "$(events '.[1:] | map(.async_size == .size) | all')" true "$name: a new window is asynchronous as a whole"
		is "$(events 'map(.pages_read) | add') $(record "$OUT" '[.pages_read, .pages_used, .pages_unused_removed, .pages_unused_resident]')" \
			"$pages [$pages,$pages,0,0]" "$name: every page was read once, and used"
		is "$(record "$OUT" '[.sync, .async, .order, .unbounded, .force]')" \
			"$(events '[([.[] | select(.kind == "sync")] | length), ([.[] | select(.kind == "async")] | length), 0, 0, 0]')" \
			"$name: the summary counts what was told"
		matches "$(record "$OUT" .meaning)" "windows grow to $ra pages and stay: sequential; all" "$name: in words"
	done
done

# --- large requests: the kernel looks them up in parts, not all of which a tracepoint tells

while step; do
	set_ra found
	traced -s -f "$file" -- "$PROGS/access" --evict -b 50000 "$file"
	is "$(record "$OUT" '[.pages_read, .pages_used, .pages_unused_removed, .pages_unused_resident]')" "[$pages,$pages,0,0]" \
		'requests of 13 pages: every page was used'
	matches "$(record "$OUT" .meaning)" 'all that was read ahead was used' 'in words'
done

# --- random reads: no window, only what was asked for

while step; do
	set_ra 128
	traced -f "$file" -- "$PROGS/access" --evict -p random -n 400 "$file"
	is "$(record "$OUT" .sync)" "$(json "$TRUTH" .misses)" 'random: a decision each miss'
	is "$(record "$OUT" .pages_read)" "$(json "$TRUTH" .resident_after)" 'random: what was read is what is cached'
	is "$(events 'all(.start == .index)')" true 'random: nothing before the page that missed'
	traced -f "$file" -- "$PROGS/access" --evict -p random -n 400 --fadvise random "$file"
	is "$(record "$OUT" '[.sync, .plain, .pages_read, .pages_used, .pages_unused_resident]')" \
		"$(json "$TRUTH" '[.misses, .misses, .misses, .misses, 0]')" 'FADV_RANDOM: each miss reads its page'
	is "$(events 'map([.kind, .size, .async_size]) | unique')" '[["sync",1,0]]' 'FADV_RANDOM: no window'
done

# --- forced by a program: readahead(2) page by page; a large fadvise in parts

while step; do
	traced -f "$file" -- "$PROGS/access" --evict --load 1/4 -n 0 "$file"
	is "$(record "$OUT" '[.force, .sync, .async, .order, .unbounded]')" '[1024,0,0,0,0]' 'readahead(2): one decision a call'
	is "$(record "$OUT" '[.pages_read, .pages_used, .pages_unused_resident]')" '[1024,0,1024]' 'readahead(2): read, not used'
	is "$(events '[(map(.kind) | unique), (map(.size) | unique), length]')" '[["force"],[1],1024]' \
		'readahead(2): the events, the last one included'
	matches "$(record "$OUT" .meaning)" 'asked for by a program.*at most 1 page;.*100 % .* never used yet' 'readahead(2): in words'
	evict "$file"
	# fadvise64(2) is system call 221; POSIX_FADV_WILLNEED 3
	traced -f "$file" -- perl -e 'open(F, "<", $ARGV[0]) && exit(syscall(221, fileno(F), 0, 0, 3) != 0)' "$file"
	cached=$("$PROGS/cached" "$file" | wc -l)
	is "$(record "$OUT" .pages_read) $(events 'map(.pages_read) | add') $((cached > 0))" \
		"$cached $cached 1" 'FADV_WILLNEED: as many pages as are cached then'
done

# --- faults

while step; do
	traced -f "$file" -- "$PROGS/access" --evict -m mmap -p "@$(seq 100 500 4000 >"$DIR/order"; echo "$DIR/order")" "$file"
	is "$(events 'map([.kind, .index, .start, .size, .async_size])')" \
		"$(seq 100 500 4000 | jq -cs 'map(["order", ., . - 16, 32, 8])')" 'faults: a window around each page'
	is "$(record "$OUT" '[.order, .pages_read]')" '[8,256]' 'faults: 8 windows of 32 pages'
	is "$(record "$OUT" .pages_used)" "$((8 * 16))" 'faults: used are the 16 pages that fault-around maps of each window'
	traced -f "$file" -- "$PROGS/access" --evict -m mmap --madvise random -p random -n 200 "$file"
	is "$(record "$OUT" '[.sync, .async, .order, .force, .pages_read]')" '[0,0,0,0,0]' 'MADV_RANDOM: no readahead at all'
	matches "$(record "$OUT" .meaning)" 'no readahead: 200 faults' 'MADV_RANDOM: in words'

	# Of an executable mapping, a kernel whose windows begin with the page has no marker in them.
	for advice in '' '--madvise random'; do
		# shellcheck disable=SC2086 # none, or two words
		traced -f "$file" -- "$PROGS/access" --evict -m mmap-exec $advice -p "@$DIR/order" "$file"
		case $(events 'map(.start - .index) | unique')$advice in
		'[0]'*)
			want='["order", ., ., 32, 0]'
			words='up to 32 pages from theirs on: of an executable mapping'
			;;
		'[]--madvise random') want=empty words='no readahead: 8 faults' ;;
		*) want='["order", ., . - 16, 32, 8]' words='up to 32 pages around them' ;;
		esac
		is "$(events 'map([.kind, .index, .start, .size, .async_size])')" "$(seq 100 500 4000 | jq -cs "map($want)")" \
			"executable${advice#--madvise}: windows of one kind"
		matches "$(record "$OUT" .meaning)" "$words" "executable${advice#--madvise}: in words"
	done

	# Where the kernel maps whole folios, a fault uses all of its folio.
	for pattern in sequential random; do
		traced -f "$file" -- "$PROGS/access" --evict -a "$DIR/all" -m mmap -p $pattern "$file"
		is "$(record "$OUT" '.pages_used >= 4090')" true "mmap $pattern: every page was touched, so every page that was read was used" ||
			diag "$(record "$OUT" .)"
	done
done

# --- fs-verity, which reads hashes from behind the end of the file, in the middle of decisions

modprobe -q loop
modprobe -q ext4
mkdir "$DIR/verity"
if mke2fs -q -t ext4 -b 4096 -O verity "$DIR/image" 64m 2>/dev/null &&
	mount -o loop "$DIR/image" "$DIR/verity" 2>/dev/null && at_exit "umount '$DIR/verity'" &&
	make_file "$DIR/verity/data" 16m && "$PROGS/protect" verity "$DIR/verity/data" 2>/dev/null; then
	while step; do
		# Gaps between pages that are cached: a decision goes on behind its first one. Hashes are not
		# cached: 4 is POSIX_FADV_DONTNEED, from the end of the file on.
		evict "$DIR/verity/data"
		"$PROGS/access" --load 1/2 -n 0 "$DIR/verity/data" >/dev/null
		# shellcheck disable=SC2016 # for perl
		perl -e 'open(F, "<", $ARGV[0]) && exit(syscall(221, fileno(F), 4096 * $ARGV[1], 0, 4) != 0)' "$DIR/verity/data" $pages
		before=$("$PROGS/cached" -c "$DIR/verity/data")
		traced -f "$DIR/verity/data" -- dd if="$DIR/verity/data" of=/dev/null bs=4k status=none
		is "$(events 'map(select(.kind != "unbounded") | .pages_read) | add')" $((pages - before)) \
			'fs-verity: each page that was absent is read by a decision about the file'
		is "$(events 'map(.kind) - ["unbounded", "sync", "async"]')" '[]' 'a reader asks for no other kind'
		# Older kernels read hashes in a task of their own, which is not one of COMMAND.
		is "$(events "map(select(.kind == \"unbounded\")) | all(.start >= $pages and .pages_read <= .size), any(.pages_read > 0)")" \
			"true
$(grep -qw generic_readahead_merkle_tree /proc/kallsyms && echo true || echo false)" 'hashes are behind its end'
	done
else
	skip 3 'no fs-verity here'
fi

# --- used, evicted unused, unused so far

while step; do
	set_ra 512
	evict "$file"
	seq 0 99 >"$DIR/order"
	traced -f "$file" -- "$PROGS/access" -p "@$DIR/order" "$file"
	cached=$("$PROGS/cached" "$file" | wc -l)
	is "$(record "$OUT" '[.pages_read, .pages_used, .pages_unused_removed, .pages_unused_resident]')" \
		"[$cached,100,0,$((cached - 100))]" 'a reader that stops: what it had used, what is left'
	evict "$file"
	traced -f "$file" -- bash -c "'$PROGS/access' -p '@$DIR/order' '$file' && '$PROGS/access' --evict -n 0 '$file'"
	is "$(record "$OUT" '[.pages_read, .pages_used, .pages_unused_removed, .pages_unused_resident]')" \
		"[$cached,100,$((cached - 100)),0]" 'and evicted: unused pages are counted as such'
	is "$(record "$OUT" '.first_use_us_p50 <= .first_use_us_p99 and .first_use_us_p99 <= .first_use_us_max * 1.1 and .first_use_us_p50 > 0')" \
		true 'time to first use'
done

# --- readahead that is off; pages that have left the cache

while step; do
	set_ra 0
	traced -s -f "$file" -- "$PROGS/access" --evict -p sequential -n 100 "$file"
	is "$(record "$OUT" '[.sync, .plain, .off]')" '[100,100,100]' 'read_ahead_kb 0: each miss is told as one without readahead'
	matches "$(record "$OUT" .meaning)" 'readahead is off' 'which says nothing of the reader'
	set_ra 512
	if command -v bpftool >/dev/null; then
		evict "$file"
		traced -s -f "$file" -- bash -c "cat '$file' >/dev/null; bpftool -j map dump id \$(map_of \$PPID chunks) >'$DIR/full'
			dd if='$file' iflag=nocache count=0 status=none; bpftool -j map dump id \$(map_of \$PPID chunks) >'$DIR/empty'"
		is "$(jq length "$DIR/full") $(jq length "$DIR/empty")" "$((pages / 64)) 0" 'nothing is kept of pages that have left the cache'
	else
		skip 1 'no bpftool'
	fi
done

# --- which decisions: -s, -a, other tasks, several files

while step; do
	traced -s -f "$file" -- "$PROGS/access" --evict "$file"
	is "$(jq -rs 'map(.record) | join(" ")' "$OUT")" 'meta file command' '-s: the summary only'
	make_file "$DIR/other" 1m
	traced -f "$file" -f "$DIR/other" -- bash -c "'$PROGS/access' --evict '$file'; '$PROGS/access' --evict '$DIR/other'"
	is "$(json "$OUT" 'select(.record == "file") | [.file, .pages_read]' | paste -sd' ')" \
		"[\"$file\",$pages] [\"$DIR/other\",256]" 'two files, each its own'
	traced -s -- "$PROGS/access" --evict "$DIR/other"
	is "$(json "$OUT" "select(.record == \"file\" and .file == \"$DIR/other\") | .pages_read")" 256 'without -f: found by name'
	evict "$file"
	traced -f "$file" -- true
	is "$(record "$OUT" '[.sync, .async, .pages_read, .pages_used]')" '[0,0,0,0]' 'nothing was read: zeros'
	is "$(record "$OUT" .meaning)" '"not accessed"' 'and it says so'
done

# --- for people

while step; do
	traced -f "$file" -- "$PROGS/access" --evict "$file"
	"$RATRACE" -f "$file" -O "$DIR/text" -- "$PROGS/access" --evict "$file" >/dev/null 2>&1
	matches "$(head -1 "$DIR/text")" 'SECONDS +PID +COMM +KIND +INDEX +REQ +START +SIZE +ASYNC +O +READ +FILE' 'a heading'
	is "$(grep -c " async " "$DIR/text")" "$(($(record "$OUT" .async) ))" 'a line for each decision'
	matches "$(cat "$DIR/text")" 'meaning +windows grow to 128 pages and stay' 'and what it means'
	is "$("$RATRACE" -f /no/such/file >/dev/null 2>&1; echo $?) $("$RATRACE" -x >/dev/null 2>&1; echo $?) $("$RATRACE" -f "$file" -- /no/such >/dev/null 2>&1; echo $?)" \
		'2 2 127' 'bad files and options: status 2; a command that is not there: 127'
done
