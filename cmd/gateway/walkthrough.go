package main

import (
	"io"
	"text/template"
)

// printWalkThrough prints a tour whose every line works as printed, one after the other in one shell.
func printWalkThrough(out io.Writer, a addresses) {
	// The template is fixed and takes only strings: it cannot fail but by writing.
	_ = walkThrough.Execute(out, a)
}

var walkThrough = template.Must(template.New("walkthrough").Parse(`
Kontor runs in front of both providers, played on this machine. Stop with Ctrl-C.

  REST {{.HTTP}}   docs {{.HTTP}}/docs   gRPC {{.GRPC}} (with reflection)   metrics {{.Admin}}/metrics
  key  {{.Key}}

Paste these lines into another shell, one by one.

  export K={{.HTTP}} A='authorization: Bearer {{.Key}}'

1. Ask somebody in Sweden for consent. The answer holds the link for them.

  SE=$(curl -s $K/v1/consents -H "$A" -d '{"consent":{"market":"SE","redirectUris":{"success":"'$K'/docs"}},"psu":{"nationalId":"199503096316"}}' | cut -d'"' -f4); echo $SE
  curl -s $K/v1/$SE -H "$A" | grep -o '"uri":"[^"]*"'

2. Follow it live, in the background, then open the link in a browser: choose a bank, confirm, approve.

  curl -sN $K/v1/$SE:watch -H "$A" -H 'accept: text/event-stream' | grep --line-buffered -o '"type":"[A-Z_]*"' &

   Without a browser, decide in the customer's place:

  curl -s $K/v1/$SE:simulateDecision -H "$A" -d '{"decision":"APPROVED"}' -o /dev/null; sleep 6

3. The same for Germany. Open the link and choose fino Bank (10020000), login dummy, PIN 654321; the TAN is on the screen.

  DE=$(curl -s $K/v1/consents -H "$A" -d '{"consent":{"market":"DE","redirectUris":{"success":"'$K'/docs","error":"'$K'/docs","exit":"'$K'/docs"}}}' | cut -d'"' -f4); echo $DE
  curl -s $K/v1/$DE -H "$A" | grep -o '"uri":"[^"]*"'

   Without a browser, let the played provider finish the pages:

  curl -s {{.FinoOS}}/_sandbox/sessions:end -d '{"userID":"'$(curl -s $K/v1/$DE -H "$A" | grep -o '"providerReference":"[^"]*"' | cut -d'"' -f4)'","outcome":"success"}'; echo
  curl -s "$K/v1/$DE?refresh=true" -H "$A" | grep -o '"status":"[A-Z_]*"' | head -1

4. Read accounts and transactions; amounts are exact decimals. Then insights, computed by Fimento, derived by Kontor for finoOS.

  curl -s $K/v1/$SE/accounts -H "$A"; echo
  curl -s "$K/v1/$SE/accounts/-/transactions?pageSize=3" -H "$A"; echo
  curl -s "$K/v1/$DE/accounts/-/transactions?pageSize=3" -H "$A"; echo
  curl -s $K/v1/$SE/insights -H "$A" | grep -o '"categories":.*' | cut -c1-400
  curl -s $K/v1/$DE/insights -H "$A" | grep -o '"origin":"[A-Z]*"' | head -1

5. Send a letter, and see it delivered.

  L=$(curl -s $K/v1/shipments -H "$A" -d '{"shipment":{"channel":"LETTER","recipient":"Torben Mais","subject":"Your loan","address":{"street":"Universitätsplatz","houseNumber":"12","postcode":"34127","city":"Kassel","countryCode":"DE"},"pdf":"JVBERi0xLjQK"}}' | cut -d'"' -f4); echo $L
  sleep 3; curl -s $K/v1/$L -H "$A" | grep -o '"status":"[A-Z_]*"'

6. Revoke one, delete the other. finoOS wants the end user's address for that, as PSD2 has it.

  curl -s $K/v1/$SE:revoke -H "$A" -d '{}' | grep -o '"status":"REVOKED"'
  curl -s -X DELETE $K/v1/$DE -H "$A" -H 'psu-ip-address: 203.0.113.7'; echo
  curl -s $K/v1/$SE/events -H "$A" | grep -o '"type":"[A-Z_]*"'

`))
