package crash

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/google/uuid"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/test/worldtest"
)

// cut says where a connection breaks: once so many bytes of the request, or of the reply, have passed.
type cut struct {
	reply bool
	after int
}

// cable lies between the gateway and a provider, and can be cut on connections that carry a shipment.
type cable struct {
	net.Listener
	to string

	mu             sync.Mutex
	cut            *cut
	carried        int // connections with a shipment
	sent, answered int // bytes of the newest shipment's request and reply that passed
}

func newCable(t *testing.T, target string) *cable {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, to: u.Host}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() { l.Close() }) // connections end with the gateway
	return c
}

func (c *cable) url() string { return "http://" + c.Addr().String() }

// carry joins a connection with one to the provider until either ends, or until the cut.
func (c *cable) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	in := bufio.NewReader(from)
	start, _ := in.Peek(len("POST " + finoos.BasePath + "/documentshipment/"))
	shipment := bytes.HasSuffix(start, []byte("/documentshipment/"))
	var at *cut
	if shipment {
		c.mu.Lock()
		c.carried++
		c.sent, c.answered = 0, 0
		at, c.cut = c.cut, nil
		c.mu.Unlock()
	}
	var ways sync.WaitGroup
	way := func(dst net.Conn, src io.Reader, reply bool, passed *int) {
		defer dst.Close()
		if at != nil && at.reply == reply {
			src = io.LimitReader(src, int64(at.after))
		}
		n, _ := io.Copy(dst, src)
		if shipment {
			c.mu.Lock()
			*passed = int(n)
			c.mu.Unlock()
		}
		if at != nil && at.reply == reply {
			from.Close()
			to.Close()
		}
	}
	ways.Go(func() { way(to, in, false, &c.sent) })
	ways.Go(func() { way(from, to, true, &c.answered) })
	ways.Wait()
}

func (c *cable) arm(at cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = &at
}

func (c *cable) shipmentsCarried() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carried
}

func (c *cable) lengths() (request, reply int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.answered
}

// TestFaxCutAtEveryByte cuts the connection that carries a fax after every number of bytes of the request, and of the
// reply. The fax goes over a connection at most once, also when the caller repeats it; finoOS accepts it at most
// once; and whenever it may have, the answer is the shipment or OUTCOME_UNKNOWN, and the shipment stands as what it
// is.
func TestFaxCutAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, reply := range []bool{false, true} {
		t.Run(map[bool]string{false: "request", true: "reply"}[reply], func(t *testing.T) {
			t.Parallel()
			var wire *cable
			w := newWorld(t, options{reached: map[string]func(string) string{finoos.ID: func(gate string) string {
				wire = newCable(t, gate)
				return wire.url()
			}}})
			// no report may settle what is unknown
			finoOS(w).SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
			cutEverywhere(t, w, wire, reply)
		})
	}
}

// sentFax is a fax that was asked for, and what came of it.
type sentFax struct {
	after    int
	shipment *documentsv1.Shipment
	err      error
}

func cutEverywhere(t *testing.T, w *world, wire *cable, reply bool) {
	whole := uuid.NewString()
	must(w.client.Documents.CreateShipment(w.context(), shipmentRequest(whole, documentsv1.Channel_FAX)))(t)
	var request, answer int
	w.eventually("the whole fax has passed", func() bool {
		request, answer = wire.lengths()
		return request > 0 && answer > 0
	})
	last := request
	if reply {
		last = answer
	}
	t.Logf("a fax is %d bytes, its reply %d", request, answer)
	faxes := map[string]sentFax{}
	every := 1
	if worldtest.Stores() == worldtest.Postgres {
		// Where the connection breaks is nothing to the store: some of them show that it keeps what came of it.
		every = 16
	}
	for after := 0; after <= last; after += every {
		key := uuid.NewString()
		carried := wire.shipmentsCarried()
		wire.arm(cut{reply, after})
		made, err := w.client.Documents.CreateShipment(w.context(), shipmentRequest(key, documentsv1.Channel_FAX))
		if n := wire.shipmentsCarried() - carried; n != 1 {
			t.Fatalf("cut after %d: the fax went over %d connections; the call ended with %v", after, n, err)
		}
		faxes[key] = sentFax{after, made, err}
		if err == nil || reason(err) == "OUTCOME_UNKNOWN" {
			again, againErr := w.client.Documents.CreateShipment(w.context(), shipmentRequest(
				key, documentsv1.Channel_FAX,
			))
			if !same(made, err, again, againErr) {
				t.Errorf("cut after %d: %v, and repeated %v", after, err, againErr)
			}
			if n := wire.shipmentsCarried() - carried; n != 1 {
				t.Fatalf("cut after %d: the repetition was sent", after)
			}
		}
		// The provider is well: without other calls, the breaker would take it to be down.
		must(w.client.Providers.ListProviderUsers(w.context(), &providerv1.ListProviderUsersRequest{
			Parent: "providers/" + finoos.ID,
		}))(t)
	}
	w.kill() // all that was sent has arrived by now
	accepted := map[string]int{}
	for _, shipment := range finoOS(w).Shipments() {
		accepted[shipment.Subject]++
	}
	w.restart()
	unknown := 0
	for key, fax := range faxes {
		if reason(fax.err) == "OUTCOME_UNKNOWN" {
			unknown++
		}
		standsAsItIs(t, w, fax, accepted[key])
	}
	if unknown == 0 || !reply && unknown < last/2/every {
		t.Errorf("only %d of %d cuts left it unknown", unknown, len(faxes))
	}
}

func standsAsItIs(t *testing.T, w *world, fax sentFax, accepted int) {
	t.Helper()
	switch {
	case accepted > 1:
		t.Errorf("cut after %d: accepted %d times", fax.after, accepted)
	case fax.err == nil && accepted != 1:
		t.Errorf("cut after %d: acknowledged, and accepted %d times", fax.after, accepted)
	case fax.err == nil:
		if now := must(w.client.Documents.GetShipment(w.context(), &documentsv1.GetShipmentRequest{
			Name: fax.shipment.GetName(),
		}))(t); now.GetStatus() != documentsv1.Shipment_SUBMITTED {
			t.Errorf("cut after %d: acknowledged, and its status is %s", fax.after, now.GetStatus())
		}
	case reason(fax.err) == "OUTCOME_UNKNOWN":
		name := worldtest.Info(fax.err).GetMetadata()["shipment"]
		if now := must(w.client.Documents.GetShipment(
			w.context(), &documentsv1.GetShipmentRequest{Name: name},
		))(t); now.GetStatus() != documentsv1.Shipment_OUTCOME_UNKNOWN {
			t.Errorf("cut after %d: the outcome is unknown, and the status is %s", fax.after, now.GetStatus())
		}
	case accepted > 0:
		t.Errorf("cut after %d: accepted, and the answer is %v", fax.after, fax.err)
	}
}
