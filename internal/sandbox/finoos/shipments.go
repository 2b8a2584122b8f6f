package finoos

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How often and in which order the outcome of shipments is called back.
const (
	CallbacksOnce    = "once"    // the default: once, a Step after acceptance
	CallbacksNever   = "never"   // lost
	CallbacksTwice   = "twice"   // repeated at once
	CallbacksReorder = "reorder" // each waits until the next one was delivered
)

// Callbacks say how the shipments behave whose outcome is due from now on.
type Callbacks struct {
	Mode string // one of the Callbacks constants
	// Success decides every outcome when it is set; otherwise a shipment fails when its recipient contains "fail".
	Success *bool
}

// Shipment is a fax or letter that was accepted.
type Shipment struct {
	Channel      string    `json:"channel"` // fax or letter
	ProcessID    string    `json:"processID"`
	Recipient    string    `json:"recipient"`
	Subject      string    `json:"subject"`
	CallbackURL  string    `json:"callbackURL"`
	PDFSize      int       `json:"pdfSize"`   // bytes
	PDFSHA256    string    `json:"pdfSHA256"` // hexadecimal
	AcceptedTime time.Time `json:"acceptedTime"`
	Callbacks    int       `json:"callbacks"` // how often the outcome was called back, answered or not
}

// Shipments returns the accepted shipments in their order.
func (s *Server) Shipments() []Shipment {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Shipment, len(s.shipments))
	for i, accepted := range s.shipments {
		all[i] = *accepted
	}
	return all
}

func sendAs(channel string) func(*Server, *http.Request, *user) (any, *apiError) {
	return func(s *Server, r *http.Request, _ *user) (any, *apiError) {
		var body shipmentRequest
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		pdf, ok := decodeBase64(body.PDFContent)
		if !ok {
			return nil, badRequest("pdfContent is not base64")
		}
		if slices.ContainsFunc(s.shipments, func(other *Shipment) bool { return other.ProcessID == body.ProcessID }) {
			return nil, conflict("processID was used before")
		}
		sum := sha256.Sum256(pdf)
		accepted := &Shipment{
			Channel:      channel,
			ProcessID:    body.ProcessID,
			Recipient:    body.Recipient,
			Subject:      body.Subject,
			CallbackURL:  body.CallbackURL,
			PDFSize:      len(pdf),
			PDFSHA256:    hex.EncodeToString(sum[:]),
			AcceptedTime: s.core.Clock.Now(),
		}
		s.shipments = append(s.shipments, accepted)
		s.core.Clock.AfterFunc(s.core.Step, func() { s.due(accepted) })
		return nil, nil
	}
}

// decodeBase64 takes the standard alphabet with or without padding: the documentation's own sample has none.
func decodeBase64(text string) ([]byte, bool) {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if data, err := encoding.DecodeString(text); err == nil {
			return data, len(data) > 0
		}
	}
	return nil, false
}

// due calls back what is to be called back now that a shipment's outcome is known.
func (s *Server) due(done *Shipment) {
	s.mu.Lock()
	var deliver []*Shipment
	switch s.callbacks.Mode {
	case CallbacksNever:
	case CallbacksTwice:
		deliver = []*Shipment{done, done}
	case CallbacksReorder:
		if s.held == nil {
			s.held = done
		} else {
			deliver = []*Shipment{done, s.held}
			s.held = nil
		}
	default:
		deliver = []*Shipment{done}
	}
	s.mu.Unlock()
	for _, each := range deliver {
		s.callBack(each)
	}
}

// SetCallbacks changes how outcomes are called back. One that was held back to be reordered is delivered first.
func (s *Server) SetCallbacks(c Callbacks) {
	s.mu.Lock()
	s.callbacks = c
	held := s.held
	s.held = nil
	s.mu.Unlock()
	if held != nil {
		s.callBack(held)
	}
}

// callBack tells a shipment's outcome, once and without a second try. The URL carries all that is said, so none of it
// is logged.
func (s *Server) callBack(done *Shipment) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.calling.Add(1)
	defer s.calling.Done()
	done.Callbacks++
	success := !strings.Contains(strings.ToLower(done.Recipient), "fail")
	if s.callbacks.Success != nil {
		success = *s.callbacks.Success
	}
	s.mu.Unlock()
	target := withQuery(done.CallbackURL,
		"requestid="+url.QueryEscape(done.ProcessID)+"&success="+strconv.FormatBool(success))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, nil)
	if err != nil {
		s.core.Log.Warn("finoos sandbox: a shipment's callback URL is unusable")
		return
	}
	resp, err := s.core.Client.Do(req)
	if err != nil {
		s.core.Log.Warn("finoos sandbox: a shipment's callback was not answered")
		return
	}
	_ = resp.Body.Close()
	s.core.Log.Debug("finoos sandbox: shipment called back", "channel", done.Channel, "status", resp.StatusCode)
}
