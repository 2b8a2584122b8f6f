package finoos

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"
)

func (s *Server) authenticate(r *http.Request, _ *user) (any, *apiError) {
	var c credentials
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	if c.Name != s.cfg.Name || c.Secret != s.cfg.Secret {
		return nil, unauthorized()
	}
	return s.issueTokens(), nil
}

// refreshTokens exchanges a refresh token, which is used up by that.
func (s *Server) refreshTokens(r *http.Request, _ *user) (any, *apiError) {
	var c refreshRequest
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	expires, known := s.refresh[c.RefreshToken]
	if c.Name != s.cfg.Name || c.Secret != s.cfg.Secret || !known || !s.core.Clock.Now().Before(expires) {
		return nil, unauthorized()
	}
	delete(s.refresh, c.RefreshToken)
	return s.issueTokens(), nil
}

func (s *Server) issueTokens() tokenPair {
	now := s.core.Clock.Now()
	over := func(_ string, expires time.Time) bool { return !now.Before(expires) }
	maps.DeleteFunc(s.access, over)
	maps.DeleteFunc(s.refresh, over)
	pair := tokenPair{
		AccessToken:      s.token("access", now.Add(AccessTTL)),
		ExpiresIn:        int64(AccessTTL / time.Second),
		RefreshToken:     s.token("refresh", now.Add(RefreshTTL)),
		RefreshExpiresIn: int64(RefreshTTL / time.Second),
	}
	s.access[pair.AccessToken] = now.Add(AccessTTL)
	s.refresh[pair.RefreshToken] = now.Add(RefreshTTL)
	return pair
}

// token looks like a JSON web token and is as long as the real ones, about 2 kB. Nothing in it is signed: it is looked
// up, as an opaque string.
func (s *Server) token(kind string, expires time.Time) string {
	id := s.uuid(kind + " token")
	claims, err := json.Marshal(map[string]any{
		"jti": id,
		"typ": kind,
		"exp": expires.Unix(),
		"ctx": strings.Repeat(s.hash(id, "context"), 20),
	})
	if err != nil {
		panic(err) // strings and a number
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims) + "." +
		encode([]byte(strings.Repeat(s.hash(id, "signature"), 4)))
}

// authorized looks the Authorization header up as it stands: finoOS wants the bare token, so a scheme in front of it
// makes it an unknown one.
func (s *Server) authorized(header string) bool {
	expires, known := s.access[header]
	return known && s.core.Clock.Now().Before(expires)
}

// ExpireTokens makes all access and refresh tokens invalid that were issued so far.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
	clear(s.refresh)
}
