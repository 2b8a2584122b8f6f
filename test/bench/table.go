package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one line of the table.
type figure struct {
	row, title string
	// value is what was measured: the median of rounds, of which low and high are the ends.
	value, low, high float64
	unit             string
	// bar and moonshot are what it is held to: at most so much, or at least. Zero for none.
	bar, moonshot float64
	atLeast       bool
	// note says what else was measured.
	note string
	// failure is why it was not measured.
	failure string
}

// unsteady is how far apart the ends of rounds may be, in medians, before a figure says that it is not to be trusted.
const unsteady = 0.5

// of is the median of rounds. What is not above zero was disturbed so much that it is none.
func (f figure) of(rounds []float64) figure {
	if len(rounds) == 0 {
		f.failure = "nothing was counted"
		return f
	}
	sorted := slices.Sorted(slices.Values(rounds))
	f.value, f.low, f.high = median(sorted), sorted[0], sorted[len(sorted)-1]
	if !(f.value > 0) || math.IsInf(f.value, 0) { // also where something was divided by nothing
		f.failure = fmt.Sprintf("%.3g, of rounds from %.3g to %.3g: something disturbed it", f.value, f.low, f.high)
	}
	return f
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func number(value float64, unit string) string {
	text := fmt.Sprintf("%.3g", value)
	if value >= 1000 {
		text = fmt.Sprintf("%.0f", value)
	}
	if unit == "x" {
		return text + "x"
	}
	return text + " " + unit
}

func (f figure) measured() string {
	if f.failure != "" {
		return "not measured: " + f.failure
	}
	return number(f.value, f.unit)
}

func (f figure) rounds() string {
	if f.failure != "" || f.low == f.high {
		return ""
	}
	text := fmt.Sprintf("%.3g to %.3g", f.low, f.high)
	if f.high-f.low > unsteady*f.value {
		text += ", unsteady"
	}
	return text
}

func (f figure) limit(at float64) string {
	switch {
	case at == 0:
		return ""
	case f.atLeast:
		return ">= " + number(at, f.unit)
	}
	return "<= " + number(at, f.unit)
}

func (f figure) met() string {
	holds := func(at float64) bool { return at != 0 && (f.atLeast == (f.value >= at) || f.value == at) }
	switch {
	case f.failure != "" || f.bar == 0:
		return ""
	case holds(f.moonshot):
		return "moonshot"
	case holds(f.bar):
		return "yes"
	}
	return "no"
}

// printTable prints the figures.
func printTable(out io.Writer, o options, figures []figure, markdown bool) {
	lines := [][]string{{"path", "measured", "bar", "moonshot", "met", "rounds", "beside it"}}
	for _, f := range figures {
		lines = append(lines, []string{
			f.title, f.measured(), f.limit(f.bar), f.limit(f.moonshot), f.met(), f.rounds(), f.note,
		})
	}
	if !markdown {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, line := range lines {
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
		_ = w.Flush() // who reads the table sees that it is not whole
	} else {
		for n, line := range lines {
			fmt.Fprintf(out, "| %s |\n", strings.Join(line, " | "))
			if n == 0 {
				fmt.Fprintf(out, "%s|\n", strings.Repeat("|---", len(line)))
			}
		}
	}
	fmt.Fprintf(out, "\nMedians of %d paired rounds of %s each, %d callers.\n", o.rounds, o.each, o.callers)
}
