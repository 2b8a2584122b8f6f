package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// The faults of the mix. Each is in force at one provider for one slice of time, while the other provider is well.
const (
	well       = "well"
	recovering = "recovering" // no fault any more, in the slice after one
	revoked    = "tokens are revoked"
	blips      = "5% are 503"
	down       = "down"
	loginDown  = "login down"
)

// longSlice is the length of a slice from which on the circuit breaker and the pause between logins, 5 s each, are
// over within the next slice.
const longSlice = 6 * time.Second

func faultsOf(provider string, slice time.Duration) map[string][]sandbox.Fault {
	faults := map[string][]sandbox.Fault{
		blips: {{Status: http.StatusServiceUnavailable, Probability: 0.05}},
		"30% are 502, 10% hang": {{Status: http.StatusBadGateway, Probability: 0.3}, {
			Delay: time.Minute, Probability: 0.1 / 0.7,
		}},
		"20% are 429":        {{Status: http.StatusTooManyRequests, RetryAfter: "1", Probability: 0.2}},
		"slow":               {{Delay: 300 * time.Millisecond}},
		"cut off, malformed": {{Truncate: true, Probability: 0.1}, {Malformed: true, Probability: 0.1}},
		"hangs up": {{HangUp: sandbox.HangUpBefore, Probability: 0.1}, {
			HangUp: sandbox.HangUpAfter, Probability: 0.1,
		}},
		revoked: {{ExpireTokens: true, Times: 1}},
	}
	if slice >= longSlice {
		faults[down] = []sandbox.Fault{{Status: http.StatusServiceUnavailable}}
		faults[loginDown] = []sandbox.Fault{
			{Operation: worldtest.Of(provider).Login, Status: http.StatusServiceUnavailable},
			{ExpireTokens: true, Times: 1},
		}
	}
	return faults
}

// row is what happened at one provider under one fault.
type row struct {
	reads, writes tally
}

// mix is one run.
type mix struct {
	*world
	consents map[string][]string
	running  context.Context
	before   map[string]int // each provider's reads when the load began
	callers  sync.WaitGroup

	mu    sync.Mutex
	state map[string][]string // how each provider fared, from the beginning on
	rows  map[[2]string]*row
	made  []*consentv1.Consent // whose customer approved
	log   watched
}

// TestMix lets callers read, write and watch at a steady pace while faults come and go at all providers.
func TestMix(t *testing.T) {
	m := &mix{
		state: map[string][]string{}, rows: map[[2]string]*row{}, consents: map[string][]string{},
		before: map[string]int{},
		log:    watched{last: map[string]int64{}},
	}
	rough := options{follow: true}
	for _, provider := range worldtest.Providers() {
		m.enter(provider, well)
		if dialect := providers.Of(provider).rough; dialect != nil {
			rough.played = append(rough.played, *dialect)
		}
	}
	m.world = newWorld(t, rough)
	for _, provider := range worldtest.Providers() {
		m.consents[provider] = m.authorized(t, provider, 10)
	}
	duration := time.Duration(*minutes * float64(time.Minute))
	slice := min(max(500*time.Millisecond, duration/12), longSlice)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m.running = ctx
	for _, provider := range worldtest.Providers() {
		m.before[provider] = m.reads(provider)
	}
	for provider, consents := range m.consents {
		for i, consent := range consents {
			m.callers.Go(func() { m.keepReading(provider, i, consent) })
		}
	}
	m.callers.Go(func() { m.keepAskingForConsent(t) })
	for _, provider := range worldtest.Providers() {
		if write := providers.Of(provider).write; write != nil {
			m.callers.Go(func() { write(m) })
		}
	}
	watchCtx, stopWatching := context.WithCancel(t.Context())
	defer stopWatching()
	var watching sync.WaitGroup
	watching.Go(func() { m.keepWatching(watchCtx) })

	m.misbehave(duration, slice)
	stop()
	m.callers.Wait()
	m.settle(t)
	stopWatching()
	watching.Wait()
	m.report(t)
}

// misbehave lets faults come and go, one provider after the other.
func (m *mix) misbehave(duration, slice time.Duration) {
	random := rand.New(rand.NewPCG(uint64(*seed), 1))
	last := well
	for end, turn := time.Now().Add(duration), 0; time.Now().Before(end); turn++ {
		provider := worldtest.Providers()[turn%len(worldtest.Providers())]
		faults := faultsOf(provider, slice)
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(faults)), func(name string) bool { return name == last })
		last = names[random.IntN(len(names))]
		if turn < len(worldtest.Providers()) {
			last = blips // whatever the seed, they have a bar
		}
		for _, other := range worldtest.Others(provider) {
			m.enter(other, well)
		}
		m.enter(provider, last)
		for _, fault := range faults[last] {
			m.core(provider).Faults.Add(fault)
		}
		time.Sleep(slice) // the load goes on meanwhile
		m.core(provider).Faults.Clear()
		m.enter(provider, recovering)
		time.Sleep(slice)
	}
}

// enter notes how a provider fares from now on.
func (m *mix) enter(provider, state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state[provider] = append(m.state[provider], state)
}

// measure makes a call and gives the row that it counts for: how the provider fared when it began, or, if the
// provider was well then and did not stay so, what came next: a call that hangs may end when all is well again.
func (m *mix) measure(provider string, call func() error) (r *row, took time.Duration, err error) {
	turn, began := m.turn(provider), time.Now()
	err = call()
	took = time.Since(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	at := [2]string{provider, well}
	if fared := m.state[provider][turn:]; slices.ContainsFunc(fared, ill) {
		at[1] = fared[slices.IndexFunc(fared, ill)]
	}
	if m.rows[at] == nil {
		m.rows[at] = &row{}
	}
	return m.rows[at], took, err
}

func ill(state string) bool { return state != well }

// turn is the place of how a provider fares now.
func (m *mix) turn(provider string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.state[provider]) - 1
}

// readDeadline is what callers give a read.
const readDeadline = 2 * time.Second

func (m *mix) keepReading(provider string, i int, consent string) {
	for m.running.Err() == nil {
		r, took, err := m.measure(provider, func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(m.running), readDeadline)
			defer cancel()
			return m.listAccounts(ctx, i, consent)
		})
		r.reads.add(took, err)
		m.rest(100 * time.Millisecond)
	}
}

// rest keeps a caller to a steady pace.
func (m *mix) rest(pause time.Duration) {
	select {
	case <-m.running.Done():
	case <-time.After(pause):
	}
}

// persistently does what a careful caller does: it repeats the same request with the same id while the gateway says
// UNAVAILABLE.
func persistently(write func(context.Context) error) (err error) {
	for range 4 {
		ctx, cancel := context.WithTimeout(worldtest.AsPSU(context.Background()), 5*time.Second)
		err = write(ctx)
		cancel()
		if status.Code(err) != codes.Unavailable {
			return err
		}
		time.Sleep(250 * time.Millisecond)
	}
	return err
}

func (m *mix) keepAskingForConsent(t *testing.T) {
	for m.running.Err() == nil {
		for _, provider := range worldtest.Providers() {
			request := newConsent(provider)
			request.Consent.Reference = optional.Of(request.GetRequestId())
			var made *consentv1.Consent
			r, took, err := m.measure(provider, func() error {
				return persistently(func(ctx context.Context) (err error) {
					made, err = m.Consents.CreateConsent(ctx, request)
					return err
				})
			})
			r.writes.add(took, err)
			if err != nil {
				continue
			}
			err = persistently(func(ctx context.Context) error { return m.decide(ctx, made) })
			if err == nil {
				m.made = append(m.made, made)
			} else if providers.Of(provider).approvesAlone {
				t.Errorf("the customer could not approve: %v", err)
			}
		}
		m.rest(300 * time.Millisecond)
	}
}

// watched is what a watcher saw of all consents.
type watched struct {
	mu            sync.Mutex
	last          map[string]int64 // sequence of the latest event, by consent
	lost, doubled int
	connections   int
}

func (l *watched) see(message *consentv1.WatchConsentsResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := message.GetConsent().GetName()
	switch message.GetKind() {
	case consentv1.WatchConsentsResponse_STATE:
		l.last[name] = int64(message.GetConsent().GetEventCount())
	case consentv1.WatchConsentsResponse_EVENT:
		var sequence int64
		_, _ = fmt.Sscan(
			message.GetEvent().GetName()[strings.LastIndexByte(message.GetEvent().GetName(), '/')+1:], &sequence,
		)
		switch gap := sequence - l.last[name] - 1; {
		case gap < 0:
			l.doubled++
			return
		case gap > 0:
			l.lost += int(gap)
		}
		l.last[name] = sequence
	}
}

// keepWatching follows all consents, and hangs up now and then to go on from where it was.
func (m *mix) keepWatching(ctx context.Context) {
	token := ""
	for ctx.Err() == nil {
		once, hangUp := context.WithTimeout(ctx, time.Second)
		stream, err := m.Consents.WatchConsents(once, &consentv1.WatchConsentsRequest{ResumeToken: token})
		m.log.connections++
		for err == nil {
			var message *consentv1.WatchConsentsResponse
			if message, err = stream.Recv(); err == nil {
				m.log.see(message)
				token = cmp.Or(message.GetResumeToken(), token)
			}
		}
		hangUp()
	}
}

// settle waits until every consent that a customer approved is ready, and the watcher saw all of its history.
func (m *mix) settle(t *testing.T) {
	t.Helper()
	for _, consent := range m.made {
		t.Cleanup(func() { m.tellOf(t, consent.GetName()) })
		m.askAgain(t, consent)
		eventually(t, consent.GetName()+" to become ready by itself", func() bool {
			now, err := m.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()})
			return err == nil && now.GetDataStage() == consentv1.DataStage_READY
		})
		history, err := m.Consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{
			Parent: consent.GetName(), PageSize: 1000,
		})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the watcher to see the end", func() bool {
			m.log.mu.Lock()
			defer m.log.mu.Unlock()
			return m.log.last[consent.GetName()] >= int64(len(history.GetEvents()))
		})
		keys := map[string]bool{}
		for i, event := range history.GetEvents() {
			key := fmt.Sprint(
				event.GetConnection(), event.GetType(), event.GetProviderCode(), event.GetEventTime().AsTime(),
			)
			if event.GetType() != consentv1.ConsentEvent_LINK_OPENED && event.GetProviderCode() != "" && keys[key] {
				m.log.doubled++
			}
			keys[key] = true
			if !strings.HasSuffix(event.GetName(), fmt.Sprintf("/%d", i+1)) {
				m.log.lost++
			}
		}
	}
}

// askAgain asks a customer again whose approval got lost on the way back.
func (m *mix) askAgain(t *testing.T, consent *consentv1.Consent) {
	t.Helper()
	if !providers.Of(strings.TrimPrefix(consent.GetProvider(), "providers/")).losesApprovals {
		return
	}
	now, err := m.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()})
	if err == nil && now.GetStatus() == consentv1.Consent_AWAITING_AUTHORIZATION {
		now, err = m.Consents.RenewConsentLink(worldtest.AsPSU(t.Context()), &consentv1.RenewConsentLinkRequest{
			Name: consent.GetName(),
		})
		if err == nil {
			err = m.decide(t.Context(), now)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// tellOf tells how a consent stands when the test failed.
func (m *mix) tellOf(t *testing.T, name string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	now, err := m.Consents.GetConsent(context.Background(), &consentv1.GetConsentRequest{Name: name})
	if err != nil || now.GetDataStage() != consentv1.DataStage_READY {
		history, _ := m.Consents.ListConsentEvents(context.Background(), &consentv1.ListConsentEventsRequest{
			Parent: name,
		})
		t.Logf("%v %v\n%v", now, err, history)
	}
}

// doubled counts writes that took effect more than once.
func (m *mix) doubled(t *testing.T) (count int) {
	t.Helper()
	sent := map[string]int{}
	for _, provider := range worldtest.Providers() {
		if effects := providers.Of(provider).effects; effects != nil {
			maps.Copy(sent, effects(m.world))
		}
	}
	for token := ""; ; {
		page, err := m.Consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{
			PageSize: 1000, PageToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, consent := range page.GetConsents() {
			if consent.GetReference() != "" {
				sent[consent.GetReference()]++
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, times := range sent {
		count += times - 1
	}
	return count
}

// report prints what happened and fails where a bar was missed.
func (m *mix) report(t *testing.T) {
	t.Helper()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "provider\tfault\treads\tok\tp50\tp99\twrites\tok\tbar\t")
	bar := func(ok bool, what string, args ...any) string {
		text := fmt.Sprintf(what, args...)
		if !ok {
			t.Errorf("missed: %s", text)
			return "MISSED " + text
		}
		return text
	}
	reads := map[string]int{}
	for _, at := range slices.SortedFunc(maps.Keys(m.rows), func(a, b [2]string) int {
		return cmp.Or(
			cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]),
		)
	}) {
		r := m.rows[at]
		reads[at[0]] += r.reads.calls()
		verdict := ""
		switch at[1] {
		case well, revoked:
			verdict = bar(r.reads.success() >= otherSuccess, "%s, %s: reads >= %.1f%%", at[0], at[1], 100*otherSuccess)
		case blips:
			verdict = bar(r.reads.success() >= blipSuccess, "%s, blips: reads >= %.1f%%", at[0], 100*blipSuccess)
		}
		if late := r.reads.quantile(1); late > readDeadline+deadlineGrace {
			verdict = bar(false, "%s, %s: a read took %s with a deadline of %s", at[0], at[1], late, readDeadline)
		}
		if strings.HasPrefix(verdict, "MISSED") {
			t.Logf("%s, %s: %s", at[0], at[1], &r.reads)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%.2f%%\t%s\t%s\t%d\t%.1f%%\t%s\t\n",
			at[0], at[1], r.reads.calls(), 100*r.reads.success(),
			r.reads.quantile(.5), r.reads.quantile(.99), r.writes.calls(), 100*r.writes.success(), verdict)
	}
	_ = table.Flush()
	for _, provider := range worldtest.Providers() {
		calls := float64(m.reads(provider)-m.before[provider]) / float64(reads[provider])
		if providers.Of(provider).polls { // then retries are counted instead
			labels := []string{fmt.Sprintf("provider=%q", provider), fmt.Sprintf(
				"operation=%q", worldtest.Of(provider).Read,
			)}
			all := m.metric(t, "kontor_provider_calls_total", labels...)
			calls = all / max(1, all-m.metric(t, "kontor_provider_retries_total", labels...))
		}
		fmt.Println(bar(
			calls <= mostCalls, "%s: %.3f provider calls for each read, at most %.2f", provider, calls, mostCalls,
		))
	}
	fmt.Println(bar(
		m.log.lost == 0 && m.log.doubled == 0, "%d events lost, %d doubled, over %d connections of the watcher",
		m.log.lost, m.log.doubled, m.log.connections,
	))
	doubled := m.doubled(t)
	fmt.Println(bar(doubled == 0, "%d writes took effect twice", doubled))
	fmt.Println(bar(len(m.made) > 0, "%d consents became ready by themselves", len(m.made)))
}
