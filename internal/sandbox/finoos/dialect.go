package finoos

import (
	"cmp"
	"context"

	"kontor.dev/kontor/internal/sandbox"
)

// ID is the id, and the kind, under which a gateway has finoOS.
const ID = "finoos"

// Dialect plays the finoOS that cfg describes. Where cfg has no BaseURL, it is the address that is listened on.
func Dialect(cfg Config) sandbox.Dialect {
	return sandbox.Dialect{
		ID: ID, Name: "finoOS", Addr: "127.0.0.1:8091",
		New: func(core *sandbox.Core, baseURL string) sandbox.Player {
			at := cfg
			at.BaseURL = cmp.Or(cfg.BaseURL, baseURL)
			return New(core, at)
		},
		Secrets: []string{"secret"},
		Account: "name {{.name}}, secret {{.secret}}",
		Tour:    tour,
	}
}

// Settings are the keys of finoOS's block in kontor.yaml.
func (s *Server) Settings() map[string]string {
	return map[string]string{"base_url": s.cfg.BaseURL + BasePath, "name": s.cfg.Name, "secret": s.cfg.Secret}
}

// Close ends the callbacks of shipments, and waits until none is under way, or for ctx.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		s.calling.Wait()
	}()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var tour = sandbox.Tour{
	Consent: []sandbox.Stop{{
		Title: "The same for Germany. Open the link and choose fino Bank (10020000), login dummy, PIN 654321; " +
			"the TAN is on the screen.",
		Lines: `  DE=$(curl -s $K/v1/consents -H "$A" -d '{"consent":{"market":"DE",` +
			`"redirectUris":{"success":"'$K'/docs","error":"'$K'/docs","exit":"'$K'/docs"}}}' | cut -d'"' -f4); echo $DE
  curl -s $K/v1/$DE -H "$A" | grep -o '"uri":"[^"]*"'

   Without a browser, let the played provider finish the pages:

  curl -s {{.URL}}/_sandbox/sessions:end -d '{"userID":"'$(curl -s $K/v1/$DE -H "$A" | ` +
			`grep -o '"providerReference":"[^"]*"' | cut -d'"' -f4)'","outcome":"success"}'; echo
  curl -s "$K/v1/$DE?refresh=true" -H "$A" | grep -o '"status":"[A-Z_]*"' | head -1
`,
	}},
	Data: `  curl -s "$K/v1/$DE/accounts/-/transactions?pageSize=3" -H "$A"; echo
`,
	Insights: sandbox.Stop{
		Title: "derived by Kontor for finoOS",
		Lines: `  curl -s $K/v1/$DE/insights -H "$A" | grep -o '"origin":"[A-Z]*"' | head -1
`,
	},
	More: []sandbox.Stop{{
		Title: "Send a letter, and see it delivered.",
		Lines: `  L=$(curl -s $K/v1/shipments -H "$A" -d '{"shipment":{"channel":"LETTER","recipient":"Torben Mais",` +
			`"subject":"Your loan","address":{"street":"Universitätsplatz","houseNumber":"12","postcode":"34127",` +
			`"city":"Kassel","countryCode":"DE"},"pdf":"JVBERi0xLjQK"}}' | cut -d'"' -f4); echo $L
  sleep 3; curl -s $K/v1/$L -H "$A" | grep -o '"status":"[A-Z_]*"'
`,
	}},
	End: sandbox.Stop{
		Title: "finoOS wants the end user's address for that, as PSD2 has it.",
		Lines: `  curl -s -X DELETE $K/v1/$DE -H "$A" -H 'psu-ip-address: 203.0.113.7'; echo
`,
	},
}
