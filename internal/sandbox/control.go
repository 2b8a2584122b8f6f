package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// UnmarshalJSON reads a fault as the controls take it, strictly, with the delay written as in Go ("250ms").
func (f *Fault) UnmarshalJSON(raw []byte) error {
	type fields Fault // without this method
	in := struct {
		*fields
		Delay string `json:"delay"`
	}{fields: (*fields)(f)}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if in.Delay != "" {
		delay, err := time.ParseDuration(in.Delay)
		if err != nil {
			return err
		}
		f.Delay = delay
	}
	return f.Check()
}

// callJSON is a Call on the wire; the body is base64, as encoding/json writes bytes.
type callJSON struct {
	Operation string      `json:"operation"`
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Query     url.Values  `json:"query"`
	Header    http.Header `json:"header"`
	Body      []byte      `json:"body"`
	Status    int         `json:"status"`
	Time      time.Time   `json:"time"`
}

// HandleControls serves the controls that all dialects have; the package documentation lists them.
func (c *Core) HandleControls(mux *http.ServeMux) {
	c.HandleControl(mux, "POST /_sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		if !ReadControl(w, r, &fault) {
			return
		}
		WriteControl(w, http.StatusCreated, map[string]string{"id": c.Faults.Add(fault)})
	})
	c.HandleControl(mux, "DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		c.Faults.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	c.HandleControl(mux, "DELETE /_sandbox/faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		c.Faults.Remove(r.PathValue("id"))
		w.WriteHeader(http.StatusNoContent)
	})
	c.HandleControl(mux, "GET /_sandbox/calls", func(w http.ResponseWriter, r *http.Request) {
		calls := c.Calls.All()
		if operation := r.URL.Query().Get("operation"); operation != "" {
			calls = c.Calls.Of(operation)
		}
		out := make([]callJSON, len(calls))
		for i, call := range calls {
			out[i] = callJSON(call)
		}
		WriteControl(w, http.StatusOK, map[string]any{"calls": out})
	})
	c.HandleControl(mux, "DELETE /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		c.Calls.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	c.HandleControl(mux, "GET /_sandbox/clock", func(w http.ResponseWriter, _ *http.Request) {
		WriteControl(w, http.StatusOK, map[string]time.Time{"now": c.Clock.Now()})
	})
	c.HandleControl(mux, "POST /_sandbox/clock", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Advance string `json:"advance"`
		}
		if !ReadControl(w, r, &in) {
			return
		}
		manual, ok := c.Clock.(*ManualClock)
		if !ok {
			WriteControl(w, http.StatusConflict, map[string]string{"error": "this sandbox runs on the real clock"})
			return
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 {
			WriteControl(w, http.StatusBadRequest,
				map[string]string{"error": `advance must be a duration such as "24h"`})
			return
		}
		manual.Advance(d)
		WriteControl(w, http.StatusOK, map[string]time.Time{"now": c.Clock.Now()})
	})
	c.HandleControl(mux, "POST /_sandbox/tokens:expire", func(w http.ResponseWriter, _ *http.Request) {
		c.ExpireTokens()
		w.WriteHeader(http.StatusNoContent)
	})
}

// ReadControl reads a control's JSON body into v, strictly; on failure it has answered 400 and returns false.
func ReadControl(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		WriteControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return false
	}
	return true
}

// WriteControl answers a control with JSON.
func WriteControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the caller gave what can be encoded, and the reader may be gone
}
