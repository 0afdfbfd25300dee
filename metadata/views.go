package metadata

import (
	"time"

	"seamtag/seam"
)

// views are the webviews of an account as known with this event: the first, the latest, and the event's own.
type views struct {
	origin, latest *Sighting
	own            *Sighting // nil when the event has none, or it is not to be found
	discovers      bool      // the event brought a webview that became the first or the latest
}

// see puts the event's webview into the order of those that the ledger knows.
func see(in *Input) views {
	v := views{origin: in.Ledger.Origin, latest: in.Ledger.latest()}
	if in.Webview == nil {
		return v
	}
	v.own = sight(in.Webview, in.webviewAt())
	v.refresh(in.connects())
	if v.origin == nil || v.own.ID != v.origin.ID && v.own.before(v.origin) {
		v.origin, v.discovers = v.own, true
	}
	// An event of another type may name the webview of long ago: known as the first, it does not become the latest.
	again := v.own.ID == v.origin.ID && !v.discovers && !in.connects()
	if v.latest == nil || v.own.ID != v.latest.ID && v.latest.before(v.own) && !again {
		v.latest, v.discovers = v.own, true
	}
	return v
}

// refresh puts the object just read in the place of the remembered one of the same webview: the first time it
// connected the account counts for the origin, the last time for the latest.
func (v *views) refresh(connects bool) {
	if o := v.origin; o != nil && o.ID == v.own.ID {
		v.origin = &Sighting{ID: o.ID, At: o.At, Object: v.own.Object}
		if v.own.At.Before(o.At) {
			v.origin.At = v.own.At
		}
	}
	if l := v.latest; l != nil && l.ID == v.own.ID {
		v.latest = &Sighting{ID: l.ID, At: l.At, Object: v.own.Object}
		if connects && l.At.Before(v.own.At) {
			v.latest.At = v.own.At
		}
	}
}

// connects tells whether the event's webview is known to have connected the account when webviewAt says.
func (in *Input) connects() bool {
	return !in.WebviewAt.IsZero() || connects(in.Event.EventType)
}

func connects(eventType string) bool {
	return eventType == seam.TypeAccountConnected || eventType == seam.TypeLoginSucceeded
}

func (in *Input) webviewAt() time.Time {
	if in.WebviewAt.IsZero() {
		return in.Event.OccurredAt
	}
	return in.WebviewAt
}

// latest is Ledger.Latest with its object.
func (l Ledger) latest() *Sighting {
	if l.Latest != nil && l.Latest.Object == nil && l.Origin != nil && l.Latest.ID == l.Origin.ID {
		return &Sighting{ID: l.Latest.ID, At: l.Latest.At, Object: l.Origin.Object}
	}
	return l.Latest
}

// thin leaves the object out where the origin already holds it.
func thin(latest, origin *Sighting) *Sighting {
	if latest == nil || origin == nil || latest.ID != origin.ID {
		return latest
	}
	return &Sighting{ID: latest.ID, At: latest.At}
}
