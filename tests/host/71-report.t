#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# analysis/plot and analysis/report: the pictures for which there is data and no others, the same
# ones each time; the page in a real browser, at the width of a desk and of a phone.

# shellcheck source=tests/host/lib.sh
. "$(dirname "$0")/lib.sh"

# missing WHAT PACKAGE: a reason to skip, but where everything has to be there
missing()
{
	[ -z "${CI:-}" ] || bail "needs $1 (Debian package $2)"
	skip_all "needs $1 (Debian package $2)"
}
for need in 'matplotlib python3-matplotlib' 'jinja2 python3-jinja2' 'selenium python3-selenium'; do
	/usr/bin/python3 -c "import ${need% *}" 2>/dev/null || missing "${need% *}" "${need#* }"
done
[ -x /usr/bin/chromium ] || missing chromium chromium
[ -x /usr/bin/chromedriver ] || missing chromedriver chromium-driver
command -v jq >/dev/null || missing jq jq

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
DIR=$(mktemp -d) || bail 'no temporary folder'
at_exit "rm -rf '$DIR'"
export HOME=$DIR

plan $((5 + 1 + 10 + 7 + 10 + 9 + 9))

for kind in thesis engines overhead scale snapshot peers hints typed chance traced partial hostile; do
	"$ROOT/tests/analysis/make-results" $kind "$DIR/$kind" || bail "cannot make $kind"
done

# analysis PROGRAM ARGS...: its data in $DIR/out, its words in $DIR/err
analysis()
{
	timeout 120 "$ROOT/analysis/$1" "${@:2}" >"$DIR/out" 2>"$DIR/err"
	STATUS=$?
}

# wrong STATUS TITLE REGEX PROGRAM ARGS...: no data, and one line that matches
wrong()
{
	analysis "${@:4}"
	matches "$STATUS $(wc -c <"$DIR/out") $(wc -l <"$DIR/err") $(cat "$DIR/err")" "^$1 0 1 $3" "$2"
}

# drawn: the names of the pictures that were made
drawn()
{
	echo "$STATUS $(sed 's,.*/,,' "$DIR/out" | sort | paste -sd' ')"
}

# --- which pictures there are

for kind in overhead scale snapshot peers hints; do
	analysis plot --format svg -o "$DIR/pictures" "$DIR/$kind"
	also=
	[[ $kind != s* ]] || also='engines.svg '
	is "$(drawn)" "0 $also$kind.svg" "plot $kind: what it has data for"
done
analysis plot "$DIR/engines" engines
is "$(drawn) $(head -c 8 "$DIR/engines/pictures/engines.png" | od -An -tx1 | tr -d ' ')" '0 engines.png engines.svg 89504e470d0a1a0a' \
	'SVG and PNG, below the folder'

# --- the same each time, and only what is asked for

names=(bandwidth heatmap-psync-rand-536870912 readahead-psync-seq-33554432)
analysis plot --format svg -o "$DIR/one" "$DIR/thesis" "${names[@]}"
is "$(drawn)" "0 $(printf '%s.svg\n' "${names[@]}" | sort | paste -sd' ')" 'plot thesis: those that are named'
analysis plot --format svg -o "$DIR/two" "$DIR/thesis" "${names[@]}"
is "$(cd "$DIR/one" && sha256sum ./*)" "$(cd "$DIR/two" && sha256sum ./*)" 'made again, byte for byte the same'
is "$(grep -lE 'dc:date|<script' "$DIR"/one/*.svg)" '' 'without the date on which they were made'
is "$(/usr/bin/python3 -c 'import sys, xml.dom.minidom as m; [m.parse(p) for p in sys.argv[1:]]; print("fine")' "$DIR"/one/*.svg 2>&1)" \
	fine 'well formed'
wrong 2 'a picture without data' "plot: $DIR/engines: no data for a picture 'scale'; there is: engines" plot "$DIR/engines" scale
wrong 2 'no result' "plot: $DIR/none: No such file" plot "$DIR/none"
cp -r "$DIR/thesis" "$DIR/bad"
sed -i 5d "$DIR/bad/raw/psync-rand.cold.jsonl"
sed -i '7s/"kind": "order"/"kind": "odd"/' "$DIR/bad/raw/psync-rand.cold.jsonl"
wrong 2 'a trace that is none' "plot: $DIR/bad/raw/psync-rand.cold.jsonl:7: an unknown kind of event: 'odd'" plot "$DIR/bad" heatmap
rm "$DIR/bad/raw/psync-rand.cold.jsonl"
wrong 2 'a trace that is gone' "plot: $DIR/bad/raw/psync-rand.cold.jsonl: No such file" plot "$DIR/bad" heatmap
sed -i 's,"psync-rand.cold.jsonl","../../secret",' "$DIR/bad/runs.jsonl"
wrong 2 'a trace from elsewhere' "plot: $DIR/bad/runs.jsonl: raw '../../secret' is not below raw/" plot "$DIR/bad" heatmap

# --- the report: made whole or not at all

for kind in thesis partial overhead typed chance traced hostile; do
	analysis report "$DIR/$kind"
	[ $STATUS -eq 0 ] || diag "report $kind: $(cat "$DIR/err")"
done
is "$(cat "$DIR/out") $(stat -c %a "$DIR/hostile/report.html")" "$DIR/hostile/report.html $(printf '%o' $((0666 & ~$(umask))))" \
	'report: below the folder, for all to read'
analysis report -o "$DIR/page.html" "$DIR/partial"
ok 'or where it is wished, the same bytes' cmp "$DIR/page.html" "$DIR/partial/report.html"
# As root, a file in its place would be the end of /dev/null for all.
mkfifo "$DIR/fifo"
cat "$DIR/fifo" >"$DIR/through" &
PYTHONPATH=$ROOT/analysis python3 -B -c 'import sys; from measured import output; output.write(sys.argv[1], b"page")' "$DIR/fifo"
test -p "$DIR/fifo" || kill $!
wait $!
is "$(cat "$DIR/through") $(stat -c %F "$DIR/fifo")" 'page fifo' 'what is no regular file is written to as it is'
rm -rf "$DIR/bad"
cp -r "$DIR/partial" "$DIR/bad"
echo before >"$DIR/bad/report.html"
sed -i 's/"partial"/"complete"/' "$DIR/bad/meta.json"
wrong 2 'steps are missing' "report: $DIR/bad/runs.jsonl:26: 26 steps, though" report "$DIR/bad"
is "$(cat "$DIR/bad/report.html") $(find "$DIR/bad" -maxdepth 1 | wc -l)" 'before 6' 'and what was there is as it was'
: >"$DIR/bad/meta.json"
wrong 2 'an empty meta.json' "report: $DIR/bad/meta.json:1: empty" report "$DIR/bad"
wrong 1 'a place that is not there' "report: $DIR/none/page.html: No such file" report -o "$DIR/none/page.html" "$DIR/partial"
is "$(grep -oE '(src|href)="[^"]{0,5}' "$DIR"/*/report.html | sed 's/.*"//' | sort -u | paste -sd' ')" 'data:' \
	'all that a page refers to is in it'

# --- in a browser

timeout 120 "$ROOT/tests/analysis/browse" "$DIR"/{thesis,partial,overhead,hostile,typed,chance,traced}/report.html >"$DIR/seen" 2>"$DIR/err" ||
	diag "browser: $(tail -3 "$DIR/err")"
# seen PAGE FILTER: what the browser saw of one
seen()
{
	sed -n "$1p" "$DIR/seen" | jq -c "$2"
}
is "$(jq -s length "$DIR/seen")" 7 'the browser opens the pages'
is "$(jq -c '.title' "$DIR/seen" | head -3 | paste -sd' ')" '"page2cache: thesis" "page2cache: engines" "page2cache: overhead"' 'titles' ||
	diag "$(jq -c .title "$DIR/seen")"
is "$(seen 1 '[.images | length, (all(.[]; . == [true, true]))]'), $(seen 1 .captions)" '[7,true], 7' \
	'each picture is seen, and has words for who does not see it'
is "$(jq -c '[.console, .resources, .scripts]' "$DIR/seen" | sort -u)" '[[],[],0]' 'no error, nothing requested, no scripts'
is "$(jq -c .overflow "$DIR/seen" | sort -u)" '[[1200,0,[]],[800,0,[]],[375,0,[]]]' 'nothing sticks out, at 1200, 800 and 375'
is "$(jq -r .bold "$DIR/seen" | sort -u)" solid 'its style is let in by its own policy'
is "$(seen 1 .tables)" '[41,21,20]' 'tables: marks, results, machine'
is "$(seen 1 '.verdicts | group_by(.) | map([.[0], length])')" '[["MISS",6],["open",10],["pass",24]]' 'marks'
is "$(seen 1 '.answer[0]' | cut -c 2-58)" 'fio mmap, rand, 2 GiB: 0.380 s with forcing, 30.4 s witho' 'the largest gain comes first'
is "$(seen 2 '.banners')" '["PARTIAL: 26 of 46 steps are done (interrupted). The figures below are of these steps only.\n\nother: too <b>little</b> room"]' 'what is partial says so'

# --- a page to hand on

is "$(seen 1 .opening | grep -oE '"page2cache records|Here 4 workloads ran without and with that, 9 times each, on a virtual machine|fio is a program|3 of 4 became faster' | paste -sd'|')" \
	'"page2cache records|Here 4 workloads ran without and with that, 9 times each, on a virtual machine|fio is a program|3 of 4 became faster' \
	'it begins with what was tried, on what, and what came of it, for who knows neither fio nor floor'
is "$(seen 6 '.answer[]' | paste -sd' ' | grep -oE 'forcing loses here|no difference that these rounds can tell|as fast, [0-9]' | sort | uniq -c | tr -s ' ' | paste -sd,)" \
	' 2 as fast, 0, 1 forcing loses here, 1 no difference that these rounds can tell' 'losses are named; what can be chance is not called a gain'
is "$(jq -r '.text' "$DIR/seen" | grep -ciE 'may be worth|left to save|may save')" 0 'what was not measured is not promised'
is "$(jq -c .empty "$DIR/seen" | sort -u)" '[]' 'no column is empty'
is "$(jq -c '.hidden[0:2]' "$DIR/seen" | sort -u)" '[[],[]]' 'all columns are on the screen, at 1200 and at 800'
is "$(seen 7 '[.figures[] | select(contains("one of three")) | [contains("With forcing there was no miss, and so there is no panel."), contains("With forcing there was no readahead")]] | sort')" \
	'[[false,false],[true,false]]' 'where the reader missed nothing is no grey rectangle: it is left out, and that is said; pcforce is no reader'
is "$(seen 7 '[.figures[] | select(contains("bare of three")) | contains("With forcing there was no readahead, and so there is no panel.")] | sort')" '[false,true]' 'so is readahead that read nothing'
is "$(seen 7 .notes)" '["none of three: readahead read nothing while it was traced, so there is no picture of that.","none of three: fewer than 10 misses were traced, so there is no picture of where they are."]' \
	'and a cell with nothing to show'
matches "$(seen 7 '.figures[]' | grep 'Where the misses are: one')" 'other numbers of misses \(60 without forcing there, 50 here; 3 with forcing there, 0 here\): they are of other runs' \
	'other misses than the table has: why'

# --- words of strangers

hostile='<script>document.title="owned"</script>&"'\''\x1b[31m$\frac{1}{0}$ {{7*7}}'
is "$(seen 4 .title)" "$(jq -cn --arg t "page2cache: $hostile" '$t')" 'a title is a text'
is "$(sed -n 4p "$DIR/seen" | jq --arg h "$hostile" '.text | contains($h)')" \
	true 'so is a workload'
is "$(seen 4 '[.images[][0]] | all')" true 'and they spoil no picture'
is "$(grep -c $'\e' "$DIR/hostile/report.html")" 0 'nor a terminal on which the page is read'
analysis plot --format svg -o "$DIR/hostile-pictures" "$DIR/hostile"
is "$(find "$DIR/hostile-pictures" -type f | sed 's,.*/,,; s,[a-z0-9.-]*,,' | sort -u)" '' 'names of pictures are plain'
is "$(sed 's,.*/,,' "$DIR/out" | sed 's/-.*//' | paste -sd' ')" 'engines.svg heatmap readahead' 'the pictures are there'
for program in summary compare plot report; do
	! "$ROOT/analysis/$program" --no-such-option >"$DIR/out" 2>"$DIR/err" || diag "$program takes anything"
	echo "$? $(wc -c <"$DIR/out")"
done >"$DIR/usage"
is "$(sort -u "$DIR/usage")" '0 0' 'usage errors have no data'
is "$(find "$ROOT/analysis" -name __pycache__ | wc -l)" 0 'the programs leave nothing behind in the tree'
is "$(head -qn 1 "$ROOT"/analysis/{summary,compare,plot,report} | sort -u)" '#!/usr/bin/python3' "they are run by Debian's python"
