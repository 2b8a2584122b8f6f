package e2e

import (
	"context"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/test/worldtest"
)

// journey is what a customer does with a link, and what must come of it.
type journey struct {
	what    string
	phone   bool
	steps   func(*page)
	arrives string // at which of the caller's addresses
	status  consentv1.Consent_Status
	link    typev1.Link_Status
	last    consentv1.ConsentEvent_Type // the event that ends it
	seen    []consentv1.ConsentEvent_Type
	unseen  []consentv1.ConsentEvent_Type
}

// TestBrowser: a customer opens the link in a browser and goes through the bank's pages by their buttons. The
// caller's page is where they end, and a live stream shows what they did.
func TestBrowser(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	running := newBrowser(t)
	for _, provider := range worldtest.Providers() {
		for _, j := range providers.Of(provider).journeys {
			t.Run(j.what, func(t *testing.T) { j.run(t, w, c, provider, running) })
		}
	}
}

// browserPatience bounds one visit of a customer.
const browserPatience = time.Minute

// newBrowser starts a browser that visits share.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell",
	} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium or Chrome on the PATH: run scripts/setup-chromium.sh")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
	)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	first, cancelFirst := chromedp.NewContext(allocator)
	t.Cleanup(cancelFirst)
	if err := chromedp.Do(first); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return first
}

func (j journey) run(t *testing.T, w *world, c *client, provider string, running context.Context) {
	consent := w.overREST(t, c, provider)
	stream := watchConsents(t, c, overSSE, consent.GetName(), "")
	stream.next(t)
	p := newPage(t, running, j.phone)
	p.visit(consent.GetLink().GetUri())
	j.steps(p)
	p.arrived()
	want := map[string]string{
		"success": consent.GetRedirectUris().GetSuccess(), "error": consent.GetRedirectUris().GetError(),
		"exit": consent.GetRedirectUris().GetExit(),
	}[j.arrives]
	if at := p.address(); at != want {
		t.Errorf("the customer ends at %s, want %s", at, want)
	}
	if at := w.app.arrivedAt(visitOf(consent)); !slices.Equal(at, []string{want}) {
		t.Errorf("the caller's pages were visited at %v, want %s", at, want)
	}
	messages := until(t, stream, j.last, consent.GetEventCount())
	var seen []consentv1.ConsentEvent_Type
	for _, m := range messages {
		seen = append(seen, m.GetEvent().GetType())
	}
	for _, want := range j.seen {
		if !slices.Contains(seen, want) {
			t.Errorf("the stream has no %s: %v", want, seen)
		}
	}
	for _, unwanted := range j.unseen {
		if slices.Contains(seen, unwanted) {
			t.Errorf("the stream has %s: %v", unwanted, seen)
		}
	}
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != j.status || got.GetLink().GetStatus() != j.link {
		t.Errorf(
			"in the end the consent is %s with a link %s, want %s and %s", got.GetStatus(), got.GetLink().GetStatus(),
			j.status, j.link,
		)
	}
	wantSame(t, "what the stream showed last", messages[len(messages)-1].GetConsent(), got)
}

// overREST asks for consent as a caller without stubs does.
func (w *world) overREST(t *testing.T, c *client, provider string) *consentv1.Consent {
	t.Helper()
	method := methods()["kontor.consent.v1.ConsentService/CreateConsent"]
	got, err := c.callREST(t.Context(), method, jsonOf(newConsent(w, provider)), psuIP, 0)
	if err != nil || got.failure != nil {
		t.Fatal(err, got.failure)
	}
	return got.messages[0].(*consentv1.Consent)
}

// page is a customer's browser.
type page struct {
	t   *testing.T
	ctx context.Context
}

// newPage opens a window with no memory of others, of a phone's size or a desktop's.
func newPage(t *testing.T, running context.Context, phone bool) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(running, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, browserPatience)
	t.Cleanup(cancel)
	window := chromedp.EmulateViewport(1280, 800)
	if phone {
		window = chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	// The window lives as long as the context that it is opened with.
	if err := chromedp.Do(ctx, window); err != nil {
		t.Fatalf("the browser opens no window: %v", err)
	}
	return &page{t, ctx}
}

// run does something in the browser, or ends the test with what the page says.
func (p *page) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](
			`document.location + "\n" + (document.body ? document.body.innerText : "")`,
		))
		p.t.Fatalf("%s: %v; the browser shows:\n%s", what, err, text)
	}
}

// read reads something of the page.
func read[T any](p *page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	var value T
	p.run(what, func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		value, err = action(ctx, target)
		return none, err
	})
	return value
}

// visit opens an address.
func (p *page) visit(address string) {
	p.t.Helper()
	p.run("opening the link", chromedp.Navigate(address))
	p.look()
}

// click clicks what can be seen, and waits for the page that it leads to.
func (p *page) click(selector string) {
	p.t.Helper()
	p.run("clicking "+selector, func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
		return none, err
	})
	p.look()
}

// fill types into a field that can be seen.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.run("filling in "+selector, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// look holds a page against what every page of a bank should be.
func (p *page) look() {
	p.t.Helper()
	for _, problem := range read(p, "looking at the page", chromedp.Evaluate[[]string](`(() => {
		const problems = [];
		if (!document.title) problems.push("it has no title");
		if (document.documentElement.scrollWidth > window.innerWidth) problems.push("it is wider than the window");
		for (const field of document.querySelectorAll("input:not([type=hidden])"))
			if (!field.labels || field.labels.length === 0) problems.push("a field has no label");
		return problems;
	})()`)) {
		p.t.Errorf("%s: %s", p.address(), problem)
	}
}

// arrived waits for the caller's page.
func (p *page) arrived() {
	p.t.Helper()
	p.run("arriving at the caller's page", chromedp.WaitVisible(chromedp.CSS("#arrived")))
}

// address is where the browser is.
func (p *page) address() string {
	p.t.Helper()
	return read(p, "reading the address", chromedp.Location())
}
