package replicatest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// Event is one that a watcher saw, or that a history has.
type Event struct {
	// Consent is its id.
	Consent  string
	Sequence int64
	Type     consentv1.ConsentEvent_Type
}

// WatchOptions describe a watcher. The zero value follows all consents over gRPC from before anything happened.
type WatchOptions struct {
	// Consent is the name of the only one that is followed, from its present state on; "" for all.
	Consent string
	// SSE is over REST with Server-Sent Events.
	SSE bool
	// HangUp tells after how long the watcher hangs up by itself, to go on at whatever gateway, until Check; nil for
	// never.
	HangUp func() time.Duration
}

// Watcher follows consents, and goes on at whatever gateway with its token when a stream ends, however it ends.
type Watcher struct {
	WatchOptions

	world  *World
	number int

	mu          sync.Mutex
	token       string
	seen        []Event
	begin       int64 // the sequence behind which the events of the only consent follow
	connections int
	ends        map[string]int // how streams ended, by reason
	over        bool
}

// watchers numbers them, so that they share connections evenly.
var watchers atomic.Int64

// Watch follows consents until the context ends, and has returned from that once done is closed.
func (w *World) Watch(ctx context.Context, o WatchOptions) (s *Watcher, done <-chan struct{}) {
	s = &Watcher{WatchOptions: o, world: w, number: int(watchers.Add(1)), ends: map[string]int{}}
	if o.Consent == "" {
		s.token = w.Origin
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.run(ctx)
	}()
	return s, closed
}

// Seen are the events that it saw so far, in their order.
func (s *Watcher) Seen() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.seen...)
}

// Connections is how many streams it opened.
func (s *Watcher) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Ends counts how its streams ended that it did not end itself, by outcome.
func (s *Watcher) Ends() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := make(map[string]int, len(s.ends))
	maps.Copy(ends, s.ends)
	return ends
}

// Open tells whether it has something to resume: whether its first stream got to the present.
func (s *Watcher) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != ""
}

// silence is how long a stream says nothing until it is given up: gateways send heartbeats each second.
const silence = 6 * time.Second

// again is how long a watcher waits before it resumes a stream that failed.
const again = 50 * time.Millisecond

func (s *Watcher) run(ctx context.Context) {
	for ctx.Err() == nil && !s.isOver() {
		once, hangUp := context.WithCancel(ctx)
		alive := time.AfterFunc(silence, hangUp)
		leave := alive
		if s.HangUp != nil && !s.world.steady.Load() {
			leave = time.AfterFunc(s.HangUp(), hangUp) // No deadline: the gateway must not know beforehand.
		}
		err := s.follow(once, s.world.Any(), func() { alive.Reset(silence) })
		alive.Stop()
		leave.Stop()
		left := once.Err() != nil
		hangUp()
		if !left {
			s.mu.Lock()
			s.ends[Outcome(err)]++
			s.mu.Unlock()
			s.world.rest(ctx, again)
		}
	}
}

func (s *Watcher) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// follow opens one stream and reads it to its end.
func (s *Watcher) follow(ctx context.Context, r *Replica, alive func()) error {
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	next, end, err := s.open(ctx, r, token)
	if err != nil {
		return err
	}
	defer end()
	for {
		message, err := next()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if err != nil || message == nil {
			return err
		}
		alive()
		s.take(message)
	}
}

// open opens a stream. next gives its messages, and nil, or io.EOF, at its end.
func (s *Watcher) open(ctx context.Context, r *Replica, token string) (
	next func() (*consentv1.WatchConsentsResponse, error), end func(), err error,
) {
	if s.SSE {
		return s.openSSE(ctx, r, token)
	}
	stubs, err := r.streamStubs(s.number)
	if err != nil {
		return nil, nil, err
	}
	s.opened()
	stream, err := stubs.Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{
		Consent: s.Consent, ResumeToken: token,
	})
	if err != nil {
		return nil, nil, err
	}
	return stream.Recv, func() {}, nil
}

// browsers open a connection for each stream.
var browsers = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (s *Watcher) openSSE(ctx context.Context, r *Replica, token string) (
	next func() (*consentv1.WatchConsentsResponse, error), end func(), err error,
) {
	base := r.HTTP()
	if base == "" {
		return nil, nil, errDown
	}
	s.opened()
	path := "/v1/" + cmp.Or(s.Consent, "consents") + ":watch"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+Key)
	request.Header.Set("Accept", "text/event-stream")
	if token != "" {
		request.Header.Set("Last-Event-Id", token)
	}
	response, err := browsers.Do(request) //nolint:bodyclose // whoever reads on closes it
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, nil, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	event := ""
	return func() (*consentv1.WatchConsentsResponse, error) {
		for lines.Scan() {
			if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				event = kind
			}
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			if event == "error" {
				_, rest, _ := strings.Cut(data, `"reason":"`)
				reason, _, _ := strings.Cut(rest, `"`)
				return nil, streamError(reason)
			}
			event = ""
			message := &consentv1.WatchConsentsResponse{}
			return message, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(data), message)
		}
		return nil, lines.Err()
	}, func() { response.Body.Close() }, nil
}

// streamError is the reason with which a stream over REST ended.
type streamError string

func (e streamError) Error() string { return "the stream ended with " + string(e) }

func (s *Watcher) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
}

// take notes a message.
func (s *Watcher) take(message *consentv1.WatchConsentsResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = cmp.Or(message.GetResumeToken(), s.token)
	switch message.GetKind() {
	case consentv1.WatchConsentsResponse_STATE:
		if s.Consent != "" {
			s.begin = int64(message.GetConsent().GetEventCount())
		}
	case consentv1.WatchConsentsResponse_EVENT:
		event := eventOf(message.GetEvent())
		s.seen = append(s.seen, event)
		s.over = s.Consent != "" && event.Type == consentv1.ConsentEvent_DELETED
	}
}

// eventOf reads an event, whose name is consents/<id>/events/<sequence>.
func eventOf(event *consentv1.ConsentEvent) Event {
	parts := strings.Split(event.GetName(), "/")
	if len(parts) != 4 {
		return Event{Type: event.GetType()}
	}
	sequence, _ := strconv.ParseInt(parts[3], 10, 64)
	return Event{Consent: parts[1], Sequence: sequence, Type: event.GetType()}
}

// origin gives a token from now.
func (w *World) origin() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), worldtest.Patience)
	defer cancel()
	stream, err := w.Replicas[0].Stubs().Consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{})
	for err == nil {
		var message *consentv1.WatchConsentsResponse
		if message, err = stream.Recv(); err == nil && message.GetResumeToken() != "" {
			return message.GetResumeToken(), nil
		}
	}
	return "", err
}
