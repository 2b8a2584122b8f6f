package finoos

import "net/http"

// bankPage is what the templates see. Templates have the Path to post to and never more of a session than they show.
type bankPage struct {
	Path     string // of the session; forms post to Path/<action>
	Notice   string
	Query    string // what banks were searched for
	Bank     string // name of the chosen bank
	Banks    []bankChoice
	Accounts []accountChoice
	Logins   []loginChoice
	Login    string // the test login and PIN, shown as a hint
	PIN      string
	TAN      string
	Reason   string
	OneOff   bool
	Again    bool // the user authenticates again for a login that is connected
	Manage   bool // an overview follows
}

type bankChoice struct{ Name, Code string }

type accountChoice struct{ Name, Owner, IBAN string }

type loginChoice struct {
	ID       string
	Bank     string
	Accounts int
	Active   bool
}

// showPage renders the page that a session is at.
func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	v := s.session(r.PathValue("session"))
	if v == nil {
		s.mu.Unlock()
		s.pages.Render(w, http.StatusGone, "gone", bankPage{})
		return
	}
	v.checkLogin()
	name, page := string(v.step), s.page(v, r)
	v.notice = ""
	s.mu.Unlock()
	s.pages.Render(w, http.StatusOK, name, page)
}

func (s *Server) page(v *session, r *http.Request) bankPage {
	page := bankPage{
		Path:   "/ui/" + v.id,
		Notice: v.notice,
		Reason: v.reason,
		Login:  finoBankLogin,
		PIN:    finoBankPIN,
		TAN:    v.tan,
		OneOff: !v.user.recurring,
		Again:  v.login != nil,
		Manage: v.start == stepOverview,
	}
	if v.bank != nil {
		page.Bank = v.bank.name
	}
	switch v.step {
	case stepBank:
		page.Query = r.URL.Query().Get("q")
		page.Banks = s.findBanks(page.Query)
	case stepAccounts:
		for _, a := range v.pending.Accounts {
			page.Accounts = append(page.Accounts, accountChoice{Name: a.Name, Owner: a.Owner, IBAN: a.IBAN})
		}
	case stepOverview:
		now := s.core.Clock.Now()
		for _, l := range v.user.logins {
			page.Logins = append(page.Logins,
				loginChoice{ID: l.ID, Bank: l.Bank.Name, Accounts: len(l.Accounts), Active: l.active(now)})
		}
	}
	return page
}

// submitPage takes a form. Whatever it leads to is shown by a redirect, so that reloading a page repeats nothing; a
// form that does not belong to the step the session is at changes nothing.
func (s *Server) submitPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	v := s.session(r.PathValue("session"))
	if v == nil {
		s.mu.Unlock()
		s.pages.Render(w, http.StatusGone, "gone", bankPage{})
		return
	}
	location := s.act(v, r)
	s.mu.Unlock()
	if location == "" {
		location = "/ui/" + v.id
	}
	http.Redirect(w, r, location, http.StatusSeeOther)
}

// act does what a form asks for and returns where the browser leaves to, "" to stay.
func (s *Server) act(v *session, r *http.Request) (leaveTo string) {
	action := r.PathValue("action")
	if action == "cancel" {
		return v.leave(v.urls.ExitURL)
	}
	v.checkLogin()
	switch (form{v.step, action}) {
	case form{stepOverview, "add"}:
		v.goTo(stepBank)
	case form{stepOverview, "remove"}:
		if l := v.user.login(r.PostFormValue("login")); l != nil {
			v.user.remove(l)
		}
	case form{stepOverview, "finish"}, form{stepSuccess, "finish"}:
		return v.leave(v.urls.RedirectURL)
	case form{stepSuccess, "overview"}, form{stepBank, "overview"}:
		if v.start == stepOverview {
			v.goTo(stepOverview)
		}
	case form{stepLogin, "back"}, form{stepProblem, "back"}:
		if v.kind != kindSync {
			v.goTo(stepBank)
		}
	case form{stepProblem, "leave"}:
		return v.leave(v.urls.ErrorURL)
	case form{stepBank, "bank"}:
		v.bank = s.bankByCode(r.PostFormValue("bank"))
		if v.bank == nil {
			v.notice = "Please choose a bank."
			return ""
		}
		v.pass(stepBank, stepLogin)
	case form{stepLogin, "login"}:
		return s.tryCredentials(v, r.PostFormValue("login"), r.PostFormValue("pin"))
	case form{stepTAN, "tan"}:
		return s.tryTAN(v, r.PostFormValue("tan"))
	case form{stepAccounts, "confirm"}:
		s.complete(v)
	}
	return ""
}

// form is what was submitted, and where.
type form struct {
	step   step
	action string
}

// pass goes on to the next step unless the bank fails at this one.
func (v *session) pass(at, next step) {
	if v.bank.fails == at {
		v.reason = v.bank.reason
		next = stepProblem
	}
	v.goTo(next)
}

func (s *Server) tryCredentials(v *session, login, pin string) (leaveTo string) {
	if v.bank.fails != stepLogin && (login != finoBankLogin || pin != finoBankPIN) {
		return v.wrong("The bank does not know this login and PIN.")
	}
	v.tan = decimals(s.next("TAN"), 6)
	v.pass(stepLogin, stepTAN)
	return ""
}

func (s *Server) tryTAN(v *session, tan string) (leaveTo string) {
	if tan != v.tan {
		return v.wrong("The TAN is wrong.")
	}
	v.pass(stepTAN, stepAccounts)
	if v.step != stepAccounts {
		return ""
	}
	if v.kind == kindSync {
		s.complete(v)
	} else {
		v.pending = s.dress(v.user, *v.bank)
	}
	return ""
}

// wrong counts a failed try and gives up after the last.
func (v *session) wrong(notice string) (leaveTo string) {
	v.tries++
	if v.tries == maxTries {
		return v.leave(v.urls.ErrorURL)
	}
	v.notice = notice
	return ""
}
