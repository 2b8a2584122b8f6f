package callbacks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// What comes back is the adapter's to verify: what it does not take changes nothing and makes nobody be asked, and
// what it translates is taken over.
func TestAdaptersReadRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Callbacks.Redirect = func(
				_ context.Context, ref providers.ConsentRef, how providers.Outcome, query url.Values,
			) (providers.Return, error) {
				seen = append(seen, fmt.Sprint(ref.ID, " ", how, " ", query.Get("state")))
				if query.Get("state") != "good" {
					return providers.Return{}, providers.ErrForeign
				}
				ref.ID = "renamed"
				return providers.Return{Ref: &ref}, nil
			}
		})
		row := p.Create(t)
		synctest.Wait()
		_, rest, _ := strings.Cut(p.Asked.Redirects.Success, "/callbacks/redirects/")
		token := strings.TrimSuffix(rest, "/success")
		reads := len(p.Times(row))
		for _, query := range []url.Values{{"state": {"bad"}}, {}} {
			if _, err := p.Callbacks.Redirect(t.Context(), token, "success", query); !errors.Is(
				err,
				kerr.ErrUnknownCallback,
			) {
				t.Errorf("%v gives %v", query, err)
			}
		}
		if more := len(p.Times(row)) - reads; more != 0 {
			t.Errorf("forged redirects made %d reads", more)
		}
		location, err := p.Callbacks.Redirect(t.Context(), token, "success", url.Values{"state": {"good"}})
		if err != nil || location != "https://app.example.com/done" {
			t.Errorf("%s, %v", location, err)
		}
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.ProviderRef != "renamed" || fresh.Resource.GetProviderReference() != "renamed" {
			t.Errorf("the consent's id there is %s, %v", fresh.ProviderRef, err)
		}
		if renamed := p.Times(fresh); len(renamed) != 1 {
			t.Errorf("under its new id it was read %d times", len(renamed))
		}
		if got := strings.Join(seen, ", "); got != "process-1 success bad, process-1 success , process-1 success good" {
			t.Errorf("the adapter saw %s", got)
		}
	})
}

// What fails at the provider while a return is read does not strand the customer, and what came with the browser is
// read to its end when the browser leaves.
func TestReturnsThatCannotBeUsedLeadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		browser, leave := context.WithCancel(t.Context())
		defer leave()
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Callbacks.Redirect = func(
				ctx context.Context, ref providers.ConsentRef, _ providers.Outcome, _ url.Values,
			) (providers.Return, error) {
				if leave(); ctx.Err() != nil {
					t.Error("the context ended with the browser's")
				}
				ref.ID = "renamed"
				return providers.Return{Ref: &ref}, fail
			}
		})
		row := p.Create(t)
		synctest.Wait()
		_, rest, _ := strings.Cut(p.Asked.Redirects.Success, "/callbacks/redirects/")
		token := strings.TrimSuffix(rest, "/success")
		fail = &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"}
		location, err := p.Callbacks.Redirect(browser, token, "success", nil)
		if err != nil || location != "https://app.example.com/done" {
			t.Errorf("%s, %v", location, err)
		}
		second, leaveAgain := context.WithCancel(t.Context())
		defer leaveAgain()
		browser, leave = second, leaveAgain
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.ProviderRef != row.ProviderRef {
			t.Errorf("a return that failed was taken over: %s, %v", fresh.ProviderRef, err)
		}
		fail = nil
		assemblytest.Pass(5 * time.Second)
		if _, err := p.Callbacks.Redirect(browser, token, "success", nil); err != nil {
			t.Error(err)
		}
		if fresh, _, err = p.Load.Consent(p.Ctx, row.Resource.GetName()); err != nil || fresh.ProviderRef != "renamed" {
			t.Errorf("what came back is lost: %s, %v", fresh.ProviderRef, err)
		}
	})
}

// hooked registers webhooks, and remembers where.
type hooked struct{ address string }

func (h *hooked) RegisterWebhook(_ context.Context, address string) error {
	h.address = address
	return nil
}

func TestAdaptersReadWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := &hooked{}
		p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
			o.Webhooks, p.Webhooks = true, hook
			p.Callbacks.Webhook = func(_ context.Context, header http.Header, body []byte) ([]string, error) {
				if header.Get("Signature") != "good" {
					return nil, providers.ErrForeign
				}
				return strings.Fields(string(body)), nil
			}
		})
		row := p.Create(t)
		assemblytest.Pass(time.Hour)
		token := hook.address[strings.LastIndexByte(hook.address, '/')+1:]
		call := func(signature, body string) error {
			return p.Callbacks.Webhook(
				t.Context(),
				"fimento",
				token,
				http.Header{"Signature": {signature}},
				func() ([]byte, error) { return []byte(body), nil },
			)
		}
		before := len(p.Times(row))
		if err := call("bad", row.ProviderRef); !errors.Is(err, kerr.ErrUnknownCallback) {
			t.Errorf("a forged call gives %v", err)
		}
		if err := call("good", "nobody "+strings.Repeat("x ", 64)+row.ProviderRef); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if more := len(p.Times(row)) - before; more != 0 {
			t.Errorf("forged calls, and one about more consents than a call may name, led to %d reads", more)
		}
		if err := call("good", row.ProviderRef+" nobody"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if more := len(p.Times(row)) - before; more != 1 {
			t.Errorf("a call led to %d reads", more)
		}
	})
}

// postOffice sends shipments, and remembers where they are reported.
type postOffice struct{ address string }

func (o *postOffice) SendShipment(_ context.Context, shipment providers.Shipment) error {
	o.address = shipment.CallbackURL
	return nil
}

func TestAdaptersReadReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		office := &postOffice{}
		var provider *providers.Provider
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			provider, p.Shipments = p, office
			p.Capabilities["CreateShipment"] = providers.Support{Level: providers.Native}
		})
		made, err := p.Servers.Documents.CreateShipment(
			p.Ctx,
			&documentsv1.CreateShipmentRequest{Shipment: &documentsv1.Shipment{
				Channel: documentsv1.Channel_FAX, Recipient: "Torben Mais", Subject: "Your loan",
				Pdf: []byte("%PDF-1.4"),
				Address: &documentsv1.Shipment_Address{
					Street:      optional.Of("Universitätsplatz"),
					HouseNumber: optional.Of("12"),
					Postcode:    optional.Of("34127"),
					City:        "Kassel",
					CountryCode: "DE",
				},
			}},
		)
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimPrefix(made.GetName(), "shipments/")
		token := office.address[strings.LastIndexByte(office.address, '/')+1:]
		report := func(body string) error {
			return p.Callbacks.ShipmentReport(t.Context(), token, nil,
				func() ([]byte, error) { return []byte(body), nil })
		}
		status := func() documentsv1.Shipment_Status {
			var row *store.Shipment
			if err := p.Store.View(p.Ctx, "default", func(r store.Reader) (err error) {
				row, err = r.Shipment(id)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return row.Resource.GetStatus()
		}
		if err := report("lost"); !errors.Is(err, kerr.ErrUnknownCallback) {
			t.Errorf("a provider that reports nothing: %v", err)
		}
		provider.Callbacks.Report = func(_ context.Context, shipment string, _ url.Values, body []byte) (bool, error) {
			if shipment != id || string(body) == "forged" {
				return false, providers.ErrForeign
			}
			return string(body) == "arrived", nil
		}
		if err := report("forged"); !errors.Is(err, kerr.ErrUnknownCallback) ||
			status() != documentsv1.Shipment_SUBMITTED {
			t.Errorf("a forged report: %v, %s", err, status())
		}
		for _, body := range []string{"lost", "arrived"} { // the first report settles it
			if err := report(body); err != nil || status() != documentsv1.Shipment_FAILED {
				t.Errorf("%s: %v, %s", body, err, status())
			}
		}
	})
}

// A link that gives the consent a new id is noted with it.
func TestLinksMayRenameAConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Links = renaming{} })
		row := p.Create(t)
		renewed, err := p.Servers.Consent.RenewConsentLink(
			p.Ctx,
			&consentv1.RenewConsentLinkRequest{Name: row.Resource.GetName()},
		)
		if err != nil || renewed.GetProviderReference() != row.ProviderRef+"-2" || renewed.GetLink().GetUri() == "" {
			t.Fatalf("%v, %v", renewed, err)
		}
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil || fresh.ProviderRef != row.ProviderRef+"-2" {
			t.Errorf("the consent's id there is %s, %v", fresh.ProviderRef, err)
		}
	})
}

type renaming struct{}

func (renaming) RenewLink(_ context.Context, ref providers.ConsentRef, _ providers.Flow) (*providers.Issued, error) {
	ref.ID += "-2"
	return &providers.Issued{
		Link: providers.Link{URI: "https://bank.example.com/again", TTL: time.Hour},
		Ref:  &ref,
	}, nil
}
