package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/example/played"
	"kontor.dev/kontor/test/worldtest"
)

// What Skarvholm has and the others do not: a token for each consent, data that takes a while, ends that come by
// themselves, and answers that are about one consent.

func listAccounts(t *testing.T, c *client, consent string) ([]*bankingv1.Account, error) {
	t.Helper()
	resp, err := c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{Parent: consent})
	return resp.GetAccounts(), err
}

// inDatabase tells whether a text stands in the database as it is.
func (w *world) inDatabase(t *testing.T, text string) bool {
	t.Helper()
	stored, err := worldtest.Stored(t.Context(), w.dir)
	if err != nil || len(stored) == 0 {
		t.Fatal("there is no database", err)
	}
	return bytes.Contains(stored, []byte(text))
}

// TestConsentsHaveTokensOfTheirOwn: the token of a consent is kept sealed, survives a restart and a change of itself,
// and is replaced when the consent is renewed.
func TestConsentsHaveTokensOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	granted := func() int { return w.core(played.ID).Calls.Count(played.OpConsentToken) }
	consent := w.authorized(t, w.client(t, lending), played.ID)
	name, reference := consent.GetName(), consent.GetProviderReference()
	if granted() != 1 {
		t.Errorf("%d tokens were asked for, want one, for the code", granted())
	}
	tokens := w.skarvholm().Tokens(reference)
	if len(tokens) != 2 {
		t.Fatalf("%d tokens", len(tokens))
	}
	for _, token := range tokens {
		w.secret(token, "a consent's token")
		if w.inDatabase(t, token) {
			t.Error("a consent's token stands in the database")
		}
	}
	if !w.inDatabase(t, reference) {
		t.Error("the search in the database finds nothing")
	}

	w.restart(t, nil)
	c := w.client(t, lending)
	before, err := listAccounts(t, c, name)
	if err != nil || len(before) == 0 || granted() != 1 {
		t.Fatalf("after a restart there are %d accounts, and %d tokens were asked for: %v", len(before), granted(), err)
	}

	// Tokens that are refused are replaced, and what replaces them is kept.
	w.core(played.ID).ExpireTokens()
	if _, err := listAccounts(t, c, name); err != nil {
		t.Fatal(err)
	}
	for _, token := range w.skarvholm().Tokens(reference) {
		w.secret(token, "a consent's token")
	}
	w.restart(t, nil)
	c = w.client(t, lending)
	refreshed := granted()
	if _, err := listAccounts(t, c, name); err != nil || granted() != refreshed {
		t.Errorf("the new token was not kept: %d more were asked for, %v", granted()-refreshed, err)
	}

	// A renewal gives the consent another id. Until the customer approves, what there was serves on.
	renewed := must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{Name: name}))(t)
	if renewed.GetProviderReference() == reference || renewed.GetStatus() != consentv1.Consent_AUTHORIZED ||
		renewed.GetLink().GetStatus() != typev1.Link_PENDING {
		t.Errorf("renewed, the consent is %v", renewed)
	}
	if after, err := listAccounts(t, c, name); err != nil || len(after) != len(before) {
		t.Errorf("until the customer approves there are %d accounts: %v", len(after), err)
	}
	w.approve(t, c, renewed)
	again := ready(t, c, name)
	if again.GetProviderReference() != renewed.GetProviderReference() ||
		again.GetLink().GetStatus() != typev1.Link_COMPLETED {
		t.Errorf("approved anew, the consent is %v", again)
	}
	after, err := listAccounts(t, c, name)
	if err != nil || len(after) != len(before) || after[0].GetName() != before[0].GetName() {
		t.Errorf("approved anew there are %d accounts: %v", len(after), err)
	}
	for _, token := range w.skarvholm().Tokens(again.GetProviderReference()) {
		w.secret(token, "a consent's token")
	}
}

// TestStoreKeyIsNeeded: without a store key the gateway does not start, and says what it lacks.
func TestStoreKeyIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{still: true})
	dir := t.TempDir()
	env, err := w.config().Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kontor.yaml")
	text := string(must(os.ReadFile(file))(t))
	without := strings.Replace(text, "store_key:", "# store_key:", 1)
	if err := os.WriteFile(file, []byte(without), 0o600); err != nil || without == text {
		t.Fatal("there is no store key to leave out", err)
	}
	g, err := worldtest.StartGateway(binary, dir, env...)
	if err == nil {
		t.Error("the gateway starts")
		_ = g.Stop()
	} else if !strings.Contains(err.Error(), "store_key: is missing") {
		t.Errorf("the gateway says %v", err)
	}
}

// TestDataIsCollectedForAWhile: between the approval and the data a consent is authorized, and not ready.
func TestDataIsCollectedForAWhile(t *testing.T) {
	t.Parallel()
	clock := sandbox.NewManualClock(time.Now())
	w := newWorld(t, worldOptions{step: time.Minute, clock: clock, still: true})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, played.ID)
	w.approve(t, c, consent)
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != consentv1.Consent_AUTHORIZED || got.GetDataStage() != consentv1.DataStage_FETCHING {
		t.Errorf("approved, the consent is %s, its data %s", got.GetStatus(), got.GetDataStage())
	}
	_, err := listAccounts(t, c, consent.GetName())
	wantReason(t, err, "DATA_NOT_READY")
	clock.Advance(time.Minute)
	if accounts, err := listAccounts(t, c, consent.GetName()); err != nil || len(accounts) == 0 {
		t.Errorf("a while later there are %d accounts: %v", len(accounts), err)
	}
	got = refresh(t, c, consent.GetName())
	if got.GetDataStage() != consentv1.DataStage_READY {
		t.Errorf("a while later the data is %s", got.GetDataStage())
	}
}

// TestPermissionsEndByThemselves: at the end that Skarvholm told, a consent is expired, without anybody asking, and its
// data is refused. A renewal brings it back.
func TestPermissionsEndByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	c := w.client(t, lending)
	consent := w.authorized(t, c, played.ID)
	if _, err := listAccounts(t, c, consent.GetName()); err != nil {
		t.Fatal(err)
	}
	if err := w.skarvholm().Shorten(consent.GetProviderReference(), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	refresh(t, c, consent.GetName()) // From here on the gateway knows of the end.
	var got *consentv1.Consent
	eventually(t, "the permission to end", func() bool {
		got = must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t)
		return got.GetStatus() != consentv1.Consent_AUTHORIZED
	})
	if got.GetStatus() != consentv1.Consent_EXPIRED || got.GetDecision() != consentv1.Decision_APPROVED {
		t.Errorf("in the end the consent is %s, the decision %s", got.GetStatus(), got.GetDecision())
	}
	_, err := listAccounts(t, c, consent.GetName())
	if f := wantReason(t, err, "CONSENT_EXPIRED"); f.code != codes.FailedPrecondition {
		t.Errorf("its data is refused with %s", f.code)
	}
	w.approve(t, c, must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{
		Name: consent.GetName(),
	}))(t))
	ready(t, c, consent.GetName())
}

// TestTheEndOfOneConsent: what Skarvholm says about one consent changes nothing for the others: there is no second
// login, and it is well.
func TestTheEndOfOneConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	other := w.authorized(t, c, played.ID).GetName()
	logins := w.core(played.ID).Calls.Count(played.OpLogin)
	for _, end := range []struct {
		what   string
		happen func(reference string) error
		reason string
		status consentv1.Consent_Status
	}{
		{"the customer withdraws", w.skarvholm().Withdraw, "CONSENT_REVOKED", consentv1.Consent_REVOKED},
		{"the bank ends it", w.skarvholm().Terminate, "CONSENT_REVOKED", consentv1.Consent_REVOKED},
		{
			"it was read too often", func(reference string) error { return w.skarvholm().SetExceeded(reference, true) },
			"PROVIDER_RATE_LIMITED", consentv1.Consent_AUTHORIZED,
		},
	} {
		consent := w.authorized(t, c, played.ID)
		if err := end.happen(consent.GetProviderReference()); err != nil {
			t.Fatal(err)
		}
		_, err := listAccounts(t, c, consent.GetName())
		wantReason(t, err, end.reason)
		got := must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t)
		if got.GetStatus() != end.status {
			t.Errorf("%s: the consent is %s", end.what, got.GetStatus())
		}
		if _, err := listAccounts(t, c, other); err != nil {
			t.Errorf("%s: another consent's data: %v", end.what, err)
		}
	}
	if more := w.core(played.ID).Calls.Count(played.OpLogin) - logins; more != 0 {
		t.Errorf("the gateway logged in %d times more", more)
	}
	for _, p := range listed(t, w) {
		if p.GetName() == "providers/"+played.ID && p.GetHealth().GetState() != providerv1.Provider_Health_HEALTHY {
			t.Errorf("Skarvholm counts as %s", p.GetHealth().GetState())
		}
	}
}

// TestReadsWithoutTheCustomer: however short the intervals are, and however often the customer's way back is taken, a
// consent that stands is not read more often in a day than Skarvholm allows while the customer is away.
func TestReadsWithoutTheCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{
		step: 20 * time.Millisecond, idle: 50 * time.Millisecond,
		played: []sandbox.Dialect{played.Dialect(played.Config{})},
	})
	c := w.client(t, lending)
	consent := w.createConsent(t, c, played.ID)
	location := must(w.skarvholm().Approve(consent.GetProviderReference()))(t)
	w.follow(t, location)
	eventually(t, "the data, without anybody asking", func() bool {
		got := must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t)
		return got.GetDataStage() == consentv1.DataStage_READY
	})
	reads := func() (n int) {
		for _, call := range w.core(played.ID).Calls.Of(played.OpGetConsent) {
			if call.Header.Get("PSU-IP-Address") == "" {
				n++
			}
		}
		return n
	}
	// Other consents come and go meanwhile, so that the follower is at work.
	before := reads()
	for range 20 {
		w.follow(t, location)
		w.authorized(t, c, worldtest.Others(played.ID)[0])
	}
	if more := reads() - before; more > 4 {
		t.Errorf("the consent was read %d times without its customer", more)
	}
	for _, call := range w.core(played.ID).Calls.Of(played.OpGetConsent) {
		if call.Status == 429 {
			t.Error("Skarvholm had to refuse a read")
		}
	}
}
