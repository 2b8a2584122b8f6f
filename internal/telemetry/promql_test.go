package telemetry_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// This is as much of PromQL as the alert rules use, over samples that a test took: selectors, increase and rate, sum
// and max, histogram_quantile, time, division, subtraction and comparison. What it does not know ends the test.

// labels are a series' labels, its name included as __name__.
type labels map[string]string

func (l labels) key() string {
	pairs := make([]string, 0, len(l))
	for name, value := range l {
		pairs = append(pairs, name+"="+strconv.Quote(value))
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}

// measured is one value of a vector.
type measured struct {
	labels labels
	value  float64
}

// point is a value at a time.
type point struct {
	at    time.Time
	value float64
}

// series are all points of one combination of labels.
type series struct {
	labels labels
	points []point
}

// recording is what was scraped so far.
type recording struct {
	series map[string]*series
}

func (r *recording) add(l labels, at time.Time, value float64) {
	if r.series == nil {
		r.series = map[string]*series{}
	}
	s := r.series[l.key()]
	if s == nil {
		s = &series{labels: l}
		r.series[l.key()] = s
	}
	s.points = append(s.points, point{at, value})
}

// staleness is how long a series is taken for present after its last sample.
const staleness = 5 * time.Minute

var tokens = regexp.MustCompile(
	`\s*(?:([0-9.]+)|([a-zA-Z_:][a-zA-Z0-9_:]*)|(\{[^}]*\})|(\[[0-9]+[smhd]\])|(>=|<=|==|!=|[-+*/()<>,]))`)

// evaluator evaluates one expression at one time.
type evaluator struct {
	from  *recording
	at    time.Time
	left  []string
	trace string
}

// evaluate gives the samples of an expression; a number has no labels.
func evaluate(from *recording, at time.Time, expr string) (samples []measured, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s: %v", expr, fault)
		}
	}()
	e := &evaluator{from: from, at: at, trace: expr}
	for rest := expr; strings.TrimSpace(rest) != ""; {
		found := tokens.FindString(rest)
		if found == "" || !strings.HasPrefix(rest, found) {
			panic("cannot read " + rest)
		}
		e.left, rest = append(e.left, strings.TrimSpace(found)), rest[len(found):]
	}
	samples = e.comparison()
	if len(e.left) > 0 {
		panic("not understood: " + e.left[0])
	}
	return samples, nil
}

func (e *evaluator) peek() string {
	if len(e.left) == 0 {
		return ""
	}
	return e.left[0]
}

func (e *evaluator) next() string {
	token := e.peek()
	e.left = e.left[1:]
	return token
}

func (e *evaluator) want(token string) {
	if got := e.next(); got != token {
		panic("want " + token + ", got " + got)
	}
}

func (e *evaluator) comparison() []measured {
	left := e.sum()
	for slices.Contains([]string{">", "<", ">=", "<=", "==", "!="}, e.peek()) {
		op, right := e.next(), scalar(e.sum())
		left = slices.DeleteFunc(left, func(s measured) bool {
			return !map[string]bool{
				">": s.value > right, "<": s.value < right, ">=": s.value >= right, "<=": s.value <= right,
				"==": s.value == right, "!=": s.value != right,
			}[op]
		})
	}
	return left
}

func (e *evaluator) sum() []measured {
	left := e.product()
	for e.peek() == "-" || e.peek() == "+" {
		sign := 1.0
		if e.next() == "-" {
			sign = -1
		}
		left = combine(left, e.product(), func(a, b float64) float64 { return a + sign*b })
	}
	return left
}

func (e *evaluator) product() []measured {
	left := e.term()
	for e.peek() == "/" || e.peek() == "*" {
		op := e.next()
		left = combine(left, e.term(), func(a, b float64) float64 {
			if op == "/" {
				return a / b
			}
			return a * b
		})
	}
	return left
}

// scalar gives the value of a number.
func scalar(samples []measured) float64 {
	if len(samples) != 1 || samples[0].labels != nil {
		panic("want a number")
	}
	return samples[0].value
}

// combine combines samples of equal labels, or each with a number.
func combine(a, b []measured, do func(a, b float64) float64) (out []measured) {
	isNumber := func(s []measured) bool { return len(s) == 1 && s[0].labels == nil }
	for _, x := range a {
		for _, y := range b {
			l := x.labels
			if l == nil {
				l = y.labels
			}
			if isNumber(a) || isNumber(b) || x.labels.key() == y.labels.key() {
				out = append(out, measured{l, do(x.value, y.value)})
			}
		}
	}
	return out
}

func (e *evaluator) term() []measured {
	token := e.next()
	if value, err := strconv.ParseFloat(token, 64); err == nil {
		return []measured{{nil, value}}
	}
	switch token {
	case "(":
		inner := e.comparison()
		e.want(")")
		return inner
	case "time":
		e.want("(")
		e.want(")")
		return []measured{{nil, float64(e.at.Unix())}}
	case "sum", "max", "min":
		return e.aggregate(token)
	case "rate", "increase":
		e.want("(")
		samples := e.change(token == "rate")
		e.want(")")
		return samples
	case "histogram_quantile":
		e.want("(")
		q := scalar(e.sum())
		e.want(",")
		samples := quantiles(q, e.comparison())
		e.want(")")
		return samples
	}
	return e.instant(token)
}

func (e *evaluator) aggregate(kind string) []measured {
	var by []string
	if e.peek() == "by" {
		e.next()
		for e.want("("); e.peek() != ")"; {
			if name := e.next(); name != "," {
				by = append(by, name)
			}
		}
		e.want(")")
	}
	e.want("(")
	inner := e.comparison()
	e.want(")")
	groups, order := map[string]*measured{}, []string(nil)
	for _, s := range inner {
		l := labels{}
		for _, name := range by {
			if value, ok := s.labels[name]; ok {
				l[name] = value
			}
		}
		if group, ok := groups[l.key()]; !ok {
			groups[l.key()], order = &measured{l, s.value}, append(order, l.key())
		} else if kind == "sum" {
			group.value += s.value
		} else if kind == "max" {
			group.value = max(group.value, s.value)
		} else {
			group.value = min(group.value, s.value)
		}
	}
	var out []measured
	for _, key := range order {
		out = append(out, *groups[key])
	}
	return out
}

// selected gives the series that a selector names.
func (e *evaluator) selected(name string) (found []*series) {
	var matchers [][]string
	if strings.HasPrefix(e.peek(), "{") {
		matchers = regexp.MustCompile(`(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"`).FindAllStringSubmatch(e.next(), -1)
	}
	for _, s := range e.from.series {
		matches := s.labels["__name__"] == name
		for _, m := range matchers {
			equal := s.labels[m[1]] == m[3]
			if strings.HasSuffix(m[2], "~") {
				equal = regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(s.labels[m[1]])
			}
			matches = matches && equal == (m[2][0] == '=')
		}
		if matches {
			found = append(found, s)
		}
	}
	return found
}

// unnamed are labels without the metric's name.
func unnamed(l labels) labels {
	out := labels{}
	for name, value := range l {
		if name != "__name__" {
			out[name] = value
		}
	}
	return out
}

func (e *evaluator) instant(name string) (out []measured) {
	for _, s := range e.selected(name) {
		for _, p := range slices.Backward(s.points) {
			if !p.at.After(e.at) {
				if e.at.Sub(p.at) < staleness {
					out = append(out, measured{unnamed(s.labels), p.value})
				}
				break
			}
		}
	}
	return out
}

// change gives by how much counters grew within a range. A counter of which the range has one sample tells nothing:
// that is what Prometheus makes of one that appears with its first count.
func (e *evaluator) change(perSecond bool) (out []measured) {
	found := e.selected(e.next())
	within, err := time.ParseDuration(strings.Trim(e.next(), "[]"))
	if err != nil {
		panic(err)
	}
	for _, s := range found {
		var in []point
		for _, p := range s.points {
			if p.at.After(e.at.Add(-within)) && !p.at.After(e.at) {
				in = append(in, p)
			}
		}
		if len(in) < 2 {
			continue
		}
		grown := 0.0
		for i := 1; i < len(in); i++ {
			if d := in[i].value - in[i-1].value; d >= 0 {
				grown += d
			} else {
				grown += in[i].value
			}
		}
		if perSecond {
			grown /= in[len(in)-1].at.Sub(in[0].at).Seconds()
		}
		out = append(out, measured{unnamed(s.labels), grown})
	}
	return out
}

// quantiles gives a quantile of each histogram.
func quantiles(q float64, buckets []measured) (out []measured) {
	type bucket struct{ bound, count float64 }
	groups, names := map[string][]bucket{}, map[string]labels{}
	for _, s := range buckets {
		bound, err := strconv.ParseFloat(s.labels["le"], 64)
		if err != nil {
			panic(err)
		}
		l := labels{}
		for name, value := range s.labels {
			if name != "le" {
				l[name] = value
			}
		}
		groups[l.key()], names[l.key()] = append(groups[l.key()], bucket{bound, s.value}), l
	}
	for key, all := range groups {
		slices.SortFunc(all, func(a, b bucket) int { return int(math.Copysign(1, a.bound-b.bound)) })
		total := all[len(all)-1].count
		if total == 0 {
			continue
		}
		value, below := 0.0, 0.0
		for i, b := range all {
			if b.count >= q*total {
				if math.IsInf(b.bound, 1) && i > 0 {
					value = all[i-1].bound
					break
				}
				from := 0.0
				if i > 0 {
					from = all[i-1].bound
				}
				value = from + (b.bound-from)*(q*total-below)/(b.count-below)
				break
			}
			below = b.count
		}
		out = append(out, measured{names[key], value})
	}
	return out
}
