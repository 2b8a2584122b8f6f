package finoos_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// The journeys through the Banking UI, each with nothing but the forms on its pages.

func (b *browser) choose(code string) { b.t.Helper(); b.submit("bank-" + code) }

func (b *browser) signInAtBank() {
	b.t.Helper()
	b.submit("login-submit", "login", "dummy", "pin", "654321")
}

func (b *browser) confirmTAN() {
	b.t.Helper()
	b.submit("tan-submit", "tan", b.tan())
}

func TestConnectingABank(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	b := h.browse(h.connect(userID))
	b.shows("Choose your bank")
	for _, bank := range h.core.Population.Banks(sandbox.Germany) {
		b.says(bank.Name)
	}
	b.submit("search-submit", "q", "fino")
	b.says("fino Bank")
	if strings.Contains(string(b.page.body), "Weserbank") {
		t.Error("the search does not narrow")
	}
	b.submit("search-submit", "q", "10020000")
	b.choose("10020000")
	b.shows("Sign in at fino Bank")
	b.signInAtBank()
	b.shows("Confirm with a TAN")
	if len(h.logins(userID)) != 0 {
		t.Error("a login is connected before the TAN")
	}
	b.confirmTAN()
	b.shows("Share these accounts")
	b.says(h.core.Population.ForUser(sandbox.Germany, userID, false).Logins[0].Accounts[0].IBAN)
	b.says("90 days")
	if len(h.logins(userID)) != 0 {
		t.Error("a login is connected before the consent")
	}
	b.submit("confirm")
	b.shows("Your bank is connected")
	if n := len(h.logins(userID)); n != 1 {
		t.Fatalf("%d logins", n)
	}
	page := b.page
	b.submit("finish")
	b.sentTo(redirectURL + "&userID=" + userID)

	b.page = page
	b.submit("finish") // pressed again
	if b.page.status != http.StatusGone {
		t.Errorf("a session serves twice: status %d", b.page.status)
	}
	if n := len(h.logins(userID)); n != 1 {
		t.Errorf("%d logins after a second try", n)
	}
}

func TestConsentNamesAOneOff(t *testing.T) {
	h := setup(t, finoos.Config{})
	b := h.browse(h.connect(h.user("person"), "recurring", false))
	b.choose("10020000")
	b.signInAtBank()
	b.confirmTAN()
	b.says("read once")
}

// Every page up to the consent can be cancelled.
func TestCancelling(t *testing.T) {
	steps := []func(*browser){
		func(b *browser) { b.choose("10020000") },
		(*browser).signInAtBank,
		(*browser).confirmTAN,
	}
	h := setup(t, finoos.Config{})
	for n := range len(steps) + 1 {
		userID := h.user("person")
		b := h.browse(h.connect(userID))
		for _, step := range steps[:n] {
			step(b)
		}
		b.submit("cancel")
		b.sentTo(exitURL + "?userID=" + userID)
		if len(h.logins(userID)) != 0 {
			t.Errorf("cancelled after %d steps, and connected", n)
		}
	}
	failing := h.user("person")
	b := h.browse(h.connect(failing))
	b.choose("20190033")
	b.submit("cancel")
	b.sentTo(exitURL + "?userID=" + failing)
}

func TestWrongCredentials(t *testing.T) {
	h := setup(t, finoos.Config{})
	for _, wrong := range [][2]string{{"dummy", "000000"}, {"nobody", "654321"}, {"", ""}} {
		userID := h.user("person")
		b := h.browse(h.connect(userID))
		b.choose("10020000")
		for range 2 {
			b.submit("login-submit", "login", wrong[0], "pin", wrong[1])
			b.shows("Sign in at fino Bank")
			b.says(`role="alert"`)
		}
		b.submit("login-submit", "login", wrong[0], "pin", wrong[1])
		b.sentTo(errorURL + "?userID=" + userID)
		if len(h.logins(userID)) != 0 {
			t.Error("connected with wrong credentials")
		}
	}
	b := h.browse(h.connect(h.user("person")))
	b.choose("10020000")
	b.submit("login-submit", "login", "dummy", "pin", "1")
	b.signInAtBank() // right at last
	b.shows("Confirm with a TAN")
	if strings.Contains(string(b.page.body), `role="alert"`) {
		t.Error("the error outlives the page it was for")
	}
}

func TestWrongTAN(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	b := h.browse(h.connect(userID))
	b.choose("10020000")
	b.submit("login-submit", "login", "dummy", "pin", "1")
	b.signInAtBank()
	for range 2 { // the failed login does not count here
		b.submit("tan-submit", "tan", "x"+b.tan())
		b.shows("Confirm with a TAN")
		b.says("The TAN is wrong.")
	}
	b.submit("tan-submit", "tan", "")
	b.sentTo(errorURL + "?userID=" + userID)
}

func TestBanksThatFail(t *testing.T) {
	h := setup(t, finoos.Config{})
	for code, steps := range map[string][]func(*browser){
		"20190033": nil,
		"29050077": nil,
		"20050099": {(*browser).signInAtBank},
		"23050088": {(*browser).signInAtBank, (*browser).confirmTAN},
	} {
		userID := h.user("person")
		b := h.browse(h.connect(userID))
		for range 2 {
			b.choose(code)
			for _, step := range steps {
				step(b)
			}
			b.shows("Your bank reports an error")
			b.submit("back")
			b.shows("Choose your bank")
		}
		b.choose(code)
		for _, step := range steps {
			step(b)
		}
		b.submit("leave")
		b.sentTo(errorURL + "?userID=" + userID)
		if len(h.logins(userID)) != 0 {
			t.Errorf("bank %s fails, and is connected", code)
		}
	}
}

func TestAnotherBankCanBeChosen(t *testing.T) {
	h := setup(t, finoos.Config{})
	b := h.browse(h.connect(h.user("person")))
	b.choose("10020000")
	b.submit("back")
	b.shows("Choose your bank")
	b.submit("search-submit", "q", "nowhere")
	b.says("No bank was found")
	b.post(strings.TrimPrefix(b.at, b.url)[:len("/ui/")+40]+"/bank", url.Values{"bank": {"00000000"}})
	b.says("Please choose a bank.")
}

// Forms that do not belong to the page a session is at change nothing.
func TestFormsOutOfOrder(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	page := h.connect(userID)
	b := h.browse(page)
	path := strings.TrimPrefix(page, h.url)
	for _, action := range []string{
		"login", "tan", "confirm", "finish", "leave", "add", "remove", "overview", "back", "nonsense",
	} {
		b.post(path+"/"+action, url.Values{"login": {"dummy"}, "pin": {"654321"}, "tan": {""}})
		b.shows("Choose your bank")
	}
	if len(h.logins(userID)) != 0 {
		t.Error("a bank was connected")
	}
}

func TestSessionsExpire(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	page := h.connect(userID)
	b := h.browse(page)
	h.clock.Advance(30*time.Minute - time.Second)
	b.open(page)
	b.shows("Choose your bank")
	h.clock.Advance(time.Second)
	b.submit("bank-10020000")
	if b.page.status != http.StatusGone {
		t.Errorf("a form of an expired session: status %d", b.page.status)
	}
	b.open(page)
	b.says("can no longer be used")
	if b.page.status != http.StatusGone {
		t.Errorf("the page of an expired session: status %d", b.page.status)
	}
	if _, err := h.fino.CompleteLogin(userID); !errors.Is(err, finoos.ErrNoSession) {
		t.Errorf("completing an expired session: %v", err)
	}
}

func TestOverview(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	first := h.logins(userID)[0].ID
	overview := func(add string) *browser {
		var session link
		h.call("POST", "/users/"+userID+"/banking/overview?addBankLogin="+add, urls()).into(&session)
		return h.browse(session.RedirectURL)
	}
	b := overview("false")
	b.shows("Your connected banks")
	b.says("kept up to date")
	b.submit("add")
	b.submit("overview") // changed their mind
	b.submit("add")
	b.choose("10020000")
	b.signInAtBank()
	b.confirmTAN()
	b.submit("confirm")
	b.submit("overview")
	if n := len(h.logins(userID)); n != 2 {
		t.Fatalf("%d logins after adding one", n)
	}
	b.submit("remove-" + first)
	b.shows("Your connected banks")
	if left := h.logins(userID); len(left) != 1 || left[0].ID == first {
		t.Errorf("left after removal: %d", len(left))
	}
	h.fino.ExpireLogins(userID)
	b.open(b.at)
	b.says("no longer updated")
	b.submit("remove-" + h.logins(userID)[0].ID)
	b.says("No bank is connected.")
	b.submit("finish")
	b.sentTo(redirectURL + "&userID=" + userID)

	b = overview("true")
	b.shows("Choose your bank")
	b.choose("10020000")
	b.signInAtBank()
	b.confirmTAN()
	b.submit("confirm")
	b.submit("finish")
	b.sentTo(redirectURL + "&userID=" + userID)
	if n := len(h.logins(userID)); n != 1 {
		t.Errorf("%d logins", n)
	}

	b = overview("false")
	b.submit("cancel")
	b.sentTo(exitURL + "?userID=" + userID)
}

func TestSynchronizingARemovedLogin(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	loginID := h.logins(userID)[0].ID
	h.fino.ExpireLogins(userID)
	var session link
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", loginID)).into(&session)
	h.call("DELETE", "/users/"+userID+"/banking/logins/"+loginID, nil).done()
	b := h.browse(session.RedirectURL)
	b.shows("Your bank reports an error")
	b.submit("leave")
	b.sentTo(errorURL + "?userID=" + userID)
}

func TestCancellingAndFailingANewAuthentication(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.connected("person")
	loginID := h.logins(userID)[0].ID
	h.fino.ExpireLogins(userID)
	for range 2 {
		var session link
		h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", loginID)).into(&session)
	}
	for _, end := range []struct {
		by   func(string) (string, error)
		want string
	}{{h.fino.FailLogin, errorURL}, {h.fino.CancelLogin, exitURL}} {
		if location, err := end.by(userID); err != nil || location != end.want+"?userID="+userID {
			t.Errorf("sent to %q, %v", location, err)
		}
	}
	if h.statuses(userID)[0].Active {
		t.Error("active without an authentication")
	}
	if _, err := h.fino.FailLogin(userID); !errors.Is(err, finoos.ErrNoSession) {
		t.Errorf("failing no session: %v", err)
	}
}

func TestTheNewestSessionEnds(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	for range 20 {
		h.connect(userID)
	}
	h.connect(userID, "redirectURL", "https://app.example.com/newest")
	if location, err := h.fino.CompleteLogin(userID); err != nil ||
		location != "https://app.example.com/newest?userID="+userID {
		t.Errorf("sent to %q, %v", location, err)
	}
}

// A bank that locks logins does so whatever is typed, and a new authentication knows no other bank.
func TestLockedAndKnownBanks(t *testing.T) {
	h := setup(t, finoos.Config{})
	b := h.browse(h.connect(h.user("person")))
	b.choose("20050099")
	b.submit("login-submit", "login", "me", "pin", "1")
	b.says("locked")

	userID := h.connected("person")
	h.fino.ExpireLogins(userID)
	var session link
	h.call("POST", "/users/"+userID+"/banking/synchronize", urls("bankLoginId", h.logins(userID)[0].ID)).into(&session)
	b = h.browse(session.RedirectURL)
	b.post(strings.TrimPrefix(session.RedirectURL, h.url)+"/back", nil)
	b.shows("Sign in at fino Bank")
}

func TestSessionsEndByControl(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID := h.user("person")
	for outcome, want := range map[string]string{
		"success": redirectURL + "&", "error": errorURL + "?", "exit": exitURL + "?",
	} {
		h.connect(userID)
		var got struct{ Location string }
		h.call("POST", "/_sandbox/sessions:end", object{"userID": userID, "outcome": outcome}).into(&got)
		if got.Location != want+"userID="+userID {
			t.Errorf("%s: sent to %q", outcome, got.Location)
		}
	}
	if n := len(h.logins(userID)); n != 1 {
		t.Errorf("%d logins after one success", n)
	}
	h.connect(userID)
	if got := h.call("POST", "/_sandbox/sessions:end",
		object{"userID": userID, "outcome": "maybe"}); got.status != http.StatusBadRequest {
		t.Errorf("an unknown outcome: status %d", got.status)
	}
	if got := h.call("POST", "/_sandbox/sessions:end",
		object{"userID": "nobody", "outcome": "exit"}); got.status != http.StatusNotFound {
		t.Errorf("nobody's session: status %d", got.status)
	}
}

// Pages are recorded as such, say what they are, and can be made to fail.
func TestPagesBelongToTheSandbox(t *testing.T) {
	h := setup(t, finoos.Config{})
	page := h.connect(h.user("person"))
	h.core.Calls.Reset()
	b := h.browse(page)
	b.says("Sandbox")
	if n := h.core.Calls.Count(sandbox.OperationPage); n != 1 {
		t.Errorf("%d pages recorded", n)
	}
	h.core.Faults.Add(sandbox.Fault{Operation: sandbox.OperationPage, Status: 503, Times: 1})
	if b.open(page); b.page.status != 503 {
		t.Errorf("status %d, want the fault's", b.page.status)
	}
}
