package finoos

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// sessionLife is how long a link to the Banking UI can be used. The documentation gives no figure.
const sessionLife = 30 * time.Minute

// maxTries is how often credentials, or a TAN, may be wrong before the bank gives up.
const maxTries = 3

type sessionKind string

const (
	kindConnect  sessionKind = "connect"  // choose a bank and connect it
	kindOverview sessionKind = "overview" // manage the connected logins
	kindSync     sessionKind = "sync"     // authenticate again for one login
)

// step is the page that a session is at. The flow:
//
//	overview <-> bank -> login -> tan -> accounts -> success      connect starts at bank, addBankLogin too
//	                     login -> tan -> success                  sync, whose bank and accounts are known
//	bank, login, tan -> problem -> bank                           the bank answers with an error
//
// Every step can be left: by success and overview to redirectURL, by problem to errorURL, by cancelling to exitURL.
type step string

const (
	stepOverview step = "overview"
	stepBank     step = "bank"
	stepLogin    step = "login"
	stepTAN      step = "tan"
	stepAccounts step = "accounts"
	stepSuccess  step = "success"
	stepProblem  step = "problem"
)

// session is one visit to the Banking UI, opened through the API.
type session struct {
	id      string
	serial  int // counts up
	kind    sessionKind
	user    *user
	urls    sessionURLs
	created time.Time
	left    bool // the browser was sent away; the session cannot be used again

	step    step
	start   step       // where an overview session began
	bank    *uiBank    // chosen
	login   *login     // kindSync: the one to authenticate for
	pending *bankLogin // authenticated, and shown for consent
	tan     string
	tries   int
	notice  string // what went wrong last, shown once
	reason  string // stepProblem: why
}

func (s *Server) openSession(r *http.Request, opened *session) sessionLink {
	opened.id = s.next("session")[:40]
	opened.serial = s.issued["session"]
	opened.created = s.core.Clock.Now()
	if opened.kind == kindSync {
		opened.bank = s.finoBank()
	}
	s.dropOldSessions()
	s.sessions[opened.id] = opened
	return sessionLink{RedirectURL: s.baseURL(r) + "/ui/" + opened.id}
}

// dropOldSessions forgets those that ended long ago, so that a sandbox can run for days.
func (s *Server) dropOldSessions() {
	oldest := s.core.Clock.Now().Add(-24 * time.Hour)
	for id, session := range s.sessions {
		if session.created.Before(oldest) {
			delete(s.sessions, id)
		}
	}
}

// session finds one that can still be used.
func (s *Server) session(id string) *session {
	found := s.sessions[id]
	if found == nil || found.left || !s.core.Clock.Now().Before(found.created.Add(sessionLife)) {
		return nil
	}
	return found
}

// openSessionOf finds the newest usable session of a user.
func (s *Server) openSessionOf(userID string) *session {
	var newest *session
	for id, candidate := range s.sessions {
		if candidate.user.id != userID || s.session(id) == nil {
			continue
		}
		if newest == nil || candidate.serial > newest.serial {
			newest = candidate
		}
	}
	return newest
}

// leave ends a session and says where the browser goes.
func (v *session) leave(destination string) string {
	v.left = true
	return withQuery(destination, "userID="+url.QueryEscape(v.user.id))
}

func (v *session) goTo(next step) {
	v.step, v.tries = next, 0
}

// complete ends the authentication: of a known login, which is synchronized, or of a new one, which is attached.
func (s *Server) complete(v *session) {
	switch {
	case v.login != nil:
		s.renew(v.user, v.login)
	default:
		s.attach(v.user, *v.pending)
		v.pending = nil
	}
	v.goTo(stepSuccess)
}

// finish walks a session to its end as if the user had gone through every page.
func (s *Server) finish(v *session) (location string) {
	if v.step != stepSuccess {
		if v.login == nil && v.pending == nil {
			v.bank = s.finoBank()
			v.pending = s.dress(v.user, *v.bank)
		}
		s.complete(v)
	}
	return v.leave(v.urls.RedirectURL)
}

// checkLogin stops a session whose login was removed meanwhile.
func (v *session) checkLogin() {
	if v.login != nil && !slices.Contains(v.user.logins, v.login) {
		v.goTo(stepProblem)
		v.reason = "The bank login was removed."
	}
}
