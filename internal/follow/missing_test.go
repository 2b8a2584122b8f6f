package follow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

var errUnknownThere = &providers.Error{
	Kind: providers.KindNotFound, Provider: "fimento", Operation: "get_process", Status: 404,
}

// standing makes consents that stand and whose data can be read, and reads each for the last time for a day.
func standing(t *testing.T, p *assemblytest.Gateway, count int) (rows []*store.Consent) {
	t.Helper()
	p.Accounts = func(context.Context) ([]providers.Account, error) { return nil, nil }
	p.Report(ready, nil)
	for range count {
		rows = append(rows, p.Create(t))
	}
	assemblytest.Pass(2 * time.Minute)
	for _, row := range rows {
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
			t.Fatalf("it is %s", got)
		}
	}
	return rows
}

// wantMissing sees that a consent stands, and that its data is not read.
func wantMissing(t *testing.T, p *assemblytest.Gateway, row *store.Consent, what string) {
	t.Helper()
	if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
		t.Fatalf("%s it is %s", what, got)
	}
	read := false
	p.Accounts = func(context.Context) ([]providers.Account, error) {
		read = true
		return nil, nil
	}
	if err := accounts(p, row); kerr.Reason(err) != errorv1.Error_PROVIDER_REJECTED || read {
		t.Errorf("%s a caller who reads its data gets %v; the provider was asked for it: %t", what, err, read)
	}
}

// A consent that its provider no longer knows ends when others of the account are read well.
func TestVanishedConsentsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		rows := standing(t, p, 3)
		gone, others := rows[1], []*store.Consent{rows[0], rows[2]}
		p.ReportOf(gone, errUnknownThere)
		p.HintAt(t, gone)
		synctest.Wait()
		wantMissing(t, p, gone, "after the first answer")
		assemblytest.Pass(time.Minute)
		if got := statusOf(t, p, gone); got != consentv1.Consent_EXPIRED {
			t.Errorf("after a minute it is %s", got)
		}
		if err := accounts(p, gone); kerr.Reason(err) != errorv1.Error_CONSENT_EXPIRED {
			t.Errorf("a caller who reads the data of what ended gets %v", err)
		}
		before := len(p.Times(gone))
		for _, row := range others {
			if err := accounts(p, row); err != nil || statusOf(t, p, row) != consentv1.Consent_AUTHORIZED {
				t.Errorf("another consent is %s, and its data gives %v", statusOf(t, p, row), err)
			}
		}
		assemblytest.Pass(3 * time.Hour)
		if more := len(p.Times(gone)) - before; more > 0 {
			t.Errorf("once it had ended it was read %d times", more)
		}
	})
}

// However often the only consent of an account is asked for, it does not end before an hour is over, nor while the
// provider refuses the login.
func TestLonelyConsentsEndAfterAnHour(t *testing.T) {
	for name, test := range map[string]struct {
		login error
		ends  bool
	}{
		"with a good login": {nil, true},
		"without one":       {&providers.Error{Kind: providers.KindCredentials, Provider: "fimento"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t)
				row := standing(t, p, 1)[0]
				p.ReportOf(row, errUnknownThere)
				p.Login(test.login)
				p.HintAt(t, row)
				synctest.Wait()
				first := time.Now()
				for time.Since(first) < time.Hour-time.Minute {
					wantMissing(t, p, row, time.Since(first).String()+" after the first answer")
					p.HintAt(t, row)
					assemblytest.Pass(time.Minute)
				}
				assemblytest.Pass(2 * time.Minute)
				want := consentv1.Consent_AUTHORIZED
				if test.ends {
					want = consentv1.Consent_EXPIRED
				}
				if got := statusOf(t, p, row); got != want {
					t.Errorf("after an hour it is %s, want %s", got, want)
				}
			})
		})
	}
}

// One answer an hour later is not enough: there must have been three.
func TestLonelyConsentsEndAfterThreeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := standing(t, p, 1)[0]
		p.Stop()
		process := p.Dying(t) // which reads nothing by itself
		p.ReportOf(row, errUnknownThere)
		for answer := 1; answer <= 3; answer++ {
			if answer == 2 {
				assemblytest.Pass(2 * time.Hour)
			}
			_, err := process.Follower.Refresh(process.Ctx, row)
			if ended := err == nil; ended != (answer == 3) {
				t.Errorf("answer %d: %v", answer, err)
			}
		}
	})
}

// One wrong path must not end all consents: none of them ends, however long it stays wrong, and they are not asked for
// more often than once in an hour then. When the path is right again they stand as before.
func TestWrongPathsEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, daysPass)
		rows := standing(t, p, 5)
		p.Report(providers.ConsentState{}, errUnknownThere)
		assemblytest.Pass(3 * 24 * time.Hour)
		before := 0
		for _, row := range rows {
			wantMissing(t, p, row, "after three days")
			before += len(p.Times(row))
		}
		assemblytest.Pass(10 * time.Hour)
		after := 0
		for _, row := range rows {
			after += len(p.Times(row))
		}
		if reads := after - before; reads > 10*len(rows) {
			t.Errorf("%d consents were read %d times in ten hours", len(rows), reads)
		}
		p.Report(ready, nil)
		assemblytest.Pass(90 * time.Minute)
		for _, row := range rows {
			if err := accounts(p, row); err != nil || statusOf(t, p, row) != consentv1.Consent_AUTHORIZED {
				t.Errorf("then it is %s, and its data gives %v", statusOf(t, p, row), err)
			}
		}
	})
}

// A consent that the provider knows again stands, at once for a caller, and an answer of long ago does not count when
// it is missing again.
func TestConsentsThatAreFoundAgainStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		rows := standing(t, p, 2)
		for range 3 {
			p.ReportOf(rows[0], errUnknownThere)
			p.HintAt(t, rows[0])
			synctest.Wait()
			wantMissing(t, p, rows[0], "missing")
			p.ReportOf(rows[0], nil)
			if err := accounts(p, rows[0]); err != nil {
				t.Errorf("when it is found again a caller gets %v", err)
			}
			p.HintAt(t, rows[1])
			assemblytest.Pass(time.Minute)
		}
		if got := statusOf(t, p, rows[0]); got != consentv1.Consent_AUTHORIZED {
			t.Errorf("it is %s", got)
		}
	})
}

// That the provider does not know a consent which nobody approved ends nothing.
func TestWhatNobodyApprovedDoesNotVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		standing(t, p, 1)
		row := p.Create(t)
		p.ReportOf(row, errUnknownThere)
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.Resource.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION {
			t.Fatalf("it is %s, %v", fresh.Resource.GetStatus(), err)
		}
		assemblytest.Pass(2 * time.Hour)
		if got := statusOf(t, p, row); got != consentv1.Consent_AWAITING_AUTHORIZATION {
			t.Errorf("it is %s", got)
		}
		p.ReportOf(row, nil)
		assemblytest.Pass(7 * time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
			t.Errorf("approved it is %s", got)
		}
	})
}

// A read of data that fails as if the consent had ended makes Kontor ask how it stands.
func TestFailedReadsAskHowAConsentStands(t *testing.T) {
	for name, test := range map[string]struct {
		kind    providers.ErrorKind
		missing bool
		asked   int
		want    errorv1.Error_Reason
	}{
		"not known, nor is the consent": {providers.KindNotFound, true, 1, errorv1.Error_PROVIDER_REJECTED},
		"not known, but the consent is": {providers.KindNotFound, false, 1, errorv1.Error_PROVIDER_REJECTED},
		"not allowed":                   {providers.KindNotEnabled, false, 0, errorv1.Error_CAPABILITY_NOT_ENABLED},
		"no answer":                     {providers.KindUnavailable, true, 0, errorv1.Error_PROVIDER_UNAVAILABLE},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t)
				row := standing(t, p, 1)[0]
				p.Accounts = func(context.Context) ([]providers.Account, error) {
					return nil, &providers.Error{Kind: test.kind, Provider: "fimento"}
				}
				if test.missing {
					p.ReportOf(row, errUnknownThere)
				}
				before := len(p.Times(row))
				if got := kerr.Reason(accounts(p, row)); got != test.want {
					t.Errorf("the caller gets %s, want %s", got, test.want)
				}
				if asked := len(p.Times(row)) - before; asked != test.asked {
					t.Errorf("the consent was read %d times", asked)
				}
			})
		})
	}
}

// Where the provider keeps no consents, a customer who has connected no bank yet is not known: their consent waits on.
func TestNobodyIsMissedBeforeTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.ConsentOrigin = consentv1.ConsentOrigin_SYNTHESISED
		})
		row := p.Create(t)
		p.ReportOf(row, errUnknownThere)
		fresh, err := p.Follower.Refresh(p.Ctx, row)
		if err != nil || fresh.Resource.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION {
			t.Errorf("%v, %v", fresh, err)
		}
		if err := accounts(p, row); kerr.Reason(err) != errorv1.Error_CONSENT_NOT_AUTHORIZED {
			t.Errorf("its data gives %v", err)
		}
		assemblytest.Pass(10 * time.Minute)
		p.ReportOf(row, nil)
		p.Report(ready, nil)
		assemblytest.Pass(10 * time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
			t.Errorf("once they came it is %s", got)
		}
	})
}
