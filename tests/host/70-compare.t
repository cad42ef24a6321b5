#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# analysis/summary and analysis/compare: figures, bounds, marks and sentences of results that are
# known, and a clear error for everything that is no result. Needs no root and no kernel.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

# missing WHAT PACKAGE: a reason to skip, but where everything has to be there
missing()
{
	[ -z "${CI:-}" ] || bail "needs $1 (Debian package $2)"
	skip_all "needs $1 (Debian package $2)"
}
[ -x /usr/bin/python3 ] || missing /usr/bin/python3 python3
command -v jq >/dev/null || missing jq jq

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
DIR=$(mktemp -d) || bail 'no temporary folder'
at_exit "rm -rf '$DIR'"

plan $((10 + 19 + 6 + 6 + 20 + 19 + 15 + 19))

# make KIND...: the folders $DIR/KIND
make_results()
{
	local kind
	for kind; do
		"$ROOT/tests/analysis/make-results" "$kind" "$DIR/$kind" || bail "cannot make $kind"
	done
}
make_results bounds near engines one-engine loses overhead scale snapshot peers typed chance partial hostile thesis

# analysis PROGRAM ARGS...: its data in $DIR/out, its words in $DIR/err
analysis()
{
	timeout 60 "$ROOT/analysis/$1" "${@:2}" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
}

# wrong TITLE REGEX PROGRAM ARGS...: status 2, no data, and one line that matches
wrong()
{
	analysis "${@:3}"
	matches "$STATUS $(wc -c <"$DIR/out") $(wc -l <"$DIR/err") $(cat "$DIR/err")" "^2 0 1 $2" "$1"
}

# --- bounds: cold takes 1 to n ms, in n rounds and in any order

analysis summary --json "$DIR/bounds"
cold()
{
	jq -c ".cells[] | select(.cell == \"$1\").series[] | select(.arm == \"cold\") | [.low, .median, .high]" "$DIR/out"
}
# 2 P(B < k) <= 0.05 with B of (n, 1/2): k is 1 for 6, 2 for 9, 6 for 20 and 21
is "$(cold n5)" '[null,3000,null]' 'five values: a median, and no bound'
is "$(cold n6)" '[1000,3500,6000]' 'six: the smallest and the largest'
is "$(cold n9)" '[2000,5000,8000]' 'nine: the second on each side'
is "$(cold n20)" '[6000,10500,15000]' 'twenty: the sixth'
is "$(cold n21)" '[6000,11000,16000]' 'twenty-one: the sixth'
is "$(jq -c '.cells[] | select(.cell == "n9").ratios.user["cold/forced"] | [.low, .median, .high]' "$DIR/out")" '[2,5,8]' \
	'ratios are of single rounds, and have a bound'

# python EXPRESSION: what it gives, with the modules of analysis/ at hand
python()
{
	PYTHONPATH=$ROOT/analysis /usr/bin/python3 -B -c "from measured import stats
print($1)" 2>&1
}
# The example in the manual of statpsych, an R package by one of the authors of the method.
is "$(python '[round(x, 6) for x in stats.ratio_of_medians(
	[32, 39, 26, 35, 43, 27, 40, 37, 34, 29, 49, 42, 40], [36, 44, 47, 42, 49, 39, 46, 31, 33, 48])]')" \
	'[0.927667, 1.162162, 1.455933]' 'the bound of a ratio of medians, as published'
is "$(python 'stats.ratio_of_medians([0] * 9, [0] * 9), stats.ratio_of_medians([0] * 9, [5] * 9)')" \
	'(None, 1.0, None) (None, inf, None)' 'nothing to nothing is 1, nothing to something inf'
is "$(python 'stats.bound([]), stats.ratio_of_medians([], [1]), stats.ratio_of_medians([4], [2])')" \
	'(None, None, None) (None, None, None) (None, 0.5, None)' 'nothing measured is not known'
is "$(python 'stats.bound(range(2001))')" '(956, 1000, 1044)' 'two thousand values: more than floating point has powers of two for'

# --- sentences and marks

sentences()
{
	analysis summary --json "$DIR/$1"
	jq -r '.sentences[]' "$DIR/out"
}
marks()
{
	analysis summary --json "$DIR/$1"
	jq -r '.marks[] | [.verdict, .engine // "-"] | join(" ")' "$DIR/out" | paste -sd,
}
is "$(sentences near)" 'this file: 0.363 s with forcing, 5.20 s without: 14x as fast, 14x to 14x. By the reader'\''s own clock the device alone takes 330 ms for these pages (floor) and the program 30.0 ms with all cached (warm), one after the other 360 ms; with forcing it is 363 ms, 1.00 of that.
Another engine has nothing to gain here: nowhere does the forced run take longer than floor + warm.' 'nothing is left to gain'
is "$(sentences engines | tail -2)" 'The module bpf_page2cache is worth it here: it saves 20.0 ms (20 %) of engine user'\''s 100 ms.
The kernel patch is worth it here: it saves 20.0 ms (25 %) of engine kfunc'\''s 80.0 ms.' 'what engines save that were measured'
is "$(sentences one-engine | tail -1)" 'The forced run takes 100 ms, floor + warm 55.0 ms. Whether the module bpf_page2cache or the kernel patch would save any of the difference was not measured. The module bpf_page2cache is not here: load the module of kmod/. The kernel patch is not here: a kernel with the patches of patches/.' \
	'of those that are not here it is not claimed that they save anything'
cp -r "$DIR/one-engine" "$DIR/helper-only"
sed -i 's/"engine": "user"/"engine": "helper"/' "$DIR/helper-only/runs.jsonl"
is "$(sentences helper-only | grep -c 'worth it\|not measured')" 0 'with the patch measured, there is nothing above it'
# The rounds of both engines in another order: in some of them each is the faster one.
cp -r "$DIR/engines" "$DIR/even"
sed -i '/"arm": "forced".*"engine": "kfunc"/s/"value": [0-9.]*/&e0/; /"round": [2468].*"engine": "kfunc"/s/"value": [0-9.]*e0/"value": 200000/' "$DIR/even/runs.jsonl"
is "$(sentences even | grep '^The module')" 'The module bpf_page2cache is not worth it here: no gain over engine user can be told.' 'nor of one whose rounds do not tell'
is "$(sentences loses)" 'half-mmap: 66.0 ms with forcing, 52.0 ms without: forcing loses here (0.79x as fast, 0.74x to 0.82x), leave it.
half-read: 52.0 ms with forcing, 52.0 ms without: no difference that these rounds can tell (0.97x as fast, 0.93x to 1.08x).' \
	'no gain, and a loss, are said'
is "$(sentences chance)" 'slower: 100 ms with forcing, 80.0 ms without: forcing loses here (0.80x as fast, 0.65x to 0.95x), leave it.
perhaps: 0.100 s with forcing, 0.108 s without: no difference that these rounds can tell (1.08x as fast, 0.93x to 1.23x).' \
	'a gain whose bound has 1 in it is not claimed'
is "$(jq -r .opening "$DIR/out" | grep -o 'Here .*')" 'Here 2 workloads ran without and with that, 9 times each, on a virtual machine with 2 processors and 4 GiB of memory, Linux 6.18.0-test, files on ext4 (vda). 1 of 2 became slower, slower: from 80.0 ms to 100 ms; of 1 no difference can be told, or none worth mentioning.' \
	'what was tried, on what, and what came of it: the first sentences'
is "$(sentences partial | head -1)" 'sparse random read: 0.101 s with forcing, 1.01 s without. That is 4 rounds, and a gain takes 6 to be told from chance. By the reader'\''s own clock the device alone takes 51.0 ms for these pages (floor) and the program 4.92 ms with all cached (warm), one after the other 55.9 ms; with forcing it is 100 ms, 1.80 of that.' 'nor one of too few rounds'
is "$(sentences thesis | grep '^mmap seq')" 'mmap seq, 32 KiB to 2 GiB: from 0.91x as fast (at 32 KiB) to 1.24x (at 2 GiB); forcing loses at 32 KiB; no difference can be told at 1 MiB.' \
	'a curve is said by its range, and where it loses'
is "$(sentences thesis | grep -c ' with forcing, ')" 4 'and by its last point'
is "$(sentences snapshot)" 'microVM restore, 512 MiB: 79.0 ms with forcing, 175 ms without: 2.2x as fast, 2.1x to 2.3x. By the reader'\''s own clock it takes 70.0 ms with all cached (warm); with forcing it is 79.0 ms, 1.13 of that.' \
	'without a floor: against warm'
is "$(sentences typed | head -1 | cut -d. -f1-3)" 'list: 70.0 ms with forcing, 200 ms without: 2.9x as fast' 'as typed, where that is known' || diag "$(cat "$DIR/out")"
is "$(sentences scale | head -3 | tail -1)" 'pcforce --dry-run, 10,000,000: load 1.70 s; memory 158.6 MiB at most.' 'of scale its largest'
for kind in near engines one-engine loses chance thesis snapshot scale peers typed partial; do
	sentences $kind
	jq -r .opening "$DIR/out"
done | sed 's/\. /.\n/g' >"$DIR/each"
is "$(grep -P '\d us\b' "$DIR/each" | grep -cP '\d m?s\b') $(grep -P '\d ms\b' "$DIR/each" | grep -cP '\d s\b') $(grep -cP '\d m?s\b' "$DIR/each" | sed 's/^[2-9].$/many/')" '0 0 many' \
	'no sentence has times in two units'
is "$(marks engines)" 'pass helper,MISS kfunc,MISS user,pass helper,pass kfunc,pass user' 'limit and speedup, engine by engine'
is "$(marks loses)" 'MISS user,MISS user' 'never a loss: by the lower bound'
is "$(marks overhead)" 'pass -,MISS -' 'cost'
is "$(marks thesis | tr , '\n' | sort | uniq -c | tr -s ' ' | paste -sd,)" ' 6 MISS user, 10 open user, 24 pass user' \
	'with too few pairs it is open'

# --- as typed

analysis summary --json "$DIR/typed"
is "$(jq -r '.marks[] | [.cell, .verdict, .what, (.value * 1000 | round / 1000)] | join(" ")' "$DIR/out" | head -8)" \
	'list pass never a loss, as typed: low of cold / forced >= 0.95 2.857
list pass as typed: forced / now <= 1.05 1.014
list MISS (forced as typed - 10 ms) / (floor + warm) <= 1.1 1.111
short open never a loss, as typed: low of cold / forced >= 0.95 0.926
short MISS never a loss: low of cold / forced >= 0.95 0.9
short pass as typed: high of forced - cold <= 5 ms 4
program pass as typed: forced / cold <= 0.8 0.75
program MISS as typed: forced / now <= 1 1.071' 'marks by the whole line, and by the reader'\''s clock'
is "$(jq -r '.marks[8:][] | [.verdict, .what, .value, .why] | join(" ")' "$DIR/out" | head -4)" \
	'pass a tool: wall <= 5 ms 4 the worst of 21: 9.00
MISS a tool: cpu <= 5 ms 6 the worst of 21: 6.00
MISS late: wall <= 5 ms 4 the worst of 21: 4.00; 1 receipts do not say that all was there
pass ours: ready / that of the best other <= 1 0.9411764705882353 the best other is other' 'of arms of their own: the median judges, the worst is said'
is "$(jq -r '.marks[3].why' "$DIR/out")" 'cold takes 50 ms, and it is about 100 ms and more' 'a mark about longer runs is open for a short one'
is "$(jq -c .skipped "$DIR/out")" '{"node":"node is not installed"}' 'what was skipped, and why'
analysis summary "$DIR/typed"
is "$(sed 's/  */ /g' "$DIR/out" | sed -n '/^As typed/,/^$/p')" 'As typed: medians of the whole line in ms, with their 95 % bound; engine user
 cold forced cold / forced forced / (floor + warm) forced / longer of floor, warm now warm
list 200.0 70.0 2.86 1.25 1.75 69.0 16.0
short 50.0 54.0 0.926 - - - -
program 200.0 150.0 1.33 - - 140.0 120.0' 'first a table of whole lines, with both distances to the limit'
is "$(sed -n '/^By the reader/,/^$/p' "$DIR/out" | grep -c program)" 0 'a program without a clock of its own is not in the reader'\''s table'

# --- as text

row()
{
	sed 's/  */ /g' "$DIR/out" | grep -A1 -F "$1"
}
analysis summary "$DIR/engines"
is "$(row 'sparse random read user' | head -1)" 'sparse random read user 1000.0 100.0 10.0 1.81 50.0 5.00 110.0 13,107 41' \
	'a row: cold, forced, gain, of the limit, floor, warm, now, misses, left'
is "$(row 'sparse random read user' | sed -n 2p)" ' 970.0..1030.0 97.0..103.0 9.81..10.1 1.74..1.89 48.5..51.5 4.85..5.15 106.7..113.3' 'and its bounds'
matches "$(head -1 "$DIR/out")" '^engines: Linux 6\.18\.0-test, Test CPU 9000, 2 CPUs, 4 GiB, virtual \(kvm\), ext4 on vda.*read_ahead_kb 128, commit 0123456789ab' \
	'the machine, on a line'
analysis summary "$DIR/overhead"
matches "$(row 'pread of a cached page bpftrace' | head -1)" 'bpftrace 1,081 \[1,038\.\.1,124\] 541 \[' 'costs: arms by name, with the difference'
analysis summary "$DIR/peers"
matches "$(row 'sparse list vmtouch -t' | tail -2 | head -1)" 'vmtouch -t 390\.0 \[.*\] 24\.0 \[.*\] 13,107 51\.2 MiB' 'peers: further figures'
analysis summary "$DIR/hostile"
is "$STATUS $(grep -c $'\e' "$DIR/out")" '0 0' 'no name of a stranger commands the terminal'

# --- folders that are not whole, or none

analysis summary "$DIR/partial"
matches "$(cat "$DIR/out")" $'\nPARTIAL: 26 of 46 steps are done \\(interrupted\\)\n  other: too <b>little</b> room\n' 'partial: said, with the steps and why'
# broken NAME: a copy of a good folder
broken()
{
	rm -rf "$DIR/${1:?}"
	cp -r "$DIR/${2:-one-engine}" "$DIR/$1"
}
broken cut partial
printf '{"record": "run", "cell": "spa' >>"$DIR/cut/runs.jsonl"
analysis summary "$DIR/cut"
is "$STATUS $(grep -c 'PARTIAL: 26 of 46 steps.*; line 27 of runs.jsonl breaks off' "$DIR/out")" '0 1' \
	'a last line that breaks off is said where the folder is partial'
# edit FILE JQ: of the folder bad
edit()
{
	broken bad
	jq -c "$2" "$DIR/bad/$1" >"$DIR/edited" && mv "$DIR/edited" "$DIR/bad/$1"
}
broken bad
printf '{"record": "run", "cell": "spa' >>"$DIR/bad/runs.jsonl"
wrong 'but not where it is complete' "summary: $DIR/bad/runs.jsonl:57: breaks off" summary "$DIR/bad"
broken bad
sed -i '3s/.*/{"record": "run", "cell": "spa/' "$DIR/bad/runs.jsonl"
wrong 'and never in the middle' "summary: $DIR/bad/runs.jsonl:3: not JSON" summary "$DIR/bad"
broken bad
sed -i 7d "$DIR/bad/runs.jsonl"
wrong 'complete, and a step is missing' "summary: $DIR/bad/runs.jsonl:55: 55 steps, though meta.json says complete with 56" summary "$DIR/bad"
broken bad
sed -i 7p "$DIR/bad/runs.jsonl"
wrong 'a step that is there twice' "summary: $DIR/bad/runs.jsonl:8: the same step as line 7" summary "$DIR/bad"
broken bad
: >"$DIR/bad/runs.jsonl"
wrong 'no step yet' "summary: $DIR/bad/runs.jsonl:1: empty" summary "$DIR/bad"
jq '.state = "partial" | .reason = "interrupted"' "$DIR/bad/meta.json" >"$DIR/meta" && mv "$DIR/meta" "$DIR/bad/meta.json"
analysis summary "$DIR/bad"
is "$STATUS $(grep -c 'PARTIAL: 0 of 56 steps are done (interrupted)' "$DIR/out")" '0 1' 'nor one in a partial folder: why is said'
broken bad
truncate -s 100 "$DIR/bad/meta.json"
wrong 'half a meta.json' "summary: $DIR/bad/meta.json:[0-9]+: not JSON" summary "$DIR/bad"
edit meta.json '.schema = 2'
wrong 'a later schema' "summary: $DIR/bad/meta.json:1: schema 2" summary "$DIR/bad"
edit meta.json '.record = "bench"'
wrong 'another record' "summary: $DIR/bad/meta.json:1: not the meta.json of an experiment" summary "$DIR/bad"
edit meta.json '.cells += .cells'
wrong 'a cell that is there twice' "summary: $DIR/bad/meta.json:1: cell 'sparse' is there twice" summary "$DIR/bad"
edit meta.json '.cells[0].marks[0].at_most = "much"'
wrong 'a mark without its limit' "summary: $DIR/bad/meta.json:1: at_most is not a number" summary "$DIR/bad"
edit meta.json '.cells[0].cell = "other"'
wrong 'a step of another cell' "summary: $DIR/bad/runs.jsonl:1: meta.json has no cell 'sparse'" summary "$DIR/bad"
edit runs.jsonl 'if .arm == "warm" then .arm = "tepid" else . end'
wrong 'an arm that is not known' "summary: $DIR/bad/runs.jsonl:[0-9]+: cell 'sparse' has no arm 'tepid'" summary "$DIR/bad"
edit runs.jsonl 'if .arm == "warm" then .value = -1 else . end'
wrong 'a negative time' "summary: $DIR/bad/runs.jsonl:[0-9]+: value is negative" summary "$DIR/bad"
edit runs.jsonl 'if .arm == "warm" then .value = true else . end'
wrong 'a time that is no number' "summary: $DIR/bad/runs.jsonl:[0-9]+: value is not a number or null" summary "$DIR/bad"
broken bad
sed -i '1s/"first_us": null/"first_us": NaN/' "$DIR/bad/runs.jsonl"
wrong 'NaN is no number of JSON' "summary: $DIR/bad/runs.jsonl:1: not JSON: NaN" summary "$DIR/bad"
wrong 'no folder' "summary: $DIR/none: No such file" summary "$DIR/none"
wrong 'a file' "summary: $DIR/out: no folder of results" summary "$DIR/out"

# --- compare: the tools' own output

# tool FILE MISSES [SECOND_FILE_MISSES]: as cachemiss -j writes it
tool()
{
	local n
	echo '{"record":"meta","tool":"cachemiss","version":"0.1.0","schema":1,"kernel":"6.18","page_size":4096,"hooks":{}}'
	for n in "${@:2}"; do
		echo "{\"record\":\"file\",\"file\":\"/srv/my.db\",\"dev\":\"254:0\",\"ino\":5,\"accesses\":1000,\"hits\":$((1000 - n)),\"misses\":$n,\"late\":null,\"hit_ratio\":0.5,\"lost_events\":0,\"exact\":${exact:-true}}"
	done >"$DIR/records"
	cat "$DIR/records"
	echo '{"record":"command","status":0,"signal":null,"wall_us":5000}'
} >"$DIR/$1"
tool before 200
tool after 50
analysis compare "$DIR/before" "$DIR/after"
is "$STATUS $(row '/srv/my.db' | head -1; row ' misses')" '0 /srv/my.db accesses 1,000 1,000 1 -
 misses 200 50 0.250 -
 late - - - -' 'misses before and after, their ratio, and no bound of single values'
exact=false tool after 50
analysis compare "$DIR/before" "$DIR/after"
matches "$STATUS $(grep -c ' exact' "$DIR/out") $(cat "$DIR/out" "$DIR/err")" '^0 0 .*/srv/my.db: counts are lower bounds' \
	'lower bounds are said to be some, and "exact" is no figure'
tool before 100 101 102 103 104 105 106 107 108
tool after 50 51 52 53 54 55 56 57 58
analysis compare --json "$DIR/before" "$DIR/after"
is "$(jq -c '.rows[] | select(.metric == "misses") | [.before, .after, .counts, (.low < .ratio and .ratio < .high)]' "$DIR/out")" \
	'[104,54,[9,9],true]' 'repeated values: medians, and a bound'
tool before 0
tool after 0
analysis compare --json "$DIR/before" "$DIR/after"
is "$(jq -c '.rows[] | select(.metric == "misses") | .ratio' "$DIR/out")" 1 'from 0 to 0 nothing has changed'
tool after 7
analysis compare --json "$DIR/before" "$DIR/after"
is "$(jq -c '.rows[] | select(.metric == "misses") | .ratio' "$DIR/out")" '"inf"' 'from 0 to something: inf'
tool before 200
analysis compare --fail-if 'misses.ratio>1.1' --fail-if 'misses.after>7' "$DIR/before" "$DIR/after"
is "$STATUS $(wc -c <"$DIR/err")" '0 0' 'limits that are kept'
tool after 221
analysis compare --fail-if 'misses.ratio>1.1' --fail-if '/srv/*/misses.after > 1e9' "$DIR/before" "$DIR/after"
is "$STATUS $(cat "$DIR/err")" "1 compare: limit 'misses.ratio>1.1' is exceeded: ratio of /srv/my.db/misses is 1.105" \
	'a limit that is exceeded: status 1, and a sentence'
analysis compare --fail-if 'ratio<1' "$DIR/before" "$DIR/after"
is "$STATUS $(cat "$DIR/err")" "1 compare: limit 'ratio<1' is exceeded: ratio of /srv/my.db/hits is 0.97375" \
	'without a metric: every row, but what neither side knows'
tool before 0
analysis compare --fail-if 'misses.ratio>1.1' "$DIR/before" "$DIR/after"
matches "$STATUS $(cat "$DIR/err")" '^1 .* is inf$' 'inf exceeds'

# limit STATUS REGEX LIMIT TITLE: one of two outputs, the table is printed in any case
limit()
{
	analysis compare --fail-if "$3" "$DIR/before" "$DIR/after"
	matches "$STATUS $(wc -l <"$DIR/err") $(cat "$DIR/err")" "^$1 1 compare: $2" "$4"
}
tool before 200
limit 2 "limit 'miss.ratio>1' matches no row" 'miss.ratio>1' 'a limit that matches nothing is an error'
limit 2 "limit 'late.ratio>1': ratio of /srv/my.db/late is not known" 'late.ratio>1' 'so is one of what is not known'
limit 2 "limit 'misses.low>1': low of /srv/my.db/misses is not known" 'misses.low>1' 'or of a bound that is not there'
for words in 'misses>1' 'misses.ratio>' 'ratio=1' 'misses.mean>1' '__import__("os").ratio>1 or 1' 'ratio<nan' ''; do
	wrong "no limit: '$words'" 'compare: not a limit' compare --fail-if "$words" "$DIR/before" "$DIR/after"
done

# --- what cannot be compared

wrong 'no file' "compare: $DIR/none: No such file" compare "$DIR/none" "$DIR/after"
: >"$DIR/empty"
wrong 'an empty file' "compare: $DIR/empty:1: empty" compare "$DIR/before" "$DIR/empty"
head -c -20 "$DIR/after" >"$DIR/half"
wrong 'a file that breaks off' "compare: $DIR/half:3: breaks off" compare "$DIR/before" "$DIR/half"
head -1 "$DIR/after" >"$DIR/half"
wrong 'a run that was ended before its figures' "compare: $DIR/half:1: no record of a file's figures" compare "$DIR/before" "$DIR/half"
sed 's/cachemiss/ratrace/' "$DIR/after" >"$DIR/other"
wrong 'another tool' "compare: $DIR/other:1: mixed input: tool ratrace, but cachemiss at $DIR/before:1" compare "$DIR/before" "$DIR/other"
sed 's/"page_size":4096/"page_size":16384/' "$DIR/after" >"$DIR/other"
wrong 'another page size' "compare: $DIR/other:1: mixed input: page_size 16384, but 4096" compare "$DIR/before" "$DIR/other"
sed 's/"schema":1/"schema":2/' "$DIR/after" >"$DIR/other"
wrong 'another schema' "compare: $DIR/other:1: mixed input: schema 2, but 1" compare "$DIR/before" "$DIR/other"
sed 's/"record":"file"/"record":"resident"/' "$DIR/after" >"$DIR/other"
wrong 'another kind of records' "compare: $DIR/other:2: mixed input: records resident, but file at $DIR/before:2" compare "$DIR/before" "$DIR/other"
sed 's/cachemiss/ratrace/' "$DIR/after" | cat "$DIR/after" - >"$DIR/other"
wrong 'two tools in one file' "compare: $DIR/other:4: mixed input: tool ratrace, but cachemiss" compare "$DIR/before" "$DIR/other"
sed 's/my.db/your.db/; /command/d' "$DIR/after" >"$DIR/other"
wrong 'no file in common' "compare: $DIR/other: no file, cell or job in common" compare "$DIR/before" "$DIR/other"
echo '{"hello": 1}' >"$DIR/other"
wrong 'somebody else'\''s JSON' "compare: $DIR/other:1: neither of page2cache's tools nor of fio" compare "$DIR/before" "$DIR/other"
printf '{"record":"meta"}\n\xff\xfe\n' >"$DIR/other"
wrong 'no text' "compare: $DIR/other:2: not UTF-8" compare "$DIR/before" "$DIR/other"
{ printf '%0.s[' $(seq 100000); echo; } >"$DIR/other"
wrong 'a very deep one' "compare: $DIR/other:1: not JSON: nested too deeply" compare "$DIR/before" "$DIR/other"
wrong 'a folder and a file' "compare: $DIR/after:1: mixed input: tool cachemiss, but experiment" compare "$DIR/engines" "$DIR/after"

# --- ratrace, pcforce, fio and folders

sed 's/cachemiss/ratrace/; s/"misses":[0-9]*/"pages_read":9,"window_pages_hist":{"4":1},"meaning":"random"/' "$DIR/after" >"$DIR/ra"
analysis compare "$DIR/ra" "$DIR/ra"
is "$STATUS $(row ' pages_read' | head -1)" '0  pages_read 9 9 1 -' "ratrace's output"
meta='{"record":"meta","tool":"pcforce","version":"0.1.0","schema":1,"kernel":"6.18","page_size":4096,"hooks":{},"engine":"user"}'
receipt='{"record":"receipt","file":"/srv/my.db","engine":"user","trigger":"access","requested":10,"resident":0,"read":10,"elapsed_us":400,"accuracy":null,"reason":null}'
printf '%s\n' "$meta" "$receipt" "$receipt" >"$DIR/forced"
sed 's/"elapsed_us":400/"elapsed_us":800/; s/"user"/"kfunc"/' "$DIR/forced" >"$DIR/forced2"
analysis compare "$DIR/forced" "$DIR/forced2"
is "$STATUS $(row ' elapsed_us' | head -1)" '0  elapsed_us 400 800 2.000 -' "pcforce's receipts, whatever the engine"
analysis compare --json "$DIR/forced" "$DIR/forced2"
is "$(jq -c '[.rows[] | select(.metric == "accuracy") | .before, .ratio]' "$DIR/out")" '[null,null]' 'what is not known stays null'
printf '%s\n' "$meta" '{"record":"check","engine":"user","available":true,"reason":null}' >"$DIR/check"
wrong 'a check has no figures' "compare: $DIR/check:2: no record of a file's figures" compare "$DIR/check" "$DIR/check"

# fio VALUES...: two jobs of one name
fio_result()
{
	jq -n --argjson a "$1" --argjson b "$2" '{"fio version": "fio-3.33", jobs: [$a, $b | {jobname: "rand", error: 0, majf: 3,
		read: {total_ios: 9, runtime: ., iops: (1000 / .), bw_bytes: 7, lat_ns: {mean: 5}, clat_ns: {percentile: {"50.000000": 4, "99.000000": 8}}},
		write: {total_ios: 0}}]}'
}
fio_result 100 200 >"$DIR/fio1"
fio_result 50 100 >"$DIR/fio2"
analysis compare "$DIR/fio1" "$DIR/fio2"
is "$STATUS $(row ' read_runtime_ms' | head -1; row ' read_clat_ns_p99' | head -1)" '0 rand read_runtime_ms 150 75 0.500 -
 read_clat_ns_p99 8 8 1 -' "fio's own: jobs of one name are repeated values"
jq '.jobs[0].error = 5' "$DIR/fio2" >"$DIR/fio3"
analysis compare "$DIR/fio1" "$DIR/fio3"
is "$STATUS $(grep -c 'job rand ended with error 5' "$DIR/out")" '0 1' 'a job that failed is said'
jq '.jobs[0].read.iops = "many"' "$DIR/fio2" >"$DIR/fio3"
wrong 'a figure that is none' "compare: $DIR/fio3:1: read_iops is not a number" compare "$DIR/fio1" "$DIR/fio3"
jq 'del(.jobs[0].read.lat_ns)' "$DIR/fio2" >"$DIR/fio3"
wrong 'a job without its figures' "compare: $DIR/fio3:1: not as fio writes its jobs" compare "$DIR/fio1" "$DIR/fio3"
head -c 200 "$DIR/fio2" >"$DIR/fio3"
wrong 'half of it' "compare: $DIR/fio3:[0-9]+: not JSON" compare "$DIR/fio1" "$DIR/fio3"

analysis compare "$DIR/one-engine" "$DIR/engines" --json
is "$STATUS $(jq -c '[.rows[] | select(.subject == "sparse" and .engine != "kfunc" and .engine != "helper") | .metric] | sort' "$DIR/out")" \
	'0 ["cold","first_us","floor","forced","left","misses","now","warm"]' 'folders: each arm of each cell'
is "$(jq -c '.rows[] | select(.name == "sparse/forced/user") | [.before, .after, (.low < 1 and .high > 1)]' "$DIR/out")" \
	'[100000,100000,true]' 'the same again: the bound has 1 in it'
analysis compare "$DIR/one-engine/runs.jsonl" "$DIR/engines/meta.json" --fail-if 'forced/user.ratio>1.05' --fail-if 'sparse/cold.low<0.9'
is "$STATUS" 0 'by their files, and limits by arm, engine and cell'
analysis compare "$DIR/one-engine" "$DIR/engines" --fail-if 'forced.ratio>1.05'
is "$STATUS $(grep -c 'ratio of sparse/forced/\(kfunc\|helper\) is not known' "$DIR/err")" '2 2' 'an engine that only one side has is not passed over'
analysis compare "$DIR/one-engine" "$DIR/partial"
is "$STATUS $(grep -c 'PARTIAL: 26 of 46' "$DIR/out")" '0 1' 'that a side is partial is said'
cp -r "$DIR/one-engine" "$DIR/larger"
sed -i 's/"file_bytes": [0-9]*/"file_bytes": 4096/' "$DIR/larger/meta.json"
wrong 'the same cells on files of another size' 'compare: .*mixed input: cell .* on 4096 bytes, but' compare "$DIR/one-engine" "$DIR/larger"
wrong 'two experiments' "compare: $DIR/near/meta.json:1: mixed input: experiment sparse, but engines" compare "$DIR/engines" "$DIR/near"
analysis compare --json "$DIR/typed" "$DIR/typed"
is "$(jq -c '[.rows[] | select(.subject == "list" and .engine == "user" or .subject == "program" and .metric != "forced:typed") | [.metric, .after]] | sort' "$DIR/out")" \
	'[["cold:typed",200000],["forced",66000],["forced:typed",70000],["now",65000],["now:typed",69000],["now:typed",140000],["warm:typed",120000]]' \
	'as typed and by the reader'\''s clock; of a program the line alone'
cp -r "$DIR/typed" "$DIR/untyped"
sed -i '/"cell": "list"/s/"typed_us": [0-9.]*,*//' "$DIR/untyped/runs.jsonl"
analysis compare "$DIR/untyped" "$DIR/typed" --fail-if 'ratio>1.01' --fail-if 'short/forced:typed.after>54000'
is "$STATUS $(grep -c ':typed' "$DIR/out"), $(grep -A1 '^before:' "$DIR/out" | tail -1 | sed 's/^ *//')" \
	'0 7, 4 arms without a time as typed: of these the readers'\'' own clocks are compared' 'what one side has no time as typed of is said' ||
	diag "$(cat "$DIR/out" "$DIR/err")"
analysis compare "$DIR/hostile" "$DIR/hostile"
is "$STATUS $(grep -c $'\e' "$DIR/out")" '0 0' 'names of strangers'
"$ROOT/analysis/compare" --help >"$DIR/out" 2>&1
is "$? $(grep -c 'misses.ratio>1.1' "$DIR/out")" '0 1' '--help says what a limit is'
