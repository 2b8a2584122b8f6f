package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Fault is the first place at which a trail is not as it was sealed.
type Fault struct {
	Position int64
	// What goes on after "position <n>".
	What string
}

// String gives it as a sentence for people.
func (f *Fault) String() string { return fmt.Sprintf("position %d %s", f.Position, f.What) }

// What is wrong before the first entry.
const (
	rollMissing = "has the roll of all tenants, which is missing: tenants may have been taken out altogether; " +
		"a database that was made before there was a roll never had one: export its audit and begin with a new store"
	rollChanged = "has the roll of all tenants, which was changed or made up"
	notOnRoll   = "is sealed, and the roll of all tenants does not have the tenant: it was set back"
	allTakenOut = "began a trail that was sealed: all of it was taken out, together with its seals"
)

// Report is what verifying found of one tenant's trail, or of the roll of all tenants.
type Report struct {
	// Tenant is empty for the roll.
	Tenant string
	// Entries counts those that were looked at, Unsealed those of them that no sealer has come to yet.
	Entries, Unsealed int64
	// Begin is the position behind which verifying could begin: 0 for the first entry ever.
	Begin int64
	// Sealed is the position up to which the trail is sealed, SealTime when that was done, where it is known.
	Sealed   int64
	SealTime time.Time
	// Compared counts the checkpoints that the trail goes through, Passed those that were given and lie before Begin.
	Compared, Passed int
	// Fault is nil for a trail that is whole.
	Fault *Fault
}

// Verify walks through the trails of all tenants, or of one, and compares them with the seals that the store has and
// with checkpoints from outside, which alone show that the end of a trail was cut off together with its seals. A tenant
// is missed of which nothing is left. There is a report of the roll only when something is wrong with it.
func Verify(trails store.AuditTrails, mac MAC, tenant string, outside []Checkpoint) ([]Report, error) {
	tenants, err := trails.Tenants()
	if err != nil {
		return nil, err
	}
	for _, c := range outside {
		tenants = append(tenants, c.Tenant) // there may be nothing left of it
	}
	if tenant != "" {
		tenants = []string{tenant}
	}
	roll, err := trails.Roll()
	if err != nil {
		return nil, err
	}
	var reports []Report
	if fault := faultOfRoll(roll, mac); fault != nil {
		reports, roll = append(reports, Report{Fault: fault}), nil
	} else if tenant == "" {
		tenants = append(tenants, roll.Tenants...)
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		report, err := verifyTenant(trails.Of(tenant), mac, tenant, outside)
		if err != nil {
			return nil, err
		}
		if roll != nil {
			report.compare(roll)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

func faultOfRoll(roll *store.AuditRoll, mac MAC) *Fault {
	switch {
	case roll == nil:
		return &Fault{0, rollMissing}
	case !roll.Genuine(mac):
		return &Fault{0, rollChanged}
	}
	return nil
}

// compare looks whether the roll has the tenant exactly if something of theirs was sealed.
func (r *Report) compare(roll *store.AuditRoll) {
	sealed := r.Sealed > 0 || r.Begin > 0
	switch {
	case sealed && !roll.Has(r.Tenant) && r.Fault == nil:
		r.Fault = &Fault{r.Sealed, notOnRoll}
	case !sealed && r.Entries == r.Unsealed && roll.Has(r.Tenant):
		r.Fault = &Fault{0, allTakenOut}
	}
}

// page is how many rows are read at once.
const page = 1000

func verifyTenant(trail store.AuditReader, mac MAC, tenant string, outside []Checkpoint) (Report, error) {
	chain, err := trail.AuditChain()
	if err != nil {
		return Report{}, err
	}
	w := newWalk(mac, tenant, placeOf(chain.Cut))
	w.outside(outside)
	if chain.Cut != nil && !genuine(mac, labelCut, chain.Cut) {
		w.fault(chain.Cut.Position, "ends what was removed, and was changed or made up")
	}
	head := placeOf(chain.Head)
	if chain.Head != nil {
		w.report.Sealed, w.report.SealTime = head.position, chain.Head.Time
		if !genuine(mac, labelSeal, chain.Head) {
			w.fault(head.position, "has the seal, which was changed or made up")
		}
		w.marks = append(w.marks, mark{head, "ends what is sealed"})
	}
	if err := w.checkpoints(trail); err != nil {
		return Report{}, err
	}
	for last := w.at.position; ; {
		entries, err := trail.AuditTrail(last, page)
		if err != nil {
			return Report{}, err
		}
		for i := range entries {
			last = entries[i].Position
			w.stored(&entries[i], head.position)
		}
		if len(entries) < page {
			w.end()
			return w.report, nil
		}
	}
}

// mark is a place that a chain must go through.
type mark struct {
	place

	what string
}

// walk goes through one tenant's chain, entry by entry.
type walk struct {
	mac    MAC
	at     place
	marks  []mark // by position, from next on still ahead
	next   int
	report Report
}

func newWalk(mac MAC, tenant string, begin place) *walk {
	return &walk{mac: mac, at: begin, report: Report{Tenant: tenant, Begin: begin.position}}
}

// fault notes that something is wrong, if nothing before it was.
func (w *walk) fault(position int64, what string) {
	if w.report.Fault == nil || position < w.report.Fault.Position {
		w.report.Fault = &Fault{position, what}
	}
}

// outside adds what was written down elsewhere.
func (w *walk) outside(checkpoints []Checkpoint) {
	for _, c := range checkpoints {
		switch {
		case c.Tenant != w.report.Tenant:
		case c.Position < w.report.Begin:
			w.report.Passed++
		default:
			w.marks = append(w.marks, mark{c.place(), "has a checkpoint that was given"})
		}
	}
}

// checkpoints adds those that the store has, and puts all marks in order.
func (w *walk) checkpoints(trail store.AuditReader) error {
	for after := w.at.position; ; {
		found, err := trail.AuditCheckpoints(after, page)
		if err != nil {
			return err
		}
		for i := range found {
			after = found[i].Position
			if !genuine(w.mac, labelCheckpoint, &found[i]) {
				w.fault(after, "has a checkpoint, which was changed or made up")
			}
			w.marks = append(w.marks, mark{placeOf(&found[i]), "has a checkpoint"})
		}
		if len(found) < page {
			w.sort()
			w.pass()
			return nil
		}
	}
}

func (w *walk) sort() {
	slices.SortStableFunc(w.marks, func(a, b mark) int { return cmp.Compare(a.position, b.position) })
}

// stored goes on by an entry of a store, in which everything up to the head is sealed and nothing behind it.
func (w *walk) stored(e *store.Audit, head int64) {
	switch {
	case e.Chain == nil && e.Position <= head:
		w.fault(e.Position, "is not sealed, and stands among entries that are: it was put in, or changed")
	case e.Chain != nil && e.Position > head:
		w.fault(e.Position, "is sealed, and stands behind the end of what is sealed: the seal was set back, or it was "+
			"put in")
	}
	w.entry(e)
}

// entry goes on by an entry. One that is not sealed yet has the place that it will be sealed at.
func (w *walk) entry(e *store.Audit) {
	w.report.Entries++
	before := w.at
	w.at = before.next(w.mac, e)
	switch {
	case e.Tenant != w.report.Tenant:
		w.fault(e.Position, "is another tenant's")
	case e.Chain == nil:
		w.report.Unsealed++
	case e.Sequence > w.at.sequence:
		w.fault(e.Position, fmt.Sprintf("is entry %d and follows entry %d: what stood between was taken out",
			e.Sequence, before.sequence))
	case e.Sequence < w.at.sequence:
		w.fault(e.Position, fmt.Sprintf("is entry %d and follows entry %d: it was moved here, or put in", e.Sequence,
			before.sequence))
	case !bytes.Equal(e.Chain, w.at.chain):
		w.fault(e.Position, "is not what was sealed there: it was changed, or what stood before it was")
	}
	w.pass()
}

// pass compares the place with the marks up to it.
func (w *walk) pass() {
	for ; w.next < len(w.marks) && w.marks[w.next].position <= w.at.position; w.next++ {
		m := w.marks[w.next]
		if !m.same(w.at) {
			w.fault(m.position, m.what+", and the trail does not go through it")
			continue
		}
		w.report.Compared++
	}
}

// end says that there are no more entries: no mark may be ahead.
func (w *walk) end() {
	for _, m := range w.marks[w.next:] {
		w.fault(m.position, fmt.Sprintf("%s, and the trail ends at position %d: the end was cut off", m.what,
			w.at.position))
	}
}

// Line is a line of an export: an entry, or a checkpoint at a place that the trail goes through.
type Line struct {
	*store.Audit

	// Checkpoint is one word; the time is when it was made.
	Checkpoint string     `json:"checkpoint,omitempty"`
	Made       *time.Time `json:"made,omitempty"`
}

// parseLine reads a line, and refuses one that is not written as Export writes it. A field that is there twice, or once
// more in capitals, or that no entry has, would show other readers an entry that was never sealed.
func parseLine(text []byte) (line Line, ok bool) {
	if json.Unmarshal(text, &line) != nil {
		return line, false
	}
	var again bytes.Buffer
	if err := json.NewEncoder(&again).Encode(line); err != nil {
		return line, false
	}
	mixed := line.Audit != nil && (line.Checkpoint != "" || line.Made != nil)
	return line, !mixed && bytes.Equal(text, bytes.TrimSpace(again.Bytes()))
}

// export goes through an export, whose lines are those of all tenants.
type export struct {
	mac     MAC
	outside []Checkpoint
	walks   map[string]*walk
}

// VerifyExport walks through an export of all tenants, or of one of them. Before a tenant's first entry an export says
// where its chain stands; where that line is missing, the first sealed entry is taken for what it says.
func VerifyExport(from io.Reader, mac MAC, tenant string, outside []Checkpoint) ([]Report, error) {
	x := &export{mac: mac, outside: outside, walks: map[string]*walk{}}
	lines := bufio.NewReader(from)
	for n, last := 1, false; !last; n++ {
		text, err := lines.ReadBytes('\n')
		if last = errors.Is(err, io.EOF); err != nil && !last {
			return nil, err
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		line, ok := parseLine(text)
		if !ok {
			return nil, fmt.Errorf("line %d is not as an export has it: it is none, or was changed", n)
		}
		if line.Audit != nil {
			x.entry(line.Audit)
			continue
		}
		c, err := ParseCheckpoint(line.Checkpoint)
		if err != nil {
			return nil, fmt.Errorf("line %d: checkpoint: %w", n, err)
		}
		x.checkpoint(c)
	}
	for _, c := range outside {
		if x.walks[c.Tenant] == nil {
			x.begin(c.Tenant, place{}) // there may be nothing left of it
		}
	}
	var reports []Report
	for _, name := range slices.Sorted(maps.Keys(x.walks)) {
		if w := x.walks[name]; tenant == "" || tenant == name {
			w.end()
			reports = append(reports, w.report)
		}
	}
	if len(reports) == 0 {
		return nil, errNothing
	}
	return reports, nil
}

// errNothing says of an export that there is nothing to verify, which must not pass for whole.
var errNothing = errors.New("the export has no sealed entry and no checkpoint, or none of that tenant")

func (x *export) begin(tenant string, at place) *walk {
	w := newWalk(x.mac, tenant, at)
	w.outside(x.outside)
	w.sort()
	w.pass()
	x.walks[tenant] = w
	return w
}

func (x *export) entry(e *store.Audit) {
	w := x.walks[e.Tenant]
	switch {
	case w == nil && e.Chain == nil:
		return // It is not known where it belongs.
	case w == nil:
		w = x.begin(e.Tenant, place{position: e.Position, sequence: e.Sequence, chain: e.Chain})
	case e.Position <= w.at.position:
		w.fault(e.Position, "stands twice, or in the wrong place")
		return
	default:
		w.entry(e)
	}
	if e.Chain != nil {
		w.report.Sealed = e.Position
	}
}

func (x *export) checkpoint(c Checkpoint) {
	w := x.walks[c.Tenant]
	switch {
	case w == nil:
		x.begin(c.Tenant, c.place())
	case c.Position > w.at.position:
		w.fault(c.Position, fmt.Sprintf("has a checkpoint, and follows position %d: what stood up to it was taken out",
			w.at.position))
	case c.Position == w.at.position && !c.place().same(w.at):
		w.fault(c.Position, "has a checkpoint, and the trail does not go through it")
	case c.Position == w.at.position && c.Position > w.report.Begin:
		w.report.Compared++
	}
}
