package metadata

import (
	"context"
	"maps"
	"sync"
	"time"

	"seamtag/seam"
)

// world is a Seam of one account in memory, without HTTP: quick enough for thousands of histories.
type world struct {
	mu        sync.Mutex
	merges    bool // updates merge instead of replacing
	gone      bool
	metadata  seam.Metadata
	webviews  map[string]seam.Webview
	events    []seam.Event
	calls     map[string]int
	afterPost func(w *world)              // another writer, between the update and the read-back
	fail      func(endpoint string) error // an answer in place of the world's
}

var _ Seam = (*world)(nil)

func newWorld() *world {
	return &world{metadata: seam.Metadata{}, webviews: map[string]seam.Webview{}, calls: map[string]int{}}
}

// addWebview makes a webview that connects the world's account, authorized so many hours after the beginning.
func (w *world) addWebview(id string, hour int, md seam.Metadata) {
	w.webviews[id] = seam.Webview{ID: id, AccountID: "acc", AuthorizedAt: hourAt(hour), Metadata: md}
}

// connect does what Seam does: the webview's metadata replaces the account's.
func (w *world) connect(webviewID string) {
	w.metadata = w.webviews[webviewID].Metadata.Clone()
}

func (w *world) total() int {
	n := 0
	for _, calls := range w.calls {
		n += calls
	}
	return n
}

func (w *world) enter(endpoint string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[endpoint]++
	if w.fail != nil {
		return w.fail(endpoint)
	}
	return nil
}

func (w *world) Account(_ context.Context, id string) (seam.Account, error) {
	if err := w.enter("account"); err != nil {
		return seam.Account{}, err
	}
	if w.gone || id != "acc" {
		return seam.Account{}, notFound("/connected_accounts/get")
	}
	return seam.Account{ID: id, Metadata: w.metadata.Clone()}, nil
}

func (w *world) Webview(_ context.Context, id string) (seam.Webview, error) {
	if err := w.enter("webview"); err != nil {
		return seam.Webview{}, err
	}
	webview, ok := w.webviews[id]
	if !ok {
		return seam.Webview{}, notFound("/connect_webviews/get")
	}
	return webview, nil
}

func (w *world) UpdateMetadata(_ context.Context, _ string, md seam.Metadata) error {
	if err := w.enter("update"); err != nil {
		return err
	}
	if !w.merges {
		w.metadata = seam.Metadata{}
	}
	maps.Copy(w.metadata, md)
	if w.afterPost != nil {
		w.afterPost(w)
	}
	return nil
}

func (w *world) Events(_ context.Context, q seam.EventQuery) ([]seam.Event, error) {
	if err := w.enter("events"); err != nil {
		return nil, err
	}
	var found []seam.Event
	for _, ev := range w.events {
		if ev.ConnectedAccountID == q.AccountID && ev.EventType == q.Type && ev.OccurredAt.After(q.Since) {
			found = append(found, ev)
		}
	}
	return found, nil
}

func (w *world) Webviews(_ context.Context, _ seam.WebviewQuery) (seam.WebviewPage, error) {
	if err := w.enter("webviews"); err != nil {
		return seam.WebviewPage{}, err
	}
	var page seam.WebviewPage
	for _, webview := range w.webviews {
		page.Webviews = append(page.Webviews, webview)
	}
	return page, nil
}

func notFound(endpoint string) error {
	return &seam.Error{Endpoint: endpoint, Status: 404, Type: "connected_account_not_found"}
}

// hourAt is so many hours after the beginning of the world.
func hourAt(hour int) time.Time {
	return time.Date(2026, time.March, 1, hour, 0, 0, 0, time.UTC)
}

// connected is the event of a connect at that hour; without a webview id when webviewID is empty.
func connected(webviewID string, hour int) seam.Event {
	return seam.Event{
		EventID: "event-" + hourAt(hour).Format(time.RFC3339), EventType: seam.TypeAccountConnected,
		ConnectedAccountID: "acc", ConnectWebviewID: webviewID, OccurredAt: hourAt(hour), CreatedAt: hourAt(hour),
	}
}

func held() error { return nil }
