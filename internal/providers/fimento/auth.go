package fimento

import (
	"context"
	"strconv"
	"time"

	"kontor.dev/kontor/internal/providers/upstream"
)

// login asks for a token. Fimento has no refreshing: a token that ends is followed by another login.
func (a *adapter) login(ctx context.Context, c *upstream.Client, _ *upstream.Token) (upstream.Token, error) {
	asked := a.clock() // a life counts from before the request, so that none is thought longer than it is
	var token wireToken
	credentials := wireCredentials{Name: a.cfg.Username, Password: a.cfg.Password.Reveal()}
	if _, err := c.Do(ctx, request{Operation: opLogin, Body: credentials, NoAuth: true}, &token); err != nil {
		return upstream.Token{}, err
	}
	// Without a token in it, the client refuses the answer.
	return upstream.Token{Value: string(token.AccessToken), Expires: expiryOf(token.ValidUntil, asked)}, nil
}

// Where the meaning of valid_until changes: above the first it counts milliseconds since 1970, above the second seconds
// since 1970, and below that it is a life in seconds.
const (
	overMilliseconds = 1e12
	overSeconds      = 1e9
	farFuture        = 1e15 // milliseconds; what is beyond could not be converted
)

// expiryOf reads valid_until, whose unit is not documented. What is missing, past, or not to be understood gives the
// zero time: such a token is used once.
func expiryOf(validUntil text, asked time.Time) time.Time {
	var end time.Time
	if n, err := strconv.ParseFloat(string(validUntil), 64); err == nil { //nolint:forbidigo // a time, no amount
		switch {
		case n > overMilliseconds:
			end = time.UnixMilli(int64(min(n, farFuture)))
		case n > overSeconds:
			end = time.Unix(int64(n), 0)
		case n > 0:
			end = asked.Add(time.Duration(n * float64(time.Second)))
		}
	} else if t, ok := parseInstant(string(validUntil)); ok {
		end = t // the prose calls it a timestamp
	}
	if !end.After(asked) {
		return time.Time{}
	}
	return end
}

type wireCredentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

type wireToken struct {
	AccessToken text `json:"access_token"`
	ValidUntil  text `json:"valid_until"`
}
