package replicatest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/worldtest"
)

// Result is what became of all that callers asked for and watchers followed.
type Result struct {
	// Reasons counts how calls ended, by outcome, until they were settled.
	Reasons map[string]int
	// Writes is how many there were; Acknowledged those that a caller was told of before they were settled, Unknown
	// those of which nobody knows in the end.
	Writes, Acknowledged, Unknown int
	// Lost is what was acknowledged and is not there, Doubled what took place more than once.
	Lost, Doubled int
	// Watchers opened Connections in all, and saw Events.
	Watchers, Connections, Events int
	// Gaps, Repeats and Reorders are those of all watchers.
	Gaps, Repeats, Reorders int
}

// settleLimit is how long it may take until a write is answered when all is well again, for which a lease may have to
// run out, and until watchers have seen all.
const settleLimit = time.Minute

// together is how many calls the checks make at one time.
const together = 8

// Check settles all writes, when all gateways run and nothing fails any more: what was acknowledged is answered as
// before, and all else is done now, or nobody knows. Then it holds the ledger against what the gateways show and what
// the providers did, the audit against the ledger, and the watchers, who still watch, against the histories. It fails
// the test for all that is lost, doubled, out of order or told by a reason that no caller may see, and gives the
// counts.
func (w *World) Check(t *testing.T, watching ...*Watcher) *Result {
	t.Helper()
	w.steady.Store(true)
	result := &Result{Reasons: w.Reasons()}
	c := &checker{World: w, t: t, result: result, deleted: map[string]bool{}}
	for _, what := range slices.Sorted(maps.Keys(w.wrong)) {
		t.Errorf("a caller was told %s", what)
	}
	c.settle()
	c.stands()
	c.atProviders()
	c.audit()
	c.watched(watching)
	return result
}

// checker is one Check.
type checker struct {
	*World

	t      *testing.T
	result *Result

	mu sync.Mutex
	// deleted are the ids of consents that somebody deleted, or tried to.
	deleted map[string]bool
}

func (c *checker) lostf(format string, args ...any) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Lost++
	c.t.Errorf("lost: "+format, args...)
}

func (c *checker) doubledf(n int, format string, args ...any) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Doubled += n
	c.t.Errorf("doubled: "+format, args...)
}

// call makes a call at whatever gateway, again while it is UNAVAILABLE.
func (c *checker) call(do func(context.Context, *worldtest.Stubs) (proto.Message, error)) (proto.Message, error) {
	for deadline := time.Now().Add(settleLimit); ; c.rest(context.Background(), 100*time.Millisecond) {
		err := status.Error(codes.Unavailable, errDown.Error())
		var made proto.Message
		if stubs := c.Any().Stubs(); stubs != nil {
			ctx, cancel := context.WithTimeout(worldtest.AsPSU(context.Background()), settleLimit)
			made, err = do(ctx, stubs)
			cancel()
		}
		if !retryable(err) || time.Now().After(deadline) {
			return made, err
		}
	}
}

// each does something for each entry, some at a time.
func (c *checker) each(do func(e *Entry)) {
	var group errgroup.Group
	group.SetLimit(together)
	for _, e := range c.Entries() {
		group.Go(func() error {
			do(e)
			return nil
		})
	}
	_ = group.Wait()
}

// settle repeats all writes.
func (c *checker) settle() {
	for _, e := range c.Entries() {
		c.result.Writes++
		if e.Answer != nil {
			c.result.Acknowledged++
		}
		if e.Kind == deleteConsent {
			c.deleted[idOf(e.About)] = true
		}
	}
	c.each(func(e *Entry) {
		made, err := c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
			return e.Kind.send(ctx, s, e)
		})
		gone := status.Code(err) == codes.NotFound &&
			(e.Kind.ends || c.deleted[idOf(e.About)] || c.deleted[idOf(named(e.Answer))])
		switch {
		case gone:
			err = nil
		case err == nil && e.Answer != nil && !Same(e.Answer, made):
			c.lostf("%s was acknowledged as %v, and repeated it is %v", e.Kind.Name, e.Answer, made)
		case err != nil && e.Answer != nil:
			c.lostf("%s of %s was acknowledged, and repeated it is %v", e.Kind.Name, named(e.Answer), err)
		case e.Kind == renewLink && status.Code(err) == codes.FailedPrecondition: // it was revoked since
		case err != nil && Outcome(err) != outcomeUnknown, err != nil && c.finds(e):
			c.t.Errorf("%s, repeated when all is well, ends with %v", e.Kind.Name, err)
		}
		if e.Answer == nil && err == nil && !gone {
			e.Answer = made
		}
		e.Err = err
	})
	for _, e := range c.Entries() {
		if e.Err != nil {
			c.result.Unknown++
		}
	}
}

// finds tells whether a write's outcome is never unknown.
func (c *checker) finds(e *Entry) bool {
	return e.Kind.finds || e.Kind == createConsent && providers.Of(e.Provider).finds
}

// Same tells whether an answer is the one of before. A link's address is shown while it is live, a link over is not.
func Same(was, now proto.Message) bool {
	before, ok := was.(*consentv1.Consent)
	after, also := now.(*consentv1.Consent)
	if !ok || !also {
		return proto.Equal(was, now)
	}
	before, after = proto.CloneOf(before), proto.CloneOf(after)
	for _, consent := range []*consentv1.Consent{before, after} {
		if consent.GetLink() != nil {
			consent.Link.Uri = optional.Of("")
		}
	}
	return proto.Equal(before, after)
}

// stands asks the gateways for all that was acknowledged.
func (c *checker) stands() {
	revoked := map[string]bool{}
	for _, e := range c.Entries() {
		if e.Kind == revoke && e.Err == nil {
			revoked[idOf(e.About)] = true
		}
	}
	c.each(func(e *Entry) {
		if e.Answer == nil {
			return
		}
		name := named(e.Answer)
		var found proto.Message
		var err error
		switch e.Answer.(type) {
		case *customerv1.Customer:
			_, err = c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
				return answer(s.Customers.GetCustomer(ctx, &customerv1.GetCustomerRequest{Name: name}))
			})
		case *documentsv1.Shipment:
			_, err = c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
				return answer(s.Documents.GetShipment(ctx, &documentsv1.GetShipmentRequest{Name: name}))
			})
		case *consentv1.Consent:
			if c.deleted[idOf(name)] {
				return
			}
			found, err = c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
				return answer(s.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: name}))
			})
		}
		if err != nil {
			c.lostf("%s was acknowledged, and reading it ends with %v", name, err)
			return
		}
		if now, ok := found.(*consentv1.Consent); ok {
			was, _ := e.Answer.(*consentv1.Consent)
			if now.GetEventCount() < was.GetEventCount() {
				c.lostf("%s was acknowledged with %d events and has %d", name, was.GetEventCount(), now.GetEventCount())
			}
			if revoked[idOf(name)] && now.GetStatus() != consentv1.Consent_REVOKED {
				c.lostf("%s was revoked, and is %s", name, now.GetStatus())
			}
		}
	})
}

// consents are all that the gateways list.
func (c *checker) consents() []*consentv1.Consent {
	var all []*consentv1.Consent
	for token := ""; ; {
		got, err := c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
			return answer(s.Consents.ListConsents(ctx, &consentv1.ListConsentsRequest{PageSize: 500, PageToken: token}))
		})
		if err != nil {
			c.t.Fatalf("ListConsents: %v", err)
		}
		page, _ := got.(*consentv1.ListConsentsResponse)
		all = append(all, page.GetConsents()...)
		if token = page.GetNextPageToken(); token == "" {
			return all
		}
	}
}

// atProviders counts what the providers did, and what the gateways have of it.
func (c *checker) atProviders() {
	there := map[string]int{} // consents by the key with which they were asked for
	for _, consent := range c.consents() {
		there[consent.GetReference()]++
	}
	asked, made, unknown := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range c.Entries() {
		if e.Kind != createConsent {
			continue
		}
		if n := there[e.Key]; n > 1 {
			c.doubledf(n-1, "one key has %d consents", n)
		} else if n == 0 && e.Answer != nil && !c.deleted[idOf(named(e.Answer))] {
			c.lostf("%s is not listed", named(e.Answer))
		}
		asked[e.Provider]++
		if e.Err != nil {
			unknown[e.Provider]++
		} else {
			made[e.Provider]++
		}
	}
	for _, id := range worldtest.Providers() {
		provider := providers.Of(id)
		has, most := provider.made(c.World), made[id]+unknown[id]
		if has > most {
			c.doubledf(has-most, "%s did %d for %d consents that were asked for, %d of unknown outcome",
				id, has, asked[id], unknown[id])
		}
		if has < made[id] {
			c.lostf("%s has %d, and %d consents were acknowledged", id, has, made[id])
		}
		if provider.effects == nil {
			continue
		}
		effects := provider.effects(c.World)
		for _, e := range c.Entries() {
			if !slices.Contains(provider.kinds, e.Kind) {
				continue
			}
			if n := effects[e.Key]; n > 1 {
				c.doubledf(n-1, "%s did one %s %d times", id, e.Kind.Name, n)
			} else if n == 0 && e.Err == nil {
				c.lostf("%s did not do a %s that was acknowledged", id, e.Kind.Name)
			}
		}
	}
}

// audited is what the audit tells of a write.
type audited struct{ method, resource string }

// audit demands an entry of each acknowledged write, and that the trail is as it was sealed. An export has what was
// committed once all that was begun before has ended, in whatever database of the server: so it is made again until
// nothing is missing, or time is over.
func (c *checker) audit() {
	wanted := map[audited]int{}
	for _, e := range c.Entries() {
		if e.Answer != nil && e.request != "" {
			wanted[audited{e.Kind.Name, cmp.Or(e.About, named(e.Answer))}]++
		}
	}
	var there map[audited]int
	for deadline := time.Now().Add(settleLimit); ; c.rest(context.Background(), time.Second) {
		var err error
		if there, err = c.exported(); err != nil {
			c.t.Errorf("audit export: %v", err)
			return
		}
		missing := false
		for what, n := range wanted {
			missing = missing || there[what] < n
		}
		if !missing || time.Now().After(deadline) {
			break
		}
	}
	for what, n := range wanted {
		if there[what] < n {
			c.lostf("%d entries of %s of %s are in the audit, %d were acknowledged",
				there[what], what.method, what.resource, n)
		}
	}
	if _, err := c.Replicas[0].Run("audit", "verify"); err != nil {
		c.t.Errorf("audit verify: %v", err)
	}
}

// exported counts the entries of calls that went well, as an export has them.
func (c *checker) exported() (map[audited]int, error) {
	out, err := c.Replicas[0].Run("audit", "export", "--tenant", tenant)
	if err != nil {
		return nil, err
	}
	there := map[audited]int{}
	decoder := json.NewDecoder(strings.NewReader(out))
	for {
		var entry struct{ Method, Resource, Outcome, Checkpoint string }
		if err := decoder.Decode(&entry); errors.Is(err, io.EOF) {
			return there, nil
		} else if err != nil {
			return nil, err
		}
		if entry.Outcome == "OK" {
			there[audited{entry.Method, entry.Resource}]++
		}
	}
}

// histories are the events of all consents that are there, by the consents' ids.
func (c *checker) histories() map[string][]Event {
	histories := map[string][]Event{}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(together)
	for _, consent := range c.consents() {
		group.Go(func() error {
			got, err := c.call(func(ctx context.Context, s *worldtest.Stubs) (proto.Message, error) {
				return answer(s.Consents.ListConsentEvents(ctx, &consentv1.ListConsentEventsRequest{
					Parent: consent.GetName(), PageSize: 1000,
				}))
			})
			if err != nil {
				c.t.Errorf("ListConsentEvents of %s: %v", consent.GetName(), err)
				return nil
			}
			page, _ := got.(*consentv1.ListConsentEventsResponse)
			var events []Event
			for _, event := range page.GetEvents() {
				events = append(events, eventOf(event))
			}
			mu.Lock()
			defer mu.Unlock()
			histories[idOf(consent.GetName())] = events
			return nil
		})
	}
	_ = group.Wait()
	return histories
}

// watched holds what watchers saw against the histories, and their order against that of one who reads the log from
// its beginning in one stream.
func (c *checker) watched(watching []*Watcher) {
	if len(watching) == 0 {
		return
	}
	histories := c.histories()
	for id, events := range histories {
		for i, event := range events {
			if event.Sequence != int64(i)+1 {
				c.t.Errorf("the history of %s has %v in place %d", id, event, i+1)
			}
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reader, _ := c.Watch(ctx, WatchOptions{})
	place := map[Event]int{} // in the log
	all := append([]*Watcher{reader}, watching...)
	for _, s := range all {
		c.await(s, histories)
	}
	for i, event := range reader.Seen() {
		if _, repeated := place[event]; !repeated {
			place[event] = i
		}
	}
	for i, s := range all {
		v := judge(s, histories, place)
		if i > 0 {
			c.result.Watchers++
			c.result.Connections += s.Connections()
			c.result.Events += v.events
		}
		c.result.Gaps += v.gaps
		c.result.Repeats += v.repeats
		c.result.Reorders += v.reorders
		if v.gaps+v.repeats+v.reorders > 0 {
			c.t.Errorf("watcher %d of %q missed %d events, saw %d again and %d out of order, over %d streams: %v",
				i, s.Consent, v.gaps, v.repeats, v.reorders, s.Connections(), v.first)
		}
	}
}

// await waits until a watcher saw the newest event of all that it follows, or saw nothing more for long: judge counts
// what is missing.
func (c *checker) await(s *Watcher, histories map[string][]Event) {
	had, from, deadline := -1, int64(0), time.Now().Add(settleLimit)
	for ; time.Now().Before(deadline); c.rest(context.Background(), 50*time.Millisecond) {
		events := s.Seen()
		s.mu.Lock()
		begin := s.begin
		s.mu.Unlock()
		if len(events) == had && begin == from {
			continue
		}
		had, from, deadline = len(events), begin, time.Now().Add(settleLimit)
		seen := make(map[Event]bool, len(events))
		for _, event := range events {
			seen[event] = true
		}
		missing := false
		for id, history := range histories {
			if n := len(history); n > 0 && follows(s, id) && int64(n) > begin && !seen[history[n-1]] {
				missing = true
			}
		}
		if !missing {
			return
		}
	}
}

func follows(s *Watcher, id string) bool { return s.Consent == "" || idOf(s.Consent) == id }

// verdict is what is wrong with what a watcher saw.
type verdict struct {
	events, gaps, repeats, reorders int
	first                           []Event // some of what is wrong
}

func (v *verdict) wrong(count *int, n int, event Event) {
	*count += n
	if len(v.first) < 5 {
		v.first = append(v.first, event)
	}
}

// judge goes through what a watcher saw of the consents that are still there.
func judge(s *Watcher, histories map[string][]Event, place map[Event]int) verdict {
	var v verdict
	seen, last := map[Event]bool{}, -1
	counts := map[string]int64{} // of the different events of each consent
	s.mu.Lock()
	begin := s.begin
	s.mu.Unlock()
	highest := map[string]int64{}
	for _, event := range s.Seen() {
		history, there := histories[event.Consent]
		if !there {
			continue // deleted, and its events with it
		}
		v.events++
		if seen[event] {
			v.wrong(&v.repeats, 1, event)
			continue
		}
		seen[event] = true
		if event.Sequence <= int64(len(history)) && history[event.Sequence-1] != event {
			v.wrong(&v.reorders, 1, event) // it is told otherwise
		}
		if event.Sequence <= highest[event.Consent] {
			v.wrong(&v.reorders, 1, event)
		} else if at, known := place[event]; known {
			if at < last {
				v.wrong(&v.reorders, 1, event)
			}
			last = max(last, at)
		}
		highest[event.Consent] = max(highest[event.Consent], event.Sequence)
		if event.Sequence <= int64(len(history)) {
			counts[event.Consent]++
		}
	}
	for id, history := range histories {
		if !follows(s, id) {
			continue
		}
		if missing := int64(len(history)) - begin - counts[id]; missing > 0 {
			v.wrong(&v.gaps, int(missing), Event{Consent: id})
		}
	}
	return v
}
