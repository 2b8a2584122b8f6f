package callbacks_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// connected reports a bank, at a provider that keeps no record of decisions.
var connected = providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
	{ID: "bank", Active: true},
}}

// visiting makes a gateway with a consent under which a bank is connected and a second flow is open, and gives the
// token of the latter.
func visiting(
	t *testing.T, changes ...func(*assembly.Options, *providers.Provider),
) (p *assemblytest.Gateway, row *store.Consent, token string) {
	t.Helper()
	visits := &flows{}
	p = assemblytest.New(t, append([]func(*assembly.Options, *providers.Provider){
		func(_ *assembly.Options, p *providers.Provider) {
			p.OneConsentPerUser, p.Banks = true, visits
			p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
		},
	}, changes...)...)
	row = p.Create(t)
	p.Report(connected, nil)
	assemblytest.Pass(time.Minute)
	renewed, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
	if err != nil || renewed.GetStatus() != consentv1.Consent_AUTHORIZED {
		t.Fatalf("the consent is %s, %v", renewed.GetStatus(), err)
	}
	assemblytest.Pass(time.Second) // not at a whole interval after the last read
	_, rest, _ := strings.Cut(visits.last.Success, "/callbacks/redirects/")
	return p, row, strings.TrimSuffix(rest, "/success")
}

// flows remembers where the last flow returns the customer to.
type flows struct{ last providers.Redirects }

func (f *flows) AddBank(_ context.Context, _ providers.ConsentRef, flow providers.Flow) (*providers.Issued, error) {
	f.last = flow.Redirects
	return &providers.Issued{Link: providers.Link{URI: "https://bank.example.com/again", TTL: time.Hour}}, nil
}

// outcomes lists the events that tell how visits ended.
func outcomes(t *testing.T, p *assemblytest.Gateway, row *store.Consent) (types []consentv1.ConsentEvent_Type) {
	t.Helper()
	events, err := p.Servers.Consent.ListConsentEvents(p.Ctx, &consentv1.ListConsentEventsRequest{
		Parent: row.Resource.GetName(), PageSize: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.GetEvents() {
		switch e.GetType() {
		case consentv1.ConsentEvent_APPROVED, consentv1.ConsentEvent_LINK_EXITED,
			consentv1.ConsentEvent_AUTHORIZATION_FAILED:
			types = append(types, e.GetType())
		}
	}
	return types[1:] // the first approval is that of the first flow
}

func redirect(t *testing.T, p *assemblytest.Gateway, token, outcome, want string) {
	t.Helper()
	location, err := p.Callbacks.Redirect(t.Context(), token, outcome, url.Values{})
	if err != nil || location != "https://app.example.com/"+want {
		t.Errorf("%s leads to %q, %v", outcome, location, err)
	}
}

// The first outcome of a visit counts. Later ones lead on by their own address and change nothing, in another process
// neither, which has only the database. A successful one is no approval: the provider tells of those.
func TestVisitsHaveOneOutcome(t *testing.T) {
	locations := map[string]string{"success": "done", "error": "failed", "exit": "left"}
	counts := map[string][]consentv1.ConsentEvent_Type{
		"success": {}, "error": {consentv1.ConsentEvent_AUTHORIZATION_FAILED},
		"exit": {consentv1.ConsentEvent_LINK_EXITED},
	}
	for first, want := range counts {
		t.Run(first, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, row, token := visiting(t)
				redirect(t, p, token, first, locations[first])
				assemblytest.Pass(time.Minute)
				later := p.Beside(t)
				for _, process := range []*assemblytest.Gateway{p, later} {
					for outcome, location := range locations {
						redirect(t, process, token, outcome, location)
						assemblytest.Pass(10 * time.Second)
					}
				}
				if got := outcomes(t, p, row); !slices.Equal(got, want) {
					t.Errorf("noted are %v, want %v", got, want)
				}
			})
		})
	}
}

// A provider may return customers to one address, and tell in the query how the visit ended: that is the outcome, also
// for who looks where the address leads, and for who comes again. Where it does not tell, the address does.
func TestOneAddressForAllOutcomes(t *testing.T) {
	for query, want := range map[string]struct {
		location string
		noted    []consentv1.ConsentEvent_Type
	}{
		"error=access_denied": {"left", []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_LINK_EXITED}},
		"error=server_error":  {"failed", []consentv1.ConsentEvent_Type{consentv1.ConsentEvent_AUTHORIZATION_FAILED}},
		"code=1":              {"done", nil},
	} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, row, token := visiting(t, func(_ *assembly.Options, p *providers.Provider) {
					p.Callbacks.Outcome = func(query url.Values) providers.Outcome {
						return map[string]providers.Outcome{
							"access_denied": providers.OutcomeExit, "server_error": providers.OutcomeError,
						}[query.Get("error")]
					}
				})
				came, err := url.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				location, err := p.Callbacks.RedirectAddress(t.Context(), token, "success", came)
				if err != nil || location != "https://app.example.com/"+want.location {
					t.Errorf("the address leads to %q, %v", location, err)
				}
				for range 2 {
					location, err := p.Callbacks.Redirect(t.Context(), token, "success", came)
					if err != nil || location != "https://app.example.com/"+want.location {
						t.Errorf("the customer is led to %q, %v", location, err)
					}
					assemblytest.Pass(time.Minute)
				}
				if got := outcomes(t, p, row); !slices.Equal(got, want.noted) {
					t.Errorf("noted are %v, want %v", got, want.noted)
				}
			})
		})
	}
}

// Of visits that come at once, with all outcomes and to two processes, one counts.
func TestVisitsAtOnceHaveOneOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, row, token := visiting(t)
		other := p.Beside(t)
		var browsers sync.WaitGroup
		for range 20 {
			for outcome, location := range map[string]string{"success": "done", "error": "failed", "exit": "left"} {
				for _, process := range []*assemblytest.Gateway{p, other} {
					browsers.Go(func() { redirect(t, process, token, outcome, location) })
				}
			}
		}
		browsers.Wait()
		assemblytest.Pass(time.Minute)
		if got := outcomes(t, p, row); len(got) > 1 {
			t.Errorf("noted are %v, want one at most", got)
		}
	})
}

// However often a browser comes back, and whatever looks where an address leads, the provider is asked no more often
// than in the shortest interval.
func TestRepeatedVisitsMakeFewReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, row, token := visiting(t)
		before, began := len(p.Times(row)), time.Now()
		reads := func() int { return len(p.Times(row)) - before }
		for range 1000 {
			location, err := p.Callbacks.RedirectAddress(t.Context(), token, "success", nil)
			if err != nil || location != "https://app.example.com/done" {
				t.Fatalf("the address leads to %q, %v", location, err)
			}
		}
		synctest.Wait()
		if got := outcomes(t, p, row); reads() > 0 || len(got) > 0 {
			t.Errorf("to look where it leads made %d reads and noted %v", reads(), got)
		}
		for range 1000 {
			redirect(t, p, token, "success", "done")
			redirect(t, p, token, "exit", "left")
			assemblytest.Pass(30 * time.Millisecond)
		}
		if most := 2 + int(time.Since(began)/(5*time.Second)); reads() > most {
			t.Errorf("2000 visits in %s made %d reads, want at most %d", time.Since(began), reads(), most)
		}
	})
}

// A return that is about something else leaves the visit as it was.
func TestForeignReturnsSpendNoVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := true
		p, row, token := visiting(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Callbacks.Redirect = func(
				context.Context, providers.ConsentRef, providers.Outcome, url.Values,
			) (providers.Return, error) {
				if foreign {
					return providers.Return{}, providers.ErrForeign
				}
				return providers.Return{}, nil
			}
		})
		if _, err := p.Callbacks.Redirect(t.Context(), token, "exit", nil); err == nil {
			t.Error("it is taken")
		}
		foreign = false
		redirect(t, p, token, "exit", "left")
		if got := outcomes(t, p, row); len(got) != 1 || got[0] != consentv1.ConsentEvent_LINK_EXITED {
			t.Errorf("noted are %v", got)
		}
	})
}

// What could not be read is read again when the browser comes again with the same outcome, but not at once.
func TestReturnsThatFailedAreTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		var fail error = &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"}
		p, _, token := visiting(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Callbacks.Redirect = func(
				_ context.Context, _ providers.ConsentRef, how providers.Outcome, _ url.Values,
			) (providers.Return, error) {
				if tries++; how != providers.OutcomeSuccess {
					t.Errorf("%s is taken, which came second", how)
				}
				return providers.Return{}, fail
			}
		})
		for range 100 {
			redirect(t, p, token, "success", "done")
			redirect(t, p, token, "exit", "left")
		}
		if tries != 1 {
			t.Errorf("it was tried %d times at once", tries)
		}
		for range 3 {
			assemblytest.Pass(6 * time.Second)
			redirect(t, p, token, "exit", "left")
			redirect(t, p, token, "success", "done")
		}
		fail = nil
		for range 3 {
			assemblytest.Pass(6 * time.Second)
			redirect(t, p, token, "success", "done")
		}
		if tries != 5 {
			t.Errorf("it was tried %d times, want 5: none after it succeeded", tries)
		}
	})
}
