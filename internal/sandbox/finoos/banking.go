package finoos

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// scaLife is how long a strong customer authentication lasts: PSD2's 90 days at the time of the documentation.
const scaLife = 90 * 24 * time.Hour

// login is a bank login of a user. Its wire part is never changed in place, so that answers can be written while the
// server goes on.
type login struct {
	bankLogin
	external     bool      // set through the API and not by the Banking UI: never synchronized
	recurring    bool      // else it is connected once, and synchronized never again by itself
	lapsed       bool      // a control ended the authentication before its time
	authorized   time.Time // the last strong customer authentication
	synchronized time.Time // the last synchronization that somebody asked for
	syncs        int       // how many of them
}

func (l *login) active(now time.Time) bool {
	return !l.external && l.recurring && !l.lapsed && now.Before(l.authorized.Add(scaLife))
}

// lastSynchronization counts the synchronizations in the background too: one a day while the login is active.
func (l *login) lastSynchronization(now time.Time) time.Time {
	if !l.recurring || l.lapsed {
		return l.synchronized
	}
	if end := l.authorized.Add(scaLife); now.After(end) {
		now = end
	}
	return l.synchronized.Add(now.Sub(l.synchronized).Truncate(24 * time.Hour))
}

// lapse ends the authentication now.
func (l *login) lapse(now time.Time) {
	l.synchronized = l.lastSynchronization(now)
	l.lapsed = true
}

func (u *user) login(id string) *login {
	at := slices.IndexFunc(u.logins, func(l *login) bool { return l.ID == id })
	if at < 0 {
		return nil
	}
	return u.logins[at]
}

// connect opens a session of the Banking UI and thereby connects the user to the Banking service.
func (s *Server) connect(r *http.Request, u *user) (any, *apiError) {
	var body connectRequest
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	u.connected = true
	u.recurring = body.Recurring == nil || *body.Recurring
	urls := sessionURLs{RedirectURL: body.RedirectURL, ErrorURL: body.ErrorURL, ExitURL: body.ExitURL}
	return s.openSession(r, &session{kind: kindConnect, step: stepBank, user: u, urls: urls}), nil
}

var errExternal = conflict("the bank login was set through the API")

// disconnect deletes all banking data and keeps the user.
func (s *Server) disconnect(_ *http.Request, u *user) (any, *apiError) {
	if !u.connected {
		return nil, notFound()
	}
	s.dropBanking(u)
	return nil, nil
}

// dropBanking forgets a user's logins and sessions.
func (s *Server) dropBanking(u *user) {
	u.connected, u.logins = false, nil
	for id, session := range s.sessions {
		if session.user == u {
			delete(s.sessions, id)
		}
	}
}

func (s *Server) getLogins(r *http.Request, u *user) (any, *apiError) {
	include, err := queryFlag(r, "includeTransactions")
	if err != nil {
		return nil, err
	}
	answer := loginsAnswer{Logins: make([]bankLogin, 0, len(u.logins))}
	for _, l := range u.logins {
		wire := l.bankLogin
		if !include {
			wire.Accounts = slices.Clone(wire.Accounts)
			for i := range wire.Accounts {
				wire.Accounts[i].Transactions = []transaction{}
			}
		}
		answer.Logins = append(answer.Logins, wire)
	}
	return answer, nil
}

func (s *Server) deleteLogin(r *http.Request, u *user) (any, *apiError) {
	l := u.login(r.PathValue("loginID"))
	if l == nil {
		return nil, notFound()
	}
	u.remove(l)
	return nil, nil
}

func (u *user) remove(l *login) {
	u.logins = slices.DeleteFunc(u.logins, func(other *login) bool { return other == l })
}

// synchronizationStatus lists the logins that the Banking UI connected; those set through the API are synchronized by
// nobody.
func (s *Server) synchronizationStatus(_ *http.Request, u *user) (any, *apiError) {
	now := s.core.Clock.Now()
	answer := statusAnswer{LoginsStatuses: []loginStatus{}}
	for _, l := range u.logins {
		if !l.external {
			answer.LoginsStatuses = append(answer.LoginsStatuses, loginStatus{
				Active:              l.active(now),
				ID:                  l.ID,
				LastSynchronization: timestampOf(l.lastSynchronization(now)),
			})
		}
	}
	return answer, nil
}

// bankingOverview opens a session in which the user manages bank logins.
func (s *Server) bankingOverview(r *http.Request, u *user) (any, *apiError) {
	add, err := queryFlag(r, "addBankLogin")
	if err != nil {
		return nil, err
	}
	var urls sessionURLs
	if err := decode(r, &urls); err != nil {
		return nil, err
	}
	u.connected = true
	step := stepOverview
	if add {
		step = stepBank
	}
	return s.openSession(r, &session{kind: kindOverview, step: step, start: step, user: u, urls: urls}), nil
}

// synchronize fetches new data at once, or opens a session when the user must authenticate again for that.
func (s *Server) synchronize(r *http.Request, u *user) (any, *apiError) {
	var body synchronizeRequest
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	l := u.login(body.BankLoginID)
	switch {
	case l == nil:
		return nil, notFound()
	case l.external:
		return nil, errExternal
	case l.active(s.core.Clock.Now()):
		s.fetch(u, l)
		return nil, nil
	}
	urls := sessionURLs{RedirectURL: body.RedirectURL, ErrorURL: body.ErrorURL, ExitURL: body.ExitURL}
	return s.openSession(r, &session{kind: kindSync, step: stepLogin, user: u, urls: urls, login: l}), nil
}

// attach connects a bank login whose authentication the Banking UI has just seen.
func (s *Server) attach(u *user, wire bankLogin) {
	now := s.core.Clock.Now()
	u.attached++
	u.logins = append(u.logins, &login{bankLogin: wire, recurring: u.recurring, authorized: now, synchronized: now})
}

// renew makes a login active again, after a new authentication, and fetches.
func (s *Server) renew(u *user, l *login) {
	l.authorized, l.lapsed = s.core.Clock.Now(), false
	s.fetch(u, l)
}

// fetch brings new transactions: what was pending on a day that is over is booked, and the first account sees a few
// movements of today, like those it had before.
func (s *Server) fetch(u *user, l *login) {
	now := s.core.Clock.Now()
	l.syncs++
	l.synchronized = now
	l.Accounts = slices.Clone(l.Accounts)
	for i := range l.Accounts {
		l.Accounts[i] = settle(l.Accounts[i], now)
	}
	if len(l.Accounts) > 0 {
		seed := s.hash("fetched", u.id, l.ID, strconv.Itoa(l.syncs))
		l.Accounts[0] = grow(l.Accounts[0], now, seed)
	}
}
