package fimento

import (
	"cmp"

	"kontor.dev/kontor/internal/sandbox"
)

// ID is the id, and the kind, under which a gateway has Fimento.
const ID = "fimento"

// Dialect plays the Fimento that cfg describes. Where cfg has no BaseURL, it is the address that is listened on.
func Dialect(cfg Config) sandbox.Dialect {
	return sandbox.Dialect{
		ID: ID, Name: "Fimento", Addr: "127.0.0.1:8090",
		New: func(core *sandbox.Core, baseURL string) sandbox.Player {
			at := cfg
			at.BaseURL = cmp.Or(cfg.BaseURL, baseURL)
			return New(core, at)
		},
		Secrets: []string{"password"},
		Account: "name {{.username}}, password {{.password}}, partner-bank-id {{.partner_bank}}",
		Tour:    tour,
	}
}

// Settings are the keys of Fimento's block in kontor.yaml.
func (s *Server) Settings() map[string]string {
	return map[string]string{
		"base_url": s.cfg.BaseURL, "username": s.cfg.Name, "password": s.cfg.Password,
		"partner_bank": s.cfg.PartnerBankID, "allow_simulation": "true",
	}
}

var tour = sandbox.Tour{
	Consent: []sandbox.Stop{{
		Title: "Ask somebody in Sweden for consent. The answer holds the link for them.",
		Lines: `  SE=$(curl -s $K/v1/consents -H "$A" -d '{"consent":{"market":"SE",` +
			`"redirectUris":{"success":"'$K'/docs"}},"psu":{"nationalId":"199503096316"}}' | cut -d'"' -f4); echo $SE
  curl -s $K/v1/$SE -H "$A" | grep -o '"uri":"[^"]*"'
`,
	}, {
		Title: "Follow it live, in the background, then open the link in a browser: choose a bank, confirm, approve.",
		Lines: `  curl -sN $K/v1/${SE}:watch -H "$A" -H 'accept: text/event-stream' | ` +
			`grep --line-buffered -o '"type":"[A-Z_]*"' &

   Without a browser, decide in the customer's place:

  curl -s $K/v1/${SE}:simulateDecision -H "$A" -d '{"decision":"APPROVED"}' -o /dev/null; sleep 6
`,
	}},
	Data: `  curl -s $K/v1/$SE/accounts -H "$A"; echo
  curl -s "$K/v1/$SE/accounts/-/transactions?pageSize=3" -H "$A"; echo
`,
	Insights: sandbox.Stop{
		Title: "computed by Fimento",
		Lines: `  curl -s $K/v1/$SE/insights -H "$A" | grep -o '"categories":.*' | cut -c1-400
`,
	},
	End: sandbox.Stop{
		Lines: `  curl -s $K/v1/${SE}:revoke -H "$A" -d '{}' | grep -o '"status":"REVOKED"'
`,
	},
	After: `  curl -s $K/v1/$SE/events -H "$A" | grep -o '"type":"[A-Z_]*"'
`,
}
