package telemetry_test

import (
	"context"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// plant is a gateway as far as its metrics go, scraped by a Prometheus.
type plant struct {
	*telemetry.Telemetry

	create  *telemetry.Method
	lines   *telemetry.Lines
	up      float64
	stats   store.Stats
	backlog store.Backlog
	until   time.Time
	keys    map[string]time.Time
	scraped *recording
	// instance is what Prometheus calls it.
	instance string
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{up: 1, until: time.Now().Add(365 * 24 * time.Hour), scraped: &recording{}, instance: "a"}
	p.keys = map[string]time.Time{"lending": time.Now().Add(15 * 24 * time.Hour)}
	p.lines = telemetry.NewLines(&reader{})
	t.Cleanup(func() { p.lines.Close(time.Second) })
	p.Telemetry, _ = setUp(t, telemetry.Options{Log: p.lines})
	p.stats = store.Stats{
		Commits: store.Histogram{Buckets: map[float64]uint64{.01: 0, 1: 0, 10: 0}}, Failed: map[store.FaultKind]int64{},
		LastBackup: time.Now(), CreateTime: time.Now().Add(-72 * time.Hour),
	}
	p.WatchStore(func() store.Stats { return p.stats },
		func(context.Context, time.Time) (store.Backlog, error) { return p.backlog, nil })
	p.WatchCertificate(func() time.Time { return p.until })
	p.WatchKeys(func() map[string]time.Time { return p.keys })
	p.create = p.RPC.Method("kontor.consent.v1.ConsentService", "CreateConsent", false)
	p.create.Expect()
	p.ExpectProvider("default", "fimento", []string{"login", "create_process"})
	return p
}

// call is a call of the API that ends.
func (p *plant) call(code, reason string) {
	p.create.Start("grpc").End(code, reason)
}

// attempt is an attempt at the provider that ends.
func (p *plant) attempt(outcome providers.CallOutcome) {
	_, end := p.Observer("default").Start(context.Background(), providers.CallInfo{
		Provider: "fimento", Operation: "create_process", Attempt: 1,
	})
	end(outcome)
}

// commit is a commit that took a time.
func (p *plant) commit(seconds float64) {
	p.stats.Commits.Count++
	for bound := range p.stats.Commits.Buckets {
		if seconds <= bound {
			p.stats.Commits.Buckets[bound]++
		}
	}
}

// scrape records what there is.
func (p *plant) scrape(t *testing.T) {
	t.Helper()
	now := time.Now()
	p.scraped.add(labels{"__name__": "up", "job": "kontor", "instance": p.instance}, now, p.up)
	if p.up == 0 {
		return
	}
	families, err := p.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			base := func(suffix string) labels {
				l := labels{"__name__": family.GetName() + suffix, "job": "kontor", "instance": p.instance}
				for _, pair := range m.GetLabel() {
					l[pair.GetName()] = pair.GetValue()
				}
				return l
			}
			h := m.GetHistogram()
			if h == nil {
				p.scraped.add(base(""), now, m.GetCounter().GetValue()+m.GetGauge().GetValue())
				continue
			}
			p.scraped.add(base("_count"), now, float64(h.GetSampleCount()))
			bucket := func(bound float64, count uint64) {
				l := base("_bucket")
				l["le"] = strconv.FormatFloat(bound, 'g', -1, 64)
				p.scraped.add(l, now, float64(count))
			}
			for _, b := range h.GetBucket() {
				bucket(b.GetUpperBound(), b.GetCumulativeCount())
			}
			bucket(math.Inf(1), h.GetSampleCount())
		}
	}
}

// fault is what an alert is for.
type fault struct {
	// once happens one time. lasting happens before each scrape from then on, for what is no fault when
	// it happens once.
	once, lasting func(*plant)
}

// faults has that of each alert.
var faults = map[string]fault{
	"KontorAway":             {once: func(p *plant) { p.up = 0 }},
	"KontorStoreUnavailable": {once: func(p *plant) { p.call("Unavailable", "STORE_UNAVAILABLE") }},
	"KontorStoreNotWritable": {once: func(p *plant) { p.stats.Fault = store.FaultFull }},
	"KontorStoreFault":       {once: func(p *plant) { p.stats.Failed[store.FaultReplaced]++ }},
	"KontorStoreFull":        {once: func(p *plant) { p.stats.Failed[store.FaultFull]++ }},
	"KontorEventsHeld":       {once: func(p *plant) { p.stats.EventsHeld = time.Minute }},
	"KontorStoreSlow":        {lasting: func(p *plant) { p.commit(5) }},
	"KontorInternalErrors":   {once: func(p *plant) { p.call("Internal", "INTERNAL") }},
	"KontorAuditGap":         {once: func(p *plant) { p.AuditGap() }},
	"KontorAuditBroken":      {once: func(p *plant) { p.AuditBroken() }},
	"KontorLogLinesDropped": {once: func(p *plant) {
		_, _ = p.lines.Write(make([]byte, 64<<20))
	}},
	"KontorPollingLate": {once: func(p *plant) { p.backlog = store.Backlog{Due: 1, DueSince: time.Now()} }},
	"KontorWriteUnsettled": {once: func(p *plant) {
		p.backlog = store.Backlog{OpenIntents: 1, OldestIntent: time.Now()}
	}},
	"KontorCertificateExpires": {once: func(p *plant) { p.until = time.Now().Add(10 * 24 * time.Hour) }},
	"KontorBackupOld":          {once: func(p *plant) { p.stats.LastBackup = time.Now().Add(-49 * time.Hour) }},
	"KontorBackupMissing":      {once: func(p *plant) { p.stats.LastBackup = time.Time{} }},
	"KontorClientKeyExpires": {once: func(p *plant) {
		p.keys["clerk"] = time.Now().Add(13 * 24 * time.Hour)
	}},
	"KontorProviderCredentialsRefused": {once: func(p *plant) {
		p.attempt(providers.CallOutcome{Kind: providers.KindCredentials})
	}},
	"KontorProviderBreakerOpen": {once: func(p *plant) {
		p.Observer("default").BreakerChanged("fimento", providers.BreakerClosed, providers.BreakerOpen)
	}},
	"KontorProviderFailing": {lasting: func(p *plant) {
		p.attempt(providers.CallOutcome{OK: true})
		p.attempt(providers.CallOutcome{Kind: providers.KindUnavailable})
	}},
	"KontorProviderAnswersInvalid": {once: func(p *plant) {
		p.attempt(providers.CallOutcome{Kind: providers.KindInvalidResponse})
	}},
	"KontorProviderRateLimited": {lasting: func(p *plant) {
		p.attempt(providers.CallOutcome{Kind: providers.KindRateLimited})
	}},
	"KontorProviderSlow": {lasting: func(p *plant) {
		p.attempt(providers.CallOutcome{OK: true, Duration: 40 * time.Second})
	}},
	"KontorOutcomeUnknown": {once: func(p *plant) { p.call("Aborted", "OUTCOME_UNKNOWN") }},
	"KontorSlow": {lasting: func(p *plant) {
		call := p.create.Start("grpc")
		time.Sleep(20 * time.Second)
		call.End("OK", "")
	}},
	"KontorCallersLimited": {lasting: func(p *plant) {
		for range 60 {
			p.call("ResourceExhausted", "GATEWAY_RATE_LIMITED")
		}
	}},
	"KontorStrangersCall": {lasting: func(p *plant) {
		for range 60 {
			p.call("Unauthenticated", "UNAUTHENTICATED")
		}
	}},
}

// TestAlertsFire evaluates each rule over a run that is well, then has the rule's fault once. It fires then, within
// half an hour and for as long as the rule wants it to hold, and not before. Beside it there is an instance that is
// well throughout, on a database that others back up: no fault hides behind that.
func TestAlertsFire(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules(t) {
		seen[r.Alert] = true
		f, ok := faults[r.Alert]
		if !ok {
			t.Errorf("nobody says what %s is for", r.Alert)
			continue
		}
		t.Run(r.Alert, func(t *testing.T) {
			hold := time.Duration(0)
			if r.For != "" {
				var err error
				if hold, err = time.ParseDuration(r.For); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				p, other := newPlant(t), newPlant(t)
				other.instance, other.scraped = "b", p.scraped
				other.stats.BackedUpElsewhere, other.stats.LastBackup = true, time.Time{}
				var pending time.Time
				fires := func() bool {
					samples, err := evaluate(p.scraped, time.Now(), r.Expr)
					if err != nil {
						t.Fatal(err)
					}
					if len(samples) == 0 {
						pending = time.Time{}
						return false
					}
					if pending.IsZero() {
						pending = time.Now()
					}
					return time.Since(pending) >= hold
				}
				const every, well, ill = 15 * time.Second, 40, 120
				for range well {
					p.call("OK", "")
					p.attempt(providers.CallOutcome{OK: true, Duration: time.Millisecond})
					p.commit(.001)
					p.scrape(t)
					other.scrape(t)
					if fires() {
						t.Fatal("it fires while all is well")
					}
					time.Sleep(every)
				}
				if f.once != nil {
					f.once(p)
				}
				for range ill {
					if f.lasting != nil {
						f.lasting(p)
					}
					synctest.Wait()
					p.scrape(t)
					other.scrape(t)
					if fires() {
						return
					}
					time.Sleep(every)
				}
				t.Errorf("it does not fire in half an hour: %s for %s", r.Expr, hold)
			})
		})
	}
	for name := range faults {
		if !seen[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}
