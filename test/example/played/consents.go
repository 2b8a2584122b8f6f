package played

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// The statuses of consents and of their data.
const (
	statusReceived   = "received"
	statusValid      = "valid"
	statusRejected   = "rejected"
	statusExpired    = "expired"
	statusRevoked    = "revokedByPsu"
	statusTerminated = "terminatedByAspsp"

	dataNone       = "none"
	dataCollecting = "collecting"
	dataComplete   = "complete"
)

// maxDays is how long a consent can be asked for.
const maxDays = 90

type consent struct {
	id, page   string // page is the token in the link
	status     string
	asked      newConsentWire
	replaces   *consent // that it takes the place of when it is approved
	person     sandbox.Person
	login      *sandbox.BankLogin // the bank that the customer chose
	validUntil time.Time
	exchanged  bool      // the code that the approval brought
	looked     bool      // since then
	readyAt    time.Time // when the data is complete, once somebody looked
	reads      map[string]int
	exceeded   bool
}

func (c *consent) statusAt(now time.Time) string {
	if c.status == statusValid && !now.Before(c.validUntil) {
		return statusExpired
	}
	return c.status
}

func (c *consent) dataStatus(now time.Time) string {
	switch {
	case c.status != statusValid:
		return dataNone
	case !c.looked || now.Before(c.readyAt):
		return dataCollecting
	}
	return dataComplete
}

// forConsent finds the consent of the path.
func (s *Server) forConsent(next func(*http.Request, *consent) reply) handler {
	return func(r *http.Request) reply {
		c := s.consents[r.PathValue("consentId")]
		if c == nil {
			return refusal(http.StatusNotFound, "CONSENT_UNKNOWN")
		}
		return next(r, c)
	}
}

func (s *Server) createConsent(r *http.Request) reply { return s.newConsent(r, nil) }

func (s *Server) renewConsent(r *http.Request, c *consent) reply { return s.newConsent(r, c) }

func (s *Server) newConsent(r *http.Request, replaces *consent) reply {
	var asked newConsentWire
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || d.Decode(&asked) != nil ||
		asked.ValidDays < 1 || asked.ValidDays > maxDays {
		return refusal(http.StatusBadRequest, "FORMAT_ERROR")
	}
	if u, err := url.Parse(asked.ReturnURI); err != nil || u.Host == "" {
		return refusal(http.StatusBadRequest, "FORMAT_ERROR")
	}
	c := &consent{
		id: "sk-" + s.core.Rand.Hex(24), page: "page-" + s.core.Rand.Hex(32), status: statusReceived, asked: asked,
		replaces: replaces, reads: map[string]int{},
	}
	if replaces == nil {
		c.person = s.core.Population.ForUser(sandbox.Norway, c.id, false)
	} else {
		c.person = replaces.person
		delete(s.pages, replaces.page)
	}
	s.consents[c.id], s.pages[c.page] = c, c
	made := s.wire(c)
	made.Links = &linksWire{Redirect: hrefWire{s.baseURL(r) + "/page/" + c.page}}
	return reply{http.StatusCreated, made}
}

func (s *Server) wire(c *consent) consentWire {
	w := consentWire{ID: c.id, Status: c.statusAt(s.now()), DataStatus: c.dataStatus(s.now())}
	if !c.validUntil.IsZero() {
		until := c.validUntil.UTC().Format(time.RFC3339Nano)
		w.ValidUntil = &until
	}
	if c.login != nil {
		w.Bank = &bankWire{Name: c.login.Bank.Name, BIC: c.login.Bank.BIC}
	}
	return w
}

func (s *Server) getConsent(r *http.Request, c *consent) reply {
	if c.statusAt(s.now()) == statusValid && s.exceeded(c, OpGetConsent, r) {
		return refusal(http.StatusTooManyRequests, "ACCESS_EXCEEDED")
	}
	answer := reply{http.StatusOK, s.wire(c)}
	if c.exchanged && !c.looked {
		c.looked, c.readyAt = true, s.now().Add(s.core.Step)
	}
	return answer
}

func (s *Server) deleteConsent(_ *http.Request, c *consent) reply {
	c.status = statusTerminated
	delete(s.consents, c.id)
	delete(s.pages, c.page)
	return reply{status: http.StatusNoContent}
}

// What the customer can do on the page.
const (
	approve = "approve"
	deny    = "deny"
	fail    = "fail" // to log in
)

// decide notes what the customer did, and gives where their browser goes next.
func (s *Server) decide(c *consent, decision string, bank int) string {
	delete(s.pages, c.page)
	query := url.Values{"consentId": {c.id}}
	switch decision {
	case approve:
		validFor := time.Duration(c.asked.ValidDays) * 24 * time.Hour
		c.status, c.login, c.validUntil = statusValid, &c.person.Logins[bank], s.now().Add(validFor)
		if c.replaces != nil {
			c.replaces.status = statusTerminated
		}
		code := "code-" + s.core.Rand.Hex(32)
		s.codes[code] = c
		query.Set("code", code)
	case deny:
		c.status = statusRejected
		query.Set("error", "access_denied")
	default:
		query.Set("error", "server_error")
	}
	return withQuery(c.asked.ReturnURI, query)
}

// withQuery adds to the query of an address.
func withQuery(address string, query url.Values) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // it was checked when it came
	}
	all := u.Query()
	for name, values := range query {
		all[name] = values
	}
	u.RawQuery = all.Encode()
	return u.String()
}
