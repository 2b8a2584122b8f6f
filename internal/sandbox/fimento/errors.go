package fimento

import (
	"encoding/json"
	"net/http"
)

// reply is what a handler answers; it is written once the server's lock is free again. Without a body nothing but
// the status is sent.
type reply struct {
	status int
	body   any
}

func (a reply) write(w http.ResponseWriter) {
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	body, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // what is written is built here, amounts included
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
}

// errorWire is the body of every refusal. Message is an array of strings when the input is at fault, else a string.
type errorWire struct {
	Message    any    `json:"message"`
	Error      string `json:"error"`
	StatusCode int    `json:"statusCode"`
}

// refusal answers with the provider's error body.
func refusal(status int, message any) reply {
	name := http.StatusText(status)
	if status == http.StatusBadRequest {
		name = "Bad request" // as documented
	}
	return reply{status, errorWire{Message: message, Error: name, StatusCode: status}}
}

// invalid refuses input: one message per fault.
func invalid(messages ...string) reply { return refusal(http.StatusBadRequest, messages) }

// errorBody is the body for a status that the core answers with.
func errorBody(status int) (contentType string, body []byte) {
	body, err := json.Marshal(refusal(status, http.StatusText(status)).body)
	if err != nil {
		panic(err) // strings and a number
	}
	return "application/json; charset=utf-8", body
}
