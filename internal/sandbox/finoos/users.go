package finoos

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// The scopes. All but bankingExternal stand in the documentation's list; companies and contracts have no operation.
const (
	scopeBanking                = "banking"
	scopeBankingExternal        = "bankingExternal"
	scopeCompaniesLogo          = "companiesLogo"
	scopeDocumentShipment       = "documentShipment"
	scopePaymentPartnerAnalysis = "paymentPartnerAnalysis"
)

var knownScopes = []string{
	scopeBanking, "companies", scopeCompaniesLogo, "contracts", scopeDocumentShipment, scopePaymentPartnerAnalysis,
	scopeBankingExternal,
}

const maxPerPage = 50

type user struct {
	id        string
	company   bool
	scopes    []string
	created   time.Time
	modified  time.Time
	deleted   time.Time       // zero while the user exists
	person    *sandbox.Person // whose accounts are behind this user; nil for the one that the id decides
	connected bool            // to the Banking service
	recurring bool            // how the user was last connected
	logins    []*login
	attached  int // how many logins were ever attached, so that each has its own ids
}

// user finds a user that was not deleted.
func (s *Server) user(id string) *user {
	for _, u := range s.users {
		if u.id == id && u.deleted.IsZero() {
			return u
		}
	}
	return nil
}

func (s *Server) listUsers(r *http.Request, _ *user) (any, *apiError) {
	query := r.URL.Query()
	page, err := strconv.Atoi(query.Get("page"))
	if err != nil || page < 0 {
		return nil, badRequest("page must be an integer from 0")
	}
	perPage, err := strconv.Atoi(query.Get("perPage"))
	if err != nil || perPage < 1 || perPage > maxPerPage {
		return nil, badRequest("perPage must be an integer from 1 to 50")
	}
	list := userList{Users: []userEntry{}}
	if page > len(s.users)/perPage {
		return list, nil
	}
	from := page * perPage
	for _, u := range s.users[from:min(from+perPage, len(s.users))] {
		entry := userEntry{
			CreatedAt:  u.created.Format(time.RFC3339),
			ModifiedAt: u.modified.Format(time.RFC3339),
			ID:         u.id,
			Scopes:     strings.Join(u.scopes, ","),
			Deleted:    !u.deleted.IsZero(),
		}
		if entry.Deleted {
			entry.DeletedAt = u.deleted.Format(time.RFC3339)
		}
		list.Users = append(list.Users, entry)
	}
	return list, nil
}

func (s *Server) createUser(r *http.Request, _ *user) (any, *apiError) {
	var body newUser
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	switch body.Type {
	case "", "person", "company":
	default:
		return nil, badRequest("type must be person or company")
	}
	scopes := slices.Clone(s.cfg.Scopes)
	if body.Scopes != nil {
		scopes = nil
		for _, scope := range *body.Scopes {
			if err := s.grantable(scope); err != nil {
				return nil, err
			}
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	now := s.core.Clock.Now()
	u := &user{
		id: s.id("user"), company: body.Type == "company", scopes: scopes, created: now, modified: now, recurring: true,
	}
	s.users = append(s.users, u)
	return created{ID: u.id}, nil
}

// grantable reports why a scope cannot be given to a user: there is none of that name, or the account lacks it.
func (s *Server) grantable(scope string) *apiError {
	switch {
	case !slices.Contains(knownScopes, scope):
		return badRequest("unknown scope")
	case !slices.Contains(s.cfg.Scopes, scope):
		return forbidden()
	}
	return nil
}

func (s *Server) deleteUser(_ *http.Request, u *user) (any, *apiError) {
	s.dropBanking(u)
	u.deleted = s.core.Clock.Now()
	u.modified = u.deleted
	return nil, nil
}

func (s *Server) addScope(r *http.Request, u *user) (any, *apiError) {
	var body scopeName
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if err := s.grantable(body.Name); err != nil {
		return nil, err
	}
	if slices.Contains(u.scopes, body.Name) {
		return nil, conflict("the user has this scope")
	}
	u.scopes = append(u.scopes, body.Name)
	u.modified = s.core.Clock.Now()
	return nil, nil
}

func (s *Server) removeScope(r *http.Request, u *user) (any, *apiError) {
	at := slices.Index(u.scopes, r.PathValue("name"))
	if at < 0 {
		return nil, notFound()
	}
	u.scopes = slices.Delete(u.scopes, at, at+1)
	u.modified = s.core.Clock.Now()
	return nil, nil
}
