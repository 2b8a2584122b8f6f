package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// TestWatchConsents follows a consent from the link to the data, three ways at once, and then resumes behind each of its events.
func TestWatchConsents(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range bothProviders {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, lending)
			consent := w.createConsent(t, c, provider)
			open := map[string]*watch[*consentv1.WatchConsentsResponse]{}
			for _, streaming := range streamings {
				open[streaming] = watchConsents(t, c, streaming, consent.GetName(), "")
				state := open[streaming].next(t)
				if state.GetKind() != consentv1.WatchConsentsResponse_STATE || state.GetResumeToken() == "" {
					t.Fatalf("%s: got %v, want the present state with a token", streaming, state)
				}
				wantSame(t, "the present state", state.GetConsent(), consent)
			}
			w.approve(t, c, consent)
			history := map[string][]*consentv1.WatchConsentsResponse{}
			for streaming, stream := range open {
				history[streaming] = until(t, stream, consentv1.ConsentEvent_COMPLETED, consent.GetEventCount())
			}
			seen := history[overGRPC]
			final := ready(t, c, consent.GetName())
			wantSame(t, "the consent after the last event", seen[len(seen)-1].GetConsent(), final)
			all := events(t, c, consent.GetName())
			if len(all) != int(final.GetEventCount()) || len(all) != len(seen)+int(consent.GetEventCount()) {
				t.Fatalf("the history has %d events, the watch gave %d after %d", len(all), len(seen), consent.GetEventCount())
			}
			for streaming, messages := range history {
				for i, m := range messages {
					wantSame(t, "an event over "+streaming, m.GetEvent(), all[i+int(consent.GetEventCount())])
				}
			}
			for _, streaming := range streamings {
				for i, m := range seen {
					resumed := watchConsents(t, c, streaming, consent.GetName(), m.GetResumeToken())
					for _, want := range seen[i+1:] {
						wantSame(t, "an event behind a token over "+streaming, resumed.next(t).GetEvent(), want.GetEvent())
					}
					resumed.quiet(t)
					resumed.leave()
				}
			}
		})
	}
}

// TestHeartbeats: a silent stream shows that it lives, and a heartbeat's token resumes it.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	for _, streaming := range streamings {
		consent := w.authorized(t, c, fimentoID)
		stream := watchConsents(t, c, streaming, consent.GetName(), "")
		stream.next(t)
		begun := time.Now()
		for range 3 {
			stream.quiet(t)
		}
		if took := time.Since(begun); took < 600*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: three heartbeats took %s, want about 900 ms", streaming, took)
		}
		token := stream.quiet(t).GetResumeToken()
		stream.leave()
		must(c.consents.RevokeConsent(t.Context(), &consentv1.RevokeConsentRequest{Name: consent.GetName()}))(t)
		resumed := watchConsents(t, c, streaming, consent.GetName(), token).next(t)
		if resumed.GetEvent().GetType() != consentv1.ConsentEvent_REVOKED {
			t.Errorf("%s: got %v behind a heartbeat's token, want REVOKED", streaming, resumed)
		}
	}
}

// TestDeletedEndsWatch: a watch of one consent ends by itself with DELETED, that of the tenant goes on.
func TestDeletedEndsWatch(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range bothProviders {
		for _, streaming := range streamings {
			t.Run(provider+"/"+streaming, func(t *testing.T) {
				t.Parallel()
				c := w.client(t, lending)
				consent := w.createConsent(t, c, provider)
				all := watchConsents(t, c, streaming, "", "")
				one := watchConsents(t, c, streaming, consent.GetName(), "")
				one.next(t)
				for all.next(t).GetResumeToken() == "" { // the present state of all
				}
				if _, err := c.consents.DeleteConsent(asPSU(t), &consentv1.DeleteConsentRequest{Name: consent.GetName()}); err != nil {
					t.Fatal(failed(err))
				}
				last := one.news(t)
				if last.GetEvent().GetType() != consentv1.ConsentEvent_DELETED {
					t.Fatalf("got %v, want DELETED", last)
				}
				wantSequence(t, last, consent.GetEventCount()+1)
				if f := one.end(t); f != nil {
					t.Errorf("the watch ended with %v, want by itself", f)
				}
				for m := all.news(t); m.GetConsent().GetName() != consent.GetName(); m = all.news(t) { // other tests' consents
				}
				if all.next(t) == nil {
					t.Error("the tenant's watch ended, too")
				}
			})
		}
	}
}

// TestTenantsWatch: a watch of all shows the present state of each consent of the tenant, and of no other.
func TestTenantsWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	for _, streaming := range streamings {
		watchConsents(t, c, streaming, "", "").quiet(t)
	}
	w.authorized(t, w.client(t, acme), fimentoID)
	want := map[string]bool{}
	for range 3 {
		want[w.authorized(t, c, fimentoID).GetName()] = true
	}
	for _, streaming := range streamings {
		stream := watchConsents(t, c, streaming, "", "")
		for i := range len(want) {
			m := stream.next(t)
			if m.GetKind() != consentv1.WatchConsentsResponse_STATE || !want[m.GetConsent().GetName()] {
				t.Errorf("%s: got %v, want the state of one of the tenant's consents", streaming, m)
			}
			if last := i == len(want)-1; (m.GetResumeToken() != "") != last {
				t.Errorf("%s: only the last of the states has a token; message %d of %d: %q", streaming, i+1, len(want), m.GetResumeToken())
			}
		}
		stream.quiet(t)
	}
}

// TestForeignTokens: a token belongs to its stream.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	one, other := w.createConsent(t, c, fimentoID), w.createConsent(t, c, fimentoID)
	token := watchConsents(t, c, overGRPC, one.GetName(), "").next(t).GetResumeToken()
	for what, request := range map[string]map[string]any{
		"another consent's": {"consent": other.GetName(), "resumeToken": token},
		"all consents'":     {"resumeToken": token},
		"a made-up":         {"consent": one.GetName(), "resumeToken": "bm90IGEgdG9rZW4"},
	} {
		for _, transport := range transports {
			got, err := c.call(t.Context(), transport, methods()["kontor.consent.v1.ConsentService/WatchConsents"], request, nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			if f := got.failure; f == nil || f.code != codes.InvalidArgument || !slices.Equal(f.fields, []string{"resumeToken"}) {
				t.Errorf("%s token over %s: got %v, want INVALID_ARGUMENT for resumeToken", what, transport, f)
			}
		}
	}
}

// TestWatchAcrossRestart: the gateway stops in the middle and starts again; meanwhile the customer goes on at the bank. Streams end with
// UNAVAILABLE, and resumed ones miss and repeat nothing.
func TestWatchAcrossRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimentoID)
	visit := w.pages(t, consent.GetLink().GetUri())
	streams := map[string]*watch[*consentv1.WatchConsentsResponse]{}
	tokens := map[string]string{}
	for _, streaming := range streamings {
		streams[streaming] = watchConsents(t, c, streaming, consent.GetName(), "")
		streams[streaming].next(t)
	}
	visit.open()
	var last int32
	for streaming, stream := range streams {
		opened := until(t, stream, consentv1.ConsentEvent_LINK_OPENED, consent.GetEventCount())
		tokens[streaming], last = opened[len(opened)-1].GetResumeToken(), opened[len(opened)-1].GetConsent().GetEventCount()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.gateway.stop() }()
	for streaming, stream := range streams {
		if f := stream.end(t); f == nil || f.code != codes.Unavailable || f.reason != "GATEWAY_STOPPING" || !f.retry {
			t.Errorf("%s: the stream ended with %v, want GATEWAY_STOPPING with RetryInfo", streaming, f)
		}
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	visit.approve()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.forget()
	c = w.client(t, lending)
	var seen []*consentv1.WatchConsentsResponse
	for _, streaming := range streamings {
		all := until(t, watchConsents(t, c, streaming, consent.GetName(), tokens[streaming]), consentv1.ConsentEvent_COMPLETED, last)
		if seen == nil {
			seen = all
		}
		for i := range all {
			wantSame(t, "an event over "+streaming, all[i].GetEvent(), seen[i].GetEvent())
		}
	}
	if final := seen[len(seen)-1].GetConsent(); final.GetStatus() != consentv1.Consent_AUTHORIZED || final.GetDataStage() != consentv1.Consent_READY {
		t.Errorf("in the end the consent is %v", final)
	}
}

// TestWebhooksMayMisbehave: whether webhooks are lost, repeated or come out of order, a watch sees each status once.
func TestWebhooksMayMisbehave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, fimento: fimento.Behaviour{Webhooks: fimento.Webhooks{Drop: true}}})
	c := w.client(t, lending)
	for _, misbehaviour := range []fimento.Webhooks{{Drop: true}, {Duplicates: 3}, {OutOfOrder: true}} {
		behaviour := w.Fimento.Behaviour()
		behaviour.Webhooks = misbehaviour
		w.Fimento.SetBehaviour(behaviour)
		consent := w.createConsent(t, c, fimentoID)
		stream := watchConsents(t, c, overSSE, consent.GetName(), "")
		stream.next(t)
		visit := w.pages(t, consent.GetLink().GetUri())
		visit.open()
		visit.approve()
		seen := until(t, stream, consentv1.ConsentEvent_COMPLETED, consent.GetEventCount())
		if final := seen[len(seen)-1].GetConsent(); final.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("%+v: in the end the consent is %v", misbehaviour, final)
		}
		codes := map[string]int{}
		for _, e := range events(t, c, consent.GetName()) {
			codes[e.GetProviderCode()]++
		}
		for _, code := range []string{
			"created", "consentLinkOpened", "bankAddedNotCompletedAuthFlow", "bankAddedCompletedAuthFlow", "fetchingTransactionsStarted",
			"fetchingTransactionsDone", "customerApprovedConsent", "categorisationStarted", "categorisationDone", "insightsStarted", "completed",
		} {
			if codes[code] != 1 {
				t.Errorf("%+v: %s is %d events, want one", misbehaviour, code, codes[code])
			}
		}
	}
	if len(w.FimentoCore.Calls.Of(fimento.OpAddWebhook)) == 0 {
		t.Error("no webhook was registered")
	}
}

// TestLinkOpenedEachTime: a link that is opened n times is n events.
func TestLinkOpenedEachTime(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimentoID)
	visit := w.pages(t, consent.GetLink().GetUri())
	for range 5 {
		visit.open()
	}
	refresh(t, c, consent.GetName())
	opened := 0
	for _, e := range events(t, c, consent.GetName()) {
		if e.GetType() == consentv1.ConsentEvent_LINK_OPENED {
			opened++
		}
	}
	if opened != 5 {
		t.Errorf("the history has %d openings, want 5", opened)
	}
}

// TestRefreshIsNotOlderThanItsCall: what a customer did before a refresh shows in its answer, also when another read is under way that began
// before.
func TestRefreshIsNotOlderThanItsCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, fimentoID)
	w.FimentoCore.Faults.Add(sandbox.Fault{Operation: fimento.OpGetProcess, BytesPerSecond: 2000, Times: 1})
	slow := make(chan error, 1)
	go func() {
		_, err := c.consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName(), Refresh: true})
		slow <- err
	}()
	eventually(t, "the first read to be answered slowly", func() bool {
		reads := w.FimentoCore.Calls.Of(fimento.OpGetProcess)
		return len(reads) == 1 && reads[0].Status == http.StatusOK
	})
	w.pages(t, consent.GetLink().GetUri()).open()
	before := w.FimentoCore.Calls.Count(fimento.OpGetProcess)
	answers := make([]*consentv1.Consent, 50)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() { answers[i] = refresh(t, c, consent.GetName()) })
	}
	callers.Wait()
	for _, answer := range answers {
		if answer.GetLink().GetStatus() != typev1.Link_OPENED {
			t.Fatalf("after the link was opened it is %s", answer.GetLink().GetStatus())
		}
	}
	if n := w.FimentoCore.Calls.Count(fimento.OpGetProcess) - before; n < 1 || n > 5 {
		t.Errorf("50 callers at one time made the gateway read %d times", n)
	}
	if err := <-slow; err != nil {
		t.Error(failed(err))
	}
}

// TestWatchShipments follows shipments to delivery and to failure.
func TestWatchShipments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	for _, streaming := range streamings {
		all := watchShipments(t, c, streaming, "", "")
		for all.next(t).GetResumeToken() == "" { // the present state of all
		}
		for _, outcome := range []struct {
			success string
			status  documentsv1.Shipment_Status
		}{{"true", documentsv1.Shipment_DELIVERED}, {"false", documentsv1.Shipment_FAILED}} {
			shipment := must(c.documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Shipment_LETTER)))(t)
			if shipment.GetStatus() != documentsv1.Shipment_SUBMITTED {
				t.Fatalf("a new shipment is %s", shipment.GetStatus())
			}
			one := watchShipments(t, c, streaming, shipment.GetName(), "")
			state := one.next(t)
			if state.GetKind() != documentsv1.WatchShipmentsResponse_STATE {
				t.Fatalf("%s: got %v, want the present state", streaming, state)
			}
			wantSame(t, "the present state", state.GetShipment(), shipment)
			w.report(t, outcome.success)
			changed := one.news(t)
			if changed.GetShipment().GetStatus() != outcome.status || changed.GetShipment().GetCompleteTime() == nil {
				t.Errorf("%s: got %v, want %s", streaming, changed, outcome.status)
			}
			again := watchShipments(t, c, streaming, shipment.GetName(), state.GetResumeToken()).next(t)
			wantSame(t, "the change behind a token", again.GetShipment(), changed.GetShipment())
			for _, status := range []documentsv1.Shipment_Status{documentsv1.Shipment_SUBMITTED, outcome.status} {
				if m := all.news(t); m.GetShipment().GetName() != shipment.GetName() || m.GetShipment().GetStatus() != status {
					t.Errorf("%s: the watch of all got %v, want %s", streaming, m, status)
				}
			}
			one.leave()
		}
		all.leave()
	}
}

// report makes finoOS's report on the newest shipment.
func (w *world) report(t *testing.T, success string) {
	t.Helper()
	accepted := w.FinoOS.Shipments()
	newest := accepted[len(accepted)-1]
	if status := post(t, newest.CallbackURL+"?requestid="+newest.ProcessID+"&success="+success, ""); status/100 != 2 {
		t.Fatalf("the report was answered with %d", status)
	}
}

// visit is a customer on Fimento's pages, by the forms behind the buttons.
type visit struct {
	t    *testing.T
	link string
	bank string
}

// pages gives the pages behind a link of Fimento. The customer chooses the market's first bank.
func (w *world) pages(t *testing.T, link string) *visit {
	return &visit{t, link, w.FimentoCore.Population.Banks("SE")[0].ID}
}

func (v *visit) open() {
	v.t.Helper()
	resp, err := httpClient.Get(v.link)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("the link answers %d", resp.StatusCode)
	}
}

// submit submits a form and gives where it leads to.
func (v *visit) submit(page string, form url.Values) string {
	v.t.Helper()
	resp, err := httpClient.PostForm(v.link+page, form)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%s answers %d", page, resp.StatusCode)
	}
	return resp.Header.Get("Location")
}

// authenticate chooses the bank and logs in there.
func (v *visit) authenticate() {
	v.t.Helper()
	v.submit("/bank", url.Values{"bank": {v.bank}})
	v.submit("/authenticate", url.Values{"outcome": {"authenticate"}})
}

// approve goes through all pages and gives where the customer is sent then.
func (v *visit) approve() string {
	v.t.Helper()
	v.authenticate()
	return v.submit("/decision", url.Values{"decision": {"approve"}})
}
