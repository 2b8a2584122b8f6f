package finoos

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// How a session of the Banking UI can end.
const (
	OutcomeSuccess = "success" // to redirectURL, with the bank login connected or renewed
	OutcomeError   = "error"   // to errorURL
	OutcomeExit    = "exit"    // to exitURL
)

// The errors of the controls.
var (
	ErrNoUser    = errors.New("no such user")
	ErrNoSession = errors.New("the user has no open session of the Banking UI")
	ErrControl   = errors.New("unknown value")
)

// User is what the sandbox knows of a user.
type User struct {
	ID      string
	Company bool
	Scopes  []string
	Created time.Time
	Deleted bool
	Logins  []string // ids
}

// Users returns all users in order of creation, deleted ones too.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]User, len(s.users))
	for i, u := range s.users {
		all[i] = User{
			ID: u.id, Company: u.company, Scopes: slices.Clone(u.scopes), Created: u.created,
			Deleted: !u.deleted.IsZero(),
		}
		for _, l := range u.logins {
			all[i].Logins = append(all[i].Logins, l.ID)
		}
	}
	return all
}

// AddUser makes a user beside the API, as one that a gateway made and lost: age ago. It returns the user's id.
func (s *Server) AddUser(age time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.core.Clock.Now().Add(-age)
	u := &user{id: s.id("user"), scopes: []string{"banking"}, created: made, modified: made, recurring: true}
	s.users = append(s.users, u)
	return u.id
}

// CompleteLogin ends the user's newest open session as if every page of it had been gone through, at fino Bank, and
// returns where the browser is sent.
func (s *Server) CompleteLogin(userID string) (location string, err error) {
	return s.endSession(userID, OutcomeSuccess)
}

// FailLogin ends the user's newest open session by an error and returns where the browser is sent.
func (s *Server) FailLogin(userID string) (location string, err error) {
	return s.endSession(userID, OutcomeError)
}

// CancelLogin ends the user's newest open session by cancelling and returns where the browser is sent.
func (s *Server) CancelLogin(userID string) (location string, err error) {
	return s.endSession(userID, OutcomeExit)
}

func (s *Server) endSession(userID, outcome string) (location string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.openSessionOf(userID)
	if v == nil {
		return "", ErrNoSession
	}
	v.checkLogin()
	switch {
	case outcome == OutcomeSuccess && v.step != stepProblem:
		return s.finish(v), nil
	case outcome == OutcomeSuccess, outcome == OutcomeError:
		return v.leave(v.urls.ErrorURL), nil
	case outcome == OutcomeExit:
		return v.leave(v.urls.ExitURL), nil
	}
	return "", ErrControl
}

// ExpireLogins ends the strong customer authentication of a user's logins, or with "" of everybody's, before its time.
func (s *Server) ExpireLogins(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.core.Clock.Now()
	for _, u := range s.users {
		if userID != "" && u.id != userID {
			continue
		}
		for _, l := range u.logins {
			if l.active(now) {
				l.lapse(now)
			}
		}
	}
}

// SetPerson decides whose accounts the user's next bank login shows, dressed for the German market. Without it the
// user's id decides.
func (s *Server) SetPerson(userID string, person sandbox.Person) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(userID)
	if u == nil {
		return ErrNoUser
	}
	dressed := s.core.Population.Dress(person, sandbox.Germany)
	u.person = &dressed
	return nil
}

// SetVersion changes the account's API version.
func (s *Server) SetVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
}

// handleControls serves the core's controls and this dialect's; the package documentation lists them.
func (s *Server) handleControls() {
	s.core.HandleControls(s.mux)
	s.core.HandleControl(s.mux, "POST /_sandbox/sessions:end", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ UserID, Outcome string }
		if !sandbox.ReadControl(w, r, &in) {
			return
		}
		location, err := s.endSession(in.UserID, in.Outcome)
		answerControl(w, map[string]string{"location": location}, err)
	})
	s.core.HandleControl(s.mux, "POST /_sandbox/logins:expire", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ UserID string }
		if !sandbox.ReadControl(w, r, &in) {
			return
		}
		s.ExpireLogins(in.UserID)
		answerControl(w, nil, nil)
	})
	s.core.HandleControl(s.mux, "POST /_sandbox/users:person", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ UserID, NationalID, CompanyID string }
		if !sandbox.ReadControl(w, r, &in) {
			return
		}
		person := s.core.Population.ByNationalID(in.NationalID)
		if in.CompanyID != "" {
			person = s.core.Population.ByCompanyID(in.CompanyID)
		}
		answerControl(w, nil, s.SetPerson(in.UserID, person))
	})
	s.core.HandleControl(s.mux, "POST /_sandbox/callbacks", func(w http.ResponseWriter, r *http.Request) {
		in := Callbacks{Mode: CallbacksOnce}
		if !sandbox.ReadControl(w, r, &in) {
			return
		}
		if !slices.Contains([]string{CallbacksOnce, CallbacksNever, CallbacksTwice, CallbacksReorder}, in.Mode) {
			answerControl(w, nil, ErrControl)
			return
		}
		s.SetCallbacks(in)
		answerControl(w, nil, nil)
	})
	s.core.HandleControl(s.mux, "GET /_sandbox/shipments", func(w http.ResponseWriter, _ *http.Request) {
		answerControl(w, map[string]any{"shipments": s.Shipments()}, nil)
	})
	s.core.HandleControl(s.mux, "POST /_sandbox/version", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Version string }
		if !sandbox.ReadControl(w, r, &in) {
			return
		}
		s.SetVersion(in.Version)
		answerControl(w, nil, nil)
	})
}

// answerControl writes 204 for nothing to say, and a refusal for an error.
func answerControl(w http.ResponseWriter, body any, err error) {
	switch {
	case errors.Is(err, ErrControl):
		sandbox.WriteControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	case err != nil:
		sandbox.WriteControl(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	case body == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		sandbox.WriteControl(w, http.StatusOK, body)
	}
}
