package played

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func cut(pattern string) (method, path string, ok bool) { return strings.Cut(pattern, " ") }

func withBody(r *http.Request, body []byte) *http.Request {
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

// form reads a form strictly: one with the fields that are expected, each once, and no others.
func form(r *http.Request, fields ...string) (map[string]string, bool) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, false
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	values, err := url.ParseQuery(string(text))
	if err != nil || len(values) != len(fields) {
		return nil, false
	}
	found := map[string]string{}
	for _, field := range fields {
		if len(values[field]) != 1 {
			return nil, false
		}
		found[field] = values.Get(field)
	}
	return found, true
}

func oauthError(status int, code string) reply { return reply{status, oauthErrorWire{Error: code}} }

func (s *Server) login(r *http.Request) reply {
	f, ok := form(r, "grant_type", "client_id", "client_secret")
	if !ok || f["grant_type"] != "client_credentials" {
		return oauthError(http.StatusBadRequest, "invalid_request")
	}
	if f["client_id"] != ClientID || f["client_secret"] != ClientSecret {
		return oauthError(http.StatusUnauthorized, "invalid_client")
	}
	token := "login-" + s.core.Rand.Hex(40)
	s.logins[token] = s.now().Add(loginTTL)
	return reply{http.StatusOK, tokenWire{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(loginTTL.Seconds())}}
}

// consentToken exchanges a code, once, or refreshes. A refresh token stays the same.
func (s *Server) consentToken(r *http.Request) reply {
	var c *consent
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request")
	}
	answer := tokenWire{
		AccessToken: "access-" + s.core.Rand.Hex(40), TokenType: "Bearer", ExpiresIn: int(TokenTTL.Seconds()),
	}
	if f, ok := form(withBody(r, body), "grant_type", "code"); ok && f["grant_type"] == "authorization_code" {
		if c = s.codes[f["code"]]; c != nil {
			c.exchanged = true
		}
		delete(s.codes, f["code"])
		answer.RefreshToken = "refresh-" + s.core.Rand.Hex(40)
	} else if f, ok = form(withBody(r, body), "grant_type", "refresh_token"); ok && f["grant_type"] == "refresh_token" {
		c = s.refresh[f["refresh_token"]]
	} else {
		return oauthError(http.StatusBadRequest, "invalid_request")
	}
	if c == nil || c.statusAt(s.now()) != statusValid {
		return oauthError(http.StatusBadRequest, "invalid_grant")
	}
	s.tokens[answer.AccessToken] = &token{consent: c, expires: s.now().Add(TokenTTL)}
	if answer.RefreshToken != "" {
		s.refresh[answer.RefreshToken] = c
	}
	return reply{http.StatusOK, answer}
}
