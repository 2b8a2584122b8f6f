package played

import (
	"cmp"

	"kontor.dev/kontor/internal/sandbox"
)

// ID is the id, and the kind, under which a gateway has Skarvholm.
const ID = "skarvholm"

// Dialect plays the Skarvholm that cfg describes. Where cfg has no BaseURL, it is the address that is listened on.
func Dialect(cfg Config) sandbox.Dialect {
	return sandbox.Dialect{
		ID: ID, Name: "Skarvholm", Addr: "127.0.0.1:8092",
		New: func(core *sandbox.Core, baseURL string) sandbox.Player {
			at := cfg
			at.BaseURL = cmp.Or(cfg.BaseURL, baseURL)
			return New(core, at)
		},
		Secrets: []string{"client_secret", "signing_key"},
		Account: "client id {{.client_id}}, secret {{.client_secret}}, signing key {{.signing_key}}",
		Tour:    tour,
	}
}

// Settings are the keys of Skarvholm's block in kontor.yaml.
func (s *Server) Settings() map[string]string {
	return map[string]string{
		"base_url": s.cfg.BaseURL + BasePath, "client_id": ClientID, "client_secret": ClientSecret,
		"signing_key": SigningKey,
	}
}

var tour = sandbox.Tour{
	Consent: []sandbox.Stop{{
		Title: "Ask somebody in Norway for consent, and decide in the customer's place.",
		Lines: `  NO=$(curl -s $K/v1/consents -H "$A" -d '{"consent":{"market":"NO",` +
			`"redirectUris":{"success":"'$K'/docs","error":"'$K'/docs","exit":"'$K'/docs"}}}' | cut -d'"' -f4); echo $NO
  L=$(curl -s $K/v1/$NO -H "$A" | grep -o '"uri":"[^"]*"' | cut -d'"' -f4); echo $L
  curl -sL $L -d 'bank=0&decision=approve' -o /dev/null; sleep 3
`,
	}},
	Data: `  curl -s $K/v1/$NO/accounts -H "$A"; echo
`,
	Insights: sandbox.Stop{
		Title: "derived by Kontor for Skarvholm",
		Lines: `  curl -s $K/v1/$NO/insights -H "$A" | grep -o '"categories":.*' | cut -c1-400
`,
	},
	End: sandbox.Stop{
		Lines: `  curl -s $K/v1/${NO}:revoke -H "$A" -d '{}' | grep -o '"status":"REVOKED"'
`,
	},
}
