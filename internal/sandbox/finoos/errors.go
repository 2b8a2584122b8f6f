package finoos

import (
	"encoding/json"
	"net/http"
)

// apiError is an answer that refuses: {"type": ..., "message": ...} with its status. The documentation shows the types
// "forbidden" and "notFound" and speaks of an "invalid input error"; the others follow the names of its status table.
type apiError struct {
	status  int
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return e.Type + ": " + e.Message }

func badRequest(message string) *apiError {
	return &apiError{http.StatusBadRequest, "badRequest", message}
}

func invalidInput(message string) *apiError {
	return &apiError{http.StatusBadRequest, "invalidInput", message}
}

func unauthorized() *apiError {
	return &apiError{
		http.StatusUnauthorized, "unauthorized", "Unauthorized. Check your access token or name and secret",
	}
}

func forbidden() *apiError {
	return &apiError{http.StatusForbidden, "forbidden", "Forbidden. No access to this resource"}
}

func notFound() *apiError {
	return &apiError{http.StatusNotFound, "notFound", "not found"}
}

func conflict(message string) *apiError {
	return &apiError{http.StatusConflict, "conflict", message}
}

// reply writes an outcome: an error in the provider's shape, 204 without a body for nil, else 200 with JSON.
func reply(w http.ResponseWriter, body any, err *apiError) {
	status := http.StatusOK
	switch {
	case err != nil:
		status, body = err.status, err
	case body == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	data, failure := json.Marshal(body)
	if failure != nil { // only a number that is no number gets here, and decoding refused those
		panic("finoos sandbox: " + failure.Error())
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller may be gone
}
