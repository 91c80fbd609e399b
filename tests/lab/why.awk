# SPDX-License-Identifier: GPL-3.0-or-later
# A failed test's log, told briefly to somebody who will never have the machine it ran on. The cause is seldom at the end: first
# every line that says that a check failed ("not ok", tap.h's words, a sanitizer, a compiler, Python), with what was said since the
# check before it and the remarks behind it, wherever in the log that is; then the log's end. What is left out is counted.
#   awk -v most=120 -v last=30 -f why.awk LOG     at most so many lines, of them so many from the end
BEGIN {
	most = most ? most : 120
	last = last ? last : 30
	cause = "^not ok|: failed: |: [^ ]+ is .*, not |ERROR: [A-Z][A-Za-z]*Sanitizer|runtime error: |^SUMMARY: |^[A-Za-z.]*Error($|:)|" \
		"^Traceback|: does not hold: |^(FAIL|ERROR)[: ]|(^|[^a-z-])error: |undefined reference|^make.*\\*\\*\\*|Segmentation fault|core dumped|deadly signal"
}
{ line[NR] = length($0) > 400 ? substr($0, 1, 400) " ..." : $0 }
# Once each, in order; where lines were left out in between, says how many.
function tell(i) {
	if (i <= at)
		return
	if (i > at + 1)
		print "... (" i - at - 1 " more)"
	print line[i]
	at = i
	shown++
}
END {
	for (i = 1; i <= NR; i++) {
		if (line[i] !~ cause)
			continue
		room = most - last - shown
		if (room <= 0 && ++late > 40) # many failures: their bare lines still
			break
		for (j = i; room > 0 && j > 1 && i - j < 8 && j - 1 > at && line[j - 1] !~ /^(not )?ok /; j--)
			;
		for (; j <= i; j++)
			tell(j)
		said = line[i] ~ /^FAIL/ ? "." : "^#|^ +[0-9]* \\| |^ +#[0-9]" # what stands below a FAIL belongs to it
		for (; j < i + 16 && j - i < room && line[j] ~ said && line[j] !~ /^(not )?ok |^FAIL/; j++)
			tell(j)
	}
	for (i = NR - last + 1 > 1 ? NR - last + 1 : 1; i <= NR; i++)
		tell(i)
}
