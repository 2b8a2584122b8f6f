package e2e

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// TestWatchConsents follows a consent from the link to the data, three ways at once, and then resumes behind each of
// its events.
func TestWatchConsents(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
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
				t.Fatalf(
					"the history has %d events, the watch gave %d after %d", len(all), len(seen),
					consent.GetEventCount(),
				)
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
						m := resumed.next(t)
						wantSame(t, "an event behind a token over "+streaming, m.GetEvent(), want.GetEvent())
						if m.GetConsent().GetLink().GetUri() != "" {
							t.Errorf("%s behind a token over %s shows the address of a link that is over",
								m.GetEvent().GetType(), streaming)
						}
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
		consent := w.authorized(t, c, anybody)
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
		must(c.Consents.RevokeConsent(asPSU(t), &consentv1.RevokeConsentRequest{Name: consent.GetName()}))(t)
		resumed := watchConsents(t, c, streaming, consent.GetName(), token).news(t)
		if resumed.GetEvent().GetType() != consentv1.ConsentEvent_REVOKED {
			t.Errorf("%s: got %v behind a heartbeat's token, want REVOKED", streaming, resumed)
		}
	}
}

// TestDeletedEndsWatch: a watch of one consent ends by itself with DELETED, that of the tenant goes on.
func TestDeletedEndsWatch(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	for _, provider := range worldtest.Providers() {
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
				if _, err := c.Consents.DeleteConsent(asPSU(t), &consentv1.DeleteConsentRequest{
					Name: consent.GetName(),
				}); err != nil {
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
				// other tests' consents
				for m := all.news(t); m.GetConsent().GetName() != consent.GetName(); m = all.news(t) {
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
	w.authorized(t, w.client(t, acme), anybody)
	want := map[string]bool{}
	for range 3 {
		want[w.authorized(t, c, anybody).GetName()] = true
	}
	for _, streaming := range streamings {
		stream := watchConsents(t, c, streaming, "", "")
		for i := range len(want) {
			m := stream.next(t)
			if m.GetKind() != consentv1.WatchConsentsResponse_STATE || !want[m.GetConsent().GetName()] {
				t.Errorf("%s: got %v, want the state of one of the tenant's consents", streaming, m)
			}
			if last := i == len(want)-1; (m.GetResumeToken() != "") != last {
				t.Errorf(
					"%s: only the last of the states has a token; message %d of %d: %q", streaming, i+1, len(want),
					m.GetResumeToken(),
				)
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
	one, other := w.createConsent(t, c, anybody), w.createConsent(t, c, anybody)
	token := watchConsents(t, c, overGRPC, one.GetName(), "").next(t).GetResumeToken()
	for what, request := range map[string]map[string]any{
		"another consent's": {"consent": other.GetName(), "resumeToken": token},
		"all consents'":     {"resumeToken": token},
		"a made-up":         {"consent": one.GetName(), "resumeToken": "bm90IGEgdG9rZW4"},
	} {
		for _, transport := range transports {
			got, err := c.call(
				t.Context(), transport, methods()["kontor.consent.v1.ConsentService/WatchConsents"], request, nil, 1,
			)
			if err != nil {
				t.Fatal(err)
			}
			if f := got.failure; f == nil || f.code != codes.InvalidArgument ||
				!slices.Equal(f.fields, []string{"resumeToken"}) {
				t.Errorf("%s token over %s: got %v, want INVALID_ARGUMENT for resumeToken", what, transport, f)
			}
		}
	}
}
